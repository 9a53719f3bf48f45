/*
 * What nodes remember of clients in the store, for explanations and rules: logins, drops, and
 * logins that waited. Bounded: the oldest go.
 */
#ifndef COMMON_STORE_PAST_H
#define COMMON_STORE_PAST_H

#include "common/store.h"

#define STORE_PAST_MS	 (30 * (int64_t)86400000) /* nothing is kept for longer … */
#define STORE_LOGINS_MAX 1000000		  /* … and of logins no more than this */
#define STORE_HOLDS_MAX	 1000000
#define STORE_BACK_MS	 3600000 /* who comes back later has not come back from a drop */

#define LOGIN_OK      "ok"
#define LOGIN_REFUSED "refused" /* by the server: a wrong password, or it says so */
#define LOGIN_FAILED  "failed"	/* the server could not be asked, or broke off */

/* A login that a node led to a server. Texts NULL: "". */
struct login_row {
	int64_t id; /* when read */
	const char *node, *name, *proto, *side;
	const char *route;	      /* why there: "old: user is ready" */
	const char *result;	      /* as above */
	const char *client;	      /* "Thunderbird 128.4", "" if it had not said by then */
	int64_t at, held_ms, took_ms; /* took: with the wait for a cutover */
};
/* Which rows, always oldest first. */
struct past_filter {
	const char *name; /* whose */
	int64_t after;	  /* logins: an id; drops: a time */
	int limit;	  /* 0: all */
	bool newest;	  /* the last so many, not the first */
};
/* With texts of its own, until it is freed. */
struct login_row *login_row_copy(const struct login_row *l);
void login_row_free(struct login_row **l);
/* Each that was let in also ends one wait for the user's return (drop_row.back_ms). */
int store_logins_write(struct store *st, const char *node, const struct login_row *rows,
		       size_t n, struct err *e) MUST_CHECK;
typedef int store_login_fn(const struct login_row *l, void *arg);
int store_logins_each(struct store *st, const struct past_filter *f, store_login_fn *fn,
		      void *arg, struct err *e) MUST_CHECK;

/* How a user reads: a row for each protocol and client of his remembered logins and live
 * sessions; and before them one with proto "" and nothing else, of everybody. */
struct access_row {
	const char *name, *wave, *state;
	const char *proto, *client; /* client as in login_row */
	int64_t logins, last;	    /* last: ms since 1970 */
};
typedef int store_access_fn(const struct access_row *a, void *arg);
/* Of at most so many users of a wave (NULL: of all), by name, names greater than after (NULL:
 * from the first). */
int store_access_each(struct store *st, const char *wave, const char *after, int64_t users,
		      store_access_fn *fn, void *arg, struct err *e) MUST_CHECK;

#define BYE_HEARD  "heard"		/* the client took it and closed its side */
#define BYE_SENT   "sent"		/* and it is not known what became of it */
#define BYE_NONE   "none"		/* it would have fallen into the middle of something */
#define DROP_MOVED "the user was moved" /* drop_row.why of a flip */

/* A session that we ended after its login. */
struct drop_row {
	const char *node, *session, *name, *proto, *side;
	const char *doing;  /* what was open */
	const char *why;    /* DROP_MOVED, "dropped", … */
	const char *bye;    /* as above */
	const char *client; /* "" if it did not say */
	int64_t at;
	int64_t back_ms; /* when read: a login followed after so long; 0: none yet */
};
struct drop_row *drop_row_copy(const struct drop_row *d);
void drop_row_free(struct drop_row **d);
/* All or none. Again for the same session: what became of its BYE. */
int store_drops_write(struct store *st, const char *node, const struct drop_row *rows, size_t n,
		      struct err *e) MUST_CHECK;
typedef int store_drop_fn(const struct drop_row *d, void *arg);
int store_drops_each(struct store *st, const struct past_filter *f, store_drop_fn *fn,
		     void *arg, struct err *e) MUST_CHECK;

#endif
