/* Hides: the steps of a cutover and which of its ways out is taken. */
#include "sync/cutover.h"

#include "common/store_validity.h"
#include "sync/gate.h"
#include "sync/uidl_inbox.h"

#define ACTOR "engine"

enum step {
	STEP_CONNECTING, /* the worker connects; nobody is held */
	STEP_FREEZING,	 /* held; waits for the nodes */
	STEP_FINALIZING, /* held; the last delta runs */
	STEP_CLOSING,	 /* held; the delta is clean, the nodes are looked at again */
	STEP_UNDOING,	 /* held; the undo has to be written */
	STEP_ENDED
};

struct cutover {
	struct cutover_opts o;
	char *name;
	struct worker *worker; /* NULL: gone */
	enum step step;
	enum user_state state; /* of the row, as far as we moved it */
	enum direction direction;
	int64_t change, frozen_change, frozen_at, hold_until;
	bool has_result;
	struct job_result result;
	struct uidl_inbox uidl;
	bool any_map; /* of unique ids: the user is let pass with it as it is */
	enum undo_cause cause;
	char why[ERR_TEXT_MAX]; /* of the undo */
	struct log_about about;
};

/* Frees nothing: the worker's end does, for it comes last. */
static void finish(struct cutover *c, enum cutover_end end, const char *text)
{
	if (c->step == STEP_ENDED)
		return;
	c->step = STEP_ENDED;
	if (c->worker && end != CUTOVER_FLIPPED)
		c->o.shop->stop(c->worker);
	c->o.on_end(c, end, c->has_result ? &c->result : NULL, text, c->o.arg);
}

static enum move_result move(struct cutover *c, enum user_state to, const char *why,
			     struct err *e)
{
	struct user_move m = {
		.name = c->name,
		.from = c->state,
		.to = to,
		.change = c->change,
		.hold_ms = (int64_t)c->o.settings->cutover.budget_s * 1000,
		.retry_ms = (int64_t)c->o.settings->cutover.retry_s * 1000,
		.tries = c->o.settings->cutover.tries,
		.actor = ACTOR,
		.why = why,
	};
	int64_t change = 0;
	enum move_result r = store_user_move(c->o.store, &m, &change, e);

	if (r != MOVE_DONE)
		return r;
	c->change = change;
	c->state = to;
	c->about.state = user_state_name(to);
	return r;
}

/* The steps lead to each other: a freeze may find everybody quiet at once. */
static void advance(struct cutover *c);

/* ---- undo */

static void try_undo(struct cutover *c)
{
	struct err e = { 0 };

	switch (move(c, user_undo_state(c->direction), c->why, &e)) {
	case MOVE_DONE:
		log_info(&c->about, "cutover undone after %lld ms: %s",
			 (long long)(store_now_ms(c->o.store) - c->frozen_at), c->why);
		finish(c, CUTOVER_UNDONE, c->why);
		break;
	case MOVE_LOST:
		log_info(&c->about, "cutover was ended by somebody else: %s", c->why);
		finish(c, CUTOVER_UNDONE, c->why);
		break;
	case MOVE_FAILED:
		log_error(&c->about, "cutover cannot be undone yet: %s", e.text);
		break;
	}
}

static void PRINTF_LIKE(3, 4)
	undo(struct cutover *c, enum undo_cause cause, const char *fmt, ...)
{
	char why[sizeof c->why];
	va_list ap;

	/* By way of a copy: c->why may be among the arguments. */
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	snprintf(c->why, sizeof c->why, "%s", why);
	c->cause = cause;
	c->step = STEP_UNDOING;
	/* First, so that the last delta does not run on beside a live user. */
	if (c->worker)
		c->o.shop->stop(c->worker);
	try_undo(c);
}

/* ---- forward */

/* What the decision was made of may be old by now: the worker had to connect. */
static bool still_wanted(struct cutover *c, char *why, size_t size)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(c->o.store, c->name, &u, &e);
	bool wanted = got > 0 && u.state == c->state && u.change == c->change && u.go;

	snprintf(why, size, "%s", got < 0 ? e.text : "no longer wanted");
	if (wanted && c->o.may_freeze)
		wanted = c->o.may_freeze(&u, why, size, c->o.arg);
	user_release(&u);
	return wanted;
}

/* What the last delta found, under the settings and waivers that hold now. */
static bool gate_is_open(struct cutover *c, const struct job_result *r, char *why, size_t size)
{
	struct gate_view v = { .s = c->o.settings, .now = store_now_ms(c->o.store) };
	struct gate_known known;
	struct user u = { 0 };
	struct err e = { 0 };
	bool open = false;
	int got = store_user_get(c->o.store, c->name, &u, &e);

	if (got > 0 && gate_known_read(c->o.store, c->name, u.wave, &known, &e) == 0) {
		known.facts = r->facts;
		v.known = &known;
		open = gate_may_flip(&u, &v, why, size);
		c->any_map = known.waived[GATE_POP3_IDS].on ||
			     v.s->gate.pop3_ids == RULE_WARN;
	} else {
		snprintf(why, size, "%s", e.text);
	}
	user_release(&u);
	return open;
}

/* hold_until is the store's to say. */
static int read_hold(struct cutover *c, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(c->o.store, c->name, &u, e);

	if (got > 0)
		c->hold_until = u.hold_until;
	user_release(&u);
	return got > 0 ? 0 : -1;
}

static void freeze(struct cutover *c)
{
	char why[sizeof c->why];
	struct err e = { 0 };

	if (!still_wanted(c, why, sizeof why)) {
		finish(c, CUTOVER_LOST, why);
		return;
	}
	c->frozen_at = store_now_ms(c->o.store);
	switch (move(c, USER_FREEZING, "cutover", &e)) {
	case MOVE_DONE:
		break;
	case MOVE_LOST:
		finish(c, CUTOVER_LOST, "moved by somebody else");
		return;
	case MOVE_FAILED:
		finish(c, CUTOVER_NOT_BEGUN, e.text);
		return;
	}
	c->frozen_change = c->change;
	c->step = STEP_FREEZING;
	log_info(&c->about, "frozen: logins wait, budget %d s",
		 c->o.settings->cutover.budget_s);
	if (read_hold(c, &e) < 0)
		undo(c, UNDO_STORE, "%s", e.text);
	else
		advance(c);
}

/* 1: every node that counts is quiet; 0: not yet, or undone. */
static bool all_quiet(struct cutover *c)
{
	struct quiet q = { 0 };
	struct err e = { 0 };

	/* An acknowledgement names the freeze or a later change of this same hold. */
	if (store_quiet(c->o.store, c->name, c->frozen_change, &q, &e) < 0) {
		log_warn(&c->about, "%s", e.text);
		return false;
	}
	if (q.lapsed > 0) {
		undo(c, UNDO_NODES, "a node fell silent: %s", q.waiting);
		return false;
	}
	if (q.acked == q.nodes)
		return true;
	snprintf(c->why, sizeof c->why, "%s", q.waiting);
	return false;
}

static void finalize(struct cutover *c)
{
	struct err e = { 0 };

	switch (move(c, USER_FINALIZING, "every node is quiet", &e)) {
	case MOVE_DONE:
		break;
	case MOVE_LOST:
		undo(c, UNDO_MOVED, "moved by somebody else while frozen");
		return;
	case MOVE_FAILED:
		undo(c, UNDO_STORE, "%s", e.text);
		return;
	}
	c->step = STEP_FINALIZING;
	c->why[0] = '\0';
	log_info(&c->about, "quiet after %lld ms: last delta",
		 (long long)(store_now_ms(c->o.store) - c->frozen_at));
	c->o.shop->go(c->worker);
}

/* Before the flip, for nodes ask at once; as uidl_let_pass(). */
static int take_map(struct cutover *c, struct err *e)
{
	return c->any_map ? uidl_let_pass(c->o.store, c->o.settings, c->name, e) : 0;
}

/* Who is not flipped after all is asked again. */
static void give_map_back(struct cutover *c)
{
	struct err e = { 0 };

	if (store_uidl_accept(c->o.store, c->name, false, &e) < 0)
		log_error(&c->about, "%s", e.text);
}

static void flip(struct cutover *c)
{
	struct err e = { 0 };
	int taken = take_map(c, &e);

	if (taken < 0) {
		undo(c, UNDO_STORE, "%s", e.text);
		return;
	}
	switch (move(c, user_flip_state(c->direction), "last delta clean", &e)) {
	case MOVE_DONE:
		log_info(&c->about, "flipped after %lld ms: logins go to %s",
			 (long long)(store_now_ms(c->o.store) - c->frozen_at),
			 side_name(user_side(c->state, c->direction)));
		finish(c, CUTOVER_FLIPPED, "");
		break;
	case MOVE_LOST:
		if (taken)
			give_map_back(c);
		undo(c, UNDO_MOVED, "too late for the flip");
		break;
	case MOVE_FAILED: /* it may have been written, and then the map is needed */
		undo(c, UNDO_STORE, "%s", e.text);
		break;
	}
}

static bool out_of_time(struct cutover *c)
{
	if (store_now_ms(c->o.store) < c->hold_until - CUTOVER_MARGIN_MS)
		return false;
	if (c->step == STEP_FINALIZING)
		undo(c, UNDO_SLOW_DELTA, "budget of %d s spent in the last delta",
		     c->o.settings->cutover.budget_s);
	else
		undo(c, UNDO_NODES, "budget of %d s spent waiting for: %s",
		     c->o.settings->cutover.budget_s, c->why[0] ? c->why : "the nodes");
	return true;
}

static void advance(struct cutover *c)
{
	switch (c->step) {
	case STEP_CONNECTING:
	case STEP_ENDED:
		break;
	case STEP_FREEZING:
		if (!out_of_time(c) && all_quiet(c))
			finalize(c);
		break;
	case STEP_FINALIZING:
		if (!out_of_time(c))
			(void)all_quiet(c);
		break;
	case STEP_CLOSING:
		if (!out_of_time(c) && all_quiet(c))
			flip(c);
		break;
	case STEP_UNDOING:
		try_undo(c);
		break;
	}
}

/* ---- the worker */

/* Behind the last delta: it may have believed a server that was ill by then. */
static bool servers_are_well(struct cutover *c)
{
	char why[TROUBLE_TEXT_MAX];
	struct trouble t;
	struct err e = { 0 };

	if (trouble_read(c->o.store, c->o.settings, &t, &e) < 0)
		undo(c, UNDO_STORE, "%s", e.text);
	else if (trouble_holds(&t, c->name, c->direction, store_now_ms(c->o.store), why))
		undo(c, UNDO_DELTA, "%s; %s", why, TROUBLE_REMEDY);
	else
		return true;
	return false;
}

/* False: undone. */
static bool may_flip(struct cutover *c, const struct job_result *r)
{
	char why[sizeof c->why];

	if (gate_is_open(c, r, why, sizeof why) &&
	    (c->any_map || uidl_may_flip(c->o.store, c->o.settings, c->name, c->frozen_at, why,
					 sizeof why)))
		return true;
	undo(c, UNDO_GATE, "%s", why);
	return false;
}

static void take_uidl(struct cutover *c, const struct job_event *ev)
{
	struct err e = { 0 };

	if (uidl_inbox_take(&c->uidl, c->o.store, c->name, ev, &e) < 0)
		log_warn(&c->about, "%s", e.text);
}

/* An older map must not outlive this delta. */
static void take_validity(struct cutover *c, const struct job_event *ev)
{
	struct err e = { 0 };

	if (store_validity_write(c->o.store, c->name, ev->body, &e) < 0)
		undo(c, UNDO_STORE, "%s", e.text);
}

static void take_result(struct cutover *c, const struct job_result *r)
{
	c->has_result = true;
	c->result = *r;
	switch (c->step) {
	case STEP_CONNECTING:
		finish(c, CUTOVER_NOT_BEGUN, r->text);
		break;
	case STEP_FREEZING:
		undo(c, UNDO_DELTA, "worker ended too early: %s", r->text);
		break;
	case STEP_FINALIZING:
		if (!r->ok || !r->clean) {
			undo(c, UNDO_DELTA, "last delta: %s",
			     r->text[0] ? r->text : "not clean");
			break;
		}
		if (!servers_are_well(c) || (c->direction == DIR_FORWARD && !may_flip(c, r)))
			break;
		c->step = STEP_CLOSING;
		advance(c);
		break;
	case STEP_CLOSING:
	case STEP_UNDOING:
	case STEP_ENDED:
		break;
	}
}

static void cutover_free(struct cutover **c)
{
	uidl_inbox_release(&(*c)->uidl);
	mem_free(&(*c)->name);
	mem_free(c);
}

/* The last thing of an event: c may be gone after it. */
static void settle(struct cutover *c)
{
	if (c->step != STEP_ENDED || c->worker)
		return;
	c->o.on_gone(c, c->o.arg);
	cutover_free(&c);
}

static void take_end(struct cutover *c, const char *text)
{
	c->worker = NULL;
	if (c->step == STEP_CONNECTING)
		finish(c, CUTOVER_NOT_BEGUN, text);
	else if (c->step == STEP_FREEZING || c->step == STEP_FINALIZING)
		undo(c, UNDO_DELTA, "%s", text);
	settle(c);
}

static void on_worker(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	struct cutover *c = arg;

	switch (ev->kind) {
	case WORKER_WAITING:
		if (c->step == STEP_CONNECTING)
			freeze(c);
		break;
	case WORKER_PROGRESS:
	case WORKER_AUDIT:
	case WORKER_ACCOUNT:
	case WORKER_PULL:
	case WORKER_TOKEN:
		break;
	case WORKER_UIDL:
		if (c->step == STEP_FINALIZING)
			take_uidl(c, ev->job);
		break;
	case WORKER_VALIDITY:
		if (c->step == STEP_FINALIZING)
			take_validity(c, ev->job);
		break;
	case WORKER_RESULT:
		take_result(c, ev->result);
		break;
	case WORKER_ENDED:
		take_end(c, ev->text ? ev->text : "worker ended");
		break;
	}
}

int cutover_start(struct cutover **out, const struct cutover_opts *o, const struct user *u,
		  const struct job *j, struct err *e)
{
	struct cutover *c = mem_new(sizeof *c);

	ASSERT(j->kind == JOB_FINAL && user_may_move(u->state, u->direction, USER_FREEZING));
	c->o = *o;
	c->name = mem_str(u->name);
	c->state = u->state;
	c->direction = user_freeze_direction(u->state);
	c->change = u->change;
	c->about = (struct log_about){ .what = "user",
				       .user = c->name,
				       .state = user_state_name(u->state) };
	if (o->about)
		c->about.traced = o->about->traced;
	if (o->shop->start(&c->worker, j, on_worker, c, o->shop, e) < 0) {
		cutover_free(&c);
		return -1;
	}
	log_info(&c->about, "cutover begins: last delta's worker connects");
	*out = c;
	return 0;
}

void cutover_cancel(struct cutover *c, const char *why)
{
	switch (c->step) {
	case STEP_CONNECTING:
		finish(c, CUTOVER_NOT_BEGUN, why);
		break;
	case STEP_FREEZING:
	case STEP_FINALIZING:
	case STEP_CLOSING:
		undo(c, UNDO_CANCELLED, "%s", why);
		break;
	case STEP_UNDOING:
		try_undo(c);
		break;
	case STEP_ENDED:
		break;
	}
	settle(c);
}

struct cutover_story cutover_story(const struct cutover *c)
{
	return (struct cutover_story){
		.direction = c->direction,
		.cause = c->cause,
		.held_ms = c->frozen_at ? store_now_ms(c->o.store) - c->frozen_at : 0,
	};
}

void cutover_tick(struct cutover *c)
{
	advance(c);
	settle(c);
}

int cutover_undo_orphan(struct store *st, const struct settings *s, const struct user *u,
			const char *why, struct err *e)
{
	struct user_move m = {
		.name = u->name,
		.from = u->state,
		.to = user_undo_state(u->direction),
		.change = u->change,
		.retry_ms = (int64_t)s->cutover.retry_s * 1000,
		.tries = s->cutover.tries,
		.actor = ACTOR,
		.why = why,
	};

	switch (store_user_move(st, &m, NULL, e)) {
	case MOVE_DONE:
		return 1;
	case MOVE_LOST:
		return 0;
	case MOVE_FAILED:
		break;
	}
	return -1;
}
