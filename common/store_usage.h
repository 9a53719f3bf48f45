/* The store, its rows of who logs in without being in it, and of what clients use. */
#ifndef COMMON_STORE_USAGE_H
#define COMMON_STORE_USAGE_H

#include "common/store.h"

int store_stranger(struct store *st, const char *name, struct err *e) MUST_CHECK;
struct stranger_row {
	const char *name;
	int64_t first_seen, last_seen, logins;
};
typedef int store_stranger_fn(const struct stranger_row *s, void *arg);
/* By name, those behind `after`; NULL: all. */
int store_strangers_each(struct store *st, const char *after, store_stranger_fn *fn, void *arg,
			 struct err *e) MUST_CHECK;

struct usage_row {
	const char *proto, *extension; /* "imap", "MOVE"; "sessions": all of them */
	int64_t sessions, last_seen;
};
/* Adds to the counts; last_seen becomes now. */
int store_usage_add(struct store *st, const struct usage_row *rows, size_t n,
		    struct err *e) MUST_CHECK;
typedef int store_usage_fn(const struct usage_row *u, void *arg);
int store_usage_each(struct store *st, store_usage_fn *fn, void *arg, struct err *e) MUST_CHECK;

#endif
