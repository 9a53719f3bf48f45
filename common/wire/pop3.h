/*
 * POP3 (RFC 1939, 2449, 2595, 5034).
 */
#ifndef COMMON_WIRE_POP3_H
#define COMMON_WIRE_POP3_H

#include "common/wire/wire.h"

#define POP3_LINE_MAX 512 /* RFC 2449 4: 255, but SASL initial responses are longer */

/* One line with its end; LF alone ends it too. WIRE_BAD: longer than max, its end included. */
enum wire pop3_line(const char *p, size_t n, size_t max, size_t *len);

/* clang-format off */
enum pop3_verb {
	POP3_USER, POP3_PASS, POP3_AUTH, POP3_CAPA, POP3_STLS, POP3_NOOP, POP3_QUIT, POP3_APOP,
	POP3_STAT, POP3_LIST, POP3_RETR, POP3_DELE, POP3_RSET, POP3_TOP, POP3_UIDL, POP3_LAST,
	POP3_UTF8, POP3_LANG,
	POP3_UNKNOWN, POP3_VERBS
};
/* clang-format on */
struct pop3_command {
	enum pop3_verb verb;
	struct slice name; /* as the client wrote it */
	struct slice args; /* behind one space, trailing blanks of the line kept (passwords) */
};
/* line: without its line end. WIRE_BAD: empty, a space in front, or a NUL in it. */
enum wire pop3_command(struct slice line, struct pop3_command *out);

const char *pop3_verb_name(enum pop3_verb v); /* "RETR"; "?" for POP3_UNKNOWN */
/*
 * Commands after login that a proxy must refuse: over by then, or they would blind it (STLS),
 * or we do not know whether their answer has many lines.
 */
bool pop3_command_refused(enum pop3_verb v);

/* Does a +OK answer carry lines up to a dot? LIST, UIDL, LANG only without an argument. */
bool pop3_is_multiline(const struct pop3_command *c);

struct pop3_reply {
	bool ok;
	struct slice code; /* of [CODE], without the brackets */
	struct slice text;
};
/* line: without its line end. WIRE_BAD: neither +OK nor -ERR; "+ …" is the caller's. */
enum wire pop3_reply(struct slice line, struct pop3_reply *out);

/*
 * CAPA's lines (RFC 2449 5), each with LF behind it. What clients may see after login: what we
 * know and can relay unread. Not STLS, SASL, USER (over by then), UTF8 and LANG (they would
 * change what a password or an answer means), IMPLEMENTATION, or names that nobody knows yet.
 */
bool pop3_capa_allowed(struct slice line);
bool pop3_capa_has(struct slice list, const char *word);  /* its first word; no case */
bool pop3_capa_sasl(struct slice list, const char *mech); /* "SASL PLAIN …" has it */
/* What stands behind the word in its first line; false: not in the list. */
bool pop3_capa_args(struct slice list, const char *word, struct slice *args);

/*
 * Finds the line "." that ends a multi-line answer, whatever the split; LF alone ends lines
 * here too. Zeroed, it stands at a line's start; after the end it does so again.
 */
struct pop3_dots {
	int state;
};
/* Eats bytes; returns how many up to and including the end (then *done), or n. */
size_t pop3_dots_feed(struct pop3_dots *d, const char *p, size_t n, bool *done);

/* A line of LIST's or UIDL's answer without its end: the message's number, and what stands
 * behind it, blanks around that left out. WIRE_BAD: no number, or nothing behind it. */
enum wire pop3_listed(struct slice line, uint32_t *number, struct slice *rest);

/*
 * A message out of its multi-line answer, byte for byte (RFC 1939 3): the dots that a server
 * puts in are taken out, everything else stays, NUL and bare CR or LF too.
 *
 * Only CRLF ends a line: else "LF . CR LF" inside a message would end it, and what follows
 * would be taken for the server's word. Behind a bare LF the end is believed only where
 * `expected` bytes, LIST's number, have come: some servers send what they stored and forget the
 * last CRLF. Set before the first byte, all else zero:
 */
struct pop3_body {
	bool lf;	   /* this server ends its own lines with LF alone */
	uint64_t expected; /* 0: not known */

	int state;     /* private */
	uint64_t size; /* bytes of the message so far */
};
/*
 * Eats some of n > 0 bytes; *out is what comes of the message (into p, or constant): perhaps
 * nothing. None are eaten only where *out has bytes that were held back. *done: it is over.
 */
size_t pop3_body_feed(struct pop3_body *b, const char *p, size_t n, struct slice *out,
		      bool *done);

#endif
