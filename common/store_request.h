/* The store, its rows of what an operator asks of the nodes, and of their answers. */
#ifndef COMMON_STORE_REQUEST_H
#define COMMON_STORE_REQUEST_H

#include "common/store.h"

/*
 * What an operator asks of the nodes. name is a user's (trace, drop) or a node's (drain; "":
 * all of them). args: of loglevel the level; of drop and drain when force is used, in ms since
 * 1970 (drop 0: never; drain 0: serve again); of trace see store_trace_start().
 */
struct request_row {
	int64_t id, at;
	const char *verb, *name,
		*args; /* verbs: trace, loglevel, aliases, drop, drain, leave, reload */
};
int store_request_add(struct store *st, const char *verb, const char *name, const char *args,
		      struct err *e) MUST_CHECK;
/* The same, for verbs whose answers will be read. */
int store_request_ask(struct store *st, const char *verb, const char *name, const char *args,
		      int64_t *id, struct err *e) MUST_CHECK;
/*
 * Asks a node (NULL: all of them) to take no clients any more and to end those it has, by force
 * after `until`; 0: to serve again. Kept in the node's row until it ends, so that a node that
 * crashes comes back drained.
 */
int store_drain(struct store *st, const char *node, int64_t until, int64_t *id,
		struct err *e) MUST_CHECK;

/* What became of a drop or drain on a node, so far; of a reload, the trouble it had. */
struct answer_row {
	const char *node;
	int64_t request; /* 0 when read: the node is alive and has not answered yet */
	int64_t ended, cut, remain; /* sessions */
	const char *doing;	    /* what one that remains is doing, for people */
};
int store_answer(struct store *st, const char *node, const struct answer_row *a,
		 struct err *e) MUST_CHECK;
typedef int store_answer_fn(const struct answer_row *a, void *arg);
/* Of all nodes that answered or, meant and alive since before the request, are still to answer.
 */
int store_answers_each(struct store *st, int64_t request, store_answer_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

typedef int store_request_fn(const struct request_row *r, void *arg);
/* Requests with id > after, oldest first. */
int store_requests_after(struct store *st, int64_t after, store_request_fn *fn, void *arg,
			 struct err *e) MUST_CHECK;
int store_requests_last(struct store *st, int64_t *out, struct err *e) MUST_CHECK;

#endif
