/* The store, its rows of UIDVALIDITYs that a moved user's clients know (sync/validity.h). */
#ifndef COMMON_STORE_VALIDITY_H
#define COMMON_STORE_VALIDITY_H

#include "common/store.h"

#define STORE_VALIDITY_MAX (200 * 1024) /* bytes of one user's */

/* lines: "NEW OLD" LF …; "": none, new's own are shown. */
int store_validity_write(struct store *st, const char *name, const char *lines,
			 struct err *e) MUST_CHECK;
/* *lines: allocated, "" if there are none. */
int store_validity_read(struct store *st, const char *name, char **lines,
			struct err *e) MUST_CHECK;

#endif
