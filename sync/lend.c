/* Hides: who is offered to other hosts, and how a run ends whose worker was there. */
#include "sync/lend.h"

#include "common/clock.h"
#include "common/store_engine.h"
#include "common/store_lease.h"
#include "sync/engine_impl.h"
#include "sync/order.h"

#define LOOK_MS 500	/* between two looks at the leases, without a nudge */
#define HOME_MS 600000 /* whom no other host began is offered again */

/* ---- who is offered */

int lend_room(const struct engine *en)
{
	int n = en->others.workers + errands_count(en); /* they are lent, too, but to us */

	for (const struct run *r = en->runs; r; r = r->next)
		n -= r->lent;
	return MAX(n, 0);
}

static bool stays_here(const struct engine *en, const struct user *u)
{
	return names_has(&en->lend.home, u->name) ||
	       (en->o.stays_here && en->o.stays_here(u->name, en->o.stays_arg));
}

/* Two that begin at a time, one of them cut off, would make the same account. */
static bool makes_account(const struct engine *en, const struct user *u, enum job_kind kind)
{
	return kind == JOB_PROBE && u->state == USER_PENDING && en->o.settings->opensrs.cluster &&
	       en->o.settings->opensrs.create;
}

static bool is_lendable(const struct engine *en, const struct user *u, enum job_kind kind)
{
	return en->o.depot && kind != JOB_FINAL && !makes_account(en, u, kind);
}

/* Is another host the better place, or the only one there is? */
static bool is_better_elsewhere(struct engine *en, const char *name, bool full,
				struct journal_whereabouts *at)
{
	struct err e = { 0 };

	if (store_journal_where(en->o.store, name, at, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return false;
	}
	if (at->away || at->size > LEND_JOURNAL_MAX)
		return false;
	return full || (*at->folder && strcmp(at->folder, depot_folder(en->o.depot)) != 0);
}

static struct run *lent_run(struct engine *en, const struct user *u, enum job_kind kind,
			    int connections)
{
	struct run *r = run_new(en, u, kind);

	r->lent = true;
	r->connections = connections;
	r->live.host[0] = '\0';
	return r;
}

bool lend_pass(struct engine *en, const struct user *u, enum job_kind kind, bool full)
{
	struct lease_row l = { .name = u->name,
			       .kind = job_kind_name(kind),
			       .change = u->change };
	char rules[ORDER_DIGEST_MAX];
	struct journal_whereabouts at;
	struct err e = { 0 };
	struct run *r;
	int got;

	if (!is_lendable(en, u, kind) || lend_room(en) == 0 || stays_here(en, u) ||
	    !is_better_elsewhere(en, u->name, full, &at))
		return false;
	l.rules = rules;
	l.folder = at.folder;
	l.connections = runs_connections_left(en, kind);
	if (order_digest(kind, u, en->o.settings, rules, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return false;
	}
	got = store_lease_offer(en->o.store, &l, &e);
	if (got < 0)
		log_error(NULL, "%s", e.text);
	if (got <= 0) {
		/* There is one, or may be: of a write whose end we did not hear. */
		en->lend.read = false;
		return true;
	}
	r = lent_run(en, u, kind, l.connections);
	names_drop(&en->asked, u->name);
	log_debug(&r->about, "%s is offered to other hosts", l.kind);
	return true;
}

/* ---- what became of them */

/* A row as it was read: while that goes on, nothing may be asked. */
struct lease {
	struct lease *next;
	struct lease_row row;
	char *name, *text, *host;
	int kind; /* enum job_kind; -1: of a later version */
};

static int note_lease(const struct lease_row *row, void *arg)
{
	struct lease ***end = arg, *l;

	l = mem_new(sizeof *l);
	*l = (struct lease){ .row = *row,
			     .name = mem_str(row->name),
			     .text = mem_str(row->text),
			     .host = mem_str(row->host),
			     .kind = job_kind_find(row->kind) };
	**end = l;
	*end = &l->next;
	return 0;
}

static void free_leases(struct lease *l)
{
	struct lease *next;

	for (; l; l = next) {
		next = l->next;
		mem_free(&l->name);
		mem_free(&l->text);
		mem_free(&l->host);
		mem_free(&l);
	}
}

static void show_progress(struct run *r, const char *text)
{
	struct job_event ev;
	struct err e = { 0 };

	if (!*text || job_event_parse(slice_of(text), &ev, &e) < 0)
		return;
	if (ev.kind == JOB_EVENT_PROGRESS)
		r->live.progress = ev;
	job_event_release(&ev);
}

static void keep_home(struct run *r)
{
	struct engine *en = r->en;
	struct err e = { 0 };

	if (!en->lend.home.n)
		en->lend.home_until = clock_mono_ms() + HOME_MS;
	if (names_add(&en->lend.home, r->user, &e) < 0)
		log_debug(&r->about, "%s", e.text); /* it is offered again, and refused */
}

/* It may be that host's own trouble (its way to a server, its disk), so it says nothing of the
 * user yet. */
static void failed_there(struct run *r, const struct lease *l, const char *why)
{
	log_warn(&r->about, "%s failed on host %s, it is made here: %s",
		 job_kind_name(r->live.kind), l->host, why);
	keep_home(r);
}

/* Does it count? */
static bool read_result(struct run *r, const struct lease *l)
{
	struct job_event ev;
	struct err e = { 0 };
	bool counts;

	if (job_event_parse(slice_of(l->text), &ev, &e) < 0) {
		failed_there(r, l, e.text);
		return false;
	}
	/* What a server asks for is its own word, wherever it is heard. */
	counts = ev.kind == JOB_EVENT_RESULT && (ev.result.ok || ev.result.later.wait_ms);
	if (counts)
		run_worker_ended(r, &ev.result, ev.result.text);
	else
		failed_there(r, l, ev.kind == JOB_EVENT_RESULT ? ev.result.text : "no result");
	job_event_release(&ev);
	return counts;
}

static void ended(struct run *r, const struct lease *l)
{
	struct err e = { 0 };
	bool counts = false;

	log_debug(&r->about, "%s made by host %s", job_kind_name(r->live.kind), l->host);
	switch (l->row.state) {
	case LEASE_RESULT:
		counts = read_result(r, l);
		break;
	case LEASE_DIED:
	case LEASE_REFUSED:
		failed_there(r, l, l->text);
		break;
	case LEASE_AT_WORK:
		log_warn(&r->about,
			 "the engine on host %s was at the %s and is silent: it is begun again",
			 *l->host ? l->host : "that has gone", job_kind_name(r->live.kind));
		break;
	case LEASE_OFFERED:
		keep_home(r);
		break;
	case LEASE_STOPPED:
	case LEASE_STATES:
		break;
	}
	/* Who asked for the pass waits for it still. */
	if (!counts && (names_add(&r->en->asked, r->user, &e) < 0 ||
			(r->awaited && names_add(&r->en->awaited, r->user, &e) < 0)))
		log_debug(&r->about, "%s", e.text); /* its turn comes anyway */
	run_free(r);
}

/* The one at work before us has lent it. NULL: there is no such user any more. */
static int adopt(struct engine *en, const struct lease *l, struct run **out, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(en->o.store, l->name, &u, e);

	*out = NULL;
	if (got > 0)
		*out = lent_run(en, &u, (enum job_kind)l->kind, l->row.connections);
	user_release(&u);
	return got < 0 ? -1 : 0;
}

static bool is_over(const struct engine *en, const struct lease *l)
{
	if (l->row.state == LEASE_OFFERED)
		return store_now_ms(en->o.store) - l->row.offered > LEND_OFFER_MS;
	return l->row.state != LEASE_AT_WORK || l->row.lapsed;
}

static int follow(struct engine *en, const struct lease *l, struct err *e)
{
	struct run *r = runs_find(en, l->name);
	int got;

	if (!r && l->kind >= 0 && adopt(en, l, &r, e) < 0)
		return -1;
	if (r && !r->lent)
		r = NULL; /* he is at work here: what is said there is not about that */
	if (r) {
		r->lease_seen = true;
		snprintf(r->live.host, sizeof r->live.host, "%s", l->host);
		if (l->row.state == LEASE_AT_WORK)
			show_progress(r, l->text);
	}
	if (r && !is_over(en, l))
		return 0;
	/* First: a result that is heard twice would count twice. */
	got = store_lease_close(en->o.store, l->name, e);
	if (got > 0 && r)
		ended(r, l);
	en->lend.left += got == 0;
	return got < 0 ? -1 : 0;
}

/* A store that was put back, or made anew, has none of them. */
static void drop_unseen(struct engine *en)
{
	struct run *next;

	for (struct run *r = en->runs; r; r = next) {
		next = r->next;
		if (r->lent && !r->lease_seen)
			run_free(r);
		else
			r->lease_seen = false;
	}
}

static bool is_due(const struct engine *en)
{
	bool any = en->lend.left > 0;

	for (const struct run *r = en->runs; r; r = r->next)
		any = any || r->lent;
	return !en->lend.read ||
	       (any && (en->nudged || clock_mono_ms() - en->lend.looked >= LOOK_MS));
}

int lend_tick(struct engine *en, struct err *e)
{
	struct lease *list = NULL, **end = &list;
	int rc;

	if (clock_mono_ms() >= en->lend.home_until)
		names_release(&en->lend.home);
	if (!en->o.depot || !is_due(en))
		return 0;
	en->lend.looked = clock_mono_ms();
	en->lend.left = 0;
	rc = store_leases_each(en->o.store, NULL, note_lease, &end, e);
	for (const struct lease *l = list; l && rc == 0; l = l->next)
		rc = follow(en, l, e);
	if (rc == 0)
		drop_unseen(en);
	en->lend.read = rc == 0; /* else some of them are not known */
	free_leases(list);
	return rc;
}
