/*
 * Passes that engines of other hosts make for the one at work (common/store_lease.h): whom they
 * are offered, what became of them. To the rest of the engine such a pass is a run like any
 * other; only its worker is elsewhere.
 *
 * Cutovers are never lent, nor is what changes accounts or drives OpenSRS's tool.
 */
#ifndef SYNC_LEND_H
#define SYNC_LEND_H

#include "sync/job.h"

struct engine;

#define LEND_OFFER_MS	 5000		   /* nobody takes it: it is made here */
#define LEND_JOURNAL_MAX (64 * 1024 * 1024) /* bytes; a larger one is not carried about */

/* Before the first scan of an engine at work, and often: takes what has ended, and takes back
 * what another host left lying. */
int lend_tick(struct engine *en, struct err *e) MUST_CHECK;
/* How many more other hosts could take. */
int lend_room(const struct engine *en);
/*
 * The user's pass, where another host may rather make it: his journal is there, or (full) there
 * is no room here. True: nothing is begun here now; it is offered, and a run, or it is not known
 * whether it is, and lend_tick() will find out.
 */
bool lend_pass(struct engine *en, const struct user *u, enum job_kind kind, bool full);

#endif
