/* Users on lease, from the side of the one that has them: which workers may send, and for whom none is begun. With
 * workers that do as they are told, and a clock that stands. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "sync/pace.h"
#include "tests/unit/lease_stage.h"

static void offer(const char *name)
{
	struct user u = user_of(name);
	char rules[ORDER_DIGEST_MAX];
	struct lease_row l = {
		.name = name, .kind = "pass", .change = u.change, .connections = 2, .rules = rules, .folder = ""
	};

	OK(order_digest(JOB_PASS, &u, &settings, rules, &err));
	assert_int_equal(store_lease_offer(theirs, &l, &err), 1);
	user_release(&u);
}

static int64_t may_send_until(void)
{
	const struct pace_word *w =
		mmap(NULL, sizeof *w, PROT_READ, MAP_SHARED, speed_fds(engine->speed)[1], 0);
	int64_t until;

	assert_true(w != MAP_FAILED);
	until = atomic_load(&w->lease_until);
	munmap((void *)(uintptr_t)w, sizeof *w);
	return until;
}

static bool may_send(void)
{
	int64_t until = may_send_until();

	return until == 0 || until > clock_mono_ms();
}

/* ---- the tests */

static void test_a_pass_is_made(void **state UNUSED)
{
	beat_theirs();
	beat_ours();
	offer("anna");
	settle();
	pass_time(1000);
	assert_int_equal(started, 1);
	assert_true(may_send());
	worker_succeeds(&workers[0]);
	settle();
	assert_int_equal(errands_count(engine), 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 2"), 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM journals WHERE away = 1"), 0);
}

/* Taken back while it was stopped, and on offer again as it wakes. */
static void test_on_lease_again_while_the_late_worker_lives(void **state UNUSED)
{
	beat_theirs();
	beat_ours();
	offer("anna");
	pass_time(1000);
	assert_int_equal(started, 1);
	for (int i = 0; i < 11; i++) {
		clock_test_advance(1000);
		beat_theirs();
	}
	assert_false(may_send());
	assert_int_equal(store_lease_close(theirs, "anna", &err), 1);
	offer("anna");
	/* It wakes; its worker is told to end, and has not heard yet. */
	for (int i = 0; i < 4; i++) {
		clock_test_advance(1000);
		beat_theirs();
		beat_ours();
		settle();
		assert_true(workers[0].stopped);
		assert_false(may_send());
		assert_int_equal(started, 1);
	}
	worker_ends(&workers[0]);
	pass_time(2000);
	assert_true(may_send());
	/* Nobody's turn was lost by that. */
	assert_int_equal(started, 2);
	worker_succeeds(&workers[1]);
	settle();
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 2"), 1);
}

/* The store still hears the one that was here before, and not this one. */
static void test_one_that_was_not_heard_of_takes_nothing(void **state UNUSED)
{
	beat_theirs();
	OK(store_engine_beat(ours, &our_epoch, &err)); /* by that one */
	offer("anna");
	engine_renewed(engine, false, 0);
	settle();
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 0"), 1);
	assert_int_equal(started, 0);
	assert_false(may_send());
}

static void test_a_store_that_is_not_the_one_it_was(void **state UNUSED)
{
	beat_theirs();
	beat_ours();
	engine_distrusts(engine);
	offer("anna");
	clock_test_advance(200);
	settle();
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 0"), 1);
	pass_time(1000);
	assert_int_equal(started, 1);
}

static void test_what_one_before_had_goes_back(void **state UNUSED)
{
	beat_theirs();
	offer("anna");
	OK(store_engine_beat(ours, &our_epoch, &err));
	assert_int_equal(store_lease_pick(ours, depot_folder(depot), 1, &err), 1);
	beat_ours();
	settle();
	assert_int_equal(started, 0);
	assert_int_equal(errands_count(engine), 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 5"), 1);
}

/* Its settings were forgotten when the new server's name was changed. */
static void test_another_server_is_no_place_for_mail(void **state UNUSED)
{
	static char staging[] = "staging.test";
	char *host = settings.backend[SIDE_NEW].host;

	beat_theirs();
	beat_ours();
	offer("anna");
	settings.backend[SIDE_NEW].host = staging;
	pass_time(1000);
	assert_int_equal(started, 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 4 AND body LIKE '%host and copy%'"), 1);
	settings.backend[SIDE_NEW].host = host;
	/* After a while it tries others. */
	pass_time(1000);
	offer("berta");
	pass_time(1000);
	assert_int_equal(started, 1);
}

/* The other one is silent. What it is at goes on, and takes the place of one of its own. */
static void test_it_comes_to_work_with_an_errand(void **state UNUSED)
{
	beat_theirs();
	settings.sync.workers = 1;
	beat_ours();
	offer("anna");
	pass_time(1000);
	assert_int_equal(started, 1);
	for (int i = 0; i < 12; i++) {
		clock_test_advance(1000);
		beat_ours();
		settle();
	}
	assert_true(our_epoch > 0);
	assert_int_equal(started, 1);
	assert_non_null(engine_live(engine, "anna"));
	assert_true(may_send());
	worker_succeeds(&workers[0]);
	clock_test_advance(1000);
	beat_ours();
	settle();
	assert_int_equal(passes_of("anna"), 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases"), 0);
	assert_int_equal(started, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_a_pass_is_made),
		ON_STAGE(test_on_lease_again_while_the_late_worker_lives),
		ON_STAGE(test_one_that_was_not_heard_of_takes_nothing),
		ON_STAGE(test_a_store_that_is_not_the_one_it_was),
		ON_STAGE(test_it_comes_to_work_with_an_errand),
		ON_STAGE(test_another_server_is_no_place_for_mail),
		ON_STAGE(test_what_one_before_had_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
