/*
 * One pass over one user: every folder of the side that counts is brought to the other, in
 *step, and compared. What a pass is for each kind of job stands in sync/job.h; what makes it
 *safe to be killed anywhere in sync/journal.h.
 *
 *	pass.c	 the user: both servers, all folders, the answer
 *	renames.c	folders that have another name now
 *	tree.c	 folders mapped, made and recorded; subscriptions
 *	copy_ahead.c	the next folder, read while the present one ends
 *	copy.c	 one folder: is it still the same, and what is mended in which order
 *	copy_look.c	what has changed in it, as far as that can be had without a listing
 *	copy_list.c	what each side holds, and what the journal knows of it
 *	copy_sweep.c	the same for a folder that is too large for memory: in windows
 *	copy_new.c	new mail, batch by batch
 *	uids.c, filler.c	under which UIDs
 *	refused.c, exceptions.c	what a server will not take
 *	suspects.c	what servers end the connection at
 *	found.c	 what was missed on the other side, was sent again, and came back
 *	copy_mend.c, copy_flags.c, copy_delete.c	what changed in mail that is on both sides
 *	probe.c	 what became of a batch whose answers never came
 *	adopt.c	 mail that is on both sides already, but in no journal
 *	verify.c every byte on the other side, and the short gate at the end of each folder
 */
#ifndef SYNC_PASS_H
#define SYNC_PASS_H

#include <pthread.h>

#include "sync/folders.h"
#include "sync/job.h"
#include "sync/journal.h"
#include "sync/journal_lost.h"
#include "sync/lanes.h"
#include "sync/pipeline.h"
#include "sync/quota.h"
#include "sync/uids.h"
#include "sync/windows.h"

#define PASS_BATCH_COUNT 128 /* messages of one intent */
#define PASS_WARY_COUNT	 4   /* of one where messages were refused and their server was lost */
/* And their bytes, divided by the lanes; one larger message goes alone. */
#define PASS_BATCH_BYTES (3 * 1024 * 1024)
#define PASS_NOTES_MAX	 8 /* reasons that a result carries; the rest is counted */
#define REASON_TAKEN	 "the server said OK, and not under which UID" /* of one in doubt */
#define PASS_ROUNDS_MAX	 8 /* of a final pass: old's folders stand still in the end */

/* Tells how far the pass is; called often, the receiver thins it out. */
struct pass_progress {
	const char *folder;
	int64_t done, total, messages, bytes;
};
typedef void pass_progress_fn(const struct pass_progress *p, void *arg);

/*
 * A pass works on several folders at once, one lane each (sync/lanes.h). What a lane's code,
 * that is everything that is given a struct work, may touch:
 *
 *  - its work, its lane, its journal_folder and its folder_pair: they are nobody else's;
 *  - of the pass: job, from, to, window, list, space: only to be read; count: it is atomic;
 * pass_tell(), pass_unclean(), pass_step(), pass_is_stopping(): they lock;
 *  - the journal, which locks itself. journal_begin() keeps all other lanes out until
 *    journal_commit() or journal_rollback(): between them nothing is sent or awaited.
 */
struct pass {
	const struct job *job;
	struct journal *journal;
	enum side from, to;
	struct lanes lanes; /* at[0] does what is not one folder's */
	uint32_t window;    /* messages of one; a folder of more than two of them is swept */
	struct folder_list list[SIDES];
	struct namespace_info space[SIDES];
	struct quota room;	    /* of `to`, when the pass began */
	struct folder_tasks *tasks; /* pass.c: being done */
	bool doubt; /* the journal may know less than was done (sync/journal_mark.h) */
	_Atomic bool doubt_stays; /* a folder was left out */
	struct pass_deletes {
		int64_t known, most;	/* messages before; how many of them may be deleted */
		_Atomic int64_t wanted; /* that have gone, in folders looked at so far */
		bool held;		/* too many have gone: none is deleted */
	} deletes;
	struct {
		_Atomic int64_t copied, bytes, deleted, flags;
		_Atomic int64_t strays; /* after the flip: done on old by a client */
		_Atomic int64_t burn_ms; /* spent on using UIDs up */
	} count;
	pass_progress_fn *on_progress;
	void *arg;

	pthread_mutex_t lock; /* of what follows, and of on_progress() */
	struct buf why;	      /* why it is not clean, sentences divided by "; " */
	unsigned why_count;
	struct buf notes; /* what people should know all the same, likewise */
	unsigned note_count;

	struct job_result result; /* at the end */
};

/* A message as one side lists it. */
struct seen {
	uint32_t uid, size;
	const char *flags; /* of the pool */
	int64_t date;
};

struct work;
/* For callbacks: a side of a folder at work. */
struct side_of {
	struct work *w;
	enum side side;
};

/*
 * One folder at work. seen and rows are the whole folder, or where both servers have told what
 * changed since the last pass only what is concerned by it: then a row's message that has not
 * changed stands in seen as the journal has it; or, of a folder that is swept, one window.
 */
struct work {
	struct pass *pass;
	struct lane *lane;
	const struct folder_pair *pair; /* NULL: `from` has no such folder any more */
	struct journal_folder *f;
	struct selected selected[SIDES];
	const char *permanent;	  /* flags the other side keeps; NULL: all */
	struct seen *seen[SIDES]; /* by uid */
	size_t seen_count[SIDES], seen_room[SIDES];
	bool adds_up[SIDES];	  /* the listing is whole: who is not in it is gone */
	struct journal_msg *rows; /* by uid on `from`; those without one first */
	size_t row_count;
	struct journal_counts count; /* of the folder's rows, before the pass changed any */
	uint32_t next_uid;  /* the other side says that its UIDNEXT is at least this … */
	uint32_t first_uid; /* … and this is proven: what is sent now is not below it */
	bool wary;	    /* some were refused before: see PASS_WARY_COUNT */
	bool touched;	    /* something was changed on the other side since it was listed */

	int refusals; /* messages refused in a row */
	struct uids uids;

	struct journal_lost lost;
	bool renumbered; /* `from` has other UIDs now: rows without one may be found again */
	bool whole;
	bool told[SIDES]; /* seen comes from what the server told of changes */
	bool flood[SIDES]; /* of more changes than can be held: the folder is swept */
	struct changes changes[SIDES];
	uint64_t seen_modseq[SIDES]; /* seen is as of these, or later; 0: not known */
	uint32_t seen_uidnext[SIDES];
	struct uid_list gone[SIDES]; /* of what the journal knows */
	struct uid_list concerned[SIDES];
	int64_t strangers; /* messages of the other side that had no row */
	int64_t adopted;   /* of them, those that have got one */
	int64_t wanted_bytes, wanted; /* found to be copied so far */

	struct {	   /* copy_ahead.c */
		bool lent; /* `from` is at the next folder already */
		bool asked;
		bool list_asked; /* together with the look: all is new */
		bool opened;	/* `to` was looked at, too */
		bool opening;	/* that answer is not taken yet */
		bool looked;	/* `from` was looked at while the folder before was ending */
		bool listed;	/* and listed: seen is of all */
		uint32_t *uids; /* being read; owned */
		size_t count;
		struct readahead *in;
	} ahead;
	struct sweep { /* copy_sweep.c */
		bool on;
		struct windows of[SIDES]; /* counted */
		enum side by;		  /* whose UIDs … */
		struct window *at;	  /* … rows and seen are of; NULL: rows without such a
					     UID, a page of them: */
		int64_t after, last;	  /* larger ids than the one, up to the other */
		bool may_delete;	  /* what has gone, of all windows together */
		int64_t done;		  /* messages, in the windows before */
	} sweep;
	struct { /* the last look at the other side */
		bool begun;
		bool taken;
		bool stale;	     /* the folder was opened again since */
		struct seen *before; /* what was seen until then; owned */
		size_t before_count;
		struct side_of side;
	} last;
};

/*
 * Runs the job's kind; job, journal, from, to, lanes.job are set, and the first lane is open.
 * 0: p->result is filled. -1: the pass ended early (*e); all that was done is in the journal.
 */
int pass_run(struct pass *p, struct err *e) MUST_CHECK;
/* The pass cannot be called clean. */
void pass_unclean(struct pass *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What people should know, but does not keep it from being clean. */
void pass_note(struct pass *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void pass_tell(struct pass *p, const char *folder, int64_t done, int64_t total);
bool pass_is_trailing(const struct pass *p);
/* Fills p->list and p->space. */
int pass_survey(struct pass *p, struct err *e) MUST_CHECK;
/* Fills p->list of a side anew. */
int pass_list_side(struct pass *p, enum side s, struct err *e) MUST_CHECK;
/* Is it new, or may there be mail in it that came since it was looked at? */
bool pass_wants_folder(const struct pass *p, const struct folder_pair *pair);
/* Another lane has failed: -1, and e says so. Asked before each batch, and while waiting. */
int pass_is_stopping(const struct pass *p, struct err *e) MUST_CHECK;

/* The folder that this lane does next; false: there is none, or it is not known yet. */
bool pass_next_folder(const struct pass *p, struct lane *l, const struct folder_pair **pair,
		      struct journal_folder **f);

/* copy.c. The folder is worked on and compared; f is written, with settled. */
int copy_folder(struct pass *p, struct lane *l, const struct folder_pair *pair,
		struct journal_folder *f, struct err *e) MUST_CHECK;
/* Only for trailing: who has left old is noted in all folders, before anything is copied. */
int copy_note_gone(struct pass *p, struct lane *l, const struct folder_pair *pair,
		   struct journal_folder *f, struct err *e) MUST_CHECK;
/* The folder is gone on the side that counts: its mail follows, within the brake. */
int copy_vanished(struct pass *p, struct lane *l, struct journal_folder *f,
		  struct err *e) MUST_CHECK;
/* The same while trailing: its mail stays, and is noted as copy_note_gone() does. */
int copy_note_vanished(struct pass *p, struct lane *l, struct journal_folder *f,
		       struct err *e) MUST_CHECK;

/*
 * copy_look.c. Opens the folder on these sides and asks what has changed, both at once; then
 * copy_gather() finds seen and rows: from what was told, or from a listing of the whole.
 */
int copy_look(struct work *w, const bool sides[SIDES], struct err *e) MUST_CHECK;
int copy_gather(struct work *w, const bool sides[SIDES], struct err *e) MUST_CHECK;
/* Opens the other side's folder again; ERR_TEMP if it is another one by now. */
int copy_reopen(struct work *w, struct err *e) MUST_CHECK;
/*
 * After changes of our own: seen of the other side is up to date. *equal becomes false if it
 * does not add up. Begun, it is asked for, and what else is asked of the folder goes with it;
 * meanwhile seen is empty.
 */
int copy_look_again_begin(struct work *w, struct err *e) MUST_CHECK;
int copy_look_again(struct work *w, bool *equal, struct err *e) MUST_CHECK;
void copy_look_release(struct work *w);

/* One side is opened and asked: begun, and its answer. */
int copy_look_begin(struct work *w, enum side s, struct err *e) MUST_CHECK;
int copy_look_end(struct work *w, enum side s, struct err *e) MUST_CHECK;
/* Where the connection to the other side is at another folder by now, w's is opened again. */
int copy_have_open(struct work *w, struct err *e) MUST_CHECK;

/* copy.c. */
struct work *copy_work_new(struct pass *p, struct lane *l, const struct folder_pair *pair,
			   struct journal_folder *f);
void copy_work_free(struct work **w);
/* What is new on `from` comes over and, if asked, what changed in the rest follows. */
int copy_bring(struct work *w, bool mend, struct err *e) MUST_CHECK;

/*
 * copy_sweep.c. For a folder of which copy_gather() has found that it has to be swept: all that
 * is done with it, a window after the other. What is concluded from a message that is not there
 * needs three things: UIDs alone, counted over all windows, add up with what the server says it
 * has; the count of all windows together is within the brake; and the window's own listing, made
 * later, misses no more than that count.
 */
bool sweep_is_due(const struct work *w, const bool sides[SIDES]);
/* Is there no window behind the present one? True where nothing is swept. */
bool sweep_is_last(const struct work *w);
/* Messages of `from` that had no row when they were counted, from this window on; else 0. */
size_t sweep_to_come(const struct work *w);
int sweep_in_step(struct work *w, bool *equal, struct err *e) MUST_CHECK;
int sweep_trailing(struct work *w, struct err *e) MUST_CHECK;
int sweep_vanished(struct work *w, struct err *e) MUST_CHECK;
typedef int sweep_fn(struct work *w, void *arg, struct err *e);
/* Of one side: fn sees each window that misses some of the journal's, with UIDs alone in seen. */
int sweep_gone(struct work *w, enum side s, sweep_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* May so many be missing in this window? False: it is not to be believed, and does not add up. */
bool sweep_agrees(struct work *w, enum side s, size_t missing);
/* rows and, of s, seen (UIDs alone) of one of its windows. */
int sweep_uids(struct work *w, enum side s, struct window *at, struct err *e) MUST_CHECK;
/* fn sees, in a work of its own, each window of the other side that holds strangers. */
int sweep_strangers(const struct work *w, sweep_fn *fn, void *arg, struct err *e) MUST_CHECK;
void sweep_release(struct work *w);

/* How far w is: with so many of what it is at now, or of all its windows. */
void copy_tell(const struct work *w, size_t done, size_t total);

/* copy_list.c. Lists one side: w->seen, w->adds_up. */
int copy_list(struct work *w, enum side s, struct err *e) MUST_CHECK;
/* UIDs of `to`, from this one on, that no row has; the caller releases *out in any case. */
int copy_unknown_there(struct work *w, uint32_t from_uid, struct uid_list *out,
		       struct err *e) MUST_CHECK;
/* Adds to w->seen; copy_tidy_seen() sorts, each UID once. */
void copy_see(struct work *w, enum side s, const struct message_info *i);
int copy_take(const struct message_info *i, void *side_of, struct err *e); /* copy_see() */
void copy_see_as(struct work *w, enum side s, const struct seen *m);
void copy_tidy_seen(struct work *w, enum side s);
/* Only among the first n of w->seen. */
const struct seen *copy_find_among(const struct work *w, enum side s, size_t n, uint32_t uid);
/* How many of w->seen of the other side have a row. */
int64_t copy_known_there(const struct work *w);
const struct seen *copy_find(const struct work *w, enum side s, uint32_t uid); /* NULL: none */
/* Reads w->rows again: all, those concerned, or those of the window. */
int copy_load_rows(struct work *w, struct err *e) MUST_CHECK;
/* The row of a message of `from`; NULL: none. */
struct journal_msg *copy_row_of(const struct work *w, uint32_t uid);
void copy_sort_rows(struct journal_msg **rows, size_t n, enum side s); /* by uid there */
/* Rows by uid on `to`; the caller frees. */
struct journal_msg **copy_rows_by_to(const struct work *w);

/*
 * copy_new.c. All of `from` that has no row. Begun it is being read: until the end nobody else
 * may use that side of the lane. Given up before its end, that connection is broken.
 */
struct stream;
int copy_new_begin(struct work *w, struct stream **out, struct err *e) MUST_CHECK;
/* Of its batches; one_by_one: of one message each. */
struct flow_limits copy_new_limits(const struct work *w, bool one_by_one);
/* All is sent, and what became of it is in the journal, though not in w's rows yet. */
int copy_new_send(struct stream *st, struct err *e) MUST_CHECK;
int copy_new_end(struct stream *st, struct err *e) MUST_CHECK;
void copy_new_free(struct stream **st);

/*
 * copy_mend.c. Before the flip, of mail that is on both sides: what has left `from` leaves `to`
 * (within the brake), and flags are as `from` has them.
 */
int copy_mend(struct work *w, struct err *e) MUST_CHECK;
/* The same in two parts: begun it is sent, and new mail may be sent behind it. At the end w's
 * rows may be other ones. *out is to be freed in any case. */
struct mending;
int copy_mend_begin(struct work *w, struct mending **out, struct err *e) MUST_CHECK;
int copy_mend_end(struct mending *m, struct err *e) MUST_CHECK;
void copy_mend_free(struct mending **m);

/* copy_flags.c. What of these flags the other side keeps; of the lane's pool. */
const char *copy_fit_flags(const struct work *w, const char *flags);

/* copy_flags.c. Trailing: the first pass follows old's late changes, where new is as the journal
 * has it. Other flags that old has otherwise are noted; after the first pass they are strays. */
int copy_old_flags(struct work *w, struct err *e) MUST_CHECK;
/* Notes which keywords the other side could not keep. */
int flags_report(struct pass *p, struct err *e) MUST_CHECK;

/* copy_delete.c. Beginning of a pass in step: what has gone of all folders together. */
int deletes_survey(struct pass *p, const struct journal_folder *known, size_t n,
		   struct err *e) MUST_CHECK;
/* Rows whose message somebody removed on `to`: forgotten, so that it is copied again. */
int copy_drop_lost(struct work *w, struct err *e) MUST_CHECK;
/* The same in parts: how many in w's rows, and the date of the youngest; then, of all of them,
 * whether they were removed for their age, and in each part what that means. */
struct lost {
	int64_t count, youngest;
};
size_t lost_count(const struct work *w, struct lost *sum);
int lost_is_purge(const struct work *w, const struct lost *sum, bool *out,
		  struct err *e) MUST_CHECK;
int lost_drop(struct work *w, bool purged, struct err *e) MUST_CHECK;
/* Takes these away on `to`. *gone: they are; false: without UIDPLUS they had better stay, and it
 * is said. */
int copy_expunge(struct work *w, const struct uid_list *uids, bool *gone,
		 struct err *e) MUST_CHECK;
/* May so many follow, in this folder and in all? If not, it is said why. */
bool deletes_allowed(struct work *w, size_t n);

/* probe.c. Open batches of the folder are resolved; waits for the fence where something is
 * missing. */
int probe_batches(struct work *w, struct err *e) MUST_CHECK;
/* Pure: which of `there` (canonical digests, in UID order) is which of `sent` (in sending
 * order)? match[i] = index or -1. */
void probe_align(const struct digest *sent, size_t sent_count, const struct digest *there,
		 size_t there_count, int *match);

/*
 * Before a batch is settled: where the server says its messages are (APPENDUID) counts only if
 * that is possible, and was found true once on this lane; else new_uid becomes 0, and the batch
 * is one that has to be looked up. may_ask: nothing is under way on the connection.
 */
void probe_claims(struct work *w, struct batch *b, bool may_ask);

/*
 * Messages of ours, not proven yet, that are not where APPENDUID said: in doubt again, and
 * looked for by content. *looked: their rows may have changed; false: there is no mail that
 * could be them (must: look all the same).
 */
int probe_astray(struct work *w, struct journal_msg **rows, size_t n, bool must, bool *looked,
		 struct err *e) MUST_CHECK;

/*
 * doubt.c. Before anything is asked: is the journal in doubt? Then waits for the fence. With the
 * listings at hand: forgets folders whose names say nothing any more. At the end: it is in doubt
 * no longer, if no folder was left out.
 */
int doubt_begin(struct pass *p, struct err *e) MUST_CHECK;
int doubt_survey(struct pass *p, struct err *e) MUST_CHECK;
int doubt_end(struct pass *p, struct err *e) MUST_CHECK;

/* adopt.c. Messages that neither side's rows know are matched by content and taken into the
 * journal. */
int adopt_unknown(struct work *w, struct err *e) MUST_CHECK;

/* verify.c. Bytes of what was not compared yet; then lists, flags and dates of the whole
 * folder. */
int verify_bytes(struct work *w, struct err *e) MUST_CHECK;
int verify_folder(struct work *w, bool *equal, struct err *e) MUST_CHECK;
/* Its parts, of what is in seen and rows: against `from`; flags and dates on the other side; and
 * mail there that has no row. */
void verify_here(const struct work *w, bool *equal);
int verify_there(struct work *w, bool *equal, struct err *e) MUST_CHECK;
int verify_strangers(struct work *w, bool *equal, struct err *e) MUST_CHECK;

/* The numbered steps that tests stop a worker at (MAILFERRY_STOP_AT_STEP=n): then it ends as if
 * killed. */
void pass_step(void);

#endif
