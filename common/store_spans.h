/*
 * The past of all users, looked through in spans of ids: a report over a large store asks for a
 * little at a time, and adds up.
 */
#ifndef COMMON_STORE_SPANS_H
#define COMMON_STORE_SPANS_H

#include "common/store.h"

enum store_list { STORE_LIST_HISTORY, STORE_LIST_HOLDS, STORE_LIST_LOGINS, STORE_LISTS };

/* Rows with after < id <= last. */
struct store_span {
	int64_t after, last;
};
/* The whole list, as it is now; of an empty one after == last. */
int store_span(struct store *st, enum store_list l, struct store_span *out,
	       struct err *e) MUST_CHECK;

/* Ways of cutovers and back, of users of one wave that went the same way for the same reason. */
struct span_move {
	const char *wave, *from_state, *to_state, *direction, *why;
	int64_t count, first, last; /* ms since 1970 */
};
typedef int store_span_move_fn(const struct span_move *m, void *arg);
int store_span_moves(struct store *st, const struct store_span *s, store_span_move_fn *fn,
		     void *arg, struct err *e) MUST_CHECK;

/* What persons decided without a move, where it begins with that. */
int store_span_notes(struct store *st, const struct store_span *s, const char *begins,
		     store_history_fn *fn, void *arg, struct err *e) MUST_CHECK;

typedef int store_span_hold_fn(const char *wave, int64_t held_ms, void *arg);
int store_span_holds(struct store *st, const struct store_span *s, store_span_hold_fn *fn,
		     void *arg, struct err *e) MUST_CHECK;

struct span_logins {
	const char *wave, *side;
	int64_t total, failed;
};
typedef int store_span_logins_fn(const struct span_logins *l, void *arg);
int store_span_logins(struct store *st, const struct store_span *s, store_span_logins_fn *fn,
		      void *arg, struct err *e) MUST_CHECK;

#endif
