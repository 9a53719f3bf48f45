/* The store, its rows of shadow logins: does new take the password that was last used on old? */
#ifndef COMMON_STORE_SHADOW_H
#define COMMON_STORE_SHADOW_H

#include "common/store.h"

#define STORE_SHADOW_MS \
	(24 * 3600 * 1000LL) /* of one user, all nodes together: at most once in it */

struct shadow_row {
	int64_t at; /* of the last answer, ms since 1970; 0: there is none */
	bool accepted;
};
/* May this node try now? *mine is true for one of those who ask, and then for nobody before
 * STORE_SHADOW_MS has passed. */
int store_shadow_claim(struct store *st, const char *name, bool *mine,
		       struct err *e) MUST_CHECK;
/* The server's answer to the one who claimed. */
int store_shadow_write(struct store *st, const char *name, bool accepted,
		       struct err *e) MUST_CHECK;
/* The next login may be tried after so long; 0: at once. */
int store_shadow_again(struct store *st, const char *name, int64_t after_ms,
		       struct err *e) MUST_CHECK;
int store_shadow_read(struct store *st, const char *name, struct shadow_row *out,
		      struct err *e) MUST_CHECK;

#endif
