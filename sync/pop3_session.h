/*
 * One POP3 session for reading (RFC 1939, 2449, 2595, 5034): login, listings, headers,
 * messages. Nothing is ever marked for deletion. Commands go out many at once where the server
 * offers PIPELINING, else one by one.
 *
 * Errors: as in sync/mailbox.h. A login refused because the maildrop is locked, a login delay
 * is not over or the server is weak is ERR_TEMP, and err.later says so; only the rest is
 * ERR_AUTH. Every error but a -ERR is the session's end.
 */
#ifndef SYNC_POP3_SESSION_H
#define SYNC_POP3_SESSION_H

#include "common/wire/pop3.h"
#include "common/wire/pop3_uidl.h"
#include "sync/transport.h"

#define POP3_ANSWER_MAX	  4096	  /* bytes of an answer's line, its end included */
#define POP3_CAPA_MAX	  65536	  /* bytes of CAPA's lines */
#define POP3_MESSAGES_MAX 1000000 /* messages of one maildrop */
#define POP3_WINDOW	  32	  /* commands sent and not yet answered */
#define POP3_BODY_MAX	  (1ULL << 40)

struct pop3_session;

/*
 * Connects; with implicit TLS or STLS nothing is said in clear. Not logged in yet. The side is
 * borrowed until the session ends.
 */
int pop3_session_open(const struct job_side *side, int connect_ms, int io_ms,
		      struct pop3_session **out, struct err *e) MUST_CHECK;
/* For tests: the same on a transport, which the session owns, also when this fails. */
int pop3_session_open_on(struct transport *t, const struct job_side *side,
			 struct pop3_session **out, struct err *e) MUST_CHECK;
/* quit: says QUIT if the connection is whole, and waits a moment for the lock to go. */
void pop3_session_close(struct pop3_session **s, bool quit);
bool pop3_session_is_usable(const struct pop3_session *s);

/* AUTH PLAIN where offered, else USER and PASS; then CAPA as it is after login. */
int pop3_session_login(struct pop3_session *s, struct err *e) MUST_CHECK;
/* Of the login: "PLAIN", "USER"; "" before. */
const char *pop3_session_mechanism(const struct pop3_session *s);
struct transport *pop3_session_transport(const struct pop3_session *s); /* borrowed */
/* CAPA's lines as far as known. Borrowed. */
struct slice pop3_session_capa(const struct pop3_session *s);
/* "EXPIRE 0" (RFC 2449 6.7): what was read is deleted at QUIT. */
bool pop3_session_deletes_read(const struct pop3_session *s);
/* Does it greet as Gmail does? There a session shows only some hundred messages. */
bool pop3_session_is_gmail(const struct pop3_session *s);

struct pop3_entry {
	uint32_t number;
	uint64_t size;	 /* as LIST has it; not to be trusted */
	struct buf uidl; /* empty: the server has none for it */
};
struct pop3_entries {
	struct pop3_entry *at; /* by number */
	size_t count;
	uint32_t unclear; /* lines that make no sense, or numbers that do not add up */
};
/* STAT, LIST and UIDL. A server without UIDL is fine. */
int pop3_session_list(struct pop3_session *s, struct pop3_entries *out,
		      struct err *e) MUST_CHECK;
void pop3_entries_release(struct pop3_entries *l);

/*
 * Takes one message: begin, if not NULL, before anything of it; bytes in pieces, then end; or,
 * if the server said -ERR, refused with its words. -1 (with e set) ends the session.
 */
struct pop3_sink {
	int (*begin)(size_t i, void *arg, struct err *e);
	int (*bytes)(size_t i, struct slice bytes, void *arg, struct err *e);
	int (*end)(size_t i, void *arg, struct err *e);
	int (*refused)(size_t i, const char *text, void *arg, struct err *e);
	void *arg;
};
/* One to be read: RETR. */
struct pop3_wanted {
	uint32_t number;
	uint64_t size; /* as LIST has it */
};
int pop3_session_retr(struct pop3_session *s, const struct pop3_wanted *at, size_t n,
		      const struct pop3_sink *sink, struct err *e) MUST_CHECK;
/* The same of their headers: TOP, or RETR where the server has no TOP; then the body comes too.
 */
int pop3_session_top(struct pop3_session *s, const struct pop3_wanted *at, size_t n,
		     const struct pop3_sink *sink, struct err *e) MUST_CHECK;
/* Whole messages by TOP with more lines than they have, where there is TOP: it marks nothing as
 * seen, which RETR does on many servers, with or without QUIT. */
int pop3_session_peek(struct pop3_session *s, const struct pop3_wanted *at, size_t n,
		      const struct pop3_sink *sink, struct err *e) MUST_CHECK;

#endif
