/*
 * The part of the journal that remembers which unique id (UIDL) a POP3 server gives to which
 * message of INBOX: found out by content once, then known.
 */
#ifndef SYNC_JOURNAL_UIDL_H
#define SYNC_JOURNAL_UIDL_H

#include "sync/journal.h"

struct journal_uidl {
	uint32_t uid;
	char *uidl; /* owned */
};
void journal_uidls_free(struct journal_uidl **at, size_t *n);

/* Of one side under this UIDVALIDITY, by uid. */
int journal_uidls(struct journal *j, enum side s, uint32_t uidvalidity,
		  struct journal_uidl **out, size_t *n, struct err *e) MUST_CHECK;
/* These in place of all that were known of the side, in one transaction. */
int journal_uidls_write(struct journal *j, enum side s, uint32_t uidvalidity,
			const struct journal_uidl *at, size_t n, struct err *e) MUST_CHECK;

#endif
