/*
 * The part of the journal that gives mail read by POP3 its names: for each message of old's
 * maildrop a number that stands for a UID in all other tables. It is given once and never
 * again, whatever numbers and order later sessions show; the unique id (UIDL) stays beside it.
 */
#ifndef SYNC_JOURNAL_POP3_H
#define SYNC_JOURNAL_POP3_H

#include "sync/journal.h"

/* What stands for the UIDVALIDITY of a maildrop; no IMAP server has reason to use it. */
#define POP3_UIDVALIDITY 4294967295U

struct pop3_known {
	uint32_t uid;	  /* 0: not written yet */
	char *uidl;	  /* owned; "": the server had none */
	uint32_t ordinal; /* among equal UIDLs, from 0 in the maildrop's order */
	uint64_t size;	  /* as LIST had it */
	bool hashed;	  /* its bytes are known, as the server gave them */
	unsigned char raw[DIGEST_SIZE];
};
void journal_pop3_free(struct pop3_known **at, size_t *n);

/* Those that messages of the journal have, by uid. */
int journal_pop3_known(struct journal *j, struct pop3_known **out, size_t *n,
		       struct err *e) MUST_CHECK;
/* Writes uidl, ordinal and size; uid 0 becomes a new one. */
int journal_pop3_write(struct journal *j, struct pop3_known *k, struct err *e) MUST_CHECK;
/* Forgets those that no message has: they were listed, and went before they were copied. */
int journal_pop3_tidy(struct journal *j, struct err *e) MUST_CHECK;
/* The lowest uid that was never given. */
int journal_pop3_next(struct journal *j, uint32_t *out, struct err *e) MUST_CHECK;

#endif
