/*
 * What changed in mail that is on both sides: planned from what was seen, asked for in one
 * flight, written down. Private to copy_mend.c, copy_flags.c and copy_delete.c.
 */
#ifndef SYNC_MEND_H
#define SYNC_MEND_H

#include "sync/pass.h"

struct flag_job {
	const char *want;
	uint32_t uid; /* on `to` */
	struct journal_msg *row;
	const char *flags;
};

/* Jobs that want the same are one change each. */
struct flag_plan {
	struct flag_job *at;
	size_t count;
	uint32_t *uids; /* of at[], in its order; changes borrow them */
};
/* What the side that counts says of flags. Empty, or to be released. */
void flags_plan(struct work *w, struct flag_plan *out);
void flags_plan_release(struct flag_plan *f);
/* Adds the changes to out, which has room for f->count; returns how many. */
size_t flags_changes(struct flag_plan *f, struct message_change *out);
/*
 * After those changes: what was refused for a keyword goes again without, and f knows it. -1:
 * the flags did not follow.
 */
int flags_changed(struct work *w, struct flag_plan *f, struct message_change *done, size_t n,
		  struct err *e) MUST_CHECK;
/* Within a transaction. */
int flags_write(struct work *w, const struct flag_plan *f, struct err *e) MUST_CHECK;

#define DELETE_CHANGES 2

struct delete_plan {
	struct journal_msg **rows; /* to be forgotten once they are gone there */
	size_t count;
	struct uid_list uids; /* of them, those that are still there */
};
/* Within the brake. Empty, or to be released. */
void deletes_plan(struct work *w, struct delete_plan *out);
void deletes_plan_release(struct delete_plan *d);
/* Adds to out up to DELETE_CHANGES; returns how many. 0: without UIDPLUS, or nothing is there.
 */
size_t deletes_changes(struct work *w, const struct delete_plan *d, struct message_change *out);
/* After those changes. *done: it is gone; false: it had better stay. */
int deletes_changed(struct work *w, const struct delete_plan *d,
		    const struct message_change *done, size_t n, bool *gone,
		    struct err *e) MUST_CHECK;
/* Within a transaction. */
int deletes_write(struct work *w, const struct delete_plan *d, struct err *e) MUST_CHECK;

#endif
