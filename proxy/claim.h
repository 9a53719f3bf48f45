/*
 * What a session says at a server to be let in: as whom, and with what proof. Made for one
 * login and wiped behind it.
 */
#ifndef PROXY_CLAIM_H
#define PROXY_CLAIM_H

#include "proxy/session.h"

/* "user*master": two names and what stands between them. */
#define CLAIM_NAME_MAX (2 * LOGIN_NAME_MAX + 64)

struct claim {
	char name[CLAIM_NAME_MAX]; /* who logs in */
	char authzid[LOGIN_NAME_MAX +
		     1];       /* whose mailbox, where that is somebody else; or "" */
	struct slice password; /* borrowed from the session or the backend */
	enum sasl_mech mech;   /* SASL_PLAIN: a password; else a token */
};

/*
 * The login that the user has at a side, in this order: backend.login_format; what the store
 * says; what the client wrote (strangers).
 */
void claim_login(const struct session *s, enum side side, char *out, size_t size);
/* For the connection that the session has now (s->back). Nothing in it must be freed. */
void claim_make(const struct session *s, struct claim *out);
/*
 * "the backend says …", for the log: without its words where these hold the password or what
 * carried it, for some servers repeat a command that they do not understand.
 */
#define CLAIM_SAYS_MAX 256
void claim_says(const struct session *s, struct slice text, char out[CLAIM_SAYS_MAX]);
/* The base64 of its one SASL message. */
void claim_write(const struct session *s, const struct claim *c, struct buf *out);

#endif
