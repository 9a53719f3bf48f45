/*
 * Which entry of a maildrop is which message of INBOX, so that a message's unique id is known.
 * Nothing is guessed: by an id that was proven before, by the header's digest, by that of all
 * bytes where headers are the same, and at last by place, where both lists are of one length,
 * in one order, and sizes agree. What is still open stays open. Pure.
 */
#ifndef SYNC_UIDL_MATCH_H
#define SYNC_UIDL_MATCH_H

#include "sync/digest.h"

struct uidl_row { /* a message; by uid */
	uint32_t uid;
	uint64_t size;
	const char *known;	     /* borrowed: its id as proven before; NULL: none */
	const struct digest *digest; /* borrowed; NULL: none */
	int entry;		     /* index; -1: none so far */
};

enum uidl_ask { UIDL_ASK_NOTHING, UIDL_ASK_HEADER, UIDL_ASK_BYTES };

struct uidl_entry { /* of the maildrop; by number */
	uint32_t number;
	uint64_t size;
	const char *id; /* borrowed */
	const struct digest
		*digest;   /* borrowed: of what was asked; NULL: it could not be read */
	enum uidl_ask ask; /* what must be read of it now */
	int row;	   /* index; -1: none so far */
};

struct uidl_lists {
	struct uidl_row *rows;
	size_t row_count;
	struct uidl_entry *entries;
	size_t entry_count;
};

/* In this order; each sets entry, row and ask. How many entries are to be read next. */
size_t uidl_match_known(struct uidl_lists *l);
size_t uidl_match_headers(struct uidl_lists *l);
void uidl_match_bytes(struct uidl_lists *l);
void uidl_match_order(struct uidl_lists *l);

#endif
