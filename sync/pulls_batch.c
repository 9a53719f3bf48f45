/* Hides: who comes into a batch, and what its worker is told and tells. */
#include "sync/pulls_impl.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/order_pull.h"
#include "sync/planner.h"

static const struct log_about about = { .what = "pull" };

/* ---- journals */

/* The worker reads the names that folders have on new. -1: it does not come now. */
static int borrow(struct pulls *p, struct pulled *x, struct err *e)
{
	bool doubt;
	int got = x->lent ? 1 : depot_take(p->o.depot, x->name, &doubt, e);

	x->lent = got > 0;
	x->coming = got == 0;
	return MIN(got, 0);
}

void pulls_return_journal(struct pulls *p, struct pulled *x)
{
	if (x->lent)
		depot_return(p->o.depot, x->name);
	x->lent = x->coming = false;
}

void pulls_return_journals(struct pulls *p)
{
	for (size_t i = 0; i < p->count; i++)
		pulls_return_journal(p, p->all[i]);
}

/* ---- what the worker says */

static void take_figures(struct pulls *p, struct pulled *x, const struct pull_item *i)
{
	bool moved = x->migrated != i->migrated || x->skipped != i->skipped ||
		     x->failed != i->failed || x->total != i->total || x->bytes != i->bytes;

	x->migrated = i->migrated;
	x->skipped = i->skipped;
	x->failed = i->failed;
	x->total = i->total;
	x->bytes = i->bytes;
	pulls_set_text(&x->folder, i->folder);
	json_decref(x->folders);
	x->folders = json_incref(i->folders);
	if (!moved)
		return;
	x->moved = clock_real_ms();
	p->moved = clock_mono_ms();
	if (x->state == PULL_STUCK) {
		x->state = PULL_RUNNING;
		pulls_set_text(&x->text, "");
		pulls_write(p, x);
		log_info(&about, "job %s: %s: it goes on", x->job, x->name);
	}
}

/* remark: of the tool's answer; "". */
static void goes_on(struct pulls *p, struct pulled *x, const char *remark)
{
	p->given = true;
	pulls_return_journals(p); /* the worker has looked at folders by now */
	if (x->state == PULL_RUNNING)
		pulls_set_text(&x->text, remark);
	else if (x->moved)
		pulled_stand_still(p, x); /* the reason may be another now */
}

static void take_item(struct pulls *p, const json_t *j)
{
	struct pull_item i;
	struct pulled *x;

	if (job_pull_item_read(j, &i) < 0) {
		snprintf(p->error, sizeof p->error, "the worker said what makes no sense");
		p->o.shop->stop(p->worker);
		return;
	}
	p->error[0] = '\0'; /* it goes on */
	p->failures = 0;
	x = pulls_find(p, i.user);
	if (!x || !pulls_in_batch(p, x))
		return;
	take_figures(p, x, &i);
	if (*i.trace)
		pulled_keep_trace(p, x, i.trace);
	if (i.state == PULL_DONE || i.state == PULL_FAILED)
		pulled_settle(p, x, i.state, i.text);
	else if (i.state == PULL_RUNNING)
		goes_on(p, x, i.text);
	else if (i.state == PULL_WAITING && p->fresh && !p->given)
		pulled_put_off(p, x, i.text);
}

/* OpenSRS has heard nothing of it. */
static void take_back_batch(struct pulls *p, const struct job_result *r)
{
	for (size_t i = 0; i < p->count; i++) {
		struct pulled *x = p->all[i];

		if (!pulls_in_batch(p, x))
			continue;
		if (r->kind == ERR_INPUT)
			pulled_settle(p, x, PULL_FAILED, r->text);
		else
			pulled_put_off(p, x, r->text);
	}
}

static void wait_longer(struct pulls *p)
{
	p->next_look =
		clock_mono_ms() + plan_backoff_ms(p->o.settings->sync.retry_s, p->failures++);
}

static void batch_ended(struct pulls *p, const struct worker_event *ev)
{
	const struct job_result *r = ev->result;

	p->worker = NULL;
	pulls_return_journals(p);
	if (r && !r->ok && p->fresh && !p->given)
		take_back_batch(p, r);
	if ((r && r->ok) || !pulls_has_batch(p)) {
		p->failures = 0;
		p->error[0] = '\0';
		log_info(&about, "job %s: nobody is followed any more", p->job);
		return;
	}
	if (!p->error[0] || r)
		snprintf(p->error, sizeof p->error, "%s", r ? r->text : ev->text);
	wait_longer(p);
	log_warn(&about, "job %s: %s; it goes on in %" PRId64 " s", p->job, p->error,
		 (p->next_look - clock_mono_ms()) / 1000);
}

static void on_worker(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	if (ev->kind == WORKER_PULL)
		take_item(arg, ev->job->item);
	else if (ev->kind == WORKER_ENDED)
		batch_ended(arg, ev);
}

/* ---- who is in it */

/* Who is in a job stays there whatever is missing here: the tool may be at it. */
static void leave_out(struct pulls *p, struct pulled *x, const char *why)
{
	if (strcmp(x->missing, why) == 0)
		return;
	log_warn(&about, "job %s: %s cannot be followed: %s", x->job, x->name, why);
	pulls_set_text(&x->missing, why);
	if (x->state == PULL_STUCK)
		pulled_stand_still(p, x);
}

static void not_added(struct pulls *p, struct pulled *x, const struct err *why)
{
	if (pulls_in_batch(p, x))
		leave_out(p, x, why->text);
	else if (why->kind == ERR_INPUT)
		pulled_give_up(p, x, why->text);
	else
		pulled_put_off(p, x, why->text);
}

static bool is_due(const struct pulls *p, const struct pulled *x, bool running)
{
	if (running)
		return pulls_in_batch(p, x);
	return x->state == PULL_WAITING && x->ready && x->due <= clock_mono_ms() &&
	       !p->o.busy(x->name, p->o.arg);
}

/* Who is in a job is followed wherever the user lives by now. */
static int check_state(const struct pulled *x, const struct user *u, struct err *e)
{
	if (x->state != PULL_WAITING)
		return 0;
	switch (u->state) {
	case USER_PROVISIONED:
	case USER_SYNCING:
	case USER_READY:
		return 0;
	case USER_PENDING:
	case USER_FREEZING:
	case USER_FINALIZING:
		return err_set(e, ERR_TEMP, "the user is %s: that is waited for",
			       user_state_name(u->state));
	case USER_TRAILING:
	case USER_DONE:
	case USER_RETURNING:
	case USER_STATES:
		break;
	}
	return err_set(e, ERR_INPUT, "the user is %s: not on old any more",
		       user_state_name(u->state));
}

static int read_user(struct pulls *p, const struct pulled *x, struct user *u, struct err *e)
{
	int got = store_user_get(p->o.store, x->name, u, e);

	if (got == 0)
		return err_set(e, ERR_INPUT,
			       "the user is not known any more; remedy: import it again");
	return got < 0 ? -1 : 0;
}

/* Who may be in it; the journal is here then, or comes. */
static bool pick(struct pulls *p, struct pulled *x)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int rc = 0;

	if (!x->lent && !x->coming && (rc = read_user(p, x, &u, &e)) == 0)
		rc = check_state(x, &u, &e);
	if (rc == 0)
		rc = borrow(p, x, &e);
	if (rc < 0)
		not_added(p, x, &e);
	user_release(&u);
	return rc == 0;
}

/* Those of one batch, not all who wait. Are all their journals here? */
static bool pick_all(struct pulls *p, bool running)
{
	bool here = true;

	for (size_t i = 0, n = 0; i < p->count && n < JOB_PULL_MAX; i++) {
		if (!is_due(p, p->all[i], running) || !pick(p, p->all[i]))
			continue;
		n++;
		here &= p->all[i]->lent;
	}
	return here;
}

static int order_one(struct pulls *p, struct job *j, const struct pulled *x,
		     const struct user *u, struct err *e)
{
	int rc = 0;

	if (!j->pull.on)
		rc = order_pull(j, p->job, u, p->o.settings, p->o.learned, e);
	if (rc == 0)
		rc = order_pull_user(j, u, p->o.settings, p->o.learned, e);
	if (rc == 0 && pulls_in_batch(p, x))
		return err_set(e, ERR_INPUT,
			       "the worker has no room for the user, or another one of the job "
			       "has the same login on old now; remedy: see the import");
	return rc;
}

/* Not in it where that leaves too little room: another batch follows. */
static bool add_user(struct pulls *p, struct job *j, struct pulled *x)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int rc = read_user(p, x, &u, &e);

	if (rc == 0)
		rc = order_one(p, j, x, &u, &e);
	if (rc < 0)
		not_added(p, x, &e);
	else if (rc > 0)
		pulls_set_text(&x->missing, "");
	user_release(&u);
	return rc > 0;
}

/* The rows of who goes are marked; the caller writes them. */
static size_t fill(struct pulls *p, struct job *j, bool running, struct pulled **in)
{
	size_t n = 0, all = 0;

	for (size_t i = 0; i < p->count; i++) {
		struct pulled *x = p->all[i];

		all += pulls_in_batch(p, x);
		if (x->lent && is_due(p, x, running) && add_user(p, j, x))
			in[n++] = x;
	}
	j->pull.again = running;
	j->pull.partial = running && n < all;
	return n;
}

/* Before the job exists there: an engine that dies now finds it under this name, or makes it.
 */
static int mark(struct pulls *p, struct pulled *const *in, size_t n, struct err *e)
{
	struct pull_row *rows = mem_array(n, sizeof *rows);
	int rc;

	for (size_t i = 0; i < n; i++) {
		rows[i] = pulled_row(in[i]);
		rows[i].state = PULL_RUNNING;
		rows[i].job = p->job;
		rows[i].text = "";
	}
	rc = store_pulls_write(p->o.store, rows, n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		in[i]->state = PULL_RUNNING;
		in[i]->moved = clock_real_ms();
		pulls_set_text(&in[i]->job, p->job);
		pulls_set_text(&in[i]->text, "");
		json_decref(in[i]->folders);
		in[i]->folders = NULL;
	}
	mem_free(&rows);
	return rc;
}

static int start(struct pulls *p, const struct job *j, struct pulled *const *in, size_t n,
		 struct err *e)
{
	if (p->fresh && mark(p, in, n, e) < 0)
		return -1;
	return p->o.shop->start(&p->worker, j, on_worker, p, p->o.shop, e);
}

static void not_started(struct pulls *p, const struct err *why)
{
	snprintf(p->error, sizeof p->error, "%s", why->text);
	wait_longer(p);
	log_error(&about, "job %s: %s; it goes on in %" PRId64 " s", p->job, p->error,
		  (p->next_look - clock_mono_ms()) / 1000);
}

void pulls_begin(struct pulls *p, bool running)
{
	struct pulled **in;
	struct job j = { 0 };
	struct err e = { 0 };
	size_t n;

	if (!pick_all(p, running))
		return; /* nobody is ordered before all are here */
	in = mem_array(JOB_PULL_MAX, sizeof(struct pulled *));
	n = fill(p, &j, running, in);
	p->fresh = !running;
	p->given = false;
	if (n == 0 && running)
		wait_longer(p);
	else if (n && start(p, &j, in, n, &e) < 0)
		not_started(p, &e);
	else if (n)
		log_info(&about, "job %s: %s with %zu users", p->job,
			 running ? "goes on" : "begins", n);
	if (!p->worker)
		pulls_return_journals(p);
	job_release(&j);
	mem_free(&in);
}

static int set_ready(const char *name, void *arg)
{
	struct pulled *x = pulls_find(arg, name);

	if (x)
		x->ready = true;
	return 0;
}

/* Asked of all at once: each by itself would be thousands of questions a second. */
static void look_who_is_ready(struct pulls *p)
{
	bool any = false;
	struct err e = { 0 };

	for (size_t i = 0; i < p->count; i++) {
		any |= p->all[i]->state == PULL_WAITING;
		p->all[i]->ready = false;
	}
	if (any && store_pulls_ready(p->o.store, set_ready, p, &e) < 0)
		log_error(&about, "%s", e.text);
}

bool pulls_are_gathered(struct pulls *p)
{
	size_t before = p->due;

	look_who_is_ready(p);
	p->due = 0;
	for (size_t i = 0; i < p->count; i++)
		p->due += is_due(p, p->all[i], false);
	return p->due && (p->due == before || p->due >= JOB_PULL_MAX);
}
