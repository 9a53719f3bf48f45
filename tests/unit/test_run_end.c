/* What the store learns of a pass that has ended, with the store's clock another than ours. */
#include "store_stage.h"

#include "sync/engine_impl.h"

#define BEHIND_MS 600000 /* this host, behind the store */

static int64_t later(struct db *db UNUSED)
{
	return clock_real_ms() + BEHIND_MS;
}

/* Its rows are compared with each other, and with what moves are dated by. */
static void test_a_pass_ends_by_the_clock_of_the_store(void **state UNUSED)
{
	static const struct job_result res = { .ok = true, .clean = true };
	const struct db_driver *ours = st->db->driver;
	struct db_driver theirs = *ours;
	struct settings settings = { 0 };
	struct engine en = { .o = { .store = st, .settings = &settings } };
	char name[] = "anna";
	struct run r = { .en = &en,
			 .user = name,
			 .live.kind = JOB_TRAILING,
			 .about = { .what = "user", .user = name } };
	struct user u;

	clock_test_freeze();
	theirs.now_ms = later;
	st->db->driver = &theirs;
	add_user(name);
	go_up_to(name, USER_TRAILING);
	clock_test_advance(1000);
	run_ended(&r, &res, "");
	u = numbers_of(name);
	assert_int_equal(u.progress.pass_ended, u.state_since + 1000);
	st->db->driver = ours;
}

static void test_a_pass_over_another_mailbox_is_not_clean(void **state UNUSED)
{
	static const struct job_result res = { .ok = true, .clean = true, .copied = 1 };
	static const struct place place = { .host = "mx1" };
	struct settings settings = { 0 };
	struct engine en = { .o = { .store = st, .settings = &settings, .place = &place } };
	char name[] = "anna";
	struct user_import again = row(name, NULL);
	struct import_count count;
	struct user u = { 0 };
	struct run *r;

	add_user(name);
	go_up_to(name, USER_SYNCING);
	u = user_of(name);
	r = run_new(&en, &u, JOB_PASS);
	again.login[SIDE_NEW] = "anna2";
	OK(store_users_import(st, &again, 1, &count, &err));
	run_ended(r, &res, "");
	assert_false(numbers_of(name).progress.pass_clean);
	assert_int_equal(numbers_of(name).state, USER_SYNCING);
	run_free(r);
	user_release(&u);
	u = user_of(name);
	r = run_new(&en, &u, JOB_PASS);
	run_ended(r, &res, "");
	assert_int_equal(numbers_of(name).state, USER_READY);
	run_free(r);
	user_release(&u);
	names_release(&en.asked);
}

/* Who follows what he asked for does not take the end of another for it. */
static void test_what_was_asked_for_is_awaited_to_its_own_end(void **state UNUSED)
{
	static const struct place place = { .host = "mx1" };
	struct settings settings = { 0 };
	struct engine en = { .o = { .store = st, .settings = &settings, .place = &place } };
	struct user u = { 0 };
	struct run *before, *own;

	add_user("anna");
	u = user_of("anna");
	before = run_new(&en, &u, JOB_PROBE);
	OK(engine_sync_now(&en, &u, &err));
	assert_true(engine_awaited(&en, "anna"));
	run_free(before);
	assert_true(engine_awaited(&en, "anna"));
	own = run_new(&en, &u, JOB_PROBE);
	assert_true(engine_awaited(&en, "anna"));
	run_free(own);
	assert_false(engine_awaited(&en, "anna"));
	names_release(&en.asked);
	names_release(&en.awaited);
	user_release(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_asked_for_is_awaited_to_its_own_end),
		TEST(test_a_pass_over_another_mailbox_is_not_clean),
		TEST(test_a_pass_ends_by_the_clock_of_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
