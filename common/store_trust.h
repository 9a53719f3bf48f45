/*
 * The store, its rows about which store it is: is it still the one that was opened?
 * common/flips.h judges.
 */
#ifndef COMMON_STORE_TRUST_H
#define COMMON_STORE_TRUST_H

#include "common/store.h"

struct store_look {
	bool gone; /* its tables, or its file, are not there any more */
	char id[STORE_ID_MAX];
	int64_t last_change;
};
/* As it is now, whatever it was when it was opened. */
int store_look(struct store *st, struct store_look *out, struct err *e) MUST_CHECK;

/* What a flip log knows of a user. */
struct flip_row {
	char *name;
	int64_t epoch, change; /* the epoch he has lived in since that change */
};
/*
 * For a store that has lost moves: whoever has a lower epoch than his row here says is put
 * where he lives, with a row of history; *moved says how many these were. Nothing is done while
 * somebody who lives on new is not in the store: he is to be imported first. Changes begin anew
 * beyond all that any node has seen, so that nodes read everything again. Copies of journals are
 * nobody's from then on, and so in doubt; nobody is on lease. Harmless when repeated.
 */
int store_rebuild(struct store *st, const struct flip_row *rows, size_t n, int64_t beyond,
		  int *moved, struct err *e) MUST_CHECK;

#endif
