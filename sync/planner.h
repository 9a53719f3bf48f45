/*
 * Who is due for what: a pure choice from the users' rows, so that a restart in any state goes
 * on from the store alone. What the engine adds is only who is being worked on and who was
 * asked for.
 */
#ifndef SYNC_PLANNER_H
#define SYNC_PLANNER_H

#include "sync/gate.h"
#include "sync/job.h"

#define PLAN_BACKOFF_MAX_MS 3600000 /* no wait between two tries is longer */
#define PLAN_PASS_GAP_MS    1000    /* between two passes of a user */
#define PLAN_FULL_MS	    600000  /* a full mailbox is not looked at again sooner */
#define PLAN_COMMAND_TRIES  3	    /* short waits for one command before ours count */
#define PLAN_TOLD_MIN_MS    1000    /* the shortest wait that a server can ask for */

enum plan_step {
	PLAN_REST,   /* nothing now */
	PLAN_UNDO,   /* held, and nobody works on it */
	PLAN_FINISH, /* trailing → done */
	PLAN_STAY,   /* returning → trailing: the rollback was withdrawn in its pause */
	PLAN_PROBE,
	PLAN_PASS,
	PLAN_TRAILING,
	PLAN_CUTOVER,
	PLAN_STEPS
};

struct plan {
	enum plan_step step;
	int rank;    /* smaller goes first */
	int64_t due; /* since when; older goes first */
};

/* asked: "sync now", back-off or not. The user is not being worked on. */
struct plan plan_user(const struct user *u, const struct gate_view *v, bool asked);

/* Does the step need a worker? */
bool plan_needs_worker(enum plan_step step);

/* For qsort: rank, then due. */
int plan_compare(const struct plan *a, const struct plan *b);

/* The wait after the failures so far: retry_s, doubled for each of them, up to the limit above.
 */
int64_t plan_backoff_ms(int retry_s, int failures);

/* The wait after this result (NULL: none came): as a server said, else as above. */
int64_t plan_wait_ms(int retry_s, int failures, const struct job_result *r);

#endif
