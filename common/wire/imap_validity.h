/*
 * Where an IMAP server tells a folder's UIDVALIDITY (RFC 3501 7.1, 7.2.4; RFC 4315 3) or its
 * modification sequence (RFC 7162), and which commands need the latter: for a client who is
 * shown other numbers. Pure.
 */
#ifndef COMMON_WIRE_IMAP_VALIDITY_H
#define COMMON_WIRE_IMAP_VALIDITY_H

#include "common/wire/wire.h"

#define IMAP_VALIDITY_MAX 8192 /* bytes of a STATUS that is looked at; a longer one passes */

/*
 * The server's bytes from the start of a response. WIRE_DONE: it tells such a number, and its
 * first *len bytes are what must be rewritten: all of a STATUS, with its literals; of APPENDUID
 * and COPYUID, behind which a set of UIDs of any length may stand, no more than the number.
 * WIRE_MORE: it may be one, or that is not here yet. WIRE_BAD: it passes as it is.
 */
enum wire imap_validity_look(const char *p, size_t n, size_t *len);

/* The number to be shown for a server's own. */
typedef uint32_t imap_validity_fn(uint32_t own, const void *arg);
/* Those bytes of a response, with each UIDVALIDITY as fn has it and without a HIGHESTMODSEQ. */
void imap_validity_rewrite(struct slice response, imap_validity_fn *fn, const void *arg,
			   struct buf *out);

/*
 * Does the client ask for what modification sequences are for? line: the command's first one.
 * Words inside quotes do not count.
 */
bool imap_asks_modseq(struct slice line);
/* A list of capabilities, or a line with one, without those extensions, and without others that
 * tell or take a UIDVALIDITY where it is not rewritten. */
void imap_validity_filter(struct slice list, struct buf *out);

#endif
