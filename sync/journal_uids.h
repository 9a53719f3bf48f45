/* How the UIDs of both sides stand to each other, folder by folder, as the journal knows them.
 */
#ifndef SYNC_JOURNAL_UIDS_H
#define SYNC_JOURNAL_UIDS_H

#include "sync/journal.h"

struct journal_uid_row {
	const char *name[SIDES]; /* wire names; borrowed during the call */
	struct folder_state state[SIDES];
	bool settled;
	int64_t paired;	 /* messages on both sides */
	int64_t equal;	 /* of them, with the same UID */
	int64_t on_new;	 /* messages on new that we know */
	uint32_t lowest; /* the least UID on new of one that is on both; 0: none */
};
typedef int journal_uid_fn(const struct journal_uid_row *r, void *arg);
int journal_uid_survey(struct journal *j, journal_uid_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

#endif
