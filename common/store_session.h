/* The store, its rows of sessions, as the nodes tell of them, and of logins that were held. */
#ifndef COMMON_STORE_SESSION_H
#define COMMON_STORE_SESSION_H

#include "common/store.h"

struct session_row {
	const char *node, *id, *name, *proto, *peer, *side, *state, *doing;
	const char *client; /* "Thunderbird 128.4", "" if it did not say */
	const char *route;  /* why it was led where it is: "old: user is ready" */
	int64_t since, bytes_up, bytes_down;
	int64_t quiet_since; /* no command is open since then; 0: one is */
	/* Removes the row, if there is one. Of the rest only id counts, and name: whose client
	 * has been let in and went just now; NULL: nobody's. */
	bool gone;
};
int store_sessions_write(struct store *st, const char *node, const struct session_row *rows,
			 size_t n, struct err *e) MUST_CHECK;
typedef int store_session_fn(const struct session_row *s, void *arg);
struct session_filter { /* zeroed: all of them, by name, node and id */
	const char *name, *wave, *node, *side, *proto, *state; /* NULL: any */
	struct {
		const char *name, *node, *id;
	} after; /* for paging: behind this one */
};
/* f NULL: all. */
int store_sessions_each(struct store *st, const struct session_filter *f, store_session_fn *fn,
			void *arg, struct err *e) MUST_CHECK;

/* Had a node a client of the user between these times? Of those that have ended the last one is
 * known, and the nodes tell about a second late. */
int store_session_between(struct store *st, const char *name, int64_t since, int64_t until,
			  bool *out, struct err *e) MUST_CHECK;
/* From here on it is known of all that the nodes tell to have ended, when the first one began …
 */
int store_session_mark(struct store *st, const char *name, struct err *e) MUST_CHECK;
/* … and whether one, told since then or there now, began until then. */
int store_session_since_mark(struct store *st, const char *name, int64_t until, bool *out,
			     struct err *e) MUST_CHECK;

struct hold_row {
	int64_t id, at, held_ms;
	const char *node, *name, *proto, *released_to;
};
/* Old ones go (common/store_past.h). Of h, id and node do not count. */
int store_hold_add(struct store *st, const char *node, const struct hold_row *h,
		   struct err *e) MUST_CHECK;
typedef int store_hold_fn(const struct hold_row *h, void *arg);
/* Of one user, or of all (NULL); the first so many, 0: no limit. */
int store_holds_each(struct store *st, const char *name, int limit, store_hold_fn *fn,
		     void *arg, struct err *e) MUST_CHECK;

#endif
