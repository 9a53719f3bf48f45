/* Hides: the list of what runs now, and when the store is looked through. */
#include "sync/engine.h"

#include <limits.h>

#include "common/clock.h"
#include "sync/facts_keep.h"
#include "sync/hosts.h"
#include "sync/names.h"
#include "sync/order.h"
#include "sync/speed.h"
#include "sync/uidl_inbox.h"

#define TICK_MS	    250	 /* the net under the nudges */
#define SCAN_GAP_MS 100	 /* nodes nudge once a second each; not every nudge is worth a look */
#define SCAN_MS	    1000 /* without a nudge */

struct run {
	struct engine *en;
	struct run *next;
	char *user;
	struct engine_live live;
	struct worker *worker;	 /* of a pass, probe or trailing pass */
	struct cutover *cutover; /* or this */
	int connections;	 /* to each server that it may open */
	struct uidl_inbox uidl;
	bool cancelled; /* we stopped it: it tells nothing about the user */
	struct log_about about;
};

struct choice {
	struct plan plan;
	char *user;
};

struct engine {
	struct engine_opts o;
	struct event *timer;
	struct run *runs;
	struct names asked, traced;
	struct choice *choices; /* of the scan under way */
	size_t choice_count, choice_size;
	struct gate_view view;
	struct hosts hosts;
	struct speed *speed;
	int queued;
	int64_t next_scan; /* monotonic */
	bool nudged, stopping;
};

/* ---- runs */

static struct run *run_find(const struct engine *en, const char *user)
{
	for (struct run *r = en->runs; r; r = r->next)
		if (strcmp(r->user, user) == 0)
			return r;
	return NULL;
}

static int runs_count(const struct engine *en, bool cutovers_only)
{
	int n = 0;

	for (const struct run *r = en->runs; r; r = r->next)
		n += !cutovers_only || r->live.kind == JOB_FINAL;
	return n;
}

static int connections_open(const struct engine *en)
{
	int n = 0;

	for (const struct run *r = en->runs; r; r = r->next)
		n += r->connections;
	return n;
}

/* To each server at once: by the settings and the time of day, and by what the servers bear. */
static int connections_max(struct engine *en)
{
	int n = INT_MAX;

	for (int i = 0; i < SIDES; i++)
		n = MIN(n, hosts_limit(&en->hosts, (enum side)i,
				       speed_connections(en->speed, (enum side)i),
				       clock_mono_ms()));
	return n;
}

/* How many may run at once, if each has one connection. */
static int workers_max(struct engine *en)
{
	return MIN(en->o.settings->sync.workers, connections_max(en));
}

static struct run *run_new(struct engine *en, const struct user *u, enum job_kind kind)
{
	struct run *r = mem_new(sizeof *r);

	r->en = en;
	r->user = mem_str(u->name);
	r->live.kind = kind;
	r->live.started = clock_real_ms();
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

static void run_free(struct run *r)
{
	struct run **p = &r->en->runs;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	r->en->nudged = true; /* a slot is free */
	uidl_inbox_release(&r->uidl);
	mem_free(&r->user);
	mem_free(&r);
}

/* ---- how a pass ended */

static void log_store(const struct run *r, const struct err *e)
{
	log_error(&r->about, "%s", e->text);
}

static void move_user(const struct run *r, const struct user *u, enum user_state to,
		      const char *why)
{
	struct user_move m = { .name = u->name,
			       .from = u->state,
			       .to = to,
			       .change = u->change,
			       .actor = "engine",
			       .why = why };
	struct err e = { 0 };

	switch (store_user_move(r->en->o.store, &m, NULL, &e)) {
	case MOVE_DONE:
		log_info(&r->about, "now %s: %s", user_state_name(to), why);
		break;
	case MOVE_LOST:
		break; /* somebody moved the user; the next scan sees where he is */
	case MOVE_FAILED:
		log_store(r, &e);
		break;
	}
}

/* Probes and first passes wait longer each time; ready and trailing keep to their turns. */
static void back_off(const struct run *r, const struct user *u, const struct job_result *res,
		     const char *why)
{
	int64_t wait_ms = plan_wait_ms(r->en->o.settings->sync.retry_s, u->attempts, res);
	struct err e = { 0 };

	log_warn(&r->about, "%s failed, next try in %lld s: %s", job_kind_name(r->live.kind),
		 (long long)wait_ms / 1000, why);
	if (store_user_failed(r->en->o.store, u->name, wait_ms, why, &e) < 0)
		log_store(r, &e);
}

static bool is_full(const struct job_result *res)
{
	return res && !res->ok && res->kind == ERR_FULL;
}

static void write_progress(const struct run *r, const struct user *u,
			   const struct job_result *res, const char *error, int64_t ended)
{
	struct progress p = u->progress;
	struct err e = { 0 };

	p.passes++;
	p.pass_ended = ended;
	p.pass_clean = res && res->ok && res->clean;
	p.pass_error = (char *)error;
	p.quota = is_full(res) ? (char *)error : (char *)"";
	p.not_before = 0;
	if (res && !res->ok && (res->later.wait_ms || is_full(res)))
		p.not_before =
			ended + plan_wait_ms(r->en->o.settings->sync.retry_s, u->attempts, res);
	if (res && res->ok) {
		p.pass_took = res->took_ms;
		p.copied += res->copied;
		if (r->live.kind == JOB_PASS) {
			p.messages = res->messages;
			p.verified = res->verified;
			p.exceptions = res->exceptions;
			p.bytes = res->bytes;
		}
		if (r->live.kind == JOB_TRAILING && res->arrived > 0)
			p.last_arrival = ended;
	}
	if (store_user_progress(r->en->o.store, u->name, &p, &e) < 0 ||
	    (res && res->ok && res->facts.known && facts_keep(r->en->o.store, u, res, &e) < 0))
		log_store(r, &e);
}

static void ended_probe(const struct run *r, const struct user *u, const struct job_result *res,
			const char *why)
{
	if (!res || !res->ok) {
		back_off(r, u, res, why);
		return;
	}
	if (res->text[0])
		log_warn(&r->about, "%s", res->text);
	move_user(r, u, USER_PROVISIONED, "both servers let us in");
}

static void ended_pass_well(const struct run *r, const struct user *u,
			    const struct job_result *res)
{
	bool progress = res->copied || res->deleted || res->flags;
	struct err e = { 0 };

	log_info(&r->about,
		 "pass: %lld messages, %lld copied, %lld deleted, %lld flags, %lld compared, "
		 "%lld exceptions, %lld ms%s%s",
		 (long long)res->messages, (long long)res->copied, (long long)res->deleted,
		 (long long)res->flags, (long long)res->verified, (long long)res->exceptions,
		 (long long)res->took_ms,
		 !res->text[0] ? ""
		 : res->clean  ? "; "
			       : "; not clean: ",
		 res->text);
	write_progress(r, u, res, "", clock_real_ms());
	if (u->state == USER_SYNCING && res->clean)
		move_user(r, u, USER_READY, "the pass was clean");
	else if (u->state == USER_READY && res->exceptions > 0)
		move_user(r, u, USER_SYNCING, "messages could not be copied");
	else if (!res->clean && u->state == USER_SYNCING && (res->exceptions > 0 || !progress))
		back_off(r, u, res, res->text[0] ? res->text : "the pass was not clean");
	else if (!res->clean && names_add(&r->en->asked, u->name, &e) < 0)
		log_debug(&r->about, "%s", e.text); /* its turn comes anyway */
}

static void ended_pass(const struct run *r, const struct user *u, const struct job_result *res,
		       const char *why)
{
	if (res && res->ok) {
		ended_pass_well(r, u, res);
		return;
	}
	write_progress(r, u, res, why, clock_real_ms());
	if (u->state == USER_SYNCING)
		back_off(r, u, res, why);
	else
		log_warn(&r->about, "pass failed: %s", why);
}

static void ended_trailing(const struct run *r, const struct user *u,
			   const struct job_result *res, const char *why)
{
	bool ok = res && res->ok;

	write_progress(r, u, res, ok ? "" : why, clock_real_ms());
	if (!ok)
		log_warn(&r->about, "trailing pass failed: %s", why);
	else
		log_info(&r->about, "trailing pass: %lld arrived on old and were brought over",
			 (long long)res->arrived);
}

/* What a server said concerns all who want something of it. */
static void tell_hosts(struct run *r, const struct job_result *res)
{
	struct engine *en = r->en;
	int open = connections_open(en);

	if (!res || res->ok || res->later.whom == LATER_NOBODY)
		return;
	hosts_hear(&en->hosts, &res->later, res->text, open, clock_mono_ms());
	log_info(&r->about, "the %s server asks for patience: this concerns the %s",
		 side_name((enum side)res->later.side), later_whom_name(res->later.whom));
}

static void run_ended(struct run *r, const struct job_result *res, const char *why)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(r->en->o.store, r->user, &u, &e);

	if (got < 0)
		log_store(r, &e);
	if (got <= 0)
		return;
	r->about.state = user_state_name(u.state);
	switch (r->live.kind) {
	case JOB_PROBE:
		ended_probe(r, &u, res, why);
		break;
	case JOB_PASS:
		ended_pass(r, &u, res, why);
		break;
	case JOB_TRAILING:
		ended_trailing(r, &u, res, why);
		break;
	case JOB_FINAL:
	case JOB_AUDIT: /* sync/audits.c starts them */
	case JOB_KINDS:
		break;
	}
	user_release(&u);
}

static void take_uidl(struct run *r, const struct job_event *ev)
{
	struct err e = { 0 };

	if (uidl_inbox_take(&r->uidl, r->en->o.store, r->user, ev, &e) < 0)
		log_store(r, &e);
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
	case WORKER_UIDL:
		take_uidl(r, ev->job);
		break;
	case WORKER_WAITING:
	case WORKER_AUDIT:
	case WORKER_RESULT:
		break;
	case WORKER_ENDED:
		tell_hosts(r, ev->result);
		if (!r->cancelled)
			run_ended(r, ev->result, ev->result ? ev->result->text : ev->text);
		run_free(r);
		break;
	}
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
		log_store(r, &e);
	user_release(&u);
}

static void cutover_flipped(struct run *r, const struct job_result *res)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(r->en->o.store, r->user, &u, &e);

	/* Dated before the flip: the first trailing pass is due at once. */
	if (got > 0)
		write_progress(r, &u, res, "", u.state_since - 1);
	else if (got < 0)
		log_store(r, &e);
	user_release(&u);
}

static void on_cutover_end(struct cutover *c UNUSED, enum cutover_end end,
			   const struct job_result *res, const char *text, void *arg)
{
	struct run *r = arg;

	tell_hosts(r, res);
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
		break;
	}
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

	log_warn(&r->about, "cannot start: %s", e->text);
	if (u->state != USER_PENDING)
		write_progress(r, u, NULL, e->text, clock_real_ms());
	if (store_user_failed(r->en->o.store, u->name, wait_ms,
			      u->state == USER_READY ? "" : e->text, &store) < 0)
		log_store(r, &store);
	run_free(r);
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
		.on_end = on_cutover_end,
		.on_gone = on_cutover_gone,
		.arg = r,
	};
	int rc;

	if (order_fill(&j, r->live.kind, u, en->o.settings, e) < 0)
		return -1;
	if (uidl_wanted(en->o.store, en->o.settings, u->name, &j, &j.uidl, e) < 0) {
		job_release(&j);
		return -1;
	}
	/* What is left of them: at least one, for there was room. */
	j.connections = MAX(1, MIN(j.connections, connections_max(en) - connections_open(en)));
	r->connections = r->live.kind == JOB_PROBE ? 1 : j.connections;
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
	case PLAN_STEPS:
		break;
	}
	BUG("plan step %d needs no worker", (int)step);
}

static void start_job(struct engine *en, const struct user *u, enum plan_step step)
{
	struct run *r = run_new(en, u, job_of(step));
	struct err e = { 0 };

	names_drop(&en->asked, u->name);
	log_debug(&r->about, "%s starts", job_kind_name(r->live.kind));
	if (start_run(r, u, &e) < 0)
		could_not_start(r, u, &e);
}

static void undo_orphan(struct engine *en, const struct user *u)
{
	struct log_about a = { .what = "user",
			       .user = u->name,
			       .state = user_state_name(u->state) };
	struct err e = { 0 };
	int rc = cutover_undo_orphan(en->o.store, en->o.settings, u,
				     "the engine that held the user is gone", &e);

	if (rc < 0)
		log_error(&a, "cutover cannot be undone yet: %s", e.text);
	else if (rc > 0)
		log_info(&a, "cutover undone: its engine is gone");
}

static void finish_user(struct engine *en, const struct user *u)
{
	struct run r = { .en = en, .about = { .what = "user", .user = u->name } };

	move_user(&r, u, USER_DONE, "nothing has arrived on old for long enough");
}

/* What is known of a user besides his row is read only where all else is open. It is about the
 * way to new: on the way back nobody asks. */
static struct plan plan_now(struct engine *en, const struct user *u)
{
	bool asked = names_has(&en->asked, u->name);
	struct plan p = plan_user(u, &en->view, asked);
	struct gate_known known;
	struct err e = { 0 };

	if (p.step != PLAN_CUTOVER || u->state == USER_RETURNING)
		return p;
	if (gate_known_read(en->o.store, u->name, u->wave, &known, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return (struct plan){ .step = PLAN_REST };
	}
	en->view.known = &known;
	p = plan_user(u, &en->view, asked);
	en->view.known = NULL;
	return p;
}

/* The row is read again: the scan's may be old, and the first pass moves it. */
static void carry_out(struct engine *en, const struct choice *c)
{
	struct user u = { 0 };
	struct err e = { 0 };
	struct plan now;
	int got = store_user_get(en->o.store, c->user, &u, &e);

	if (got < 0)
		log_error(NULL, "%s", e.text);
	if (got <= 0)
		return;
	now = plan_now(en, &u);
	if (now.step == PLAN_PASS && u.state == USER_PROVISIONED) {
		struct run r = { .en = en, .about = { .what = "user", .user = u.name } };

		move_user(&r, &u, USER_SYNCING, "a slot is free");
		user_release(&u);
		got = store_user_get(en->o.store, c->user, &u, &e);
	}
	if (got <= 0 || now.step != c->plan.step)
		goto out;
	if (now.step == PLAN_UNDO)
		undo_orphan(en, &u);
	else if (now.step == PLAN_FINISH)
		finish_user(en, &u);
	else
		start_job(en, &u, now.step);
out:
	user_release(&u);
}

/* ---- the scan */

static int on_node(const struct node_row *n, void *arg)
{
	struct gate_view *v = arg;

	if (n->counts && n->lapsed && !v->lapsed[0])
		snprintf(v->lapsed, sizeof v->lapsed, "%s", n->node);
	return 0;
}

static int look_around(struct engine *en, struct err *e)
{
	en->view = (struct gate_view){
		.s = en->o.settings,
		.now = store_now_ms(en->o.store),
		.cutovers_running = runs_count(en, true),
		/* For the gate a worker is always to be had in time; who waits is the
		   planner's. */
		.worker_free = true,
	};
	return store_nodes_each(en->o.store, on_node, &en->view, e);
}

static int on_user(const struct user *u, void *arg)
{
	struct engine *en = arg;
	struct plan p;

	if (run_find(en, u->name))
		return 0;
	p = plan_now(en, u);
	if (p.step == PLAN_REST)
		return 0;
	if (en->choice_count == en->choice_size) {
		en->choice_size = en->choice_size ? en->choice_size * 2 : 64;
		en->choices = mem_grow(en->choices, en->choice_size, sizeof *en->choices);
	}
	en->choices[en->choice_count++] = (struct choice){ p, mem_str(u->name) };
	return 0;
}

static int compare_choices(const void *a, const void *b)
{
	return plan_compare(&((const struct choice *)a)->plan,
			    &((const struct choice *)b)->plan);
}

static bool has_room(struct engine *en, enum plan_step step)
{
	if (!plan_needs_worker(step))
		return true;
	if (runs_count(en, false) >= workers_max(en) ||
	    connections_open(en) >= connections_max(en))
		return false;
	return step != PLAN_CUTOVER || runs_count(en, true) < en->o.settings->cutover.parallel;
}

static void take_choices(struct engine *en)
{
	en->queued = 0;
	for (size_t i = 0; i < en->choice_count; i++) {
		struct choice *c = &en->choices[i];

		if (has_room(en, c->plan.step))
			carry_out(en, c);
		else
			en->queued++;
		mem_free(&c->user);
	}
	en->choice_count = 0;
}

static void scan(struct engine *en)
{
	static const struct user_filter all;
	struct err e = { 0 };

	en->nudged = false;
	if (look_around(en, &e) < 0 || store_users_each(en->o.store, &all, on_user, en, &e) < 0)
		log_error(NULL, "%s", e.text);
	if (en->choice_count)
		qsort(en->choices, en->choice_count, sizeof *en->choices, compare_choices);
	take_choices(en);
	en->next_scan = clock_mono_ms() + SCAN_MS;
}

/* A tick may end a cutover and so take its run off the list. */
static void tick_cutovers(struct engine *en)
{
	struct run *next;

	for (struct run *r = en->runs; r; r = next) {
		next = r->next;
		if (r->cutover)
			cutover_tick(r->cutover);
	}
}

/* Traces end by themselves, and nobody tells us. */
static void drop_ended_traces(struct engine *en)
{
	struct err e = { 0 };

	for (size_t i = en->traced.n; i-- > 0;)
		if (store_trace_live(en->o.store, en->traced.at[i], &e) == 0)
			engine_trace(en, en->traced.at[i], false);
}

static void tick(struct engine *en)
{
	int64_t now = clock_mono_ms();

	speed_tick(en->speed);
	tick_cutovers(en);
	if (en->stopping)
		return;
	if (now >= en->next_scan ||
	    (en->nudged && now >= en->next_scan - SCAN_MS + SCAN_GAP_MS)) {
		drop_ended_traces(en);
		scan(en);
	}
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	tick(arg);
}

/* ---- for others */

struct engine *engine_new(const struct engine_opts *o)
{
	struct engine *en = mem_new(sizeof *en);
	struct timeval t = { .tv_usec = TICK_MS * 1000 };

	en->o = *o;
	en->speed = speed_new(o->store, o->settings);
	en->o.shop.pace_fd = speed_fd(en->speed);
	en->timer = event_new(o->base, -1, EV_PERSIST, on_timer, en);
	event_add(en->timer, &t);
	return en;
}

void engine_free(struct engine **en)
{
	ASSERT(engine_idle(*en));
	event_free((*en)->timer);
	speed_free(&(*en)->speed);
	names_release(&(*en)->asked);
	names_release(&(*en)->traced);
	mem_free(&(*en)->choices);
	mem_free(en);
}

void engine_nudge(struct engine *en)
{
	en->nudged = true;
	tick(en);
}

void engine_stop(struct engine *en)
{
	struct run *next;

	en->stopping = true;
	for (struct run *r = en->runs; r; r = next) {
		next = r->next;
		r->cancelled = true;
		if (r->cutover)
			cutover_cancel(r->cutover, "the engine is being stopped");
		else
			en->o.shop.stop(r->worker);
	}
}

bool engine_idle(const struct engine *en)
{
	return !en->runs;
}

int engine_sync_now(struct engine *en, const struct user *u, struct err *e)
{
	if (user_is_held(u->state) || u->state == USER_DONE)
		return err_set(e, ERR_INPUT, "user %s is %s: there is nothing to sync", u->name,
			       user_state_name(u->state));
	if (names_add(&en->asked, u->name, e) < 0)
		return -1;
	en->nudged = true;
	return 0;
}

static void why_held(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "nodes", .ok = true };
	struct quiet q = { 0 };
	struct err e = { 0 };

	if (u->state == USER_FINALIZING) {
		i = (struct gate_item){ .name = "delta", .text = "the last delta" };
	} else if (store_quiet(en->o.store, u->name, u->change, &q, &e) < 0) {
		i.ok = false;
		snprintf(i.text, sizeof i.text, "%s", e.text);
	} else {
		gate_quiet_text(u, &q, i.text, sizeof i.text);
		i.ok = !i.text[0];
		if (i.ok)
			snprintf(i.text, sizeof i.text, "every node is quiet");
	}
	fn(&i, to);
}

static void why_slot(struct engine *en, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "slot" };

	i.ok = runs_count(en, false) < workers_max(en);
	snprintf(i.text, sizeof i.text, "%d of %d workers are busy", runs_count(en, false),
		 workers_max(en));
	fn(&i, to);
}

/* What the servers have said lately; nothing if nothing. */
static void why_servers(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "servers" };

	for (int s = 0; s < SIDES; s++) {
		hosts_text(&en->hosts, (enum side)s, speed_connections(en->speed, (enum side)s),
			   clock_mono_ms(), i.text, sizeof i.text);
		i.ok = !hosts_paused(&en->hosts, (enum side)s, clock_mono_ms());
		if (i.text[0])
			fn(&i, to);
		speed_text(en->speed, (enum side)s, i.text, sizeof i.text);
		i.ok = true;
		if (i.text[0])
			fn(&i, to);
	}
	i.ok = u->progress.not_before <= store_now_ms(en->o.store);
	snprintf(i.text, sizeof i.text, "a server wants this user to be left alone: %s",
		 u->progress.pass_error ? u->progress.pass_error : "");
	if (!i.ok)
		fn(&i, to);
}

static void why_ready(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item items[GATE_ITEMS];
	struct gate_known known;
	struct err e = { 0 };

	if (look_around(en, &e) < 0 ||
	    gate_known_read(en->o.store, u->name, u->wave, &known, &e) < 0) {
		log_error(NULL, "%s", e.text);
		known = (struct gate_known){ 0 };
	}
	en->view.worker_free = has_room(en, PLAN_PASS);
	en->view.known = u->state == USER_RETURNING ? NULL : &known;
	(void)gate_check(u, &en->view, items);
	en->view.known = NULL;
	for (int i = 0; i < GATE_ITEMS; i++)
		fn(&items[i], to);
}

void engine_why(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	switch (u->state) {
	case USER_PENDING:
	case USER_PROVISIONED:
	case USER_SYNCING:
		why_slot(en, fn, to);
		why_servers(en, u, fn, to);
		break;
	case USER_READY:
	case USER_RETURNING:
		why_ready(en, u, fn, to);
		why_servers(en, u, fn, to);
		break;
	case USER_FREEZING:
	case USER_FINALIZING:
		why_held(en, u, fn, to);
		break;
	case USER_TRAILING:
	case USER_DONE:
	case USER_STATES:
		break;
	}
}

const struct engine_live *engine_live(const struct engine *en, const char *user)
{
	const struct run *r = run_find(en, user);

	return r ? &r->live : NULL;
}

struct engine_count engine_count(struct engine *en)
{
	return (struct engine_count){
		.workers = runs_count(en, false),
		.workers_max = workers_max(en),
		.queued = en->queued,
		.cutovers = runs_count(en, true),
	};
}

void engine_trace(struct engine *en, const char *user, bool on)
{
	struct run *r = run_find(en, user);
	struct err e = { 0 };

	if (!on)
		names_drop(&en->traced, user);
	else if (names_add(&en->traced, user, &e) < 0)
		log_warn(NULL, "trace of %s: %s", user, e.text);
	if (r)
		r->about.traced = on;
}
