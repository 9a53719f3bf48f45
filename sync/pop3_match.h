/*
 * Which message of a maildrop is which one that the journal knows. Message numbers are a
 * session's own, and a unique id may stand for several messages if they are the same (RFC 1939
 * 7), or for several that are not, as bad servers have it. So ids decide where a group of equal
 * ids is as it was; else the bytes do, and they always do where a server has no ids. Pure.
 */
#ifndef SYNC_POP3_MATCH_H
#define SYNC_POP3_MATCH_H

#include "sync/journal_pop3.h"

struct pop3_here {
	uint32_t number;
	const char *uidl; /* borrowed; "": none */
	uint64_t size;
	uint32_t ordinal; /* among equal UIDLs; set by pop3_match_uidls() */
	int known;	  /* index; -1: none so far */
	bool ask;	  /* its bytes may be known: to be read */
};

/* By ids. Sets known, and ask for those that only their bytes can tell. here: by number. */
void pop3_match_uidls(const struct pop3_known *known, size_t n, struct pop3_here *here,
		      size_t m);
/* By bytes. digests: of each one asked, in order, NULL for what could not be read. */
void pop3_match_bytes(const struct pop3_known *known, size_t n, struct pop3_here *here,
		      size_t m, const unsigned char *const *digests);

#endif
