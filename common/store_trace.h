/* The store, its rows of traces: one user's conversations, written down by all nodes. */
#ifndef COMMON_STORE_TRACE_H
#define COMMON_STORE_TRACE_H

#include "common/store.h"

#define STORE_TRACES_MAX 16 /* users traced at once */

/*
 * Writes down one user's conversations, on all nodes, until the time is over, max_bytes of
 * lines are there or a person stops it. A trace of the same user that was live ends. Asks the
 * nodes by a request "trace" with args "ID UNTIL MAX_BYTES", or "" to stop. Kept for
 * STORE_ANSWERS_MS.
 */
int store_trace_start(struct store *st, const char *name, int64_t for_ms, int64_t max_bytes,
		      int64_t *id, struct err *e) MUST_CHECK;
int store_trace_stop(struct store *st, const char *name, struct err *e) MUST_CHECK;

enum trace_end { TRACE_LIVE, TRACE_TIME, TRACE_FULL, TRACE_STOPPED };
struct trace_row {
	int64_t id, until, bytes, max_bytes;
	const char *name;
	enum trace_end ended;
};
typedef int store_trace_fn(const struct trace_row *t, void *arg);
/* That one, live or not; id 0: all that are live. */
int store_traces_each(struct store *st, int64_t id, store_trace_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;
/* Is this user traced now? 1, 0, -1. */
int store_trace_live(struct store *st, const char *name, struct err *e) MUST_CHECK;

struct trace_line {
	int64_t id, at;
	const char *node, *session;
	const char *way; /* "C:" from the client, "S:" to the client, "--" the proxy itself */
	const char *line;
};
/* For a node: 1 written, 0 the trace is over and nothing was, -1. */
int store_trace_write(struct store *st, const char *node, int64_t trace,
		      const struct trace_line *lines, size_t n, struct err *e) MUST_CHECK;
typedef int store_line_fn(const struct trace_line *l, void *arg);
int store_trace_lines_each(struct store *st, int64_t trace, int64_t after, store_line_fn *fn,
			   void *arg, struct err *e) MUST_CHECK;

#endif
