/* The store, its rows of learned passwords, sealed, so that only the engine can read them. */
#ifndef COMMON_STORE_LEARNED_H
#define COMMON_STORE_LEARNED_H

#include "common/store.h"

/* Instead of the one kept before; nothing is kept of who is no user, or done. */
int store_learned_write(struct store *st, const char *name, const char *sealed,
			struct err *e) MUST_CHECK;
/* 1 with *sealed, which the caller frees; 0: none; -1. */
int store_learned_read(struct store *st, const char *name, char **sealed,
		       struct err *e) MUST_CHECK;
int store_learned_forget(struct store *st, const char *name, struct err *e) MUST_CHECK;
/* Erases what was written before so long ago, and what is of users who are done or gone. How
 * many; -1. */
int store_learned_erase(struct store *st, int64_t keep_ms, struct err *e) MUST_CHECK;

#endif
