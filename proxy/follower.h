/*
 * The node's one thread besides its event loop, and the only one that touches the store: it
 * brings changes, aliases and requests in, keeps the lease, and carries acknowledgements and
 * rows out.
 */
#ifndef PROXY_FOLLOWER_H
#define PROXY_FOLLOWER_H

#include "common/store_node.h"
#include "common/store_past.h"
#include "common/store_request.h"
#include "common/store_session.h"
#include "common/store_trace.h"
#include "proxy/proxy.h"

struct follower;

/*
 * Opens the store, joins as a node, reads all users (routes_apply() is called for each before
 * this returns), then starts the thread. From then on everything arrives on the loop.
 */
int follower_start(struct proxy *p, struct follower **out, struct err *e) MUST_CHECK;
/* Writes what is queued, leaves the store as a node, ends the thread. */
void follower_stop(struct follower **f);

/* All of these copy what they are given and return at once. */
void follower_ack(struct follower *f, const char *name, int64_t change);
void follower_blocker(struct follower *f, const char *name,
		      const char *text); /* NULL: none any more */
void follower_undo(struct follower *f, const char *name, enum user_state state,
		   enum direction d, int64_t change);
void follower_session(struct follower *f, const struct session_row *row);
void follower_hold(struct follower *f, const char *name, const char *proto, int64_t at,
		   int64_t held_ms, const char *released_to);
void follower_login(struct follower *f, const struct login_row *l);
void follower_drop(struct follower *f, const struct drop_row *d);
/* The node takes no more sessions: the store and its people shall know. */
void follower_leaving(struct follower *f);
void follower_trace(struct follower *f, int64_t trace, const struct trace_line *l);
void follower_answer(struct follower *f, const struct answer_row *a);
/* Sessions that used each extension since the last call. */
void follower_uses(struct follower *f, const uint32_t counts[USAGES]);
/* Answers of this server to live users in the last seconds, and the median time they took. */
void follower_latency(struct follower *f, enum side side, int64_t commands, int64_t typical_us);
/* The user heard, at that monotonic time, that this server is in trouble. */
void follower_server_error(struct follower *f, enum side side, const char *name,
			   int64_t heard_ms);
/* A POP3 session was led to old. */
void follower_pop3_seen(struct follower *f, const char *name);
/* Wants the map of the user's unique ids: overlay_arrived() follows. */
void follower_uidl(struct follower *f, const char *name, const char *session, int64_t most);
/* Wants the user's UIDVALIDITYs of old: validity_arrived() follows. */
void follower_validity(struct follower *f, const char *name, const char *session,
		       int64_t change);
/* May this node try a shadow login? shadow_arrived() follows. And what became of it. */
void follower_shadow_claim(struct follower *f, const char *name, const char *session);
void follower_shadow_answer(struct follower *f, const char *name, bool accepted);
void follower_shadow_again(struct follower *f, const char *name, int64_t after_ms);
/* A password, sealed. */
void follower_learned(struct follower *f, const char *name, const char *sealed);
void follower_stranger(struct follower *f, const char *name);
/* Instead of those told before. */
void follower_certificates(struct follower *f, const struct certificate_row *rows, size_t n);

#endif
