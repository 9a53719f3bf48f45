/*
 * Users of a job whom its worker does not follow: ended before its time, or let go by a person
 * though the tool was not through with them, or not to be followed now. While it may be at one
 * of them it may still come to others. Pure.
 */
#ifndef SYNC_PULL_OTHERS_H
#define SYNC_PULL_OTHERS_H

#include "sync/job_pull.h"
#include "sync/pull_status.h"

struct pull_other {
	char *login; /* on old */
	struct pull_seen seen;
};
struct pull_others {
	struct pull_other *at;
	size_t count;
};
void pull_others_release(struct pull_others *o);

/* After each look at the job. */
void pull_others_take(struct pull_others *o, const json_t *answer, const struct job_pull *ours);
/* What was wanted of them is not known: their figures have to add up for longer. */
bool pull_others_ended(const struct pull_others *o);

#endif
