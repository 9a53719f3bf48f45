/* Hides: the rows of all users, and when what is done. */
#include "sync/pulls_impl.h"

#include <inttypes.h>
#include <search.h>

#include "common/clock.h"
#include "common/log.h"

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
	x->missing = mem_str("");
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
	mem_free(&x->missing);
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

/* What is not written now is what the next engine does not know: it follows the job once more.
 */
void pulls_write(struct pulls *p, const struct pulled *x)
{
	const struct pull_row row = pulled_row(x);
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
		pulls_return_journals(p);
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

bool pulls_in_batch(const struct pulls *p, const struct pulled *x)
{
	return (x->state == PULL_RUNNING || x->state == PULL_STUCK) &&
	       strcmp(x->job, p->job) == 0;
}

bool pulls_has_batch(const struct pulls *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (pulls_in_batch(p, p->all[i]))
			return true;
	return false;
}

/* ---- time */

/* Figures that do not move for so long are not going to; but the job is followed on. */
static void look_for_stillness(struct pulls *p, int64_t now)
{
	if (!p->job[0] || now < p->next_still ||
	    now - p->moved < (int64_t)p->o.settings->opensrs.pull_still_s * 1000)
		return;
	p->next_still = now + LOOK_MS;
	for (size_t i = 0; i < p->count; i++)
		if (pulls_in_batch(p, p->all[i]) && p->all[i]->state == PULL_RUNNING)
			pulled_stand_still(p, p->all[i]);
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
		pulls_begin(p, true);
	} else if (pulls_are_gathered(p)) {
		name_job(p);
		pulls_begin(p, false);
	}
}
