/*
 * What is left of an IMAP command that was refused: thrown away byte by byte, so that the next
 * command is found again and nothing of the old one is taken for it (RFC 7888 4).
 */
#ifndef COMMON_WIRE_SWALLOW_H
#define COMMON_WIRE_SWALLOW_H

#include "common/wire/imap.h"

#define IMAP_SWALLOW_MAX (256 * 1024) /* bytes of one command; more costs the connection */

/* Zeroed: nothing to swallow. Members are for swallow.c. */
struct imap_swallow {
	size_t literal; /* bytes of it still to come; a line follows */
	size_t eaten;
	bool line; /* inside a line, or in front of one that still belongs to the command */
	bool cut;  /* the line's beginning is gone already */
	bool text; /* of a SASL answer: it never announces a literal */
};

/*
 * A line that announces a literal was refused and taken. After {n} the client hears our NO and
 * sends nothing: nothing is to be swallowed. -1: the literal is too long to be worth it.
 */
int imap_swallow_literal(struct imap_swallow *w, enum imap_literal tail,
			 uint64_t literal) MUST_CHECK;
/* A line without an end so far was refused; none of it was taken. */
void imap_swallow_line(struct imap_swallow *w, bool text);
bool imap_swallowing(const struct imap_swallow *w);
/*
 * Takes bytes: *take of p[0..n) go nowhere. DONE: the command ends with them. MORE: it does
 * not. BAD: the step is lost or the limit reached, only closing is safe.
 */
enum wire imap_swallow(struct imap_swallow *w, const char *p, size_t n, size_t line_max,
		       size_t *take);

#endif
