/*
 * Several folders of one user at once: each lane is a thread with a connection to each side.
 * The first lane is the caller's own; the others are opened only when there is work for them,
 * and a server that refuses them leaves us with fewer.
 */
#ifndef SYNC_LANES_H
#define SYNC_LANES_H

#include <pthread.h>

#include "sync/flags.h"
#include "sync/mailbox.h"

#define LANES_MAX 8 /* of one user; sync.connections */

/* May the receiving side's APPENDUID be believed? */
enum uids_trust { UIDS_UNPROVEN, UIDS_PROVEN, UIDS_WRONG };

/*
 * A connection to each side, and the texts of flags read there. Used by one thread at a time:
 * nobody else's lane is ever touched.
 */
struct lane {
	struct mailbox *box[SIDES];
	struct flag_pool *pool; /* NULL: not open */
	bool refused;		/* the server did not let us; not tried again */
	bool login_refused[SIDES];
	enum uids_trust uids;
	struct crew *crew; /* while lanes_run() */
	bool has_reserved; /* a task that is kept for it */
	size_t reserved;
	struct work *ahead; /* what was begun of it (sync/ahead.h) */
};

/* A thread of this process; signals stay with the first one. The caller joins it. */
void lane_thread(pthread_t *t, void *(*run)(void *), void *arg);

/* Connects and logs in on both sides at the same time. -1: none is open; login_refused says by
 * whom. */
int lane_open(struct lane *l, const struct job *job, struct err *e) MUST_CHECK;
void lane_close(struct lane *l); /* a lane that is not open is fine */

struct lanes {
	const struct job *job;
	struct lane at[LANES_MAX]; /* at[0] is the caller's; it has to be open */
	_Atomic bool stopping;	   /* one of them failed: the others end at their next batch */
};

/* All of them, at the same time. */
void lanes_close(struct lanes *ls);

/* One task: a folder. Called from the lane's thread. */
typedef int lanes_fn(struct lane *l, size_t task, void *arg, struct err *e);

/* The task that this lane does when it is done with the present one. false: none is left. */
bool lane_reserve(struct lane *l, size_t *task);

/*
 * Calls fn for tasks 0 … count-1, in order as lanes become free, in at most `most` lanes. -1:
 * the first error; what was not begun by then is not done.
 */
int lanes_run(struct lanes *ls, size_t count, int most, lanes_fn *fn, void *arg,
	      struct err *e) MUST_CHECK;

#endif
