/* The watch on waves: who is led back, how often, and what a person's word ends. */
#include "store_stage.h"

#include "common/store_past.h"
#include "sync/waves.h"

#define ROLLBACK_S 600

static struct settings settings;
static struct speed *speed;
static struct waves *waves;

static void begin(void)
{
	static const struct timetable t = { .name = "1", .is_wave = true, .actor = "operator" };

	clock_test_freeze();
	settings = (struct settings){ .waves = { .least = 4,
						 .window_s = 60,
						 .rollback_percent = 50,
						 .rollback_s = ROLLBACK_S,
						 .rollback_hours = 24 } };
	settings.backend[SIDE_OLD].copy = PROTO_IMAP;
	speed = speed_new(st, &settings);
	waves = waves_new(st, &settings, speed);
	add_user("anna");
	add_user("bob");
	OK(store_timetable_write(st, &t, &err));
	clock_test_advance(ROLLBACK_S * 1000);
	go_up_to("anna", USER_TRAILING);
	go_up_to("bob", USER_DONE);
}

static void end(void)
{
	waves_free(&waves);
	speed_free(&speed);
}

/* Of both, all through the last rollback_s. */
static void logins_fail(void)
{
	static const char *const names[] = { "anna", "bob" };
	struct login_row l = { .proto = "imap", .side = "new", .result = LOGIN_REFUSED };

	for (int i = 1; i <= 8; i++) {
		l.name = names[i % 2];
		l.at = clock_real_ms() - ROLLBACK_S * 1000 * (int64_t)i / 9;
		OK(store_logins_write(st, "proxy-1", &l, 1, &err));
	}
}

static void look(void)
{
	clock_test_advance(1000);
	OK(waves_look(waves, &err));
	waves_tick(waves);
}

static int64_t returning(void)
{
	return ask("SELECT COUNT(*) FROM users WHERE state = 'returning' AND go = 1");
}

static void stay(void)
{
	char anna[] = "anna", bob[] = "bob";
	char *names[] = { anna, bob };
	bool done[COUNT(names)];

	assert_int_equal(store_users_stay(st, names, COUNT(names), "operator", done, &err), 2);
}

static void test_all_who_were_moved_lately_go_back(void **state UNUSED)
{
	begin();
	add_user("cora");
	look();
	assert_int_equal(returning(), 0);
	logins_fail();
	look();
	assert_int_equal(returning(), 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM timetables WHERE paused = 1"), 1);
	look(); /* nobody is left */
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE to_state = 'returning'"), 2);
	end();
}

static void test_who_was_moved_long_ago_stays(void **state UNUSED)
{
	begin();
	do_sql("UPDATE users SET flipped_at = 1 WHERE name = 'bob'");
	logins_fail();
	look();
	assert_int_equal(returning(), 1);
	end();
}

/* New is mended, and the way back is taken back: what failed before shall not begin it anew. */
static void test_a_persons_word_ends_it(void **state UNUSED)
{
	begin();
	logins_fail();
	look();
	assert_int_equal(returning(), 2);
	assert_int_equal(store_wave_pause(st, "1", false, "operator", "", &err), 1);
	stay();
	look();
	assert_int_equal(returning(), 0);
	clock_test_advance(ROLLBACK_S * 1000);
	look();
	assert_int_equal(returning(), 0);
	logins_fail(); /* it was not mended */
	look();
	assert_int_equal(returning(), 2);
	end();
}

/* No new word: a wave that a person has paused may still go back. */
static void test_a_pause_does_not_put_it_off(void **state UNUSED)
{
	begin();
	assert_int_equal(store_wave_pause(st, "1", true, "operator", "", &err), 1);
	logins_fail();
	look();
	assert_int_equal(returning(), 2);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_who_were_moved_lately_go_back),
		TEST(test_who_was_moved_long_ago_stays),
		TEST(test_a_persons_word_ends_it),
		TEST(test_a_pause_does_not_put_it_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
