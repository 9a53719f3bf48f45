/*
 * Where a user's sessions go, and which they are. The node's picture of the store's users, kept
 * by the follower; nothing here decides a side except common/user_state.h.
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "common/store.h"
#include "proxy/proxy.h"

struct route {
	char *name;	    /* normalised */
	char *login[SIDES]; /* what to log in as there; NULL: as the client wrote it (strangers)
			     */
	enum user_state state;
	enum direction direction;
	int64_t change, epoch;
	int64_t hold_until;	      /* while held; the store's clock */
	int64_t flipped_at;	      /* the last flip, by the same clock; 0: none yet */
	bool stranger;		      /* nobody imported it: goes to old */
	struct session_list sessions; /* from asking for the route until closed */
	unsigned ghosts; /* backend connections of closed sessions that have not ended yet */
	int64_t acked;	 /* the freeze we said "quiet" to */
	int64_t undo_asked_ms;
	int64_t pop3_told_ms; /* the store knows since then that the user reads by POP3 on old */
	uint64_t learned;   /* fingerprint of the password learned last (proxy/learned.h); 0: none */
	int64_t learned_ms; /* monotonic */
	TAILQ_ENTRY(route) held;
};

struct routes;

struct routes *routes_new(struct proxy *p);
void routes_free(struct routes **t);

/* A row from the store: adds or updates the route and moves its sessions accordingly. */
void routes_apply(struct routes *t, const struct user *u);
void routes_alias(struct routes *t, const char *alias, const char *name);
/*
 * The route of a login name (normalised), by name, alias or login on either side. Unknown names
 * get a route as a stranger, which ends with its last session. Borrowed: lives as long as a
 * session is on it.
 */
struct route *routes_get(struct routes *t, const char *name);

/* The same, but NULL where there is none. */
struct route *routes_find(const struct routes *t, const char *name);
/* One of a route's sessions, by their names; NULL: it has ended. */
struct session *routes_session(const struct routes *t, const char *name, const char *id);

void route_add_session(struct route *r, struct session *s);
void route_remove_session(struct routes *t, struct route *r, struct session *s);
void route_add_ghost(struct route *r);
void route_remove_ghost(struct routes *t, struct route *r);

/* Something about the route's sessions changed: acknowledges the freeze if all are quiet now.
 */
void route_check_quiet(struct routes *t, struct route *r);
/* Held users whose time is over, and blockers' texts: once a tick. */
void routes_tick(struct routes *t);
/* Only sessions of users that are final may outlive our lease. */
void routes_fence(struct routes *t);

#endif
