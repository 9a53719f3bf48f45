/*
 * The life of a session: a client, the backend it was routed to, and the states between.
 *
 *  GREET → AUTH → (route) → DIAL → LOGIN → RELAY ⇄ DRAIN ⇄ QUIET → CLOSED
 *            ↑       ⇅          ↑      │
 *            │      PARK        └──────┤ the user moved meanwhile: ask again, unseen by the
 * client └─ refused ───────────────┘ bad login, backend down
 *
 * PARTING is POP3's way to hear of a flip: it has no BYE, so the next command hears -ERR.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "common/log.h"
#include "common/secret.h"
#include "common/wire/boundary.h"
#include "common/wire/pop3_boundary.h"
#include "common/wire/sasl.h"
#include "common/wire/swallow.h"
#include "proxy/guard.h"
#include "proxy/identity.h"
#include "proxy/overlay.h"
#include "proxy/protocol.h"
#include "proxy/route.h"

#define SESSION_ID_MAX 12

enum session_state {
	SESSION_GREET,
	SESSION_AUTH,
	SESSION_DELAY, /* the login waits for its turn, or its refusal for the right time */
	SESSION_PARK,
	SESSION_DIAL,
	SESSION_LOGIN,
	SESSION_RELAY,
	SESSION_DRAIN,
	SESSION_QUIET,
	SESSION_PARTING,
	SESSION_CLOSED
};
#define SESSION_STATES (SESSION_CLOSED + 1)
const char *session_state_name(enum session_state st);

/* Who wants in: what the client said, and what became of it. Wiped on entering RELAY. */
struct login {
	char *typed;		/* user name as written */
	char *name;		/* the user's, normalised; "": typed is none; NULL: before */
	enum sasl_mech mech;	/* SASL_PLAIN: a password, however it came */
	struct secret password; /* or the whole message that carries a token */
	struct buf challenge;	/* why the backend refuses the token: base64 of its JSON */
	char *tag;		/* IMAP: of the command that waits for its answer */
	unsigned tries;
	int64_t asked_ms, dialed_ms; /* whole, led to a backend; monotonic */
	char *proved_as; /* the login for which auth_from's server took the password; or NULL */
};

/* What the client's next line is before login. */
enum auth_step {
	AUTH_IDLE, /* a command */
	AUTH_MESSAGE,
	AUTH_NAME,
	AUTH_PASSWORD,
	AUTH_EXPLAINED /* its "heard" to the reason why its token was refused */
};

/* Steps of a conversation with a backend until it accepts the login. */
struct backend_login {
	enum side side; /* the one we were routed to, or the one that proves the password */
	int step;
	struct buf caps; /* what it can do: before login; IMAP: after login in the end */
	bool master;	 /* a master user logs in: the client's password was proved elsewhere */
	bool recalled;	 /* caps are from memory: nothing was asked on this connection */
	bool distrust;	 /* memory was wrong once: ask */
	bool sent;	 /* the SASL message is on its way */
	bool told;	 /* IMAP: caps were told since then */
	struct introduction intro;
	/* A refusal that wrong memory may have caused; said when the server lists the same. */
	enum reject doubt;
	char *doubt_why;
	struct buf doubted; /* the list that was recalled */
};

/* Our own CHECK before the session is called quiet. */
enum checkpoint {
	CHECKPOINT_NONE,
	CHECKPOINT_IDLE_ENDS,  /* waits for the tag of the client's IDLE … */
	CHECKPOINT_CHECK,      /* … for that of our CHECK … */
	CHECKPOINT_IDLE_AGAIN, /* … for the "+" of the IDLE begun anew */
	CHECKPOINT_DONE
};

struct session {
	TAILQ_ENTRY(session) link; /* proxy's sessions, or closed */
	TAILQ_ENTRY(session) on_route;
	TAILQ_ENTRY(session) queue; /* proxy's silent, heard or delayed; at the end: dropping */
	TAILQ_ENTRY(session) on_ending;
	struct proxy *proxy;
	const struct protocol *protocol;
	const struct listener_conf *listener;
	struct stream *client, *backend; /* owned; NULL when not there */
	struct event *timer;		 /* NULL: none runs */
	enum session_state state;
	int64_t state_ms, since_ms; /* monotonic, real */
	struct route *route;	    /* from asking until closed */
	int64_t change;		    /* of the route when it was asked */
	enum side side;
	struct login login;
	struct guarded guarded;
	enum reject
		owed; /* DELAY: the answer; REJECT_NONE: the login is still to be asked for */
	int wait_ms;  /* DELAY: until it is looked at again */
	struct backend_login back;
	int64_t parked_ms, kept_alive_ms, hold_at; /* monotonic, monotonic, real */
	int64_t held_ms;			   /* how long its login waited */
	bool at_user;	       /* POP3: parked at USER, before the password */
	bool asked_capability; /* IMAP: the client has seen our list: send it the new one
				  untagged */
	enum auth_step auth_step;
	enum sasl_mech auth_mech;
	struct overlay overlay;	     /* POP3 */
	struct validity *validity;   /* IMAP, owned; proxy/validity.h */
	struct imap_swallow swallow; /* IMAP: of a command that was refused before login */
	bool blocked;		     /* a client command waits for an answer from the backend */
	uint64_t used;		     /* bits of enum usage */
	enum checkpoint checkpoint;  /* IMAP, backend.checkpoint */
	char *idle_tag;		     /* the same: of the IDLE that passed last; NULL: none */
	bool dropping, leaving;
	bool is_mail;		   /* its first bytes were no other protocol's */
	bool heard;		   /* its TLS handshake is done, or it is_mail */
	bool dismissed;		   /* its ending has begun */
	const char *last_words;	   /* what it hears instead of cutover.bye; static */
	struct shadow *shadow;	   /* proxy/shadow.h, owned; NULL: it has a client */
	struct talk *talk;	   /* proxy/trace.h; NULL: it is not traced */
	struct farewell *farewell; /* proxy/past.h; NULL: it was not dropped */
	struct ending *ending;	   /* it is to end although its user stays; NULL: it is not */
	enum user_state routed_state; /* why it was led to its side: … */
	int64_t routed_flip;	      /* … the user's state and last flip then */
	size_t plus_at;		      /* IMAP: literal for which "+" was sent */
	unsigned bad_commands;
	struct origin arrived, origin; /* by socket or PROXY header; by what was told since */
	uint8_t hops;		       /* proxies that the login may still pass, us included */
	char *id_fields; /* IMAP: what the client's ID tells the backend; NULL in RELAY */
	char *client_id; /* "Thunderbird 115.6"; NULL: it did not say */
	char *peer;	 /* origin.from, for people */
	char id[SESSION_ID_MAX];
	struct log_about about;
	union {
		struct boundary imap;
		struct pop3_boundary pop3;
	} open;
	uint64_t bytes_up, bytes_down;
	int64_t asked_ms; /* the backend owes an answer since then (latency.h); 0: none */
	int64_t busy_ms;  /* monotonic: the client sent something, or a command was open */
	/* what the store's row says, to write changes only */
	enum session_state row_state;
	int64_t row_ms;
	bool row_written, row_quiet;
};

/* Takes the accepted socket; closes it at once if its address has too many. */
void session_new(struct proxy *p, const struct listener_conf *l, int fd,
		 const struct origin *origin);
void session_free_closed(struct proxy *p);

/* ---- called by the protocols */

/* The client wants in, with s->login filled but for the name: asks for the route. */
void session_login(struct session *s);
/* POP3 USER: true if the answer may be given now; else the session is parked and USER is
 * answered later. */
bool session_may_answer_user(struct session *s);
/* The backend took the login: to RELAY, unless the user moved meanwhile. */
void session_accepted(struct session *s);
/* It did not, or something is wrong with it. why: for the log. */
void session_refused(struct session *s, enum reject r, const char *why);
/*
 * What the backend can do before login (s->back.caps). recall: from memory, false if there is
 * none; learn: it told so on this connection.
 */
bool session_recall(struct session *s);
void session_learn(struct session *s, struct slice list);
/* The backend refused, for no clear reason: true if memory may be at fault. Ask it, then: */
bool session_doubts(struct session *s, enum reject r, const char *why);
/* …it has told its list: true if the refusal stands (and was given), false to log in anew. */
bool session_doubt_stands(struct session *s, bool same);
/* The connection ended, or is of no use: once more without memory if that led the way, or
 * refused. */
void session_backend_lost(struct session *s, const char *why);
/* A token was refused with this base64; kept for the client if it is any. */
void session_keep_challenge(struct session *s, struct slice text);
/* Something moved in RELAY or DRAIN. */
void session_relayed(struct session *s);
/* Ends it: what is queued for the client is still sent. Any callback may ask again. */
void session_close(struct session *s, const char *why);
/* Ends it so that nothing half done is seen as done: no more bytes to either side. */
void session_cut(struct session *s, const char *why);
/* The same because of a setting of section limits, which is counted. */
void session_close_by_limit(struct session *s, enum limit l, const char *why);
/* The backend has said something: what the client's next command waited for may be over. */
void session_unblock(struct session *s);
/* Forwards to the backend or the client, with back-pressure. */
void session_send_up(struct session *s, const void *p, size_t n);
void session_send_down(struct session *s, const void *p, size_t n);

/* ---- called by the routes */

void session_hold(struct session *s);	 /* the user is frozen now */
void session_release(struct session *s); /* …is not, or goes elsewhere now */
/* It stands at a boundary, or goes there, because of a cutover. */
bool session_is_held(const struct session *s);
/* Nothing of it can change the side being left any more. */
bool session_is_quiet(const struct session *s);
/* It has an ending: finishes what is open, then leaves; after the verdict if the user is held.
 */
void session_dismiss(struct session *s);
/* It has none any more. */
void session_go_on(struct session *s);
/* Ends it now, whatever is open; the log says what that was. BYE only where it splits nothing.
 */
void session_force(struct session *s, const char *bye, const char *why);
/* "session k3f9a2: APPEND 18/50 MB", for people. */
void session_describe(const struct session *s, char *out, size_t size);

/* ---- called by the node */

void sessions_init(struct proxy *p);
void sessions_release(struct proxy *p);
/* Once a second: those that changed go to the store, those that are idle for too long end. */
void sessions_look(struct proxy *p);
/* Ends the oldest that is not logged in, to make room. Whoever has asked a backend, or waits
 * for a cutover, stays: then there may be none. */
bool sessions_can_evict(const struct proxy *p);
void sessions_evict(struct proxy *p);
/* Ends all, at their boundaries; those with something open only by force. */
void sessions_shut_down(struct proxy *p, bool force);

#endif
