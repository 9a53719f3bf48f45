/*
 * IMAP ID (RFC 2971): pairs of names and values by which programs tell what they are, and
 * proxies where a client comes from (fields x-*, Dovecot's).
 */
#ifndef COMMON_WIRE_IMAP_ID_H
#define COMMON_WIRE_IMAP_ID_H

#include "common/wire/wire.h"

/* RFC 2971 3.3: what may be sent. */
#define IMAP_ID_PAIRS_MAX 30
#define IMAP_ID_FIELD_MAX 30
#define IMAP_ID_VALUE_MAX 1024

#define IMAP_ID_READ_MAX 4096 /* bytes of one string that we read; longer ones are bad */
#define IMAP_ID_LIST_MAX 3072 /* bytes of a list that we write: servers read short lines */

/* The next pair of a list. Slices point into the pair itself. */
struct imap_id_pair {
	struct slice field, value;
	bool nil; /* the value is NIL */
	char field_bytes[IMAP_ID_READ_MAX], value_bytes[IMAP_ID_READ_MAX];
};

/* args of an ID command: *pairs becomes what is between the parentheses; empty for NIL.
 * WIRE_BAD: neither. */
enum wire imap_id_open(struct slice args, struct slice *pairs);
/* Takes a pair off. WIRE_DONE: one; WIRE_MORE: there was none left; WIRE_BAD: no pair. */
enum wire imap_id_next(struct slice *pairs, struct imap_id_pair *out);

/* A list to be written: its pairs without the parentheses around them. */
struct imap_id_list {
	struct buf text;
	unsigned count;
};
/*
 * Adds a pair (value NULL: NIL). False, and nothing is added: a limit of the RFC or
 * IMAP_ID_LIST_MAX, a field that is there already, or bytes that no quoted string may hold.
 */
bool imap_id_add(struct imap_id_list *list, struct slice field, const struct slice *value);

/* x-*: what a proxy tells about its client; nobody else's word counts. */
bool imap_id_is_claim(struct slice field);
/*
 * May an ID command whose first line has these args hold such a field? A literal counts: what
 * it holds is not to be seen yet.
 */
bool imap_id_may_claim(struct slice args);

#endif
