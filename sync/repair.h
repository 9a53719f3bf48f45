/*
 * What may be done to a message that a server will not take as it is: a fixed ladder of small
 * repairs, from what hardly shows to what does. Pure: bytes in, bytes out, and a receipt that
 * says what was changed and where.
 *
 *	NUL	   each NUL becomes 0x80, as Dovecot serves it; no length changes
 *	NEWLINES   bare LF, and CRs in a row before LF, become CRLF; a lone CR too (in a header
 *		   the next line becomes its continuation); a missing last line end is added
 *	HEADER	   a first line "From …" becomes the field X-From-Line, a line that is no field
 *		   the field X-Unparsed-Header; a missing empty line behind the header is put in
 *	EIGHT_BIT  words of a header that have 8-bit bytes become encoded words (RFC 2047)
 *	LINES	   lines above 998 bytes (RFC 5322 2.1.1) are folded or wrapped
 *
 * A repair that finds nothing to do changes no byte.
 */
#ifndef SYNC_REPAIR_H
#define SYNC_REPAIR_H

#include "common/buf.h"
#include "common/err.h"

enum {
	REPAIR_NUL = 1,
	REPAIR_NEWLINES = 2,
	REPAIR_HEADER = 4,
	REPAIR_EIGHT_BIT = 8,
	REPAIR_LINES = 16
};

#define REPAIR_RUNGS	  8
#define REPAIR_LINE_MAX	  65536 /* bytes of a header line that is judged; a longer one passes */
#define REPAIR_PLACES_MAX 100	/* places that a receipt names for each kind of change */
#define REPAIR_WRAP	  998	/* bytes of a line without its end (RFC 5322 2.1.1) */

/* The repairs of a rung, 0 <= rung < REPAIR_RUNGS: first each alone, then more and more of
 * them.
 */
unsigned repair_rung(int rung);

enum repair_change {
	CHANGE_NUL,
	CHANGE_NEWLINE,
	CHANGE_LAST_LINE,
	CHANGE_FROM_LINE,
	CHANGE_FIELD,
	CHANGE_EMPTY_LINE,
	CHANGE_ENCODED,
	CHANGE_WRAPPED,
	REPAIR_CHANGES
};

typedef int repair_out_fn(struct slice bytes, void *arg, struct err *e);

struct repair;
/* One message; the result goes to out, in order, in pieces. -1 from out ends it. */
struct repair *repair_new(unsigned steps, repair_out_fn *out, void *arg);
void repair_free(struct repair **r);
int repair_feed(struct repair *r, struct slice bytes, struct err *e) MUST_CHECK;
int repair_end(struct repair *r, struct err *e) MUST_CHECK;

/* The repairs (of those asked for) that changed something; after repair_end(). */
unsigned repair_done(const struct repair *r);
uint64_t repair_count(const struct repair *r, enum repair_change c);
/*
 * The receipt for people: "2 NUL made 0x80 at 120, 4711; 1 line end made CRLF at 80". Places
 * are offsets of bytes in the message as it was; with more than REPAIR_PLACES_MAX of a kind it
 * ends in "…".
 */
void repair_receipt(const struct repair *r, struct buf *out);

#endif
