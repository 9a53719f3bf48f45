/* Hides: workers and cutovers under way, and what the servers bear of them. */
#include <limits.h>

#include "common/clock.h"
#include "sync/engine_impl.h"
#include "sync/order.h"

struct run *runs_find(const struct engine *en, const char *user)
{
	for (struct run *r = en->runs; r; r = r->next)
		if (strcmp(r->user, user) == 0)
			return r;
	return NULL;
}

int runs_count(const struct engine *en, bool cutovers_only)
{
	int n = 0;

	for (const struct run *r = en->runs; r; r = r->next)
		n += !cutovers_only || r->live.kind == JOB_FINAL;
	return n;
}

int runs_of_wave(const struct engine *en, const char *wave)
{
	int n = 0;

	for (const struct run *r = en->runs; r; r = r->next)
		n += r->live.kind == JOB_FINAL && !r->back && strcmp(r->wave, wave) == 0;
	return n;
}

int runs_connections(const struct engine *en)
{
	int n = 0;

	for (const struct run *r = en->runs; r; r = r->next)
		n += r->connections;
	return n;
}

/* To each server at once: by the settings and the time of day, and by what the servers bear. */
int runs_connections_max(struct engine *en)
{
	int n = INT_MAX;

	for (int i = 0; i < SIDES; i++)
		n = MIN(n, hosts_limit(&en->hosts, (enum side)i,
				       speed_connections(en->speed, (enum side)i),
				       clock_mono_ms()));
	return n;
}

int runs_connections_left(struct engine *en, enum job_kind kind)
{
	int left = runs_connections_max(en) - runs_connections(en);

	return kind == JOB_PROBE ? 1 : MAX(1, MIN(en->o.settings->sync.connections, left));
}

int runs_here(const struct engine *en)
{
	int n = 0;

	for (const struct run *r = en->runs; r; r = r->next)
		n += !r->lent;
	return n;
}

int runs_max_here(struct engine *en)
{
	return MIN(en->o.settings->sync.workers, runs_connections_max(en));
}

int runs_max(struct engine *en)
{
	return MIN(en->o.settings->sync.workers + en->others.workers, runs_connections_max(en));
}

struct run *run_new(struct engine *en, const struct user *u, enum job_kind kind)
{
	struct run *r = mem_new(sizeof *r);

	r->en = en;
	r->user = mem_str(u->name);
	r->wave = mem_str(u->wave);
	r->live.kind = kind;
	r->change = u->change;
	r->state = u->state;
	r->awaited = names_has(&en->awaited, u->name);
	names_drop(&en->awaited, u->name);
	r->back = u->state == USER_RETURNING;
	r->live.started = clock_real_ms();
	snprintf(r->live.host, sizeof r->live.host, "%s", en->o.place->host);
	r->about = (struct log_about){
		.what = "user",
		.user = r->user,
		.state = user_state_name(u->state),
		.doing = job_kind_name(kind),
		.traced = names_has(&en->traced, u->name),
	};
	r->next = en->runs;
	en->runs = r;
	return r;
}

void run_free(struct run *r)
{
	struct run **p = &r->en->runs;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	r->en->nudged = true; /* a slot is free */
	if (r->journaled)
		depot_return(r->en->o.depot, r->user);
	uidl_inbox_release(&r->uidl);
	mem_free(&r->user);
	mem_free(&r->wave);
	mem_free(&r);
}

/* ---- what workers say */

/* Without a result, a last delta was stopped and says nothing. */
static void count(const struct run *r, const struct job_result *res)
{
	if (!r->cancelled && (res || r->live.kind != JOB_FINAL))
		tally_run(r->en->tally, r->live.kind, res, clock_real_ms() - r->live.started);
}

/* What a server said concerns all who want something of it. */
static void tell_hosts(struct run *r, const struct job_result *res)
{
	struct engine *en = r->en;
	int open = runs_connections(en);

	if (!res || res->ok || res->later.whom == LATER_NOBODY)
		return;
	hosts_hear(&en->hosts, &res->later, res->text, open, clock_mono_ms());
	log_info(&r->about, "the %s server asks for patience: this concerns the %s",
		 side_name((enum side)res->later.side), later_whom_name(res->later.whom));
}

static void take_uidl(struct run *r, const struct job_event *ev)
{
	struct err e = { 0 };

	if (uidl_inbox_take(&r->uidl, r->en->o.store, r->user, ev, &e) < 0)
		run_log_store(r, &e);
	else if (ev->kind == JOB_EVENT_UIDL)
		log_info(&r->about, "unique ids of POP3: %lld, %lld missing%s%s",
			 (long long)ev->uidl.entries, (long long)ev->uidl.missing,
			 ev->uidl.why[0] ? ": " : "", ev->uidl.why);
}

static void on_worker(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	struct run *r = arg;

	switch (ev->kind) {
	case WORKER_PROGRESS:
		r->live.progress = *ev->job;
		break;
	case WORKER_VALIDITY: /* of a last delta: no run is one */
		break;
	case WORKER_UIDL:
		take_uidl(r, ev->job);
		break;
	case WORKER_WAITING:
	case WORKER_TOKEN:
		tokens_keep(&r->en->tokens, r->user, &ev->job->token, ev->job->until);
		break;
	case WORKER_ACCOUNT:
	case WORKER_PULL:
	case WORKER_AUDIT:
	case WORKER_RESULT:
		break;
	case WORKER_ENDED:
		run_worker_ended(r, ev->result, ev->result ? ev->result->text : ev->text);
		run_free(r);
		break;
	}
}

void run_worker_ended(struct run *r, const struct job_result *res, const char *why)
{
	tell_hosts(r, res);
	count(r, res);
	if (!r->cancelled)
		run_ended(r, res, why);
}

/* ---- how a cutover ended */

/* Failed before anybody was held: no undo to count, but not at once again either. */
static void cutover_not_begun(struct run *r, const char *text)
{
	int64_t wait_ms;
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(r->en->o.store, r->user, &u, &e);

	if (got > 0) {
		wait_ms = plan_backoff_ms(r->en->o.settings->sync.retry_s, u.attempts);
		log_warn(&r->about, "cutover not begun, next try in %lld s: %s",
			 (long long)wait_ms / 1000, text);
		got = store_user_failed(r->en->o.store, r->user, wait_ms, "", &e);
	}
	if (got < 0)
		run_log_store(r, &e);
	user_release(&u);
}

static void cutover_flipped(struct run *r, const struct job_result *res)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(r->en->o.store, r->user, &u, &e);

	/* Dated before the flip: the first trailing pass is due at once. */
	if (got > 0)
		run_write_progress(r, &u, res, "", u.state_since - 1);
	/* What was said about when has happened. */
	if (got < 0 || store_timetable_drop(r->en->o.store, r->user, false, &e) < 0)
		run_log_store(r, &e);
	user_release(&u);
}

static void on_cutover_end(struct cutover *c, enum cutover_end end,
			   const struct job_result *res, const char *text, void *arg)
{
	struct cutover_story story = cutover_story(c);
	struct run *r = arg;

	tell_hosts(r, res);
	count(r, res);
	tally_cutover(r->en->tally, end, &story);
	switch (end) {
	case CUTOVER_FLIPPED:
		cutover_flipped(r, res);
		break;
	case CUTOVER_NOT_BEGUN:
		if (!r->cancelled)
			cutover_not_begun(r, text);
		break;
	case CUTOVER_LOST:
		log_info(&r->about, "cutover not begun: %s", text);
		break;
	case CUTOVER_UNDONE: /* the cutover has logged it, the store counts it */
	case CUTOVER_ENDS:
		break;
	}
}

static bool may_freeze(const struct user *u, char *why, size_t size, void *arg)
{
	const struct run *r = arg;

	return engine_may_freeze(r->en, u, why, size);
}

static void on_cutover_gone(struct cutover *c UNUSED, void *arg)
{
	run_free(arg);
}

/* ---- starting */

static void could_not_start(struct run *r, const struct user *u, const struct err *e)
{
	struct err store = { 0 };
	int64_t wait_ms = plan_backoff_ms(r->en->o.settings->sync.retry_s, u->attempts);

	r->en->not_begun++;
	log_warn(&r->about, "cannot start: %s", e->text);
	if (u->state != USER_PENDING)
		run_write_progress(r, u, NULL, e->text, store_now_ms(r->en->o.store));
	if (store_user_failed(r->en->o.store, u->name, wait_ms,
			      u->state == USER_READY ? "" : e->text, &store) < 0)
		run_log_store(r, &store);
	run_free(r);
}

/* 1: the journal is here, 0: it will be, -1. A cutover by one in doubt is a pass instead. */
static int have_journal(struct engine *en, const struct user *u, enum job_kind *kind,
			struct err *e)
{
	bool doubt;
	int got;

	if (!job_writes(*kind))
		return 1;
	got = depot_take(en->o.depot, u->name, &doubt, e);
	if (got > 0 && doubt && *kind == JOB_FINAL)
		*kind = JOB_PASS;
	return got;
}

int run_order(struct engine *en, enum job_kind kind, const struct user *u, struct job *out,
	      struct err *e)
{
	if (order_fill(out, kind, u, en->o.settings, en->o.learned, e) < 0)
		return -1;
	if (uidl_wanted(en->o.store, en->o.settings, u->name, out, &out->uidl, e) < 0) {
		job_release(out);
		return -1;
	}
	tokens_find(&en->tokens, u->name, clock_real_ms(), &out->opensrs.token);
	return 0;
}

static int start_run(struct run *r, const struct user *u, struct err *e)
{
	struct engine *en = r->en;
	struct job j;
	struct cutover_opts co = {
		.store = en->o.store,
		.settings = en->o.settings,
		.shop = &en->o.shop,
		.about = &r->about,
		.may_freeze = may_freeze,
		.on_end = on_cutover_end,
		.on_gone = on_cutover_gone,
		.arg = r,
	};
	int rc;

	if (run_order(en, r->live.kind, u, &j, e) < 0)
		return -1;
	/* What is left of them: at least one, for there was room. */
	r->connections = runs_connections_left(en, r->live.kind);
	j.connections = r->connections;
	if (r->live.kind == JOB_FINAL)
		rc = cutover_start(&r->cutover, &co, u, &j, e);
	else
		rc = en->o.shop.start(&r->worker, &j, on_worker, r, &en->o.shop, e);
	job_release(&j);
	return rc;
}

static enum job_kind job_of(enum plan_step step)
{
	switch (step) {
	case PLAN_PROBE:
		return JOB_PROBE;
	case PLAN_PASS:
		return JOB_PASS;
	case PLAN_TRAILING:
		return JOB_TRAILING;
	case PLAN_CUTOVER:
		return JOB_FINAL;
	case PLAN_REST:
	case PLAN_UNDO:
	case PLAN_FINISH:
	case PLAN_STAY:
	case PLAN_STEPS:
		break;
	}
	BUG("plan step %d needs no worker", (int)step);
}

void runs_start(struct engine *en, const struct user *u, enum plan_step step)
{
	enum job_kind kind = job_of(step);
	bool full = !engine_has_room_here(en, step);
	struct err e = { 0 };
	struct run *r;
	int here;

	if (lend_pass(en, u, kind, full))
		return;
	if (full) {
		en->queued++;
		return;
	}
	here = have_journal(en, u, &kind, &e);
	if (here == 0) {
		en->nudged = true; /* soon it is */
		return;
	}
	r = run_new(en, u, kind);
	r->journaled = here > 0 && job_writes(kind);
	names_drop(&en->asked, u->name);
	if (kind == JOB_FINAL && u->state == USER_READY)
		waves_begun(en->waves, u, en->view.now);
	log_debug(&r->about, "%s starts", job_kind_name(r->live.kind));
	if (here < 0 || start_run(r, u, &e) < 0)
		could_not_start(r, u, &e);
}
