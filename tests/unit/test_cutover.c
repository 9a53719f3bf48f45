/* A cutover's ways forward and back, on a real store, with a worker that does as it is told and
 * a clock that stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>

#include "common/clock.h"
#include "common/store_gate.h"
#include "common/store_node.h"
#include "sync/cutover.h"

#define WHO	  "anna@example.com"
#define BUDGET_MS 12000

/* ---- a worker that is not one */

struct worker {
	worker_fn *fn;
	void *arg;
	bool went, stopped;
};
static struct worker the_worker;

static int start_worker(struct worker **out, const struct job *j, worker_fn *fn, void *arg,
			const struct workshop *shop UNUSED, struct err *e UNUSED)
{
	assert_int_equal(j->kind, JOB_FINAL);
	the_worker = (struct worker){ .fn = fn, .arg = arg };
	*out = &the_worker;
	return 0;
}

static void let_go(struct worker *w)
{
	w->went = true;
}

static void stop_worker(struct worker *w)
{
	w->stopped = true;
}

static const struct workshop shop = { .start = start_worker,
				      .go = let_go,
				      .stop = stop_worker };

static void worker_says(enum worker_event_kind kind, const struct job_result *r)
{
	struct worker_event ev = { .kind = kind, .result = r };

	the_worker.fn(&the_worker, &ev, the_worker.arg);
}

/* ---- the scene */

struct scene {
	char folder[64];
	char *path;
	struct store *store;
	struct settings settings;
	struct cutover *cutover;
	cutover_may_fn *may_freeze;
	bool ended, gone;
	enum cutover_end end;
	struct cutover_story story;
	char text[256];
	int64_t node;
};

static int drop(const char *path, const struct stat *st UNUSED, int flag UNUSED,
		struct FTW *f UNUSED)
{
	return remove(path);
}

static void on_end(struct cutover *c, enum cutover_end end, const struct job_result *r UNUSED,
		   const char *text, void *arg)
{
	struct scene *s = arg;

	assert_false(s->ended);
	s->ended = true;
	s->end = end;
	s->story = cutover_story(c);
	snprintf(s->text, sizeof s->text, "%s", text);
}

static void on_gone(struct cutover *c UNUSED, void *arg)
{
	((struct scene *)arg)->gone = true;
}

static struct user read_user(struct scene *s)
{
	struct user u = { 0 };
	struct err e = { 0 };

	assert_int_equal(store_user_get(s->store, WHO, &u, &e), 1);
	return u;
}

static enum user_state state_of(struct scene *s)
{
	struct user u = read_user(s);
	enum user_state st = u.state;

	user_release(&u);
	return st;
}

static int64_t change_of(struct scene *s)
{
	struct user u = read_user(s);
	int64_t change = u.change;

	user_release(&u);
	return change;
}

static enum move_result move(struct scene *s, enum user_state to)
{
	struct user u = read_user(s);
	struct user_move m = { .name = WHO,
			       .from = u.state,
			       .to = to,
			       .change = u.change,
			       .hold_ms = BUDGET_MS,
			       .retry_ms = 1000,
			       .actor = "test",
			       .why = "test" };
	struct err e = { 0 };
	enum move_result r = store_user_move(s->store, &m, NULL, &e);

	user_release(&u);
	return r;
}

static char uidl[] = "keep";

/* A user who is ready and has the go, and one node that lives. */
static int set_up(void **state)
{
	static const enum user_state way[] = { USER_PROVISIONED, USER_SYNCING, USER_READY };
	struct scene *s = mem_new(sizeof *s);
	struct user_import row = { .name = WHO, .login = { WHO, WHO }, .wave = "1", .line = 2 };
	struct import_count count;
	struct err e = { 0 };
	int n;

	clock_test_freeze();
	snprintf(s->folder, sizeof s->folder, "/tmp/test_cutover.XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	s->path = mem_printf("%s/store.db", s->folder);
	assert_int_equal(store_open(&s->store,
				    &(struct store_opts){ .path = s->path, .create = true },
				    &e),
			 0);
	assert_int_equal(store_users_import(s->store, &row, 1, &count, &e), 0);
	for (size_t i = 0; i < COUNT(way); i++)
		assert_int_equal(move(s, way[i]), MOVE_DONE);
	assert_int_equal(store_users_go(s->store, WHO, NULL, true, &n, &e), 0);
	assert_int_equal(store_node_join(s->store, "proxy-1", &s->node, &e), 0);
	s->settings.cutover.budget_s = BUDGET_MS / 1000;
	s->settings.cutover.retry_s = 600;
	s->settings.cutover.tries = 2;
	s->settings.pop3.uidl = uidl;
	s->settings.backend[SIDE_OLD].port[PROTO_POP3] = 995;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	store_close(&s->store);
	nftw(s->folder, drop, 8, FTW_DEPTH | FTW_PHYS);
	free(s->path);
	free(s);
	return 0;
}

static void begin(struct scene *s)
{
	struct cutover_opts o = { .store = s->store,
				  .settings = &s->settings,
				  .shop = &shop,
				  .may_freeze = s->may_freeze,
				  .on_end = on_end,
				  .on_gone = on_gone,
				  .arg = s };
	struct job job = { .kind = JOB_FINAL };
	struct user u = read_user(s);
	struct err e = { 0 };

	s->ended = s->gone = false;
	assert_int_equal(cutover_start(&s->cutover, &o, &u, &job, &e), 0);
	user_release(&u);
}

static void freeze(struct scene *s)
{
	begin(s);
	assert_int_equal(state_of(s),
			 USER_READY); /* nobody is held while the worker connects */
	worker_says(WORKER_WAITING, NULL);
	assert_int_equal(state_of(s), USER_FREEZING);
}

static void renew(struct scene *s)
{
	struct err e = { 0 };

	assert_int_equal(store_node_renew(s->store, "proxy-1", s->node, 0, &e), 1);
}

static void say_quiet(struct scene *s)
{
	struct err e = { 0 };

	assert_int_equal(store_ack(s->store, "proxy-1", WHO, change_of(s), &e), 0);
	cutover_tick(s->cutover);
}

static void finalize(struct scene *s)
{
	freeze(s);
	say_quiet(s);
	assert_int_equal(state_of(s), USER_FINALIZING);
	assert_true(the_worker.went);
}

static const struct job_result clean = { .ok = true,
					 .clean = true,
					 .facts = { .known = true } };

static void end_worker(struct scene *s)
{
	worker_says(WORKER_ENDED, NULL);
	assert_true(s->gone);
}

static void assert_undone(struct scene *s, enum undo_cause cause)
{
	struct user u = read_user(s);

	assert_true(s->ended);
	assert_int_equal(s->end, CUTOVER_UNDONE);
	assert_int_equal(s->story.cause, cause);
	assert_in_range(s->story.held_ms, 0, 2 * BUDGET_MS);
	assert_int_equal(u.state, USER_READY);
	assert_int_equal(u.hold_until, 0);
	assert_true(u.next_try > store_now_ms(s->store));
	user_release(&u);
	assert_true(the_worker.stopped);
	end_worker(s);
}

/* ---- forward */

static void test_flip(void **state)
{
	struct scene *s = *state;
	struct user u;

	finalize(s);
	assert_false(s->ended);
	worker_says(WORKER_RESULT, &clean);
	assert_true(s->ended);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	u = read_user(s);
	assert_int_equal(u.state, USER_TRAILING);
	assert_int_equal(u.epoch, 1);
	assert_false(u.go);
	user_release(&u);
	end_worker(s);
}

/* A worker tells of unique ids as the process does: parts, then the end of them. */
static void tell_uidl(const char *body, bool complete)
{
	char part[64];
	struct job_event ev = { .kind = JOB_EVENT_UIDL_PART, .body = part };

	snprintf(part, sizeof part, "%s", body);
	the_worker.fn(&the_worker, &(struct worker_event){ .kind = WORKER_UIDL, .job = &ev },
		      the_worker.arg);
	ev = (struct job_event){
		.kind = JOB_EVENT_UIDL,
		.uidl = { .complete = complete, .entries = 1, .why = "one is missing" }
	};
	the_worker.fn(&the_worker, &(struct worker_event){ .kind = WORKER_UIDL, .job = &ev },
		      the_worker.arg);
}

/* Who reads by POP3 is flipped with a whole map that the last delta has made, and not else. */
static void test_a_pop3_user_needs_the_map(void **state)
{
	struct scene *s = *state;
	struct uidl_state map;
	struct buf text = { 0 };
	struct err e = { 0 };

	s->settings.gate.pop3_ids = RULE_REQUIRE;
	assert_int_equal(store_pop3_seen(s->store, WHO, &e), 0);
	finalize(s);
	tell_uidl("n o\n", false);
	worker_says(WORKER_RESULT, &clean);
	assert_undone(s, UNDO_GATE);
	assert_non_null(strstr(s->text, "one is missing"));
	clock_test_advance(2000000);
	renew(s);
	finalize(s);
	tell_uidl("n o\n", true);
	worker_says(WORKER_RESULT, &clean);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	assert_int_equal(store_uidl_read(s->store, WHO, 100, &map, &text, &e), 0);
	assert_true(map.complete && slice_is(buf_slice(&text), "n o\n"));
	buf_release(&text);
	end_worker(s);
}

/* Nobody knows of a POP3 client: the pause does not wait for ids, nor forget those found before. */
static void test_what_was_found_before_stays(void **state)
{
	const struct uidl_state before = { .complete = true, .entries = 1 };
	const struct slice part = SLICE("n o\n");
	struct scene *s = *state;
	struct uidl_state map;
	struct buf text = { 0 };
	struct err e = { 0 };
	struct job_event ev = { .kind = JOB_EVENT_UIDL, .uidl = { .why = "old by POP3: locked" } };

	assert_int_equal(store_uidl_write(s->store, WHO, &before, &part, 1, &e), 0);
	finalize(s);
	the_worker.fn(&the_worker, &(struct worker_event){ .kind = WORKER_UIDL, .job = &ev },
		      the_worker.arg);
	worker_says(WORKER_RESULT, &clean);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	assert_int_equal(store_uidl_read(s->store, WHO, 100, &map, &text, &e), 0);
	assert_true(!map.complete && map.entries == 1 && slice_is(buf_slice(&text), "n o\n"));
	buf_release(&text);
	end_worker(s);
}

static void test_a_map_of_yesterday_is_not_enough(void **state)
{
	const struct uidl_state before = { .complete = true };
	struct scene *s = *state;
	struct err e = { 0 };

	s->settings.gate.pop3_ids = RULE_REQUIRE;
	assert_int_equal(store_pop3_seen(s->store, WHO, &e), 0);
	assert_int_equal(store_uidl_write(s->store, WHO, &before, &(struct slice){ 0 }, 0, &e),
			 0);
	clock_test_advance(1000);
	renew(s);
	finalize(s);
	worker_says(WORKER_RESULT, &clean);
	assert_undone(s, UNDO_GATE);
	/* …unless a person says so. */
	assert_int_equal(store_uidl_accept(s->store, WHO, true, &e), 0);
	clock_test_advance(2000000);
	renew(s);
	finalize(s);
	worker_says(WORKER_RESULT, &clean);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	end_worker(s);
}

static bool serves(struct scene *s)
{
	struct uidl_state map;
	struct err e = { 0 };

	assert_int_equal(store_uidl_state(s->store, WHO, &map, &e), 0);
	return store_uidl_serves(&map);
}

/* Up to the last look at the nodes, with a map that is not whole. */
static void close_without_a_map(struct scene *s)
{
	finalize(s);
	tell_uidl("n o\n", false);
	worker_says(WORKER_RESULT, &clean);
}

/* The gate lets such a user pass, so the flip does, and nodes answer UIDL. */
static void test_who_is_let_pass_without_a_map_is_flipped(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };

	s->settings.gate.pop3_ids = RULE_WARN;
	assert_int_equal(store_pop3_seen(s->store, WHO, &e), 0);
	assert_false(serves(s));
	close_without_a_map(s);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	assert_true(serves(s));
	end_worker(s);
}

/* Of a wave's waiver, too, that was there before the user came into it. */
static void test_a_waves_waiver_of_the_map_holds_at_the_flip(void **state)
{
	const struct waiver_row w = { .is_wave = true,
				      .name = "1",
				      .item = "pop3-ids",
				      .note = "agreed",
				      .actor = "operator" };
	struct scene *s = *state;
	struct err e = { 0 };
	int n;

	s->settings.gate.pop3_ids = RULE_REQUIRE;
	assert_int_equal(store_pop3_seen(s->store, WHO, &e), 0);
	assert_int_equal(store_waive(s->store, &w, true, &n, &e), 0);
	close_without_a_map(s);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	assert_true(serves(s));
	end_worker(s);
}

static void test_without_nodes_nobody_has_to_be_asked(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };

	assert_int_equal(store_node_leave(s->store, "proxy-1", s->node, &e), 0);
	begin(s);
	worker_says(WORKER_WAITING, NULL);
	assert_int_equal(state_of(s), USER_FINALIZING);
	cutover_cancel(s->cutover, "enough");
	assert_undone(s, UNDO_CANCELLED);
}

static void test_no_delta_before_all_are_quiet(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };

	freeze(s);
	assert_int_equal(store_ack(s->store, "proxy-1", WHO, change_of(s) - 1, &e),
			 0); /* an older freeze */
	cutover_tick(s->cutover);
	assert_int_equal(state_of(s), USER_FREEZING);
	assert_false(the_worker.went);
	say_quiet(s);
	assert_true(the_worker.went);
	cutover_cancel(s->cutover, "enough");
	assert_undone(s, UNDO_CANCELLED);
}

/* ---- back */

static void test_budget_spent_in_freezing(void **state)
{
	struct scene *s = *state;

	freeze(s);
	clock_test_advance(BUDGET_MS - CUTOVER_MARGIN_MS - 1);
	renew(s);
	cutover_tick(s->cutover);
	assert_int_equal(state_of(s), USER_FREEZING);
	clock_test_advance(1);
	cutover_tick(s->cutover);
	assert_undone(s, UNDO_NODES);
	assert_string_equal(s->text,
			    "budget of 12 s spent waiting for: proxy-1: no answer yet");
}

static void test_budget_spent_in_the_delta(void **state)
{
	struct scene *s = *state;

	finalize(s);
	clock_test_advance(BUDGET_MS - CUTOVER_MARGIN_MS);
	renew(s);
	cutover_tick(s->cutover);
	assert_undone(s, UNDO_SLOW_DELTA);
}

static void test_unclean_delta(void **state)
{
	static const struct job_result unclean = { .ok = true,
						   .clean = false,
						   .text = "one is missing" };
	struct scene *s = *state;

	finalize(s);
	worker_says(WORKER_RESULT, &unclean);
	assert_non_null(strstr(s->text, "one is missing"));
	assert_undone(s, UNDO_DELTA);
}

static void test_what_the_last_delta_found_counts(void **state)
{
	struct job_result r = { .ok = true,
				.clean = true,
				.facts = { .known = true, .strangers = { 1, "Junk" } } };
	struct scene *s = *state;

	s->settings.gate.strangers = RULE_REQUIRE;
	finalize(s);
	worker_says(WORKER_RESULT, &r);
	assert_string_equal(s->text, "gate: strangers: 1 messages on new were not copied from "
				     "old, first in Junk");
	assert_undone(s, UNDO_GATE);
}

static void test_a_delta_without_facts_is_no_proof(void **state)
{
	static const struct job_result bare = { .ok = true, .clean = true };
	struct scene *s = *state;

	finalize(s);
	worker_says(WORKER_RESULT, &bare);
	assert_non_null(strstr(s->text, "did not say"));
	assert_undone(s, UNDO_GATE);
}

/* It may have been given, or taken back, while the delta ran. */
static void test_a_waiver_holds_at_the_flip(void **state)
{
	const struct waiver_row w = {
		.name = WHO, .item = "strangers", .note = "spam", .actor = "operator"
	};
	struct job_result r = { .ok = true,
				.clean = true,
				.facts = { .known = true, .strangers = { 1, "Junk" } } };
	struct scene *s = *state;
	struct err e = { 0 };
	int n;

	s->settings.gate.strangers = RULE_REQUIRE;
	finalize(s);
	assert_int_equal(store_waive(s->store, &w, true, &n, &e), 0);
	worker_says(WORKER_RESULT, &r);
	assert_int_equal(s->end, CUTOVER_FLIPPED);
	assert_int_equal(state_of(s), USER_TRAILING);
	end_worker(s);
}

static void test_failed_delta(void **state)
{
	static const struct job_result failed = { .ok = false,
						  .kind = ERR_TEMP,
						  .text = "lost" };
	struct scene *s = *state;

	finalize(s);
	worker_says(WORKER_RESULT, &failed);
	assert_undone(s, UNDO_DELTA);
}

static void test_worker_dies_in_the_hold(void **state)
{
	struct scene *s = *state;

	finalize(s);
	worker_says(WORKER_ENDED, NULL);
	assert_true(s->ended && s->gone);
	assert_int_equal(s->end, CUTOVER_UNDONE);
	assert_int_equal(state_of(s), USER_READY);
}

static void test_worker_that_cannot_connect_holds_nobody(void **state)
{
	struct scene *s = *state;

	begin(s);
	worker_says(WORKER_ENDED, NULL);
	assert_true(s->ended && s->gone);
	assert_int_equal(s->end, CUTOVER_NOT_BEGUN);
	assert_int_equal(state_of(s), USER_READY);
}

static void test_node_falls_silent(void **state)
{
	struct scene *s = *state;

	freeze(s);
	clock_test_advance(STORE_LEASE_MS + 1);
	cutover_tick(s->cutover);
	assert_undone(s, UNDO_NODES);
}

static void test_node_falls_silent_before_the_flip(void **state)
{
	struct scene *s = *state;

	finalize(s);
	clock_test_advance(STORE_LEASE_MS + 1);
	worker_says(WORKER_RESULT, &clean);
	assert_undone(s, UNDO_NODES);
}

static void test_node_that_joins_late_counts(void **state)
{
	struct scene *s = *state;
	int64_t late;
	struct err e = { 0 };

	finalize(s);
	assert_int_equal(store_node_join(s->store, "proxy-2", &late, &e), 0);
	worker_says(WORKER_RESULT, &clean);
	assert_false(s->ended); /* it has not said quiet */
	clock_test_advance(1000);
	cutover_tick(s->cutover);
	assert_int_equal(state_of(s), USER_FINALIZING);
	clock_test_advance(BUDGET_MS);
	cutover_tick(s->cutover);
	assert_undone(s, UNDO_NODES);
}

static void test_too_late_for_the_flip(void **state)
{
	struct scene *s = *state;

	finalize(s);
	clock_test_advance(BUDGET_MS + 1); /* the engine slept */
	renew(s);
	worker_says(WORKER_RESULT, &clean);
	assert_undone(s, UNDO_NODES);
}

static void test_a_node_undid_it_while_we_slept(void **state)
{
	struct scene *s = *state;

	finalize(s);
	assert_int_equal(move(s, USER_READY), MOVE_DONE);
	worker_says(WORKER_RESULT, &clean);
	assert_true(s->ended);
	assert_int_equal(s->end, CUTOVER_UNDONE);
	assert_int_equal(state_of(s), USER_READY);
	end_worker(s);
}

static void test_go_was_withdrawn(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };
	int n;

	begin(s);
	assert_int_equal(store_users_go(s->store, WHO, NULL, false, &n, &e), 0);
	worker_says(WORKER_WAITING, NULL);
	assert_int_equal(s->end, CUTOVER_LOST);
	assert_int_equal(state_of(s), USER_READY);
	end_worker(s);
}

static bool may_not(const struct user *u, char *why, size_t size, void *arg UNUSED)
{
	assert_string_equal(u->name, WHO);
	snprintf(why, size, "wave 1 is paused");
	return false;
}

/* The worker may have taken long to connect: nobody is held by what was so before. */
static void test_what_has_changed_while_the_worker_connected(void **state)
{
	struct scene *s = *state;

	s->may_freeze = may_not;
	begin(s);
	worker_says(WORKER_WAITING, NULL);
	assert_int_equal(s->end, CUTOVER_LOST);
	assert_int_equal(state_of(s), USER_READY);
	end_worker(s);
}

static void test_undone_too_often_a_person_must_look(void **state)
{
	struct scene *s = *state;
	struct user u;

	for (int i = 1; i <= s->settings.cutover.tries; i++) {
		finalize(s);
		cutover_cancel(s->cutover, "the reason");
		assert_undone(s, UNDO_CANCELLED);
		u = read_user(s);
		assert_int_equal(u.undos, i);
		assert_string_equal(u.stuck_reason,
				    i < s->settings.cutover.tries ? "" : "the reason");
		user_release(&u);
	}
}

static void test_an_orphan_is_undone(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };
	struct user u;

	assert_int_equal(move(s, USER_FREEZING), MOVE_DONE);
	u = read_user(s);
	assert_int_equal(cutover_undo_orphan(s->store, &s->settings, &u, "engine started", &e),
			 1);
	assert_int_equal(state_of(s), USER_READY);
	assert_int_equal(cutover_undo_orphan(s->store, &s->settings, &u, "engine started", &e),
			 0);
	user_release(&u);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flip),
		TEST(test_a_pop3_user_needs_the_map),
		TEST(test_who_is_let_pass_without_a_map_is_flipped),
		TEST(test_a_waves_waiver_of_the_map_holds_at_the_flip),
		TEST(test_what_was_found_before_stays),
		TEST(test_a_map_of_yesterday_is_not_enough),
		TEST(test_without_nodes_nobody_has_to_be_asked),
		TEST(test_no_delta_before_all_are_quiet),
		TEST(test_budget_spent_in_freezing),
		TEST(test_budget_spent_in_the_delta),
		TEST(test_unclean_delta),
		TEST(test_failed_delta),
		TEST(test_what_the_last_delta_found_counts),
		TEST(test_a_delta_without_facts_is_no_proof),
		TEST(test_a_waiver_holds_at_the_flip),
		TEST(test_worker_dies_in_the_hold),
		TEST(test_worker_that_cannot_connect_holds_nobody),
		TEST(test_node_falls_silent),
		TEST(test_node_falls_silent_before_the_flip),
		TEST(test_node_that_joins_late_counts),
		TEST(test_too_late_for_the_flip),
		TEST(test_a_node_undid_it_while_we_slept),
		TEST(test_go_was_withdrawn),
		TEST(test_what_has_changed_while_the_worker_connected),
		TEST(test_undone_too_often_a_person_must_look),
		TEST(test_an_orphan_is_undone),
	};

	log_open("test", LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
