/* How the UIDs of both sides stand to each other, folder by folder, as the journal knows them.
 */
#ifndef SYNC_JOURNAL_UIDS_H
#define SYNC_JOURNAL_UIDS_H

#include "sync/journal.h"
#include "sync/uids.h"

struct journal_uid_row {
	const char *name[SIDES]; /* wire names; borrowed during the call */
	struct folder_state state[SIDES];
	bool settled;
	int64_t paired;	 /* messages on both sides */
	int64_t equal;	 /* of them, with the same UID */
	int64_t on_new;	 /* messages on new that we know */
	uint32_t lowest; /* the least UID on new of one that has another on old; 0: none */
};
typedef int journal_uid_fn(const struct journal_uid_row *r, void *arg);
int journal_uid_survey(struct journal *j, journal_uid_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

/* The same numbers of one folder. */
struct uid_numbers {
	int64_t paired, equal;
	uint32_t lowest;
};
int journal_uid_numbers(struct journal *j, int64_t folder, struct uid_numbers *out,
			struct err *e) MUST_CHECK;

/* What was chosen for it (sync/uids.h). */
int journal_uid_state(struct journal *j, int64_t folder, struct uid_state *out,
		      struct err *e) MUST_CHECK;
/* The same by the folder's name on old. */
int journal_uid_state_of(struct journal *j, const char *old_name, struct uid_state *out,
			 struct err *e) MUST_CHECK;
int journal_uid_state_write(struct journal *j, int64_t folder, const struct uid_state *s,
			    struct err *e) MUST_CHECK;
/* The first folder, of those that are in this mode, for which something is to be said; "" if
 * there is none. */
int journal_uid_why(struct journal *j, enum uid_mode m, char folder[static JOURNAL_REASON_MAX],
		    char why[static UIDS_WHY_MAX], struct err *e) MUST_CHECK;

#endif
