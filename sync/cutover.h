/*
 * One user's cutover, from ready to the flip or back: the last delta's worker is started and
 * logged in first, then the user is frozen, every node says quiet, the delta runs, and one
 * durable move flips the route. When the budget is spent, or anything is not as it must be, all
 * is undone.
 *
 * Nothing here decides a side: every step is a compare-and-set in the store, so an engine that
 * was stopped and wakes late finds its moves lost and goes away.
 */
#ifndef SYNC_CUTOVER_H
#define SYNC_CUTOVER_H

#include "common/store.h"
#include "config/settings.h"
#include "sync/worker.h"

#define CUTOVER_MARGIN_MS 300 /* the undo begins this long before hold_until */

enum cutover_end {
	CUTOVER_FLIPPED,
	CUTOVER_UNDONE,	   /* by us or by a node; the user is where he was */
	CUTOVER_NOT_BEGUN, /* the worker failed before anybody was held */
	CUTOVER_LOST,	   /* before anybody was held: it is no longer wanted, or may not be */
	CUTOVER_ENDS
};

/* What an undo is put down to, for counting; the words are for people. */
enum undo_cause {
	UNDO_NODES,	 /* they were not quiet within the budget, or one fell silent */
	UNDO_SLOW_DELTA, /* the budget was spent in the last delta */
	UNDO_DELTA,	 /* the last delta failed, or was not clean */
	UNDO_GATE,	 /* what it found keeps the gate shut */
	UNDO_MOVED,	 /* somebody else had moved the user, or the hold was over */
	UNDO_STORE,
	UNDO_CANCELLED, /* the engine is being stopped */
	UNDO_CAUSES
};

struct cutover;

/* For on_end: how it went, in numbers. */
struct cutover_story {
	enum direction direction;
	enum undo_cause cause; /* of CUTOVER_UNDONE */
	int64_t held_ms;       /* since the freeze; 0: nobody was held */
};
struct cutover_story cutover_story(const struct cutover *c);

/*
 * How it went, once. result: the final worker's, NULL if there is none; text: why, for people.
 * The worker may still be on its way out: the cutover is freed with it, after on_gone.
 */
typedef void cutover_end_fn(struct cutover *c, enum cutover_end end,
			    const struct job_result *result, const char *text, void *arg);
typedef void cutover_gone_fn(struct cutover *c, void *arg);
/* The worker is in, and the user is about to be held: is all still as it must be? false: why. */
typedef bool cutover_may_fn(const struct user *u, char *why, size_t size, void *arg);

struct cutover_opts {
	struct store *store;
	const struct settings *settings;
	const struct workshop *shop;
	const struct log_about *about; /* NULL: a plain one */
	cutover_may_fn *may_freeze; /* NULL: nobody asks */
	cutover_end_fn *on_end;
	cutover_gone_fn *on_gone; /* the last call: worker gone, cutover is freed after it */
	void *arg;
};

/* Starts it for a user in ready (or, on the way back, returning). The job is of kind JOB_FINAL.
 */
int cutover_start(struct cutover **out, const struct cutover_opts *o, const struct user *u,
		  const struct job *j, struct err *e) MUST_CHECK;
/*
 * Looks at the store and the clock and does what is due: at every nudge and at the timer. This
 * and cutover_cancel() may be the last call: on_gone comes within it, and c is no more.
 */
void cutover_tick(struct cutover *c);
/* Gives up: undoes what was begun. on_end comes within this call or, if the store fails, a
 * later tick. */
void cutover_cancel(struct cutover *c, const char *why);

/* Undoes a held user whom nobody works on. 1 undone, 0 somebody was faster, -1 error. */
int cutover_undo_orphan(struct store *st, const struct settings *s, const struct user *u,
			const char *why, struct err *e) MUST_CHECK;

#endif
