/* Hides: which batch is made when, and what becomes of those in it. */
#include "sync/pulls_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/order.h"
#include "sync/order_pull.h"
#include "sync/planner.h"

#define LOOK_MS	 1000	       /* between two looks at who may be pulled */
#define ERASE_MS (3600 * 1000) /* between two of what is over */
#define KEEP_MS	 ((int64_t)30 * 24 * 3600 * 1000)

static const struct log_about about = { .what = "pull" };

/* ---- rows */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pulled *)a)->name, ((const struct pulled *)b)->name);
}

struct pulled *pulls_find(const struct pulls *p, const char *name)
{
	const struct pulled key = { .name = (char *)(uintptr_t)name };
	struct pulled *const *x = tfind(&key, &p->by_name, by_name);

	return x ? *x : NULL;
}

void pulls_set_text(char **to, const char *text)
{
	char *fresh = mem_str(text);

	mem_free(to);
	*to = fresh;
}

struct pulled *pulls_add(struct pulls *p, const char *name)
{
	struct pulled *x = mem_new(sizeof *x);

	x->name = mem_str(name);
	x->job = mem_str("");
	x->text = mem_str("");
	x->folder = mem_str("");
	p->all = mem_grow(p->all, p->count + 1, sizeof(struct pulled *));
	p->all[p->count++] = x;
	ASSERT(tsearch(x, &p->by_name, by_name));
	return x;
}

static void pulled_free(struct pulled *x)
{
	mem_free(&x->name);
	mem_free(&x->job);
	mem_free(&x->text);
	mem_free(&x->folder);
	json_decref(x->folders);
	free(x);
}

void pulls_drop(struct pulls *p, struct pulled *x)
{
	size_t i = 0;

	while (p->all[i] != x)
		i++;
	memmove(&p->all[i], &p->all[i + 1], (--p->count - i) * sizeof *p->all);
	tdelete(x, &p->by_name, by_name);
	pulled_free(x);
}

static struct pull_row row_of(const struct pulled *x)
{
	return (struct pull_row){ .name = x->name,
				  .state = x->state,
				  .job = x->job,
				  .text = x->text,
				  .tries = x->tries,
				  .asked = x->asked,
				  .migrated = x->migrated,
				  .skipped = x->skipped,
				  .failed = x->failed,
				  .total = x->total,
				  .bytes = x->bytes };
}

/* What is not written now is what the next engine does not know: it follows the job once more.
 */
void pulls_write(struct pulls *p, const struct pulled *x)
{
	const struct pull_row row = row_of(x);
	struct err e = { 0 };

	if (store_pulls_write(p->o.store, &row, 1, &e) < 0)
		log_error(&about, "%s: %s", x->name, e.text);
}

static int take_row(const struct pull_row *r, void *arg)
{
	struct pulled *x = pulls_add(arg, r->name);

	x->state = r->state;
	x->tries = r->tries;
	x->asked = r->asked;
	x->migrated = r->migrated;
	x->skipped = r->skipped;
	x->failed = r->failed;
	x->total = r->total;
	x->bytes = r->bytes;
	pulls_set_text(&x->job, r->job);
	pulls_set_text(&x->text, r->text);
	return 0;
}

static void forget_all(struct pulls *p)
{
	while (p->count)
		pulls_drop(p, p->all[p->count - 1]);
	mem_free(&p->all);
}

int pulls_read(struct pulls *p, struct err *e)
{
	if (p->read)
		return 0;
	if (store_pulls_each(p->o.store, take_row, p, e) < 0) {
		forget_all(p);
		return -1;
	}
	p->read = true;
	return 0;
}

/* ---- journals */

/* The worker reads the names that folders have on new. 1: it is here, 0: it will be, -1. */
static int borrow(struct pulls *p, struct pulled *x, struct err *e)
{
	bool doubt;
	int got = x->lent ? 1 : depot_take(p->o.depot, x->name, &doubt, e);

	x->lent = got > 0;
	return got;
}

static void return_all(struct pulls *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->all[i]->lent)
			depot_return(p->o.depot, p->all[i]->name);
		p->all[i]->lent = false;
	}
}

/* ---- life */

struct pulls *pulls_new(const struct pulls_opts *o)
{
	struct pulls *p = mem_new(sizeof *p);

	p->o = *o;
	return p;
}

void pulls_free(struct pulls **p)
{
	if (!*p)
		return;
	ASSERT(pulls_idle(*p));
	forget_all(*p);
	mem_free(p);
}

bool pulls_idle(const struct pulls *p)
{
	return !p->worker;
}

void pulls_stop(struct pulls *p)
{
	if (p->worker)
		p->o.shop->stop(p->worker);
	else
		return_all(p);
}

bool pulls_hold(struct pulls *p, const char *user)
{
	const struct pulled *x;
	struct err e = { 0 };

	if (pulls_read(p, &e) < 0) {
		log_error(&about, "%s", e.text);
		return true;
	}
	x = pulls_find(p, user);
	return x && pull_state_holds(x->state);
}

static bool in_batch(const struct pulls *p, const struct pulled *x)
{
	return (x->state == PULL_RUNNING || x->state == PULL_STUCK) &&
	       strcmp(x->job, p->job) == 0;
}

bool pulls_has_batch(const struct pulls *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (in_batch(p, p->all[i]))
			return true;
	return false;
}

/* ---- how one ends */

static void note(struct pulls *p, const struct pulled *x)
{
	char *why = mem_printf("OpenSRS's tool: %s: %" PRId64 " messages pulled, %" PRId64
			       " skipped%s%s",
			       pull_state_name(x->state), x->migrated, x->skipped,
			       *x->text ? "; " : "", x->text);
	struct err e = { 0 };

	if (store_user_note(p->o.store, x->name, "engine", why, &e) < 0)
		log_error(&about, "%s: %s", x->name, e.text);
	mem_free(&why);
}

static void settle(struct pulls *p, struct pulled *x, enum pull_state state, const char *text)
{
	const struct log_about user = { .what = "user", .user = x->name, .doing = "pull" };
	bool again = state == PULL_FAILED && ++x->tries < PULLS_TRIES;

	p->moved = clock_mono_ms();
	x->put_off = 0;
	x->state = again ? PULL_WAITING : state;
	pulls_set_text(&x->text, text);
	pulls_set_text(&x->folder, "");
	x->due = clock_mono_ms() +
		 (again ? plan_backoff_ms(p->o.settings->sync.retry_s, x->tries - 1) : 0);
	pulls_write(p, x);
	if (state == PULL_DONE)
		log_info(&user,
			 "OpenSRS's tool: done: %" PRId64 " messages pulled, %" PRId64
			 " skipped",
			 x->migrated, x->skipped);
	else
		log_warn(&user, "OpenSRS's tool: %s%s: %s", pull_state_name(state),
			 again ? ", goes into another batch" : "", text);
	if (again)
		return;
	note(p, x);
	p->o.ended(x->name, p->o.arg);
}

/* Nothing of the user was given to OpenSRS, and the trouble may go by. */
static void put_off(struct pulls *p, struct pulled *x, const char *why)
{
	const struct log_about user = { .what = "user", .user = x->name, .doing = "pull" };

	x->state = PULL_WAITING;
	pulls_set_text(&x->job, "");
	pulls_set_text(&x->text, why);
	x->due = clock_mono_ms() + plan_backoff_ms(p->o.settings->sync.retry_s, x->put_off++);
	pulls_write(p, x);
	log_warn(&user, "OpenSRS's tool: goes into another batch: %s", why);
}

/* ---- one that stands still */

/* As far as is known; that it is over, nobody can say. */
static void stand_still(struct pulls *p, struct pulled *x)
{
	int64_t seen = x->moved ? x->moved : clock_real_ms() - (clock_mono_ms() - p->moved);
	char since[CLOCK_TEXT_MAX];
	char *text =
		mem_printf("%s; %" PRId64 " of %" PRId64 " messages were seen last, at %s",
			   *p->error  ? p->error
			   : x->total ? "the tool has begun and does not go on"
				      : "the tool does not begin",
			   x->migrated + x->skipped, x->total, clock_utc_text(seen, since));

	if (x->state != PULL_STUCK)
		log_warn(&about, "job %s stands still: %s: %s", x->job, x->name, text);
	x->state = PULL_STUCK;
	pulls_set_text(&x->text, text);
	pulls_write(p, x);
	mem_free(&text);
}

/* Figures that do not move for so long are not going to; but the job is followed on. */
static void look_for_stillness(struct pulls *p, int64_t now)
{
	if (!p->job[0] || now < p->next_still ||
	    now - p->moved < (int64_t)p->o.settings->opensrs.pull_still_s * 1000)
		return;
	p->next_still = now + LOOK_MS;
	for (size_t i = 0; i < p->count; i++)
		if (in_batch(p, p->all[i]) && p->all[i]->state == PULL_RUNNING)
			stand_still(p, p->all[i]);
}

/* sync.dir/NAME.trace: it is read by who looks for the reason. */
static void keep_trace(const struct pulls *p, const struct pulled *x, const char *trace)
{
	char *journal = order_journal_path(p->o.settings->sync.dir, x->name);
	char *path =
		mem_printf("%.*s.trace", (int)(strlen(journal) - strlen(".journal")), journal);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f || fputs(trace, f) < 0 || fflush(f) != 0)
		log_warn(&about, "%s: %s", path, strerror(errno));
	else
		log_info(&about, "%s: OpenSRS's own words are in %s", x->name, path);
	if (f)
		fclose(f);
	mem_free(&journal);
	mem_free(&path);
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
	return_all(p); /* the worker has looked at folders by now */
	if (x->state == PULL_RUNNING)
		pulls_set_text(&x->text, remark);
	else if (x->moved)
		stand_still(p, x); /* the reason may be another now */
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
	x = pulls_find(p, i.user);
	if (!x || !in_batch(p, x))
		return;
	take_figures(p, x, &i);
	if (*i.trace)
		keep_trace(p, x, i.trace);
	if (i.state == PULL_DONE || i.state == PULL_FAILED)
		settle(p, x, i.state, i.text);
	else if (i.state == PULL_RUNNING)
		goes_on(p, x, i.text);
	else if (i.state == PULL_WAITING && p->fresh && !p->given)
		put_off(p, x, i.text);
}

/* OpenSRS has heard nothing of it. */
static void take_back_batch(struct pulls *p, const struct job_result *r)
{
	for (size_t i = 0; i < p->count; i++) {
		struct pulled *x = p->all[i];

		if (!in_batch(p, x))
			continue;
		if (r->kind == ERR_INPUT)
			settle(p, x, PULL_FAILED, r->text);
		else
			put_off(p, x, r->text);
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
	return_all(p);
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

/* ---- a batch */

/* What is missing does not come by itself. */
static void give_up(struct pulls *p, struct pulled *x, const char *why)
{
	x->tries = PULLS_TRIES;
	settle(p, x, PULL_FAILED, why);
}

/* Who is in a job stays there whatever is missing here: the tool may be at it. */
static void not_added(struct pulls *p, struct pulled *x, const struct err *why)
{
	if (in_batch(p, x)) {
		if (strcmp(p->error, why->text) != 0)
			log_warn(&about, "job %s: %s cannot be followed: %s", x->job, x->name,
				 why->text);
		snprintf(p->error, sizeof p->error, "%s", why->text);
	} else if (why->kind == ERR_INPUT) {
		give_up(p, x, why->text);
	} else {
		put_off(p, x, why->text);
	}
}

/* 1: in it. 0: not now. */
static int add_user(struct pulls *p, struct job *j, struct pulled *x, const struct user *u)
{
	struct err e = { 0 };
	int rc = 0, here;

	if (u->state == USER_PENDING && x->state == PULL_WAITING)
		return 0; /* until the account lets us in */
	if (u->state != USER_PROVISIONED && u->state != USER_SYNCING && u->state != USER_READY)
		rc = err_set(&e, ERR_INPUT, "the user is %s: not on old any more",
			     user_state_name(u->state));
	if (rc == 0) {
		here = borrow(p, x, &e);
		p->coming |= here == 0;
		if (here == 0)
			return 0;
		rc = MIN(here, 0);
	}
	if (rc == 0 && !j->pull.on)
		rc = order_pull(j, p->job, u, p->o.settings, p->o.learned, &e);
	if (rc == 0)
		rc = order_pull_user(j, u, p->o.settings, p->o.learned, &e);
	if (rc < 0)
		not_added(p, x, &e);
	return rc > 0;
}

static bool is_due(const struct pulls *p, const struct pulled *x, bool running)
{
	if (running)
		return in_batch(p, x);
	return x->state == PULL_WAITING && x->due <= clock_mono_ms() &&
	       !p->o.busy(x->name, p->o.arg);
}

/* Those who can go now. The rows of who goes are marked; the caller writes them. */
static void fill(struct pulls *p, struct job *j, bool running, struct pulled **in, size_t *n)
{
	*n = 0;
	p->coming = false;
	for (size_t i = 0; i < p->count && *n < JOB_PULL_MAX; i++) {
		struct pulled *x = p->all[i];
		struct user u = { 0 };
		struct err e = { 0 };
		int got;

		if (!is_due(p, x, running))
			continue;
		got = store_user_get(p->o.store, x->name, &u, &e);
		if (got < 0)
			log_error(&about, "%s: %s", x->name, e.text);
		else if (got == 0)
			give_up(p, x, "the user is not known any more");
		else if (add_user(p, j, x, &u))
			in[(*n)++] = x;
		user_release(&u);
	}
}

/* Before the job exists there: an engine that dies now finds it under this name, or makes it.
 */
static int mark(struct pulls *p, struct pulled *const *in, size_t n, struct err *e)
{
	struct pull_row *rows = mem_array(n, sizeof *rows);
	int rc;

	for (size_t i = 0; i < n; i++) {
		rows[i] = row_of(in[i]);
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

/* running: a job that is there, or may be. */
static void begin(struct pulls *p, bool running)
{
	struct pulled **in = mem_array(JOB_PULL_MAX, sizeof(struct pulled *));
	struct job j = { 0 };
	struct err e = { 0 };
	size_t n;
	int rc = 0;

	fill(p, &j, running, in, &n);
	if (p->coming)
		n = 0; /* it is filled anew then */
	else if (running && n == 0)
		wait_longer(p);
	j.pull.again = running;
	p->fresh = !running;
	p->given = false;
	if (n && !running)
		rc = mark(p, in, n, &e);
	if (n && rc == 0)
		rc = p->o.shop->start(&p->worker, &j, on_worker, p, p->o.shop, &e);
	if (!p->worker && !p->coming)
		return_all(p);
	if (rc < 0)
		log_error(&about, "job %s: %s", p->job, e.text);
	else if (n)
		log_info(&about, "job %s: %s with %zu users", p->job,
			 running ? "goes on" : "begins", n);
	job_release(&j);
	mem_free(&in);
}

/* Somebody in a job, or NULL. */
static const struct pulled *first_at_work(const struct pulls *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->all[i]->state == PULL_RUNNING || p->all[i]->state == PULL_STUCK)
			return p->all[i];
	return NULL;
}

static void set_job(struct pulls *p, const char *name)
{
	if (strcmp(p->job, name) == 0)
		return;
	snprintf(p->job, sizeof p->job, "%s", name);
	p->moved = clock_mono_ms();
}

/* No two of an installation have the same: the store's name and its clock are in it. */
static void name_job(struct pulls *p)
{
	char name[STORE_PULL_JOB_MAX];

	snprintf(name, sizeof name, "mailferry-%.8s-%" PRId64, store_id(p->o.store),
		 store_now_ms(p->o.store));
	set_job(p, name);
}

static int drop_row(const char *name, void *arg)
{
	struct pulled *x = pulls_find(arg, name);

	if (x)
		pulls_drop(arg, x);
	return 0;
}

/* Of users who are done, long after. */
static void erase_old(struct pulls *p, int64_t now)
{
	struct err e = { 0 };

	if (now < p->next_erase)
		return;
	p->next_erase = now + ERASE_MS;
	if (store_pulls_erase(p->o.store, KEEP_MS, drop_row, p, &e) < 0)
		log_error(&about, "what is long over is not erased: %s", e.text);
}

/* Accounts and free users come one after the other: a batch begins when no more do, or is full.
 */
static bool are_gathered(struct pulls *p)
{
	size_t before = p->due;

	p->due = 0;
	for (size_t i = 0; i < p->count; i++)
		p->due += is_due(p, p->all[i], false);
	return p->due && (p->due == before || p->due >= JOB_PULL_MAX);
}

void pulls_tick(struct pulls *p)
{
	int64_t now = clock_mono_ms();
	const struct pulled *x;
	struct err e = { 0 };

	look_for_stillness(p, now);
	if (p->worker || now < p->next_look)
		return;
	p->next_look = now + LOOK_MS;
	if (pulls_read(p, &e) < 0) {
		log_error(&about, "%s", e.text);
		return;
	}
	erase_old(p, now);
	x = first_at_work(p);
	if (x) {
		set_job(p, x->job);
		begin(p, true);
	} else if (are_gathered(p)) {
		name_job(p);
		begin(p, false);
	}
}
