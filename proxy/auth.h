/*
 * How a client says who it is before its login: names, passwords and SASL, the same for IMAP
 * and POP3. What it says ends up in s->login and is asked of nobody here but the route.
 */
#ifndef PROXY_AUTH_H
#define PROXY_AUTH_H

#include "proxy/session.h"

enum auth_result {
	AUTH_READY,	 /* s->login is filled: session_login() */
	AUTH_ASK,	 /* send auth_challenge(); the next line is for auth_answer() */
	AUTH_NOT_BASE64, /* the client's mistake in form */
	AUTH_REFUSED,	 /* it can be no login; nobody was asked */
	AUTH_CANCELLED,
	AUTH_HEARD /* the client has seen why its token was refused: now the refusal itself */
};

/* May passwords and tokens come over this connection? */
bool auth_allowed(const struct session *s);
/* Is it offered to this client now? */
bool auth_offers(const struct session *s, enum sasl_mech m);
/* Does a LOGIN or USER lead anywhere? */
bool auth_offers_passwords(const struct session *s);
/* Writes "prefixPLAIN", "prefixLOGIN" … for what is offered, each with `between` in front. */
void auth_write_offers(const struct session *s, const char *between, struct buf *out);

/* A name and a password from LOGIN or PASS. -1: CR, LF or NUL in them, none or too long. */
int auth_take(struct session *s, struct slice user, struct slice password) MUST_CHECK;
/* initial: the base64 that came with the command, "=" for an empty one; NULL: none came. */
enum auth_result auth_begin(struct session *s, enum sasl_mech m, const struct slice *initial);
bool auth_awaits_line(const struct session *s);
enum auth_result auth_answer(struct session *s, struct slice line);
/* The base64 behind "+ ". */
const char *auth_challenge(const struct session *s);
/*
 * A refused token: true if the backend gave a reason that the client must hear and answer
 * before it hears the refusal (RFC 7628 3.2.3). Then auth_challenge() is that reason.
 */
bool auth_explains(struct session *s, enum reject why);

#endif
