/*
 * Who a client is, beyond its name: where it comes from, what program it is, and through how
 * many proxies it came. It is told to a backend by a PROXY header, by IMAP's ID (RFC 2971) or
 * POP3's XCLIENT, each only where the settings say so; and it is believed when somebody in
 * listener.trusted tells it to us.
 */
#ifndef PROXY_IDENTITY_H
#define PROXY_IDENTITY_H

#include "common/err.h"
#include "common/wire/endpoint.h"
#include "common/wire/imap.h"

struct session;

#define IDENTITY_HOPS	     5	/* proxies that a login may pass, us included */
#define IDENTITY_PROGRAM_MAX 64 /* bytes of "name version" */
/* Also how a mailferry recognises another one behind it, or itself. */
#define IDENTITY_GREETING "mailferry ready."

/* Where a client comes from and where it meant to go: by the socket, or by the word of somebody
 * whom the listener trusts. */
struct origin {
	struct endpoint from;
	struct endpoint to; /* not known: our end of the socket */
};

/* What the backend of a session was told on its present connection. */
struct introduction {
	bool told;    /* ID or XCLIENT is on its way … */
	bool due;     /* … and its answer has not come */
	bool xclient; /* its greeting offers that */
	bool ferry;   /* it is a mailferry too: count the hops */
};

/* ---- from the client */

/*
 * ID before login: remembers what may pass on. WIRE_BAD: not what RFC 2971 calls arguments. The
 * session may be over behind it, and behind XCLIENT: where it comes from there are too many.
 */
enum wire identity_hear_id(struct session *s, struct slice args);
/* XCLIENT. WIRE_BAD: no words, or from somebody who is not trusted. */
enum wire identity_hear_xclient(struct session *s, struct slice args);
/* Would we believe what this client tells? */
bool identity_is_trusted(const struct session *s);
/* Behind STARTTLS nothing counts that was said in front of it. -1: the session is over. */
int identity_reset(struct session *s) MUST_CHECK;
/* After login: not a command that would tell the backend something in our name. An ID that
 * passes is heard: many clients send it only then. */
bool identity_may_pass(struct session *s, const struct imap_command *c);

/* ---- to the backend */

/* Before it is dialled. -1: the login has come through too many proxies. */
int identity_dial(struct session *s, struct err *e) MUST_CHECK;
/* For its PROXY header, with our end of the client's connection filled in. */
struct origin identity_origin(const struct session *s);
/* Does the connection to it lead back to us? Then every login would make another. */
bool identity_in_circle(struct session *s);
void identity_greeted(struct session *s, struct slice code, struct slice text);
/* In front of the login and in one breath with it; the backend's capabilities are known, TLS
 * stands. Once for each connection. */
void identity_tell_id(struct session *s);
void identity_tell_xclient(struct session *s);
/* Is this the answer to it? Then the client never hears of it. */
bool identity_took_reply(struct session *s, const struct imap_reply *r);
bool identity_took_answer(struct session *s, bool ok, struct slice text);

#endif
