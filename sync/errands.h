/*
 * Passes that this engine makes for the one at work on another host, while it stands by
 * (common/store_lease.h). It decides nothing about a user: it takes his journal, runs a worker,
 * brings the journal back to the store, and only then says what the worker said.
 *
 * Its workers send nothing once this engine was not heard of in time; for then the user may be
 * somebody else's.
 */
#ifndef SYNC_ERRANDS_H
#define SYNC_ERRANDS_H

#include "common/err.h"

struct engine;

#define ERRAND_JOURNAL_MS 10000 /* a journal that is not there by then is refused */

int errands_count(const struct engine *en); /* under way */
/* How many it makes at once; 0: none, for it is at work itself, ends, or may not. */
int errands_max(const struct engine *en);
/*
 * After each beat of the lease: takes what is offered, ends what is not ours any more. False:
 * the time until which workers may send must not be moved on yet.
 */
bool errands_look(struct engine *en);
/* Often. */
void errands_tick(struct engine *en);
/* Ends all workers; what they did goes back as it is. */
void errands_stop(struct engine *en);

#endif
