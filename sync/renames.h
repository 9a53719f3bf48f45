/*
 * Folders that were renamed on the side that counts are renamed on the other, and none of their
 * mail is copied again. A folder is the same by its MAILBOXID (RFC 8474); without, by its
 * UIDVALIDITY, UIDs that go on, and the headers of the messages that the journal knows in it;
 * and where a server changes UIDVALIDITY with the name, by as many messages with the same
 * headers in the same order.
 *
 * Each RENAME is written as an intent first; after a crash the folders' names on the server say
 * whether it happened. After the flip the new side's names are the user's: only the journal
 * learns the other name.
 */
#ifndef SYNC_RENAMES_H
#define SYNC_RENAMES_H

#include "sync/pass.h"

#define RENAME_PROOFS 16 /* messages whose headers are compared */

/* p->list is fresh; where something was renamed, the other side's is fresh again afterwards. */
int renames_follow(struct pass *p, struct err *e) MUST_CHECK;

/* By a journal in doubt, before: which folders the other side has under another name by now;
 * the pass that gave it to them is in no journal. Only the journal learns them. */
int renames_recall(struct pass *p, struct err *e) MUST_CHECK;

/* Only looks: which folders have another name now. */
struct renamed {
	char *now, *there; /* on the side that counts; on the other, so far */
};
int renames_find(struct pass *p, struct renamed **out, size_t *n, struct err *e) MUST_CHECK;
void renamed_free(struct renamed **at, size_t n);
/* When all folders are in the journal: by what the servers will know them next time. */
int renames_remember(struct pass *p, struct err *e) MUST_CHECK;

#endif
