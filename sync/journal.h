/*
 * What the copier knows about one user, durable: which message of old is which message of new,
 * one map for both directions; what was about to be sent; what was verified. One SQLite file
 * per user (WAL, synchronous=FULL, mode 0600), for one process at a time; its threads may share
 * it: each call locks, and a transaction belongs to one thread from its begin to its end. What
 * that thread does in between, everybody waits for: no network there.
 *
 * The order of writes is the whole point: a batch is committed as an intent before the first of
 * its bytes leaves, and resolved in one transaction once it is known what arrived.
 *
 * Fallible calls return 0, or -1 with kind ERR_STORE. Names of folders are as on the wire.
 */
#ifndef SYNC_JOURNAL_H
#define SYNC_JOURNAL_H

#include "common/err.h"
#include "common/user_state.h"
#include "sync/digest.h"
#include "sync/flags.h"

#define JOURNAL_SCHEMA	   13 /* see steps[] in journal_schema.c */
#define JOURNAL_REASON_MAX 256

struct journal;

/*
 * Opens or makes the file; its folder must exist. ERR_TEMP "journal is in use" at once if
 * another process has it. A file that is damaged or of another schema is an ERR_STORE that
 * names it.
 */
int journal_open(struct journal **out, const char *path, struct err *e) MUST_CHECK;
void journal_close(struct journal **j);
/* What it takes for that, alone: nobody opens this journal until *fd is closed. -1 in *fd: not even that
 * file could be made. */
int journal_lock(const char *journal, int *fd, struct err *e) MUST_CHECK;

int journal_begin(struct journal *j, struct err *e) MUST_CHECK;
int journal_commit(struct journal *j, struct err *e) MUST_CHECK;
/* After a failed commit there is nothing left to roll back; calling it is fine. */
void journal_rollback(struct journal *j);

/* ---- folders */

/* How a folder of one side stood when a pass began to read it; zero: not known. */
struct folder_state {
	uint32_t uidvalidity, uidnext, messages;
	uint64_t modseq;
};

struct journal_folder {
	int64_t id;
	char *name[SIDES];
	struct folder_state state[SIDES];
	/* 1 << side: at these states both sides were equal and verified, and all that stood on
	 * that side was known. A pass that reads it may go on from there. On the side that is
	 * written to, mail of others may stand: for a pass that leads back it is new. */
	unsigned settled;
	bool trailed; /* the first trailing pass after the flip has been here */
};
bool journal_is_settled(const struct journal_folder *f, enum side s);
void journal_folders_free(struct journal_folder **f, size_t *n);

int journal_folders(struct journal *j, struct journal_folder **out, size_t *n,
		    struct err *e) MUST_CHECK;
int journal_folder_add(struct journal *j, const char *const name[SIDES], int64_t *id,
		       struct err *e) MUST_CHECK;
/* Writes states and settled. */
int journal_folder_write(struct journal *j, const struct journal_folder *f,
			 struct err *e) MUST_CHECK;
/*
 * One side has other UIDs now. Rows that the other side has a message of lose theirs and stay,
 * to be found again by content; the others are forgotten. Within a transaction, as are the two
 * that lose or renew.
 */
int journal_renumber(struct journal *j, int64_t id, enum side s, struct err *e) MUST_CHECK;
/* After the flip one side has other UIDs: its rows lose theirs. left: that side is left, and
 * what it had is GONE; but what is in doubt stays so, and what could not be copied is unknown.
 */
int journal_lose_uids(struct journal *j, int64_t id, enum side s, bool left,
		      struct err *e) MUST_CHECK;
/* After the flip old has the folder no more: what it had is GONE, n messages. In doubt stays
 * what is. */
int journal_folder_left(struct journal *j, int64_t id, int64_t *n, struct err *e) MUST_CHECK;
/*
 * New counts again, as the user goes back to old. What is GONE and stands on new is new there,
 * to be brought to old, or found there by content; what is GONE and stands on old alone is one
 * of these, or goes with it. Done again it changes nothing.
 */
int journal_turn_back(struct journal *j, struct err *e) MUST_CHECK;
/* Its side s has other UIDs, and nothing holds any more that is known of it: f is a new one of
 * these names. What stood on s is missed there (sync/journal_lost.h). */
int journal_folder_renew(struct journal *j, struct journal_folder *f, enum side s,
			 struct err *e) MUST_CHECK;
/* Forgets it with all its messages. */
int journal_folder_drop(struct journal *j, int64_t id, struct err *e) MUST_CHECK;

/* Names that are subscribed on the side that counts, as of the last pass. */
typedef int journal_name_fn(const char *name, void *arg);
int journal_subscriptions(struct journal *j, journal_name_fn *fn, void *arg,
			  struct err *e) MUST_CHECK;
int journal_subscribed(struct journal *j, const char *name, bool yes, struct err *e) MUST_CHECK;

/* ---- messages */

enum msg_state {
	MSG_INTENT,    /* in an open batch: may be on the receiving side or not */
	MSG_DONE,      /* on both sides, as far as we know */
	MSG_EXCEPTION, /* cannot be copied, for a reason */
	MSG_GONE,      /* left the side that counted after the flip; its copy is the user's */
	MSG_SKIPPED,   /* on purpose not on the other side, for a reason */
	MSG_STATES
};

struct journal_msg {
	int64_t id;
	uint32_t uid[SIDES]; /* 0: none */
	uint64_t size;	     /* on the side it came from */
	int64_t date;	     /* INTERNALDATE, seconds since 1970 */
	const char *flags;   /* agreed on last, of the side that counts; of the pool */
	const char *kept;    /* what the other side could keep of them; of the pool */
	int64_t batch;	     /* 0: none */
	int pos;	     /* in its batch */
	enum msg_state state : 8;
	bool hashed : 1;  /* a digest is stored */
	bool adopted : 1; /* was there, was not sent by us */
	bool verified[SIDES];
};
_Static_assert(sizeof(struct journal_msg) <= 64, "a pass holds all rows of a folder");

/*
 * All rows of a folder, by uid of `by` (those without one first); free with mem_free.
 * Verification marks count only under the folder's present UIDVALIDITYs, given in f.
 */
int journal_msgs(struct journal *j, const struct journal_folder *f, enum side by,
		 struct flag_pool *p, struct journal_msg **out, size_t *n,
		 struct err *e) MUST_CHECK;
/* The same for those with lo <= uid of `by` <= hi, added to what is in *out already. */
int journal_msgs_between(struct journal *j, const struct journal_folder *f, enum side by,
			 uint32_t lo, uint32_t hi, struct flag_pool *p,
			 struct journal_msg **out, size_t *n, struct err *e) MUST_CHECK;
/* Those that have no UID on `by`, of a larger id than `after`, by id; at most so many are
 * added. */
int journal_msgs_without(struct journal *j, const struct journal_folder *f, enum side by,
			 int64_t after, size_t most, struct flag_pool *p,
			 struct journal_msg **out, size_t *n, struct err *e) MUST_CHECK;
/* One of the folder's. *found: there is such a row. */
int journal_msg_of(struct journal *j, const struct journal_folder *f, int64_t id,
		   struct flag_pool *p, struct journal_msg *out, bool *found,
		   struct err *e) MUST_CHECK;
/* The messages of a batch that are still in doubt, in sending order. */
int journal_batch_msgs(struct journal *j, const struct journal_folder *f, int64_t batch,
		       struct flag_pool *p, struct journal_msg **out, size_t *n,
		       struct err *e) MUST_CHECK;
/* UIDs that stand on this side as far as we know, ascending; free with mem_free. */
int journal_uids(struct journal *j, int64_t folder, enum side s, uint32_t **out, size_t *n,
		 struct err *e) MUST_CHECK;

/* UIDs lo … hi of this side that have a row of any state, ascending; free with mem_free. */
int journal_uids_between(struct journal *j, int64_t folder, enum side s, uint32_t lo,
			 uint32_t hi, uint32_t **out, size_t *n, struct err *e) MUST_CHECK;

/* Every nth of those UIDs; free with mem_free. */
int journal_uid_marks(struct journal *j, int64_t folder, enum side s, size_t nth,
		      uint32_t **out, size_t *n, struct err *e) MUST_CHECK;

/* Is there another message than `but` (0: any) of these canonical bytes in the folder? */
int journal_knows(struct journal *j, int64_t folder, const unsigned char canon[DIGEST_SIZE],
		  int64_t but, bool *out, struct err *e) MUST_CHECK;

/* How many of the folder's DONE are of this date or older. */
int journal_not_after(struct journal *j, int64_t folder, int64_t date, int64_t *out,
		      struct err *e) MUST_CHECK;
/* The reason that was written with it; "" none. */
int journal_reason(struct journal *j, int64_t id, char out[static JOURNAL_REASON_MAX],
		   struct err *e) MUST_CHECK;
/* Keywords that the other side did not keep: once for each pair of what a message has and what
 * is kept of it, with how many there are of it. Borrowed during the call. */
typedef int journal_kept_fn(const char *flags, const char *kept, int64_t count, void *arg);
int journal_not_kept(struct journal *j, journal_kept_fn *fn, void *arg,
		     struct err *e) MUST_CHECK;
/* The first trailing pass is over; or a pass in step, and the next trailing one is the first.
 */
int journal_trailed(struct journal *j, bool yes, struct err *e) MUST_CHECK;

struct journal_counts { /* of a folder's rows */
	int64_t rows, unverified, in_doubt;
	int64_t at[SIDES];	/* stand on that side as far as we know */
	int64_t below[SIDES];	/* and have UIDs below the UIDNEXT in f's state */
	int64_t without[SIDES]; /* have no UID there */
	int64_t gone;		/* are GONE, and may be on old all the same */
};
int journal_count(struct journal *j, const struct journal_folder *f, struct journal_counts *out,
		  struct err *e) MUST_CHECK;

/* Inserts (id 0; sets m->id) or updates. digest NULL leaves what is stored. reason: EXCEPTION
 * and GONE. */
int journal_msg_write(struct journal *j, const struct journal_folder *f, struct journal_msg *m,
		      const struct digest *d, const char *reason, struct err *e) MUST_CHECK;
/* After a batch: only the UID on s, state and batch are written … */
int journal_msg_placed(struct journal *j, const struct journal_msg *m, enum side s,
		       struct err *e) MUST_CHECK;
/* … and here only the marks: far fewer pages of the file change than by journal_msg_write(). */
int journal_msg_verified(struct journal *j, const struct journal_folder *f,
			 const struct journal_msg *m, struct err *e) MUST_CHECK;
/* Only flags and kept: the row may have got another UID since it was read (sync/found.h). */
int journal_msg_flagged(struct journal *j, const struct journal_msg *m,
			struct err *e) MUST_CHECK;
int journal_msg_drop(struct journal *j, int64_t id, struct err *e) MUST_CHECK;
int journal_digest(struct journal *j, int64_t id, struct digest *out, struct err *e) MUST_CHECK;
/* Those of n messages at once; to be preferred, since each single one is a transaction. */
int journal_digests(struct journal *j, const int64_t *ids, size_t n, struct digest *out,
		    struct err *e) MUST_CHECK;
/* A message in state GONE with these bytes (before a repair), of any folder: *id, or 0. */
int journal_gone(struct journal *j, const unsigned char raw[DIGEST_SIZE], int64_t *id,
		 struct err *e) MUST_CHECK;
struct journal_totals {
	/* messages, bytes and verified (on both sides) of rows DONE; exceptions but the waived
	 * and those that are where they are to be brought, and only there */
	int64_t messages, bytes, verified, exceptions, in_doubt;
};
int journal_totals(struct journal *j, enum side to, struct journal_totals *out,
		   struct err *e) MUST_CHECK;

/* ---- batches */

#define BATCH_FENCE_OVER (-1)

struct journal_batch {
	int64_t id, folder;
	enum side side;		       /* the receiving one */
	uint32_t uidvalidity, uidnext; /* there, before the first byte */
	/* ms still to be waited before what is not seen counts as not arrived; 0: not begun,
	 * BATCH_FENCE_OVER: all of it was */
	int64_t fence;
};
/* Sets b->id. Its messages are written with this id and state INTENT in the same transaction.
 */
int journal_batch_open(struct journal *j, struct journal_batch *b, struct err *e) MUST_CHECK;
int journal_batch_fence(struct journal *j, int64_t id, int64_t fence, struct err *e) MUST_CHECK;
/* Resolved: the caller has written all its messages. */
int journal_batch_close(struct journal *j, int64_t id, struct err *e) MUST_CHECK;
/* Open batches of a folder (0: of all), oldest first; free with mem_free. */
int journal_batches(struct journal *j, int64_t folder, struct journal_batch **out, size_t *n,
		    struct err *e) MUST_CHECK;
/* The lowest UIDNEXT any batch to this side of the folder saw under this UIDVALIDITY; 0 if
 * there was none. */
int journal_first_uid(struct journal *j, int64_t folder, enum side s, uint32_t uidvalidity,
		      uint32_t *out, struct err *e) MUST_CHECK;

#endif
