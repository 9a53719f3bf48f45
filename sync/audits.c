/* Hides: the queue of comparisons, their workers, and where reports are kept. */
#include "sync/audits.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/store_lease.h"
#include "sync/audit_wire.h"
#include "sync/journal_exception.h"
#include "sync/order.h"
#include "sync/report.h"

struct audit {
	struct audits *of;
	struct audit *next;
	char *user;
	enum audit_level level;
	int64_t sample, started;
	enum audit_state state;
	char *text;
	struct worker *worker;
	struct report *report;
	struct audit_totals totals;
	struct log_about about;
};

struct audits {
	struct audits_opts o;
	struct audit *first, **last;
	void *by_user; /* tsearch() */
	size_t count;
	int running;
	bool stopping;
};

const char *audit_state_name(enum audit_state s)
{
	static const char *const names[] = { "none", "waiting", "running", "failed", "done" };

	return names[s];
}

struct audits *audits_new(const struct audits_opts *o)
{
	struct audits *a = mem_new(sizeof *a);

	a->o = *o;
	a->last = &a->first;
	return a;
}

static int by_user(const void *a, const void *b)
{
	return strcmp(((const struct audit *)a)->user, ((const struct audit *)b)->user);
}

static void audit_free(struct audit *x)
{
	mem_free(&x->user);
	mem_free(&x->text);
	report_free(&x->report);
	free(x);
}

void audits_free(struct audits **a)
{
	if (!*a)
		return;
	ASSERT(audits_idle(*a));
	for (struct audit *x = (*a)->first, *next; x; x = next) {
		next = x->next;
		tdelete(x, &(*a)->by_user, by_user);
		audit_free(x);
	}
	mem_free(a);
}

bool audits_idle(const struct audits *a)
{
	return a->running == 0;
}

/* ---- reports on disk */

static char *report_path(const struct audits *a, const char *user, const char *kind)
{
	char *journal = order_journal_path(a->o.settings->sync.reports, user);
	char *path = mem_printf("%.*s.%s", (int)(strlen(journal) - strlen(".journal")), journal,
				kind);

	mem_free(&journal);
	return path;
}

static int write_whole(const char *path, struct slice bytes, struct err *e)
{
	char *fresh = mem_printf("%s.new", path);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fflush(f) != 0 ||
	    fsync(fd) < 0 || rename(fresh, path) < 0)
		rc = err_set(e, ERR_STORE, "%s: %s", path, strerror(errno));
	if (f)
		fclose(f);
	mem_free(&fresh);
	return rc;
}

static int keep_report(struct audits *a, const char *user, const json_t *document,
		       struct err *e)
{
	char *json_path = report_path(a, user, "json"),
	     *page_path = report_path(a, user, "html");
	char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
	struct buf page = { 0 };
	int rc;

	report_html(document, &page);
	rc = write_whole(page_path, buf_slice(&page), e);
	if (rc == 0)
		rc = write_whole(json_path, slice_of(text), e);
	buf_release(&page);
	free(text);
	mem_free(&json_path);
	mem_free(&page_path);
	return rc;
}

static int add_exception(const struct journal_exception *x, void *report)
{
	report_exception(report, x->folder, x->uid[SIDE_OLD], x->reason,
			 x->waived ? x->note : NULL);
	return 0;
}

/* Why some could not be copied is what the copier says; that they are missing was found
 * without it. */
static int add_exceptions(struct audit *x, struct err *e)
{
	char *path = order_journal_path(x->of->o.settings->sync.dir, x->user);
	struct depot *depot = x->of->o.depot;
	struct journal *j = NULL;
	bool lent;
	int rc = depot_lend(depot, x->user, DEPOT_PATIENCE_MS, &lent, e);

	if (rc == 0)
		rc = journal_open_desk(&j, path, e);
	if (rc > 0)
		rc = journal_exceptions_each(j, 0, add_exception, x->report, e);
	journal_close(&j);
	if (lent)
		depot_return(depot, x->user);
	mem_free(&path);
	return rc < 0 ? -1 : 0;
}

static int sign_and_keep(struct audit *x, struct err *e)
{
	const char *dir = x->of->o.settings->sync.reports;
	char *key = mem_printf("%s/" REPORT_KEY, dir);
	struct signer *s = NULL;
	json_t *document;
	int rc = signer_open(key, &s, e);

	if (rc == 0)
		rc = add_exceptions(x, e);
	if (rc == 0) {
		document =
			report_finish(x->report, &x->totals, clock_real_ms() - x->started, s);
		rc = keep_report(x->of, x->user, document, e);
		json_decref(document);
	}
	signer_free(&s);
	mem_free(&key);
	return rc;
}

/* ---- one at work */

static void audit_end(struct audit *x, enum audit_state state, const char *text)
{
	x->state = state;
	mem_free(&x->text);
	x->text = mem_str(text);
	report_free(&x->report);
	if (state == AUDIT_FAILED)
		log_warn(&x->about, "verify failed: %s", text);
	else
		log_info(&x->about, "verified: %s, %lld messages the same",
			 audit_grade_name(audit_grade(x->totals.found)),
			 (long long)x->totals.same);
}

static void take_item(struct audit *x, const json_t *j)
{
	struct audit_item item;
	struct err e = { 0 };

	if (audit_wire_read(j, &item, &e) < 0) {
		x->of->o.shop->stop(x->worker);
		audit_end(x, AUDIT_FAILED, e.text);
	} else if (item.is_folder) {
		report_folder(x->report, item.name[SIDE_OLD], item.name[SIDE_NEW],
			      &item.totals);
		audit_totals_add(&x->totals, &item.totals);
	} else {
		report_finding(x->report, item.what, item.name[SIDE_OLD], item.uid);
	}
}

static void ended(struct audit *x, const struct worker_event *ev)
{
	struct err e = { 0 };

	if (!ev->result || !ev->result->ok)
		audit_end(x, AUDIT_FAILED, ev->result ? ev->result->text : ev->text);
	else if (sign_and_keep(x, &e) < 0)
		audit_end(x, AUDIT_FAILED, e.text);
	else
		audit_end(x, AUDIT_DONE, "");
}

static void on_worker(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	struct audit *x = arg;

	switch (ev->kind) {
	case WORKER_AUDIT:
		if (x->state == AUDIT_RUNNING)
			take_item(x, ev->job->item);
		return;
	case WORKER_UIDL:
	case WORKER_ACCOUNT:
	case WORKER_PULL:
	case WORKER_TOKEN:
	case WORKER_VALIDITY:
	case WORKER_WAITING:
	case WORKER_PROGRESS:
	case WORKER_RESULT:
		return;
	case WORKER_ENDED:
		break;
	}
	x->worker = NULL;
	x->of->running--;
	if (x->state == AUDIT_RUNNING)
		ended(x, ev);
	audits_tick(x->of);
}

static int start(struct audit *x, const struct user *u, struct err *e)
{
	struct audits *a = x->of;
	struct job j;
	int rc;

	if (order_fill(&j, JOB_AUDIT, u, a->o.settings, a->o.learned, e) < 0)
		return -1;
	j.level = x->level;
	j.sample = x->sample;
	x->started = clock_real_ms();
	x->totals = (struct audit_totals){ 0 };
	x->report =
		report_new(u->name, user_state_name(u->state), x->level, x->sample, x->started);
	rc = a->o.shop->start(&x->worker, &j, on_worker, x, a->o.shop, e);
	job_release(&j);
	return rc;
}

static void begin(struct audit *x)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(x->of->o.store, x->user, &u, &e);

	x->about = (struct log_about){ .what = "user", .user = x->user, .doing = "verify" };
	if (got == 0)
		got = err_set(&e, ERR_INPUT, "the user is no longer known");
	if (got > 0)
		got = start(x, &u, &e);
	user_release(&u);
	if (got < 0) {
		audit_end(x, AUDIT_FAILED, e.text);
		return;
	}
	x->state = AUDIT_RUNNING;
	x->of->running++;
}

/* The report needs the journal at its end, and that is with the other host. */
static bool is_lent(const struct audit *x)
{
	struct err e = { 0 };
	int lent = store_lease_elsewhere(x->of->o.store, x->user, &e);

	if (lent < 0)
		log_error(NULL, "%s", e.text);
	return lent != 0;
}

void audits_tick(struct audits *a)
{
	for (struct audit *x = a->first; x && !a->stopping && a->running < AUDITS_AT_ONCE;
	     x = x->next)
		if (x->state == AUDIT_WAITING && !is_lent(x))
			begin(x);
}

void audits_stop(struct audits *a)
{
	a->stopping = true;
	for (struct audit *x = a->first; x; x = x->next)
		if (x->worker)
			a->o.shop->stop(x->worker);
}

/* ---- for people */

static struct audit *find(const struct audits *a, const char *user)
{
	const struct audit key = { .user = (char *)(uintptr_t)user };
	struct audit *const *x = tfind(&key, &a->by_user, by_user);

	return x ? *x : NULL;
}

int audits_ask(struct audits *a, const char *user, enum audit_level level, int64_t sample,
	       struct err *e)
{
	struct audit *x = find(a, user);

	if (!x && a->count == AUDITS_MAX)
		return err_set(e, ERR_LIMIT,
			       "%d users were compared already: restart the engine",
			       AUDITS_MAX);
	if (!x) {
		x = mem_new(sizeof *x);
		x->of = a;
		x->user = mem_str(user);
		*a->last = x;
		a->last = &x->next;
		a->count++;
		ASSERT(tsearch(x, &a->by_user, by_user));
	}
	if (x->worker || x->state == AUDIT_WAITING)
		return 0;
	x->level = level;
	x->sample = sample;
	x->state = AUDIT_WAITING;
	audits_tick(a);
	return 0;
}

void audits_find(struct audits *a, const char *user, bool with_document,
		 struct audit_status *out)
{
	const struct audit *x = find(a, user);
	char *path;

	*out = (struct audit_status){ .state = x ? x->state : AUDIT_NONE,
				      .text = x && x->text ? x->text : "" };
	if (out->state == AUDIT_DONE)
		out->totals = x->totals;
	if (!with_document || (out->state != AUDIT_DONE && out->state != AUDIT_NONE))
		return;
	path = report_path(a, user, "json");
	out->document = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	mem_free(&path);
}
