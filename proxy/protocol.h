/*
 * What IMAP and POP3 do differently. The session code never says "imap".
 */
#ifndef PROXY_PROTOCOL_H
#define PROXY_PROTOCOL_H

#include "common/mem.h"
#include "config/settings.h"

struct session;

/* Why a client is refused. It hears a sentence from a fixed table; the operator's log has the
 * reason. */
enum reject {
	REJECT_NONE,
	REJECT_BAD_LOGIN,
	REJECT_DOWN,
	REJECT_MOVING,
	REJECT_LIMIT,
	REJECT_PRIVACY,
	REJECT_DELAY, /* too many wrong passwords before it: no backend was asked */
	REJECTS
};
const char *reject_imap(enum reject r); /* "NO [CODE] text" */
const char *reject_pop3(enum reject r); /* "-ERR [CODE] text" */

struct protocol {
	enum protocol_kind kind;
	const char *name;
	/* towards the client, until login */
	void (*greet)(struct session *s);
	void (*hear_client)(struct session *s); /* AUTH: reads commands until a login */
	void (*answer)(struct session *s, enum reject why); /* to the login that waits */
	void (*answer_user)(struct session *s,
			    enum reject why);  /* POP3: to USER; REJECT_NONE is yes */
	void (*keep_alive)(struct session *s); /* PARK */
	/* towards the backend, until it accepts */
	void (*hear_backend)(struct session *s);
	void (*backend_secure)(struct session *s); /* STARTTLS is done */
	/* the login is accepted: the client hears so */
	void (*welcome)(struct session *s);
	/* both ways */
	void (*pass_up)(struct session *s);
	void (*pass_down)(struct session *s);
	/* what is open */
	bool (*quiet)(
		const struct session *s); /* no byte that passed can change mail any more */
	/* quiet holds: has the server written it down? NULL: it always has */
	bool (*checkpoint)(struct session *s);
	bool (*at_line)(const struct session *s);   /* a line of ours may go to the client */
	bool (*uploading)(const struct session *s); /* the client owes bytes */
	void (*describe)(const struct session *s, char *out, size_t size);
	/* the end */
	/* at_line holds. False: the protocol has no words for it here. */
	bool (*say_bye)(struct session *s, const char *text);
	/* LOGOUT, QUIT. True: the server will end the connection when it has done all that it
	 * was told. */
	bool (*leave_backend)(struct session *s);
};

extern const struct protocol imap_protocol, pop3_protocol;

#endif
