/*
 * A shadow login: the name and password that old has just taken are tried on new, once, with
 * nobody waiting for it. What is kept is yes or no, for the gate: a user whose password new
 * refuses would be asked for it after the move. (gate.shadow_login)
 *
 * It is a session without a client: it dials and logs in like any other, and whatever the
 * server says ends it here instead of reaching someone.
 */
#ifndef PROXY_SHADOW_H
#define PROXY_SHADOW_H

#include "proxy/session.h"

#define SHADOWS_MAX	 8		  /* at once; a login that comes then is not looked at */
#define SHADOW_AGAIN_MS	 (3600 * 1000LL) /* after no clear answer */

/* s has been let in by old and still has its password: tries that on new, if it is time. */
void shadow_begin(const struct session *s);
/* The store says whether it is (mine): called by the follower on the loop. session: its id. */
void shadow_arrived(struct proxy *p, const char *session, bool mine);

/* ---- called by the session in place of answering a client; s is a shadow */

void shadow_accepted(struct session *s);
/* Only REJECT_BAD_LOGIN is an answer. */
void shadow_refused(struct session *s, enum reject r, const char *why);

/* The node stops: all of them, without an answer. */
void shadows_stop(struct proxy *p);
/* What is the shadow's own of a session; called when that is freed. */
void shadow_free(struct shadow **sh);

#endif
