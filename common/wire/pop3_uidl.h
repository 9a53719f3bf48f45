/*
 * The lines of UIDL's answers (RFC 1939 7), and of a map from one server's unique ids to
 * another's.
 */
#ifndef COMMON_WIRE_POP3_UIDL_H
#define COMMON_WIRE_POP3_UIDL_H

#include "common/wire/wire.h"

#define POP3_UIDL_MAX	   255 /* bytes of a unique id that servers give; RFC 1939 7: 70 */
#define POP3_UIDL_LINE_MAX 512 /* of a line that may carry one, its end included */

/* 1 to POP3_UIDL_MAX bytes of 0x21 to 0x7E. */
bool pop3_uidl_legal(struct slice id);

/*
 * A line from its first byte. WIRE_DONE: *len bytes of it, and *id inside; id->n 0: it carries
 * none. WIRE_BAD: longer than POP3_UIDL_LINE_MAX, so it carries none. single: "+OK 2 ID",
 * the answer to UIDL with a number; else "2 ID".
 */
enum wire pop3_uidl_line(const char *p, size_t n, bool single, size_t *len, struct slice *id);

/* "NEW OLD" and LF, as a map has it. WIRE_BAD: something else. */
enum wire pop3_uidl_pair(struct slice text, size_t *len, struct slice *new_id,
			 struct slice *old_id);

#endif
