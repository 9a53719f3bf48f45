/*
 * IMAP before login, and the few server lines that a proxy reads (RFC 3501, 9051, 7888, 4959).
 */
#ifndef COMMON_WIRE_IMAP_H
#define COMMON_WIRE_IMAP_H

#include "common/wire/wire.h"

#define IMAP_TAG_MAX	    64	 /* bytes of a tag from a client */
#define IMAP_LITERAL_DIGITS 10	 /* more digits than these are never a length we believe */
#define IMAP_ARGS_MAX	    4	 /* arguments of a command that we read before login */
#define IMAP_QUOTED_MAX	    1024 /* bytes of a string that we write in quotes */
#define IMAP_LITERAL_MINUS  4096 /* LITERAL-: the longest {n+} (RFC 7888 5) */

enum imap_literal { LIT_NONE, LIT_SYNC, LIT_PLUS /* {n+} */ };

/* One line, with its end, and whether a literal follows it. */
struct imap_line {
	size_t len;
	enum imap_literal tail;
	uint64_t literal; /* its length */
};
/*
 * Finds one line in p[0..n) that may be at most max bytes long, its end included. A line ends
 * with LF; CR before it is optional (some clients). Only a brace group outside quotes right at
 * the end of the line announces a literal; ~{n} too (RFC 3516); "{}" and "{x}" are text.
 * WIRE_BAD: longer than max, more digits than IMAP_LITERAL_DIGITS, or a brace group on which
 * servers disagree: inside an open quote, behind a quote opened in mid-atom or another brace,
 * or glued to an atom. out->len then is the line's length, 0 if it has no end within max. Such
 * a line must not be forwarded.
 */
enum wire imap_line(const char *p, size_t n, size_t max, struct imap_line *out);
/* The same for a server's line: the text of a status or of "+ …" never announces a literal. */
enum wire imap_reply_line(const char *p, size_t n, size_t max, struct imap_line *out);

/* A whole client command before login: its lines and literals together. */
enum imap_excess {
	EXCESS_NONE,	/* BAD for another reason: only closing is safe */
	EXCESS_LINE,	/* a line does not end within max bytes */
	EXCESS_LITERAL, /* a literal is announced that does not fit, or is too long for {n+} */
};
struct imap_extent {
	size_t len; /* DONE: bytes of the command; BAD: bytes in front of what is too long */
	bool want_plus; /* MORE: the client waits for "+ …" before it sends the literal */
	size_t plus_at; /* where the last literal starts: answer once for each value */
	enum imap_excess excess; /* BAD */
	enum imap_literal tail;	 /* EXCESS_LITERAL: which is this long */
	uint64_t literal;
};
/*
 * WIRE_BAD: more than max bytes in all (announced literals included; then want_plus is never
 * set), a {n+} of more than IMAP_LITERAL_MINUS, a NUL outside literals, or what imap_line()
 * calls bad.
 */
enum wire imap_extent(const char *p, size_t n, size_t max, struct imap_extent *out);

/* One whole command, cut up. Slices point into the bytes parsed. */
struct imap_command {
	struct slice tag, verb;
	struct slice rest; /* behind verb and space, without the line end; literals inside */
};
/*
 * p[0..n): the whole command, with or without its last line end. WIRE_BAD: no tag or one that
 * is too long or has characters it may not have (out->tag then is empty: nothing to echo), or
 * no verb right behind one space. Servers disagree about blanks in front of a verb: do not
 * forward what is bad.
 */
enum wire imap_command(const char *p, size_t n, struct imap_command *out);

/*
 * Takes one astring off the front of *rest (atom, quoted string or literal), decoded into
 * out[0..size); *n says how long it is. Skips one leading space; a space or the end must
 * follow. WIRE_DONE; or WIRE_BAD, *rest untouched: not an astring, a NUL in it, longer than
 * size, CR or LF in a quoted string. Literals may hold CR and LF: the caller checks. Atoms may
 * hold 8-bit and % * \ too.
 */
enum wire imap_astring(struct slice *rest, char *out, size_t size, size_t *n);

/* A server's line, classified. Slices point into it. Tags are at most IMAP_TAG_MAX long. */
enum imap_reply_kind { REPLY_TAGGED, REPLY_UNTAGGED, REPLY_CONTINUE };
enum imap_status { STATUS_NONE, STATUS_OK, STATUS_NO, STATUS_BAD, STATUS_BYE, STATUS_PREAUTH };
struct imap_reply {
	enum imap_reply_kind kind;
	enum imap_status status; /* STATUS_NONE: data */
	struct slice tag;
	struct slice code; /* between the brackets of a status line: "CAPABILITY IMAP4rev1 …" */
	struct slice text; /* of a status; of data: everything behind "* " */
};
/* line: without its line end. WIRE_BAD: none of the three, a tag without OK, NO, BAD, a NUL. */
enum wire imap_reply(struct slice line, struct imap_reply *out);

/*
 * Capabilities. Before login we offer our own list; after it the routed server's through an
 * allowlist: a proxy must not let names of extensions pass that it does not know (RFC
 * 2971 3.3), and some would blind it (COMPRESS, UNAUTHENTICATE) or lead past it (referrals).
 */
bool imap_capability_allowed(struct slice name); /* after login */
/* Writes the words of list (separated by spaces) that are allowed, single spaces between. */
void imap_capability_filter(struct slice list, struct buf *out);
/* Is the word in the list? ASCII case does not count. */
bool imap_capability_has(struct slice list, const char *word);
/*
 * Filters a whole server line if it carries capabilities ("* CAPABILITY …",
 * "* OK [CAPABILITY …] …", "tag OK [CAPABILITY …] …"), and takes away a referral (RFC 2193,
 * 2221: "tag NO [REFERRAL imap://…] …"): writes the new line with its CRLF to out and returns
 * true. Other lines: false, out untouched. line: without its line end.
 */
bool imap_capability_rewrite(struct slice line, struct buf *out);
/* May a line that starts with p[0..n) still turn out to be one that must be rewritten? */
bool imap_capability_maybe(const char *p, size_t n);

/* Commands after login that a proxy must refuse: they would blind it or lead past it. */
bool imap_command_refused(struct slice verb);

/*
 * Writes s as a quoted string, or as a literal where it cannot be quoted: 8-bit, CR, LF, or
 * longer than IMAP_QUOTED_MAX. A NUL in it is a bug. Without literal_plus the caller must wait
 * for "+ …" behind the literal's line. With it, mind that LITERAL- allows only 4096 bytes (RFC
 * 7888 5).
 */
void imap_write_astring(struct buf *out, struct slice s, bool literal_plus);

#endif
