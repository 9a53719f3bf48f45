/*
 * For the tests of users on lease: an engine with its store and depot, workers that do as they are
 * told, and a clock that stands. Who is at work is the test's to say: who beats first.
 */
#include <event2/event.h>

#include "common/store_engine.h"
#include "common/store_lease.h"
#include "sync/engine_impl.h"
#include "sync/order.h"
#include "tests/unit/store_stage.h"

/* ---- workers that are none */

struct worker {
	worker_fn *fn;
	void *arg;
	bool stopped, alive;
};
static struct worker workers[8];
static int started;
static const int *pages;

static int start_worker(struct worker **out, const struct job *j UNUSED, worker_fn *fn, void *arg,
			const struct workshop *shop, struct err *e UNUSED)
{
	assert_true((size_t)started < COUNT(workers));
	pages = shop->pace_fds;
	*out = &workers[started++];
	**out = (struct worker){ .fn = fn, .arg = arg, .alive = true };
	return 0;
}

/* It takes its time to end. */
static void stop_worker(struct worker *w)
{
	w->stopped = true;
}

static UNUSED void worker_ends(struct worker *w)
{
	const struct worker_event ev = { .kind = WORKER_ENDED, .text = "it was stopped" };

	assert_true(w->alive);
	w->alive = false;
	w->fn(w, &ev, w->arg);
}

/* Of a pass that went well. */
static UNUSED void worker_succeeds(struct worker *w)
{
	const struct job_result r = { .ok = true, .clean = true, .messages = 7 };
	const struct worker_event ev = { .kind = WORKER_ENDED, .result = &r };

	assert_true(w->alive);
	w->alive = false;
	w->fn(w, &ev, w->arg);
}

/* ---- the scene: one engine, and a handle that is all there is of the other one */

static struct event_base *base;
static struct settings settings;
static struct depot *depot;
static struct engine *engine;
static struct place there = { "id-of-there", "mx1" }, here = { "id-of-here", "mx2" };
static struct store *theirs, *ours;
static int64_t their_epoch, our_epoch;
static char journals[80];

static struct store *open_as(const struct place *p)
{
	struct store_opts o = { .path = path, .nudge_dir = dir, .url = pg_url(), .place = p };
	struct store *s = NULL;

	OK(store_open(&s, &o, &err));
	return s;
}

static UNUSED void beat_theirs(void)
{
	OK(store_engine_beat(theirs, &their_epoch, &err));
}

/* As sync/lease.c and sync/main.c do. */
static UNUSED void beat_ours(void)
{
	int64_t before = clock_mono_ms();

	OK(store_engine_beat(ours, &our_epoch, &err));
	engine_renewed(engine, our_epoch != 0, before + STORE_ENGINE_LEASE_MS);
}

static UNUSED void settle(void)
{
	for (int i = 0; i < 100; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		engine_nudge(engine);
	}
}

/* Both are heard of; nothing else has happened for so long. */
static UNUSED void pass_time(int64_t ms)
{
	for (int64_t step; ms > 0; ms -= step) {
		step = MIN(ms, 1000);
		clock_test_advance(step);
		beat_theirs();
		beat_ours();
		settle();
	}
}

static void start_engine(void)
{
	engine = engine_new(&(struct engine_opts){ .base = base,
						   .store = ours,
						   .settings = &settings,
						   .shop = { .start = start_worker, .stop = stop_worker },
						   .depot = depot,
						   .place = &here });
}

static int begin(void **state)
{
	static char old[] = "old.test", new[] = "new.test", plain[] = "plain", copy[] = "copy", host[] = "mx2",
		    url[] = "postgresql:", token[] = "/bin/true", ignore[] = "ignore";
	struct depot_opts o = { .base = NULL, .settings = &settings };

	if (set_up(state) < 0)
		return -1;
	clock_test_freeze();
	snprintf(journals, sizeof journals, "%s/journals", dir);
	assert_int_equal(mkdir(journals, 0700), 0);
	settings = (struct settings){
		.backend = { [SIDE_OLD] = { .host = old, .token_command = token, .connections = 10 },
			     [SIDE_NEW] = { .host = new, .token_command = token, .connections = 10 } },
		.sync = { .dir = journals, .retry_s = 60, .uids = plain, .deleted = copy, .workers = 2,
			  .connections = 2, .lend = true },
		.store = { .url = url },
		.pop3 = { .uidl = ignore },
		.run = { .host = host },
	};
	memset(workers, 0, sizeof workers);
	started = 0;
	their_epoch = our_epoch = 0;
	base = event_base_new();
	theirs = open_as(&there);
	ours = open_as(&here);
	o.base = base;
	o.store = ours;
	OK(depot_new(&depot, &o, &err));
	start_engine();
	add_user("anna");
	add_user("berta");
	go_up_to("anna", USER_SYNCING);
	go_up_to("berta", USER_SYNCING);
	return 0;
}

static void end_engine(void)
{
	engine_stop(engine);
	for (size_t i = 0; i < COUNT(workers); i++)
		if (workers[i].alive)
			worker_ends(&workers[i]);
	do_sql("DELETE FROM leases");
	for (int i = 0; i < 50 && !engine_idle(engine); i++) {
		clock_test_advance(10000);
		engine_renewed(engine, false, 0);
		settle();
	}
	engine_free(&engine);
}

static int end(void **state)
{
	end_engine();
	depot_free(&depot);
	store_close(&ours);
	store_close(&theirs);
	event_base_free(base);
	return tear_down(state);
}

static UNUSED int64_t passes_of(const char *name)
{
	struct user u = user_of(name);
	int64_t n = u.progress.passes;

	user_release(&u);
	return n;
}

#define ON_STAGE(name) cmocka_unit_test_setup_teardown(name, begin, end)
