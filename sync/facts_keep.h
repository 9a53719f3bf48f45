/* The engine's side of the facts: what a pass told is kept, with what only the engine knows. */
#ifndef SYNC_FACTS_KEEP_H
#define SYNC_FACTS_KEEP_H

#include "common/store.h"
#include "sync/job.h"

/*
 * After a pass that told facts: writes them into the store. u is the row from before the pass:
 * whether mail was in step already decides whether its time counts, and the end of the pass
 * before decides whether a node can have seen what changed. What no node is known to have seen
 * is judged by a later pass, FACTS_TOLD_MS after; till then the gate waits for it.
 */
int facts_keep(struct store *st, const struct user *u, const struct job_result *r,
	       struct err *e) MUST_CHECK;
/* Had a node a session of the user when the changes were made … */
struct facts_witness {
	bool of_found; /* … that are not judged yet? */
	bool of_pass;  /* … that this pass found? */
};
/* Pure: fills what is the engine's from what was known before. */
void facts_carry_on(struct facts *f, const struct facts *before, const struct user *u,
		    const struct job_result *r, const struct facts_witness *w, int64_t now);

#endif
