/* Hides: the way of an errand: journal here, worker, journal back, the word to the store. */
#include "sync/errands.h"

#include "common/clock.h"
#include "common/store_lease.h"
#include "sync/engine_impl.h"
#include "sync/order.h"

#define TELL_MS	    2000  /* between two words about how far it is */
#define LEAVE_MS    60000 /* a journal that cannot be brought back by then stays here, in doubt */
#define LEAVE_GAP_MS 2000  /* between two tries of that */
#define SHY_MIN_MS  1000  /* after an errand that could not be begun; each time twice that, … */
#define SHY_MAX_MS  60000 /* … up to this */

enum step { STEP_JOURNAL, STEP_WORKER, STEP_LEAVE, STEP_TELL };

struct errand {
	struct engine *en;
	struct errand *next;
	char *user;
	enum job_kind kind;
	int64_t change;
	int connections;
	char rules[ORDER_DIGEST_MAX];
	enum step step;
	int64_t since; /* that step; monotonic, as are all here */
	int64_t leave_again; /* not before */
	struct worker *worker;
	struct uidl_inbox uidl;
	char *progress; /* not told yet; NULL: nothing new */
	int64_t told;
	enum lease_state state; /* how it ended … */
	char *text;		/* … in words */
	bool journaled;		/* to be returned to the depot */
	bool seen;		/* in the store, at the last look */
	bool lost;		/* it is not ours any more: nothing is told */
	struct log_about about;
};

static struct errand *find(const struct engine *en, const char *user)
{
	for (struct errand *x = en->errands; x; x = x->next)
		if (strcmp(x->user, user) == 0)
			return x;
	return NULL;
}

int errands_count(const struct engine *en)
{
	int n = 0;

	for (const struct errand *x = en->errands; x; x = x->next)
		n++;
	return n;
}

static void go_to(struct errand *x, enum step step)
{
	x->step = step;
	x->since = clock_mono_ms();
}

static void errand_new(struct engine *en, const struct lease_row *l, enum job_kind kind)
{
	struct errand *x = mem_new(sizeof *x);

	x->en = en;
	x->user = mem_str(l->name);
	x->kind = kind;
	x->change = l->change;
	x->connections = l->connections;
	snprintf(x->rules, sizeof x->rules, "%s", l->rules);
	x->seen = true;
	x->about = (struct log_about){
		.what = "user",
		.user = x->user,
		.doing = job_kind_name(kind),
		.traced = names_has(&en->traced, l->name),
	};
	x->next = en->errands;
	en->errands = x;
	go_to(x, STEP_JOURNAL);
}

static void errand_free(struct errand *x)
{
	struct errand **p = &x->en->errands;

	while (*p != x)
		p = &(*p)->next;
	*p = x->next;
	if (x->journaled)
		depot_return(x->en->o.depot, x->user);
	uidl_inbox_release(&x->uidl);
	mem_free(&x->progress);
	mem_free(&x->text);
	mem_free(&x->user);
	mem_free(&x);
}

/* ---- how it ends */

static void end(struct errand *x, enum lease_state state, const char *text)
{
	x->state = state;
	mem_free(&x->text);
	x->text = mem_str(text);
	if (x->journaled)
		depot_return(x->en->o.depot, x->user);
	x->journaled = false;
	go_to(x, STEP_LEAVE);
}

/* What is missing for one is often missing for all: others may do better. */
static void refuse(struct errand *x, const struct err *why)
{
	struct engine *en = x->en;

	en->shy_ms = MIN(MAX(en->shy_ms * 2, SHY_MIN_MS), SHY_MAX_MS);
	en->shy_until = clock_mono_ms() + en->shy_ms;
	log_warn(&x->about, "cannot begin the %s for the engine at work: %s",
		 job_kind_name(x->kind), why->text);
	end(x, LEASE_REFUSED, why->text);
}

/* Without its newline. */
static char *line_of(struct buf *b)
{
	struct slice s = buf_slice(b);
	char *line = mem_strn(s.p, s.n && s.p[s.n - 1] == '\n' ? s.n - 1 : s.n);

	buf_release(b);
	return line;
}

static void take_progress(struct errand *x, const struct job_event *ev)
{
	struct buf line = { 0 };

	job_event_write(ev, &line);
	mem_free(&x->progress);
	x->progress = line_of(&line);
}

static void take_result(struct errand *x, const struct worker_event *ev)
{
	struct buf line = { 0 };
	char *text;

	if (!ev->result) {
		end(x, x->en->stopping ? LEASE_STOPPED : LEASE_DIED, ev->text);
		return;
	}
	log_info(&x->about, "%s made for the engine at work, %lld ms", job_kind_name(x->kind),
		 (long long)ev->result->took_ms);
	job_result_write(ev->result, &line);
	text = line_of(&line);
	end(x, LEASE_RESULT, text);
	mem_free(&text);
}

static void take_uidl(struct errand *x, const struct job_event *ev)
{
	struct err e = { 0 };

	if (uidl_inbox_take(&x->uidl, x->en->o.store, x->user, ev, &e) < 0)
		log_error(&x->about, "%s", e.text);
}

static void on_worker(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	struct errand *x = arg;

	switch (ev->kind) {
	case WORKER_PROGRESS:
		take_progress(x, ev->job);
		break;
	case WORKER_UIDL:
		take_uidl(x, ev->job);
		break;
	case WORKER_TOKEN:
		tokens_keep(&x->en->tokens, x->user, &ev->job->token, ev->job->until);
		break;
	case WORKER_VALIDITY:
	case WORKER_WAITING:
	case WORKER_ACCOUNT:
	case WORKER_PULL:
	case WORKER_AUDIT:
	case WORKER_RESULT:
		break;
	case WORKER_ENDED:
		x->worker = NULL;
		if (x->lost)
			errand_free(x);
		else
			take_result(x, ev);
		break;
	}
}

/* ---- its steps */

static int start_worker(struct errand *x, const struct user *u, struct err *e)
{
	struct engine *en = x->en;
	char rules[ORDER_DIGEST_MAX];
	struct job j;
	int rc;

	if (order_digest(x->kind, u, en->o.settings, rules, e) < 0)
		return -1;
	if (strcmp(rules, x->rules) != 0)
		return err_set(e, ERR_INPUT,
			       "this host's settings say otherwise than those of the engine at "
			       "work what is copied and how (section sync, and its folders "
			       "file; host and copy of the backends)");
	if (run_order(en, x->kind, u, &j, e) < 0)
		return -1;
	j.connections = MIN(j.connections, x->connections);
	rc = en->o.shop.start(&x->worker, &j, on_worker, x, &en->o.shop, e);
	job_release(&j);
	return rc;
}

static void begin(struct errand *x)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(x->en->o.store, x->user, &u, &e);

	if (got < 0) {
		refuse(x, &e);
	} else if (got == 0 || u.change != x->change) {
		end(x, LEASE_STOPPED, ""); /* he is somewhere else by now */
	} else if (start_worker(x, &u, &e) < 0) {
		refuse(x, &e);
	} else {
		x->en->shy_ms = 0;
		log_debug(&x->about, "%s starts, for the engine at work",
			  job_kind_name(x->kind));
		go_to(x, STEP_WORKER);
	}
	user_release(&u);
}

/* 1, 0: not yet, -1. One that is at work elsewhere is waited for, never taken over: that is for
 * the engine at work. */
static int take_journal(struct errand *x, struct err *e)
{
	struct journal_whereabouts at;
	bool doubt;
	int got;

	if (!job_writes(x->kind))
		return 1;
	if (store_journal_where(x->en->o.store, x->user, &at, e) < 0)
		return -1;
	got = at.away ? 0 : depot_take(x->en->o.depot, x->user, &doubt, e);
	x->journaled = got > 0;
	if (got == 0 && clock_mono_ms() - x->since > ERRAND_JOURNAL_MS)
		return err_set(e, ERR_TEMP, "the journal did not come within %d s%s%s",
			       ERRAND_JOURNAL_MS / 1000, at.away ? ": it is at work on host " : "",
			       at.away ? at.host : "");
	return got;
}

static void fetch_journal(struct errand *x)
{
	struct err e = { 0 };
	int got = x->en->stopping ? 0 : take_journal(x, &e);

	if (x->en->stopping)
		end(x, LEASE_STOPPED, "");
	else if (got < 0)
		refuse(x, &e);
	else if (got > 0)
		begin(x);
}

static void tell_progress(struct errand *x)
{
	struct err e = { 0 };

	if (!x->progress || clock_mono_ms() - x->told < TELL_MS)
		return;
	x->told = clock_mono_ms();
	if (store_lease_tell(x->en->o.store, x->user, x->progress, &e) < 0)
		log_debug(&x->about, "%s", e.text);
	mem_free(&x->progress);
}

/* What it knows has to be where the next pass will look for it. */
static void leave_journal(struct errand *x)
{
	int64_t now = clock_mono_ms();
	struct err e = { 0 };
	int left = 1;

	if (job_writes(x->kind)) {
		if (depot_is_busy(x->en->o.depot, x->user) || now < x->leave_again)
			return;
		left = depot_left(x->en->o.depot, x->user, &e);
		x->leave_again = now + LEAVE_GAP_MS;
	}
	if (left < 0)
		log_debug(&x->about, "%s", e.text);
	/* Else the depot has said why it is not there. */
	if (left > 0 || now - x->since > LEAVE_MS)
		go_to(x, STEP_TELL);
}

static void tell_end(struct errand *x)
{
	struct err e = { 0 };

	if (store_lease_end(x->en->o.store, x->user, x->state, x->text, &e) < 0) {
		log_debug(&x->about, "%s", e.text);
		if (!x->en->stopping)
			return;
	}
	errand_free(x);
}

void errands_tick(struct engine *en)
{
	struct errand *next;

	for (struct errand *x = en->errands; x; x = next) {
		next = x->next;
		if (x->step == STEP_JOURNAL)
			fetch_journal(x);
		if (x->step == STEP_WORKER)
			tell_progress(x);
		if (x->step == STEP_LEAVE)
			leave_journal(x);
		if (x->step == STEP_TELL)
			tell_end(x);
	}
}

void errands_stop(struct engine *en)
{
	for (struct errand *x = en->errands; x; x = x->next)
		if (x->worker)
			en->o.shop.stop(x->worker);
}

/* ---- whose they are */

int errands_max(const struct engine *en)
{
	bool may = en->o.depot && en->o.settings->sync.lend && !en->at_work && !en->stopping;

	/* The store may count us as being there by the word of the engine here before us. */
	may = may && en->until > clock_mono_ms();
	return may ? en->o.settings->sync.workers : 0;
}

struct look {
	struct engine *en;
	int offered;
	bool picked; /* those that are new were taken just now */
};

/* One that we do not know was begun by an engine that died here, and its worker with it: the
 * journal goes back. */
static int on_lease(const struct lease_row *l, void *arg)
{
	struct look *look = arg;
	struct engine *en = look->en;
	int kind = job_kind_find(l->kind);
	struct errand *x;

	look->offered += l->state == LEASE_OFFERED;
	if (l->state != LEASE_AT_WORK || kind < 0 ||
	    strcmp(l->place, en->o.place->id) != 0)
		return 0;
	x = find(en, l->name);
	if (!x) {
		errand_new(en, l, (enum job_kind)kind);
		if (!look->picked)
			end(en->errands, LEASE_STOPPED, "");
		return 0;
	}
	x->seen = !x->lost; /* it may be on lease again: that is another pass */
	return 0;
}

static void lose(struct errand *x)
{
	log_warn(&x->about, "the engine at work has taken the user back");
	x->lost = true;
	if (x->worker)
		x->en->o.shop.stop(x->worker);
	else
		errand_free(x);
}

/* False while one that was lost still has a worker. */
static bool drop_lost(struct engine *en)
{
	struct errand *next;
	bool clean = true;

	for (struct errand *x = en->errands; x; x = next) {
		next = x->next;
		clean = clean && (x->seen || !x->worker);
		if (!x->seen && !x->lost)
			lose(x);
	}
	return clean;
}

static void pick(struct engine *en, struct look *look)
{
	int room = errands_max(en) - errands_count(en), got;
	struct err e = { 0 };

	if (!look->offered || room <= 0 || clock_mono_ms() < en->shy_until || !engine_trusts(en))
		return;
	got = store_lease_pick(en->o.store, depot_folder(en->o.depot), room, &e);
	look->picked = true;
	if (got < 0 ||
	    (got > 0 && store_leases_each(en->o.store, en->o.place->id, on_lease, look, &e) < 0))
		log_error(NULL, "%s", e.text);
}

bool errands_look(struct engine *en)
{
	struct look look = { .en = en };
	struct err e = { 0 };
	bool clean;

	if (!en->o.depot)
		return true;
	for (struct errand *x = en->errands; x; x = x->next)
		x->seen = false;
	if (store_leases_each(en->o.store, NULL, on_lease, &look, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return !en->errands;
	}
	clean = drop_lost(en);
	/* Else it might be the same user, whom the worker of the lost one still writes to. */
	if (clean)
		pick(en, &look);
	return clean;
}
