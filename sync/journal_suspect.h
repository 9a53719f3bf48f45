/*
 * Messages during whose transfer a connection was lost, and how often: some servers end the
 * connection at a message that they cannot bear, each time. Forgotten when its folder was
 * copied to the end.
 */
#ifndef SYNC_JOURNAL_SUSPECT_H
#define SYNC_JOURNAL_SUSPECT_H

#include "sync/journal.h"

struct journal_suspect {
	uint32_t uid;	/* on the side that is copied from */
	enum side side; /* whose connection was lost the last time */
	int times;
};

/* Those of a folder, by uid; *out is freed by the caller. */
int journal_suspects(struct journal *j, int64_t folder, struct journal_suspect **out, size_t *n,
		     struct err *e) MUST_CHECK;
/* Once more. */
int journal_suspect_add(struct journal *j, int64_t folder, uint32_t uid, enum side side,
			struct err *e) MUST_CHECK;
/* uid 0: all of the folder. */
int journal_suspect_drop(struct journal *j, int64_t folder, uint32_t uid,
			 struct err *e) MUST_CHECK;

#endif
