/* Hides: nothing; one function per state says what its user is due for. */
#include "sync/planner.h"

#include "sync/trailing.h"

enum { RANK_STORE, RANK_CUTOVER, RANK_GO, RANK_OTHER };

static const struct plan rest = { .step = PLAN_REST };

static struct plan at(enum plan_step step, const struct user *u, int64_t due,
		      const struct gate_view *v, bool asked)
{
	if (!asked && MAX(due, u->progress.not_before) > v->now)
		return rest;
	return (struct plan){ .step = step,
			      .rank = u->go || asked ? RANK_GO : RANK_OTHER,
			      .due = MIN(due, v->now) };
}

static struct plan plan_first_passes(const struct user *u, const struct gate_view *v,
				     bool asked)
{
	int64_t gap_end = u->progress.pass_ended + PLAN_PASS_GAP_MS;

	return at(PLAN_PASS, u, MAX(gap_end, u->next_try), v, asked && gap_end <= v->now);
}

static bool last_pass_failed(const struct user *u)
{
	return u->progress.pass_error && *u->progress.pass_error;
}

/* With the go, a pass that may open the gate does not wait for its turn. */
static struct plan plan_ready(const struct user *u, const struct gate_view *v, bool asked)
{
	struct gate_item items[GATE_ITEMS];
	int64_t ended = u->progress.pass_ended, wait_ms = (int64_t)v->s->sync.delta_s * 1000;
	bool open = gate_check(u, v, items), wanted;

	if (open)
		return (struct plan){ .step = PLAN_CUTOVER,
				      .rank = RANK_CUTOVER,
				      .due = u->state_since };
	wanted = items[GATE_GO].ok && items[GATE_STUCK].ok && items[GATE_BACKOFF].ok &&
		 gate_wants_pass(items, v);
	if (wanted)
		wait_ms = last_pass_failed(u)
				  ? (int64_t)v->s->sync.retry_s * 1000
				  : MIN(wait_ms, PLAN_PASS_GAP_MS + 2 * u->progress.pass_took);
	return at(PLAN_PASS, u, ended + wait_ms, v,
		  asked && ended + PLAN_PASS_GAP_MS <= v->now);
}

static struct plan plan_trailing(const struct user *u, const struct gate_view *v, bool asked)
{
	const struct progress *p = &u->progress;
	const struct trailing t = { .user = u, .settings = v->s, .mx = v->mx, .now = v->now };
	int64_t wait_ms = trailing_wait_ms(&t);

	/* The first one right after the flip. */
	if (p->pass_ended <= u->state_since)
		return at(PLAN_TRAILING, u, u->state_since, v, asked);
	if (!last_pass_failed(u) && trailing_is_over(&t))
		return (struct plan){ .step = PLAN_FINISH, .rank = RANK_STORE };
	if (last_pass_failed(u))
		wait_ms = MIN(wait_ms, (int64_t)v->s->sync.retry_s * 1000);
	return at(PLAN_TRAILING, u, p->pass_ended + wait_ms, v,
		  asked && p->pass_ended + PLAN_PASS_GAP_MS <= v->now);
}

/* The last pass before this state led the other way. */
static struct plan plan_returning(const struct user *u, const struct gate_view *v, bool asked)
{
	if (!u->go)
		return (struct plan){ .step = PLAN_STAY, .rank = RANK_STORE };
	if (u->progress.pass_ended <= u->state_since && !u->undos)
		return at(PLAN_PASS, u, MAX(u->state_since, u->next_try), v, asked);
	return plan_ready(u, v, asked);
}

struct plan plan_user(const struct user *u, const struct gate_view *v, bool asked)
{
	switch (u->state) {
	case USER_PENDING:
		return at(PLAN_PROBE, u, MAX(u->state_since, u->next_try), v, asked);
	case USER_PROVISIONED:
	case USER_SYNCING:
		return plan_first_passes(u, v, asked);
	case USER_READY:
		return plan_ready(u, v, asked);
	case USER_FREEZING:
	case USER_FINALIZING:
		return (struct plan){ .step = PLAN_UNDO, .rank = RANK_STORE };
	case USER_TRAILING:
		return plan_trailing(u, v, asked);
	case USER_RETURNING:
		return plan_returning(u, v, asked);
	case USER_DONE:
	case USER_STATES:
		return rest;
	}
	BUG("user state %d", (int)u->state);
}

bool plan_needs_worker(enum plan_step step)
{
	return step == PLAN_PROBE || step == PLAN_PASS || step == PLAN_TRAILING ||
	       step == PLAN_CUTOVER;
}

int plan_compare(const struct plan *a, const struct plan *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return (a->due > b->due) - (a->due < b->due);
}

int64_t plan_backoff_ms(int retry_s, int failures)
{
	int64_t ms = (int64_t)retry_s * 1000;

	for (int i = 0; i < failures && ms < PLAN_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return MIN(ms, PLAN_BACKOFF_MAX_MS);
}

int64_t plan_wait_ms(int retry_s, int failures, const struct job_result *r)
{
	int64_t ours = plan_backoff_ms(retry_s, failures);

	/* What concerns one command only is no promise: the third time we choose. */
	if (r && r->later.wait_ms &&
	    (r->later.whom != LATER_COMMAND || failures < PLAN_COMMAND_TRIES))
		return MIN(MAX(r->later.wait_ms, PLAN_TOLD_MIN_MS), PLAN_BACKOFF_MAX_MS);
	return r && r->kind == ERR_FULL ? MAX(ours, PLAN_FULL_MS) : ours;
}
