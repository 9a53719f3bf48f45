/*
 * Sums over all users and sessions, for screens: the store adds up, so that a screen
 * costs the same to draw however many there are.
 */
#ifndef COMMON_STORE_SUMS_H
#define COMMON_STORE_SUMS_H

#include "common/store.h"

struct user_sums {
	int64_t users, states[USER_STATES];
	int64_t stuck, failing; /* failing: the last try failed, and another one follows */
	int64_t go, with_exceptions;
	int64_t messages, copied, verified, exceptions, bytes;
	int64_t to_compare; /* messages of users on old that are not compared yet */
};
/* A wave's; "" for those of none. */
typedef int store_sums_fn(const char *wave, const struct user_sums *s, void *arg);
/* By name. Nonzero from fn stops and is returned. */
int store_sums_each(struct store *st, store_sums_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* Of one wave. */
int store_sums_of(struct store *st, const char *wave, struct user_sums *out,
		  struct err *e) MUST_CHECK;
void user_sums_add(struct user_sums *to, const struct user_sums *s);

/* side "": neither; waiting: for a cutover. */
typedef int store_session_sum_fn(const char *proto, const char *side, bool waiting,
				 int64_t count, void *arg);
int store_session_sums_each(struct store *st, store_session_sum_fn *fn, void *arg,
			    struct err *e) MUST_CHECK;

int store_strangers_count(struct store *st, int64_t *out, struct err *e) MUST_CHECK;

#endif
