/*
 * Messages that were missed on the side that is written to: their rows are forgotten, and they
 * are sent again. What is kept of them here is their content, so that they are recognised if
 * they come back: a server whose disk was full may show a folder empty and say OK to
 * everything, and give all of it new UIDs when it has recovered (Dovecot 2.3 with Maildir).
 * Each of them then stands there twice: the row gets the one that came back, and the other one
 * is surplus, which is to be removed there. What seems to have been removed for its age is not
 * sent again, and its row gets it back. What does not come back for LOST_DAYS is missed no
 * longer: its equal may be a copy that its user has made. The fallible return 0, or -1 with
 * ERR_STORE.
 */
#ifndef SYNC_JOURNAL_LOST_H
#define SYNC_JOURNAL_LOST_H

#include "sync/journal.h"

#define LOST_DAYS 28

/* Once a pass: who is missed for too long is not any more. A transaction of its own. */
int journal_lost_lapse(struct journal *j, struct err *e) MUST_CHECK;

/* Of a folder, by side. */
struct journal_lost {
	bool missed[SIDES];  /* there are some that did not come back yet */
	bool surplus[SIDES]; /* something is to be removed there */
};
int journal_lost(struct journal *j, int64_t folder, struct journal_lost *out,
		 struct err *e) MUST_CHECK;

/* Before the row is dropped, or loses its UID: its message is missed on this side. Within a
 * transaction, as is all that follows but journal_lost_surplus(), which only reads. */
int journal_lost_note(struct journal *j, int64_t msg, enum side s, struct err *e) MUST_CHECK;
/* All of them are, for the side has other UIDs now; they pass to another folder, with those that
 * were missed before, and with what is surplus on the other side, and its rows. Before the first
 * one is dropped. */
int journal_lost_pass(struct journal *j, int64_t folder, int64_t to_folder, enum side s,
		      struct err *e) MUST_CHECK;
/* All that is GONE and stood on old, which may only not have shown it, before the rows are
 * dropped because new counts again. */
int journal_lost_turn(struct journal *j, struct err *e) MUST_CHECK;
/*
 * A message of these canonical bytes that no row knows stands on side s under this UID. If one
 * is missed there, *back: the row that was made when it was sent again gets the UID, and
 * *surplus is the one that it had; or a row that has none, and *surplus is 0; or it was
 * missed under this very UID, and the row has another: then *surplus is this.
 */
int journal_lost_back(struct journal *j, int64_t folder, enum side s,
		      const unsigned char canon[DIGEST_SIZE], uint32_t uid, bool *back,
		      uint32_t *surplus, struct err *e) MUST_CHECK;
/* One of these bytes is not missed any more: it has a row. */
int journal_lost_found(struct journal *j, int64_t folder, enum side s,
		       const unsigned char canon[DIGEST_SIZE], struct err *e) MUST_CHECK;
/* The same; *yes: there was one. */
int journal_lost_take(struct journal *j, int64_t folder, enum side s,
		      const unsigned char canon[DIGEST_SIZE], bool *yes,
		      struct err *e) MUST_CHECK;
/* By uid; free with mem_free. */
struct journal_surplus {
	int64_t id;
	uint32_t uid;
	unsigned char canon[DIGEST_SIZE];
	bool placed; /* a row says that it is on the other side, too: it is no second copy */
};
int journal_lost_surplus(struct journal *j, int64_t folder, enum side s,
			 struct journal_surplus **out, size_t *n, struct err *e) MUST_CHECK;
/* It is removed, or none, and with it a row that it may have as one that is skipped. */
int journal_lost_removed(struct journal *j, int64_t folder, enum side s,
			 const struct journal_surplus *x, struct err *e) MUST_CHECK;
/* It is not there any more, and nobody removed it for us: its message is missed again. */
int journal_lost_again(struct journal *j, int64_t folder, enum side s,
		       const struct journal_surplus *x, struct err *e) MUST_CHECK;
/*
 * The message of this row has left side s, and one of its bytes is surplus there: that one
 * stands for it from now on, and what has left is missed: it may only not have been shown.
 * *yes: so it is.
 */
int journal_lost_left(struct journal *j, int64_t folder, enum side s, int64_t msg, bool *yes,
		      struct err *e) MUST_CHECK;
/* Side s has other UIDs now: nothing is known to be surplus there. */
int journal_lost_renumber(struct journal *j, int64_t folder, enum side s, struct err *e) MUST_CHECK;

#endif
