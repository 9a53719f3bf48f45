/* The engine's side of the facts: what a pass told is kept, with what only the engine knows. */
#ifndef SYNC_FACTS_KEEP_H
#define SYNC_FACTS_KEEP_H

#include "common/store.h"
#include "sync/job.h"

/* Nodes tell of a session within a second, and the store may make them wait. */
#define FACTS_TOLD_MS 3000

/*
 * After a pass that told facts: writes them into the store. u is the row from before the pass:
 * whether mail was in step already decides whether its time counts, and the end of the pass
 * before decides whether a node can have seen what changed. That is judged by a later pass,
 * FACTS_TOLD_MS after.
 */
int facts_keep(struct store *st, const struct user *u, const struct job_result *r,
	       struct err *e) MUST_CHECK;
/* Pure: fills what is the engine's from what was known before. last_session: when a node last
 * had one of the user's. */
void facts_carry_on(struct facts *f, const struct facts *before, const struct user *u,
		    const struct job_result *r, int64_t last_session, int64_t now);

#endif
