/*
 * The unique ids that POP3 clients know from old, in front of the new server: a map that the
 * engine has put into the store (common/uidl_map.h). It is fetched at a session's first UIDL,
 * so that no login waits for it, and a client that never asks costs nothing. The client hears
 * -ERR [SYS/TEMP] as long as there is no whole map for a user who read by POP3 on old: one
 * answer with other ids, and it downloads everything again.
 */
#ifndef PROXY_OVERLAY_H
#define PROXY_OVERLAY_H

#include "common/store.h"
#include "common/uidl_map.h"

struct proxy;
struct session;

enum overlay_state {
	OVERLAY_NATIVE, /* the server's own ids are right */
	OVERLAY_UNASKED,
	OVERLAY_ASKED,	/* the follower looks for it */
	OVERLAY_READY,	/* map is there */
	OVERLAY_REFUSED /* for now: why, the log has said */
};

/* Of a session. Zeroed: native. */
struct overlay {
	enum overlay_state state;
	struct uidl_map *map; /* owned; READY */
	int64_t since_ms;     /* of ASKED and REFUSED, monotonic */
};

/* The session has logged in by POP3: decides whether ids are the server's own, and remembers
 * who reads by POP3 on old. */
void overlay_begin(struct session *s);
void overlay_end(struct session *s);

enum overlay_answer { OVERLAY_PASS, OVERLAY_WAIT, OVERLAY_REFUSE };
/* The client sends UIDL. WAIT: session_unblock() follows. */
enum overlay_answer overlay_ask(struct session *s);
/* Once a second: nobody waits for ever for a store that does not answer. */
void overlay_tick(struct session *s, int64_t now);

/* ---- between the loop and the follower's thread */

struct overlay_found {
	enum overlay_state state; /* NATIVE, READY or REFUSED */
	struct uidl_map *map;	  /* owned; READY */
	bool too_big;		  /* REFUSED: for the memory that is left */
	char why[ERR_TEXT_MAX];	  /* REFUSED */
};
/* In the thread. most: bytes that a map may have here. */
void overlay_fetch(struct store *st, const char *user, int64_t most, struct overlay_found *out);
/* On the loop: takes out->map over. The session may have ended. */
void overlay_arrived(struct proxy *p, const char *user, const char *session,
		     struct overlay_found *found);

#endif
