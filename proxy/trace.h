/*
 * `mailferry trace USER`: what a user's clients and we say to each other, redacted line by line
 * (common/wire/redact.h) and written to the store through the follower. It knows what is a line
 * and what is content by the same trackers that sessions are cut by; where it loses its place
 * it falls silent. What is said before login is not shown, but for our answers.
 */
#ifndef PROXY_TRACE_H
#define PROXY_TRACE_H

#include "proxy/session.h"

/* From the store: begins, and ends. An end of a trace that is over already does nothing. */
void trace_begin(struct proxy *p, int64_t id, const char *name, int64_t until,
		 int64_t max_bytes);
void trace_end(struct proxy *p, const char *name);
/* The store takes no more lines of this one. */
void trace_over(struct proxy *p, int64_t id);
/* Once a tick: those whose time is over. */
void traces_tick(struct proxy *p);
void traces_release(struct proxy *p);

/* ---- called by sessions; all do nothing where the session is not traced */

/* Its user is known now: is it traced? */
void trace_join(struct session *s);
void trace_leave(struct session *s);
/* It relays from now on. */
void trace_relays(struct session *s);
/* Bytes that were taken from the client. */
void trace_heard(struct session *s, const char *p, size_t n);
/* The proxy's own word: "RELAY -> DRAIN". */
void trace_note(struct session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
