/* Hides: which batch is made when, and what becomes of those in it. */
#include "sync/pulls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/order.h"
#include "sync/order_pull.h"
#include "sync/planner.h"

#define LOOK_MS 1000 /* between two looks at who may be pulled */

/* A user, as the store has it; and what only this engine knows. */
struct pulled {
	char *name, *job, *text;
	enum pull_state state;
	int tries;
	int64_t asked, migrated, skipped, failed, total, bytes;
	int64_t due; /* clock_mono_ms(); not tried again before */
	char *folder;
	json_t *folders; /* as the worker tells them; NULL: not yet */
};

struct pulls {
	struct pulls_opts o;
	bool read; /* all[] is what the store has */
	struct pulled **all;
	size_t count;
	void *by_name; /* tsearch() */
	struct worker *worker;
	char job[STORE_PULL_JOB_MAX]; /* that it is at */
	int failures;		      /* of the batch, in a row */
	int64_t next_look;
	size_t due; /* who could go when it was looked last */
	char error[ERR_TEXT_MAX]; /* why the batch does not go on; "" */
};

static const struct log_about about = { .what = "pull" };

/* ---- rows */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pulled *)a)->name, ((const struct pulled *)b)->name);
}

static struct pulled *find(const struct pulls *p, const char *name)
{
	const struct pulled key = { .name = (char *)(uintptr_t)name };
	struct pulled *const *x = tfind(&key, &p->by_name, by_name);

	return x ? *x : NULL;
}

static void set_text(char **to, const char *text)
{
	char *fresh = mem_str(text);

	mem_free(to);
	*to = fresh;
}

static struct pulled *add(struct pulls *p, const char *name)
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

static void drop(struct pulls *p, struct pulled *x)
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

/* What is not written now is what the next engine does not know: it follows the job once more. */
static void write_row(struct pulls *p, const struct pulled *x)
{
	const struct pull_row row = row_of(x);
	struct err e = { 0 };

	if (store_pulls_write(p->o.store, &row, 1, &e) < 0)
		log_error(&about, "%s: %s", x->name, e.text);
}

static int take_row(const struct pull_row *r, void *arg)
{
	struct pulled *x = add(arg, r->name);

	x->state = r->state;
	x->tries = r->tries;
	x->asked = r->asked;
	x->migrated = r->migrated;
	x->skipped = r->skipped;
	x->failed = r->failed;
	x->total = r->total;
	x->bytes = r->bytes;
	set_text(&x->job, r->job);
	set_text(&x->text, r->text);
	return 0;
}

static void forget_all(struct pulls *p)
{
	while (p->count)
		drop(p, p->all[p->count - 1]);
	mem_free(&p->all);
}

static int read_rows(struct pulls *p, struct err *e)
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
}

bool pulls_hold(struct pulls *p, const char *user)
{
	const struct pulled *x;
	struct err e = { 0 };

	if (read_rows(p, &e) < 0) {
		log_error(&about, "%s", e.text);
		return true;
	}
	x = find(p, user);
	return x && pull_state_holds(x->state);
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

	x->state = again ? PULL_WAITING : state;
	set_text(&x->text, text);
	set_text(&x->folder, "");
	x->due = clock_mono_ms() +
		 (again ? plan_backoff_ms(p->o.settings->sync.retry_s, x->tries - 1) : 0);
	write_row(p, x);
	if (state == PULL_DONE)
		log_info(&user, "OpenSRS's tool: done: %" PRId64 " messages pulled, %" PRId64
				" skipped", x->migrated, x->skipped);
	else
		log_warn(&user, "OpenSRS's tool: %s%s: %s", pull_state_name(state),
			 again ? ", goes into another batch" : "", text);
	if (again)
		return;
	note(p, x);
	if (!pull_state_holds(x->state))
		p->o.ended(x->name, p->o.arg);
}

/* sync.dir/NAME.trace: it is read by who looks for the reason. */
static void keep_trace(const struct pulls *p, const struct pulled *x, const char *trace)
{
	char *journal = order_journal_path(p->o.settings->sync.dir, x->name);
	char *path = mem_printf("%.*s.trace", (int)(strlen(journal) - strlen(".journal")),
				journal);
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

static void take_item(struct pulls *p, const json_t *j)
{
	struct pull_item i;
	struct pulled *x;

	if (job_pull_item_read(j, &i) < 0) {
		snprintf(p->error, sizeof p->error, "the worker said what makes no sense");
		p->o.shop->stop(p->worker);
		return;
	}
	x = find(p, i.user);
	if (!x || x->state != PULL_RUNNING || strcmp(x->job, p->job) != 0)
		return;
	x->migrated = i.migrated;
	x->skipped = i.skipped;
	x->failed = i.failed;
	x->total = i.total;
	x->bytes = i.bytes;
	set_text(&x->folder, i.folder);
	json_decref(x->folders);
	x->folders = json_incref(i.folders);
	if (*i.trace)
		keep_trace(p, x, i.trace);
	if (i.state != PULL_RUNNING)
		settle(p, x, i.state, i.text);
}

/* Another try of the same job is of no use. */
static void fail_batch(struct pulls *p, const char *why)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->all[i]->state == PULL_RUNNING && strcmp(p->all[i]->job, p->job) == 0)
			settle(p, p->all[i], PULL_FAILED, why);
}

static void batch_ended(struct pulls *p, const struct worker_event *ev)
{
	const struct job_result *r = ev->result;

	p->worker = NULL;
	if (r && r->ok) {
		p->failures = 0;
		p->error[0] = '\0';
		log_info(&about, "job %s is through", p->job);
		return;
	}
	if (!p->error[0] || r)
		snprintf(p->error, sizeof p->error, "%s", r ? r->text : ev->text);
	if (r && r->kind == ERR_INPUT) {
		fail_batch(p, p->error);
		p->error[0] = '\0';
		return;
	}
	p->next_look = clock_mono_ms() +
		       plan_backoff_ms(p->o.settings->sync.retry_s, p->failures++);
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

/* 1: in it. 0: not now. */
static int add_user(struct pulls *p, struct job *j, struct pulled *x, const struct user *u)
{
	struct err e = { 0 };
	int rc = 0;

	if (u->state == USER_PENDING && x->state == PULL_WAITING)
		return 0; /* until the account lets us in */
	if (u->state != USER_PROVISIONED && u->state != USER_SYNCING && u->state != USER_READY)
		rc = err_set(&e, ERR_INPUT, "the user is %s: not on old any more",
			     user_state_name(u->state));
	if (rc == 0 && !j->pull.on)
		rc = order_pull(j, p->job, u, p->o.settings, p->o.learned, &e);
	if (rc == 0)
		rc = order_pull_user(j, u, p->o.settings, p->o.learned, &e);
	if (rc < 0)
		give_up(p, x, e.text);
	return rc > 0;
}

static bool is_due(const struct pulls *p, const struct pulled *x, bool running)
{
	if (running)
		return x->state == PULL_RUNNING && strcmp(x->job, p->job) == 0;
	return x->state == PULL_WAITING && x->due <= clock_mono_ms() &&
	       !p->o.busy(x->name, p->o.arg);
}

/* Those who can go now. The rows of who goes are marked; the caller writes them. */
static void fill(struct pulls *p, struct job *j, bool running, struct pulled **in, size_t *n)
{
	*n = 0;
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

/* Before the job exists there: an engine that dies now finds it under this name, or makes it. */
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
		set_text(&in[i]->job, p->job);
		set_text(&in[i]->text, "");
		json_decref(in[i]->folders);
		in[i]->folders = NULL;
	}
	mem_free(&rows);
	return rc;
}

static void begin(struct pulls *p, bool running)
{
	struct pulled **in = mem_array(JOB_PULL_MAX, sizeof(struct pulled *));
	struct job j = { 0 };
	struct err e = { 0 };
	size_t n;
	int rc = 0;

	fill(p, &j, running, in, &n);
	if (n && !running)
		rc = mark(p, in, n, &e);
	if (n && rc == 0)
		rc = p->o.shop->start(&p->worker, &j, on_worker, p, p->o.shop, &e);
	if (rc < 0)
		log_error(&about, "job %s: %s", p->job, e.text);
	else if (n)
		log_info(&about, "job %s: %s with %zu users", p->job,
			 running ? "goes on" : "begins", n);
	job_release(&j);
	mem_free(&in);
}

/* The state that somebody is in, and whose it is; NULL: nobody. */
static const struct pulled *first_in(const struct pulls *p, enum pull_state s)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->all[i]->state == s)
			return p->all[i];
	return NULL;
}

/* No two of an installation have the same: the store's name and its clock are in it. */
static void name_job(struct pulls *p)
{
	snprintf(p->job, sizeof p->job, "mailferry-%.8s-%" PRId64, store_id(p->o.store),
		 store_now_ms(p->o.store));
}

/* Accounts and free users come one after the other: a batch begins when no more do, or is full. */
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

	if (p->worker || now < p->next_look)
		return;
	p->next_look = now + LOOK_MS;
	if (read_rows(p, &e) < 0) {
		log_error(&about, "%s", e.text);
		return;
	}
	x = first_in(p, PULL_RUNNING);
	if (x) {
		snprintf(p->job, sizeof p->job, "%s", x->job);
		begin(p, true);
	} else if (!first_in(p, PULL_STUCK) && are_gathered(p)) {
		name_job(p);
		begin(p, false);
	}
}

/* ---- asking */

static int may_be_pulled(const struct pulls *p, const struct user *u, struct err *e)
{
	switch (u->state) {
	case USER_PENDING:
	case USER_PROVISIONED:
	case USER_SYNCING:
	case USER_READY:
		return order_pull_check(u, p->o.settings, p->o.learned, e);
	case USER_FREEZING:
	case USER_FINALIZING:
		return err_set(e, ERR_INPUT,
			       "the user is being moved; remedy: ask again if that is undone");
	case USER_TRAILING:
	case USER_DONE:
	case USER_RETURNING:
	case USER_STATES:
		break;
	}
	return err_set(e, ERR_INPUT,
		       "the user is on new already, where the tool would bring back what was "
		       "deleted; what still comes on old is brought by our own passes");
}

static json_t *verdict(const char *user, const char *result, const char *text)
{
	json_t *said = json_string(text);

	return json_pack("{s:s, s:s, s:o}", "user", user, "result", result, "text",
			 said ? said : json_string("?"));
}

static json_t *ask_one(struct pulls *p, const struct user *u, bool only_try)
{
	struct pulled *x = find(p, u->name);
	struct err e = { 0 };

	if (x && pull_state_holds(x->state))
		return verdict(u->name, "open", pull_state_name(x->state));
	if (may_be_pulled(p, u, &e) < 0)
		return verdict(u->name, "refused", e.text);
	if (only_try)
		return verdict(u->name, "would wait", "");
	if (!x)
		x = add(p, u->name);
	x->state = PULL_WAITING;
	x->tries = 0;
	x->due = 0;
	x->asked = store_now_ms(p->o.store);
	x->migrated = x->skipped = x->failed = x->total = x->bytes = 0;
	set_text(&x->text, "");
	write_row(p, x);
	return verdict(u->name, "waits", "");
}

/* A job under way cannot be stopped, and must not be met by our own passes. */
static json_t *undo_one(struct pulls *p, const char *user)
{
	struct pulled *x = find(p, user);
	struct err e = { 0 };

	if (!x || !pull_state_holds(x->state))
		return verdict(user, "none", "nothing is open");
	if (x->state == PULL_RUNNING && p->worker)
		return verdict(user, "refused",
			       "OpenSRS's tool is at it, and nobody can stop it there; remedy: wait "
			       "until it is through, or has got stuck");
	if (store_pull_drop(p->o.store, user, &e) < 0)
		return verdict(user, "refused", e.text);
	drop(p, x);
	p->o.ended(user, p->o.arg);
	return verdict(user, "undone", "");
}

json_t *pulls_ask(struct pulls *p, char *const *users, size_t n, enum pulls_ask what,
		  struct err *e)
{
	json_t *list;

	if (read_rows(p, e) < 0)
		return NULL;
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		struct user u = { 0 };
		int got = store_user_get(p->o.store, users[i], &u, e);

		if (got > 0)
			json_array_append_new(list, what == PULLS_UNDO
							    ? undo_one(p, u.name)
							    : ask_one(p, &u, what == PULLS_TRY));
		user_release(&u);
		if (got < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* ---- for people */

json_t *pulls_show(const struct pulls *p, const char *user)
{
	const struct pulled *x = find(p, user);
	const char *text;
	json_t *said;

	if (!x)
		return NULL;
	text = x->state == PULL_RUNNING ? p->error : x->text;
	said = json_string(text);
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "user",
			 x->name, "state", pull_state_name(x->state), "job", x->job, "tries",
			 x->tries, "migrated", (json_int_t)x->migrated, "skipped",
			 (json_int_t)x->skipped, "failed", (json_int_t)x->failed, "total",
			 (json_int_t)x->total, "bytes", (json_int_t)x->bytes, "folder", x->folder,
			 "text", said ? said : json_string("?"), "folders",
			 x->folders ? json_incref(x->folders) : json_array());
}

bool pulls_text(const struct pulls *p, const char *user, char *out, size_t size)
{
	const struct pulled *x = find(p, user);

	if (!x)
		return false;
	switch (x->state) {
	case PULL_WAITING:
		snprintf(out, size, "OpenSRS's tool: waits for a batch%s%s",
			 *x->text ? ", once more: " : "", x->text);
		break;
	case PULL_RUNNING:
		snprintf(out, size,
			 "OpenSRS's tool: job %s: %" PRId64 " of %" PRId64
			 " messages%s%.60s%s%.200s",
			 x->job, x->migrated + x->skipped, x->total, *x->folder ? ", at " : "",
			 x->folder, *p->error ? "; " : "", p->error);
		break;
	case PULL_STUCK:
		snprintf(out, size,
			 "OpenSRS's tool: job %s: %s; remedy: look at it in the control panel, and "
			 "when it is sure to be over, `mailferry pull %s --undo`: our own copier "
			 "does the rest",
			 x->job, x->text, x->name);
		break;
	case PULL_FAILED:
		snprintf(out, size, "OpenSRS's tool failed: %s; our own copier does the rest",
			 x->text);
		break;
	case PULL_DONE:
		snprintf(out, size,
			 "OpenSRS's tool has pulled %" PRId64 " messages and skipped %" PRId64,
			 x->migrated, x->skipped);
		break;
	case PULL_STATES:
		break;
	}
	return true;
}
