/*
 * The comparison of a whole user: every folder of old against new, at a level. Reads only, with
 * EXAMINE, on two connections of its own; opens no journal.
 *
 * A folder is looked for under the name that sync/folders.h gives it; one that is not there is
 * looked for by content among the folders of new that belong to no other, since a person may
 * have chosen another name.
 */
#ifndef SYNC_AUDIT_USER_H
#define SYNC_AUDIT_USER_H

#include "sync/audit.h"
#include "sync/mailbox.h"

struct audit_totals {
	int64_t folders;
	int64_t messages[SIDES],
		bytes[SIDES]; /* bytes of what was read in full, else as listed */
	int64_t same;	      /* messages that both sides have */
	int64_t sampled;      /* of them, compared byte for byte (all: AUDIT_FULL) */
	int64_t found[AUDIT_FINDINGS];
	bool moved; /* something changed on a side meanwhile: findings may be only that */
};

/* One folder has been compared; its own numbers. Names are wire names; new_name NULL: not
 * there. */
typedef void audit_folder_fn(const char *old_name, const char *new_name,
			     const struct audit_totals *t, void *arg);
typedef void audit_found_fn(enum audit_finding f, const char *folder, const uint32_t uid[SIDES],
			    void *arg);

struct audit_user {
	struct mailbox *box[SIDES];
	enum audit_level level;
	/* AUDIT_HEADERS: about so many messages, chosen by chance, are compared in full too; 0:
	 * none. Where one of them differs, its folder is compared in full. */
	int64_t sample;
	const struct folder_rules *rules; /* the operator's; what they skip is "left" */
	bool skip_deleted;		  /* see struct audit_policy */
	audit_folder_fn *on_folder;
	audit_found_fn *on_found;
	void *arg;
	struct audit_totals totals; /* out */
};

/* Adds a folder's numbers to the user's. */
void audit_totals_add(struct audit_totals *sum, const struct audit_totals *t);

/* 0: totals are filled. -1: a connection failed, or a folder's listing broke off. */
int audit_user(struct audit_user *a, struct err *e) MUST_CHECK;

/* With no difference among k sampled messages: at most this share of all differs, at 95 % (the
 * rule of three). 1 for k = 0. */
double audit_sample_bound(int64_t k);

#endif
