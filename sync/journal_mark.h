/*
 * The journal as a file that travels: which of its copies in the store it is (sync/depot.h),
 * and whether it may know less than was done.
 *
 * A journal in doubt is an old one: an engine that is gone has gone on from it, and nobody
 * knows how far. What it says of a pair of messages is true still, since UIDs are given once.
 * But more messages may have been brought than it knows, or be on their way; so a pass waits
 * for the fence, lists all folders anew, and looks on the other side for what it does not know
 * before it brings it.
 */
#ifndef SYNC_JOURNAL_MARK_H
#define SYNC_JOURNAL_MARK_H

#include "common/store.h"
#include "common/store_journal.h"
#include "sync/journal.h"

struct journal_mark {
	/* The copy that this was, when it was put there or taken from there; "" none. former:
	 * the one before, which the store still has if it never heard of the last. */
	char edition[STORE_EDITION_MAX], former[STORE_EDITION_MAX];
	bool doubt;
	int64_t fence; /* of the doubt, as of a batch */
};
/* All zero in a journal that was never marked. */
int journal_mark(struct journal *j, struct journal_mark *out, struct err *e) MUST_CHECK;
int journal_mark_write(struct journal *j, const struct journal_mark *m,
		       struct err *e) MUST_CHECK;
/* From now on it is in doubt, and this edition. */
int journal_doubt(struct journal *j, const char *edition, struct err *e) MUST_CHECK;

/* All that was written is in the one file, and its size. Only while nobody else writes. */
int journal_settle(struct journal *j, int64_t *size, struct err *e) MUST_CHECK;
/* Bytes of that file; n of them are there. */
int journal_bytes(struct journal *j, int64_t at, void *out, size_t n, struct err *e) MUST_CHECK;

#endif
