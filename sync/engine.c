/* Hides: when the store is looked through, and who goes first. */
#include "common/clock.h"
#include "common/store_engine.h"
#include "common/store_trace.h"
#include "sync/engine_impl.h"

#define TICK_MS	    250	 /* the net under the nudges */
#define NOT_BEGUN_MAX 100 /* users of one scan for whom no worker could be started */
#define SCAN_GAP_MS 100	 /* nodes nudge once a second each; not every nudge is worth a look */
#define SCAN_MS	    1000 /* without a nudge */
#define SCAN_SLICE  1000 /* users looked at before the loop may do something else */
#define SCAN_REST   3 /* after a scan that took n ms, the next comes no sooner than n × this */
#define LONG_AGO    1 /* of a lease; 0 would be: none is needed */

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

/* Without a worker. */
static bool move_user(struct engine *en, const struct user *u, enum user_state to,
		      const char *why)
{
	struct run r = { .en = en, .about = { .what = "user", .user = u->name } };

	return run_move_user(&r, u, to, why);
}

/* The password goes when that is written, not before: passes of who is not done need it. */
static void finish_user(struct engine *en, const struct user *u)
{
	if (move_user(en, u, USER_DONE,
		      en->view.mx ? "the MX has led to new and nothing has arrived on old for "
				    "long enough"
				  : "nothing has arrived on old for long enough"))
		learned_forget(en->o.learned, u->name);
}

void engine_when(struct engine *en, const struct user *u, bool quiet_too,
		 struct wave_facts *out)
{
	struct err e = { 0 };

	if (waves_facts(en->waves, u, runs_of_wave(en, u->wave), en->view.now, out, &e) < 0)
		log_error(NULL, "%s", e.text);
	if (!quiet_too || !wave_wants_quiet(en->view.now, out))
		return;
	out->quiet_known = true; /* and open, where that cannot be read */
	if (store_user_quiet(en->o.store, u->name, &out->quiet_since, &e) < 0)
		log_error(NULL, "%s", e.text);
}

/* The first look is cheap: each user is looked at once a second. */
static struct plan plan_first(struct engine *en, const struct user *u, bool asked)
{
	struct wave_facts when;
	struct plan p;

	if (u->state != USER_READY || !u->go)
		return plan_user(u, &en->view, asked);
	engine_when(en, u, false, &when);
	en->view.when = &when;
	p = plan_user(u, &en->view, asked);
	en->view.when = NULL;
	return p;
}

/* What is known of a user besides his row is read only where all else is open. */
static struct plan plan_alone(struct engine *en, const struct user *u)
{
	bool asked = names_has(&en->asked, u->name);
	struct wave_facts when;
	struct gate_known known;
	struct err e = { 0 };
	struct plan p;

	en->view.mx = u->state == USER_TRAILING ? dns_watch_mx(en->mx, u->name) : NULL;
	p = plan_first(en, u, asked);
	if (p.step != PLAN_CUTOVER)
		return p;
	if (gate_known_read(en->o.store, u->name, u->wave, &known, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return (struct plan){ .step = PLAN_REST };
	}
	en->view.known = &known;
	if (u->state == USER_READY) {
		engine_when(en, u, true, &when);
		en->view.when = &when;
	}
	p = plan_user(u, &en->view, asked);
	en->view.known = NULL;
	en->view.when = NULL;
	return p;
}

/* Another tool that writes the user's mail on new is waited for. */
static bool is_pulled(const struct engine *en, const struct user *u)
{
	return u->state != USER_RETURNING && pulls_hold(en->pulls, u->name);
}

static struct plan plan_now(struct engine *en, const struct user *u)
{
	struct plan p = plan_alone(en, u);

	if ((p.step == PLAN_PASS || p.step == PLAN_CUTOVER) && is_pulled(en, u))
		return (struct plan){ .step = PLAN_REST };
	return p;
}

/* He has his slot, and his place in the rate and in the first hour; and however long connecting
 * took, what the last pass has not seen is for the last delta. */
static bool gate_is_open_still(struct engine *en, const struct user *u,
			       const struct gate_known *known, char *why, size_t size)
{
	struct gate_item items[GATE_ITEMS];
	struct gate_view v = en->view;
	struct wave_facts when;

	v.cutovers_running = 0;
	v.known = known;
	if (u->state == USER_READY) {
		engine_when(en, u, true, &when);
		when.next = when.fresh = 0;
		v.when = &when;
	}
	(void)gate_check(u, &v, items);
	for (int i = 0; i < GATE_ITEMS; i++)
		if (!items[i].ok && i != GATE_RECENT) {
			snprintf(why, size, "%s: %.200s", items[i].name, items[i].text);
			return false;
		}
	return true;
}

bool engine_may_freeze(struct engine *en, const struct user *u, char *why, size_t size)
{
	struct gate_known known;
	struct err e = { 0 };

	if (is_pulled(en, u)) {
		snprintf(why, size, "OpenSRS's tool is to pull the mail");
		return false;
	}
	if (engine_look_around(en, &e) < 0 ||
	    gate_known_read(en->o.store, u->name, u->wave, &known, &e) < 0) {
		snprintf(why, size, "%s", e.text);
		return false;
	}
	if (!engine_trusts(en)) {
		snprintf(why, size, "the store is not the one it was");
		return false;
	}
	return gate_is_open_still(en, u, &known, why, size);
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
		(void)move_user(en, &u, USER_SYNCING, "a slot is free");
		user_release(&u);
		got = store_user_get(en->o.store, c->user, &u, &e);
	}
	if (got <= 0 || now.step != c->plan.step)
		goto out;
	if (now.step == PLAN_UNDO)
		undo_orphan(en, &u);
	else if (now.step == PLAN_FINISH)
		finish_user(en, &u);
	else if (now.step == PLAN_STAY)
		(void)move_user(en, &u, USER_TRAILING, "the rollback was withdrawn");
	else
		runs_start(en, &u, now.step);
out:
	user_release(&u);
}

/* ---- the scan */

static int on_node(const struct node_row *n, void *arg)
{
	struct gate_view *v = arg;

	if (n->lapsed && n->counts && !v->lapsed[0])
		snprintf(v->lapsed, sizeof v->lapsed, "%s", n->node);
	if (n->lapsed && !n->counts && !v->gone[0])
		snprintf(v->gone, sizeof v->gone, "%s", n->node);
	return 0;
}

int engine_look_around(struct engine *en, struct err *e)
{
	en->view = (struct gate_view){
		.s = en->o.settings,
		.now = store_now_ms(en->o.store),
		.cutovers_running = runs_count(en, true),
		/* For the gate a worker is always to be had in time; who waits is the
		   planner's. */
		.worker_free = true,
	};
	if (waves_look(en->waves, e) < 0 ||
	    trouble_read(en->o.store, en->o.settings, &en->view.trouble, e) < 0)
		return -1;
	return store_nodes_each(en->o.store, on_node, &en->view, e);
}

static int on_user(const struct user *u, void *arg)
{
	struct engine *en = arg;
	struct plan p;

	snprintf(en->scan.after, sizeof en->scan.after, "%s", u->name);
	en->scan.in_slice++;
	tally_user(en->tally, u);
	if (runs_find(en, u->name))
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

bool engine_has_room_here(struct engine *en, enum plan_step step)
{
	if (!plan_needs_worker(step))
		return true;
	/* Errands: of the time when it stood by. */
	if (runs_here(en) + errands_count(en) + depot_coming(en->o.depot) >= runs_max_here(en) ||
	    runs_connections(en) >= runs_connections_max(en))
		return false;
	return step != PLAN_CUTOVER || runs_count(en, true) < en->o.settings->cutover.parallel;
}

bool engine_has_room(struct engine *en, enum plan_step step)
{
	if (engine_has_room_here(en, step))
		return true;
	return step != PLAN_CUTOVER && lend_room(en) > 0 &&
	       runs_connections(en) < runs_connections_max(en);
}

bool engine_trusts(const struct engine *en)
{
	return !en->o.trusts || en->o.trusts(en->o.trusts_arg);
}

static void drop_choices(struct engine *en)
{
	while (en->choice_count)
		mem_free(&en->choices[--en->choice_count].user);
}

/* Each is a write, and keeps no worker: without an end a whole list of users whose password is
 * missing would be gone through while nobody is answered, and no lease renewed. */
static bool has_begun_enough(struct engine *en)
{
	if (en->not_begun < NOT_BEGUN_MAX)
		return false;
	en->nudged = true;
	return true;
}

static void take_choices(struct engine *en)
{
	en->queued = en->not_begun = 0;
	if (en->choice_count && !engine_trusts(en))
		drop_choices(en);
	for (size_t i = 0; i < en->choice_count; i++) {
		struct choice *c = &en->choices[i];

		if (engine_has_room(en, c->plan.step) && !has_begun_enough(en))
			carry_out(en, c);
		else
			en->queued++;
		mem_free(&c->user);
	}
	en->choice_count = 0;
}

static void scan_cancel(struct engine *en)
{
	event_del(en->scan.more);
	en->scan.under_way = false;
	en->scan.ended = clock_mono_ms();
	drop_choices(en);
}

static void scan_end(struct engine *en)
{
	struct err e = { 0 };

	/* What was looked at before the first slice has grown old. */
	if (en->scan.sliced && engine_look_around(en, &e) < 0) {
		log_error(NULL, "%s", e.text);
		scan_cancel(en);
		return;
	}
	en->scan.under_way = false;
	en->scan.ended = clock_mono_ms();
	tally_users_end(en->tally);
	if (en->choice_count)
		qsort(en->choices, en->choice_count, sizeof *en->choices, compare_choices);
	take_choices(en);
}

/* Some of the users; in a large store whoever asks the API is answered between two slices. */
static void scan_slice(struct engine *en)
{
	const struct timeval at_once = { 0 };
	struct user_filter f = { .after = en->scan.after, .limit = SCAN_SLICE };
	int64_t start = clock_mono_ms();
	struct err e = { 0 };

	en->scan.in_slice = 0;
	if (store_users_each(en->o.store, &f, on_user, en, &e) < 0) {
		log_error(NULL, "%s", e.text);
		scan_cancel(en);
		return;
	}
	en->scan.took_ms += clock_mono_ms() - start;
	en->scan.sliced = en->scan.sliced || en->scan.in_slice == SCAN_SLICE;
	if (en->scan.in_slice == SCAN_SLICE)
		event_add(en->scan.more, &at_once);
	else
		scan_end(en);
}

static void scan_begin(struct engine *en)
{
	struct err e = { 0 };

	en->nudged = false;
	en->scan.under_way = true;
	en->scan.sliced = false;
	en->scan.after[0] = '\0';
	en->scan.took_ms = 0;
	tally_users_begin(en->tally);
	if (engine_look_around(en, &e) == 0) {
		scan_slice(en);
		return;
	}
	log_error(NULL, "%s", e.text);
	scan_cancel(en);
}

static bool scan_is_due(const struct engine *en)
{
	int64_t rest = en->scan.took_ms * SCAN_REST, since = clock_mono_ms() - en->scan.ended;

	if (en->scan.under_way)
		return false;
	return since >= MAX(rest, SCAN_MS) || (en->nudged && since >= MAX(rest, SCAN_GAP_MS));
}

static void on_more(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	scan_slice(arg);
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

/* Between two beats, when somebody has said that there may be some. */
static void look_for_errands(struct engine *en)
{
	if (en->at_work || !en->nudged || clock_mono_ms() - en->looked_for < SCAN_GAP_MS)
		return;
	en->nudged = false;
	en->looked_for = clock_mono_ms();
	(void)errands_look(en);
}

static void tick(struct engine *en)
{
	struct err e = { 0 };

	speed_tick(en->speed);
	tick_cutovers(en);
	errands_tick(en);
	look_for_errands(en);
	if (en->stopping || !en->at_work)
		return;
	/* Before anybody is begun who may be at work elsewhere. */
	if (lend_tick(en, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return;
	}
	pulls_tick(en->pulls);
	dns_watch_tick(en->mx);
	waves_tick(en->waves);
	depot_tick(en->o.depot);
	if (scan_is_due(en)) {
		drop_ended_traces(en);
		learned_tick(en->o.learned);
		scan_begin(en);
	}
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	tick(arg);
}

/* ---- for others */

static bool is_busy(const char *user, void *arg)
{
	return runs_find(arg, user) != NULL;
}

static void pull_ended(const char *user, void *arg)
{
	struct engine *en = arg;
	struct err e = { 0 };

	if (names_add(&en->asked, user, &e) < 0)
		log_debug(NULL, "%s", e.text); /* its turn comes anyway */
	en->nudged = true;
}

struct engine *engine_new(const struct engine_opts *o)
{
	struct engine *en = mem_new(sizeof *en);
	struct timeval t = { .tv_usec = TICK_MS * 1000 };

	en->o = *o;
	en->tally = tally_new();
	en->speed = speed_new(o->store, o->settings);
	speed_lease(en->speed, LONG_AGO); /* nobody sends before the first renewal */
	en->waves = waves_new(o->store, o->settings, en->speed);
	en->mx = dns_watch_new(o->base, o->store, o->settings);
	en->o.shop.pace_fds = speed_fds(en->speed);
	en->pulls = pulls_new(&(struct pulls_opts){ .store = o->store,
						    .settings = o->settings,
						    .learned = o->learned,
						    .shop = &en->o.shop,
						    .depot = o->depot,
						    .busy = is_busy,
						    .ended = pull_ended,
						    .arg = en });
	en->timer = event_new(o->base, -1, EV_PERSIST, on_timer, en);
	event_add(en->timer, &t);
	en->scan.more = evtimer_new(o->base, on_more, en);
	ASSERT(en->scan.more);
	en->scan.ended = clock_mono_ms() - SCAN_MS;
	return en;
}

void engine_free(struct engine **en)
{
	ASSERT(engine_idle(*en));
	event_free((*en)->timer);
	pulls_free(&(*en)->pulls);
	event_free((*en)->scan.more);
	waves_free(&(*en)->waves);
	speed_free(&(*en)->speed);
	dns_watch_free(&(*en)->mx);
	tally_free(&(*en)->tally);
	names_release(&(*en)->asked);
	names_release(&(*en)->awaited);
	names_release(&(*en)->traced);
	names_release(&(*en)->lend.home);
	tokens_release(&(*en)->tokens);
	mem_free(&(*en)->choices);
	mem_free(en);
}

static int count_engine(const struct engine_row *g, void *arg)
{
	struct engine *en = arg;

	if (g->silent || (!g->active && !g->workers))
		return 0;
	en->others.hosts++;
	if (strcmp(g->place, en->o.place->id) != 0)
		en->others.workers += g->workers;
	return 0;
}

/* Where journals can be taken from one to the other. */
static void look_for_others(struct engine *en)
{
	struct err e = { 0 };

	if (!en->o.depot)
		return;
	en->others.hosts = en->others.workers = 0;
	if (store_engines_each(en->o.store, count_engine, en, &e) < 0)
		log_error(NULL, "%s", e.text);
	speed_share(en->speed, en->others.hosts);
	store_engine_lend(en->o.store, errands_max(en));
}

void engine_renewed(struct engine *en, bool at_work, int64_t until)
{
	en->at_work = en->at_work || at_work;
	en->until = until;
	look_for_others(en);
	if (errands_look(en))
		speed_lease(en->speed, MAX(until, LONG_AGO));
}

void engine_distrusts(struct engine *en)
{
	en->until = 0;
}

bool engine_has_errands(const struct engine *en)
{
	return en->errands != NULL;
}

bool engine_stands_by(const struct engine *en)
{
	return !en->at_work;
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
	pulls_stop(en->pulls);
	scan_cancel(en);
	errands_stop(en);
	for (struct run *r = en->runs; r; r = next) {
		next = r->next;
		r->cancelled = true;
		if (r->lent)
			run_free(r); /* the next engine at work finds it in the store */
		else if (r->cutover)
			cutover_cancel(r->cutover, "the engine is being stopped");
		else
			en->o.shop.stop(r->worker);
	}
}

bool engine_idle(const struct engine *en)
{
	return !en->runs && !en->errands && pulls_idle(en->pulls);
}

int engine_sync_now(struct engine *en, const struct user *u, struct err *e)
{
	if (user_is_held(u->state) || u->state == USER_DONE)
		return err_set(e, ERR_INPUT, "user %s is %s: there is nothing to sync", u->name,
			       user_state_name(u->state));
	if (user_route(u->state) == ROUTE_OLD && u->state != USER_PENDING &&
	    pulls_hold(en->pulls, u->name))
		return err_set(
			e, ERR_INPUT,
			"user %s: OpenSRS's tool is to pull the mail, see `mailferry why`",
			u->name);
	if (names_add(&en->asked, u->name, e) < 0 || names_add(&en->awaited, u->name, e) < 0)
		return -1;
	en->nudged = true;
	return 0;
}

bool engine_awaited(const struct engine *en, const char *user)
{
	const struct run *r = runs_find(en, user);

	return (r && r->awaited) || names_has(&en->awaited, user);
}

struct pulls *engine_pulls(struct engine *en)
{
	return en->pulls;
}

const struct engine_live *engine_live(const struct engine *en, const char *user)
{
	const struct run *r = runs_find(en, user);

	return r ? &r->live : NULL;
}

void engine_live_each(const struct engine *en, void (*fn)(const char *user, void *to), void *to)
{
	for (const struct run *r = en->runs; r; r = r->next)
		fn(r->user, to);
}

struct engine_count engine_count(struct engine *en)
{
	return (struct engine_count){
		.workers = runs_count(en, false),
		.workers_max = runs_max(en),
		.queued = en->queued,
		.cutovers = runs_count(en, true),
	};
}

void engine_metrics(struct engine *en, bool ready, struct buf *out)
{
	/* Each engine tells of its own, so that the sum is right. */
	struct tally_view v = {
		.store = en->o.store,
		.workers = runs_here(en) + errands_count(en),
		.workers_max = runs_max_here(en),
		.leases = runs_count(en, false) - runs_here(en),
		.queued = en->queued,
		.cutovers = runs_count(en, true),
		.at_work = en->at_work,
		.ready = ready,
	};

	tally_write(en->tally, &v, out);
}

void engine_trace(struct engine *en, const char *user, bool on)
{
	struct run *r = runs_find(en, user);
	struct err e = { 0 };

	if (!on)
		names_drop(&en->traced, user);
	else if (names_add(&en->traced, user, &e) < 0)
		log_warn(NULL, "trace of %s: %s", user, e.text);
	if (r)
		r->about.traced = on;
}
