/* The rules of waves: when the next may begin, and when a wave must stop or go back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "sync/wave.h"

#define NOW ((int64_t)1700000000000)

static char why[WAVE_WHY_MAX];

static struct wave_facts facts(void)
{
	return (struct wave_facts){
		.t = { .name = "1", .is_wave = true, .why = "", .actor = "operator" },
	};
}

static void assert_waits(const struct wave_facts *f, const char *part)
{
	if (wave_may_start(NOW, f, why, sizeof why))
		fail_msg("may start, and should say: %s", part);
	if (!strstr(why, part))
		fail_msg("%s", why);
}

static void assert_starts(const struct wave_facts *f)
{
	if (!wave_may_start(NOW, f, why, sizeof why))
		fail_msg("%s", why);
}

static void test_nobody_said_when(void **state UNUSED)
{
	struct wave_facts f = facts();

	assert_starts(&f);
}

static void test_not_before_its_time(void **state UNUSED)
{
	struct wave_facts f = facts();

	f.t.starts = NOW + 1;
	assert_waits(&f, "wave 1 begins at 20");
	f.t.starts = NOW;
	assert_starts(&f);
}

static void test_a_pause_counts_first(void **state UNUSED)
{
	struct wave_facts f = facts();

	f.t.starts = NOW + 1;
	f.t.paused = true;
	assert_waits(&f, "wave 1 is paused by operator: no reason was given");
	f.t.why = "too slow";
	assert_waits(&f, "paused by operator: too slow");
}

static void test_the_rate(void **state UNUSED)
{
	struct wave_facts f = facts();

	f.t.rate = 10;
	f.next = NOW + 1;
	assert_waits(&f, "10 users a minute begin: the next in 1 s");
	f.next = NOW;
	assert_starts(&f);
	f.t.rate = 0;
	f.next = NOW + 1; /* of a rate that was taken away */
	assert_starts(&f);
}

static void test_the_pace_of_a_rate(void **state UNUSED)
{
	assert_int_equal(wave_next(NOW, 0, 0), 0);
	assert_int_equal(wave_next(NOW, 0, 10), NOW + 6000);
	assert_int_equal(wave_next(NOW, NOW - 100, 10), NOW + 5900); /* a late look */
	assert_int_equal(wave_next(NOW, NOW - WAVE_CREDIT_MS - 1, 10), NOW + 6000);
	assert_int_equal(wave_next(NOW, NOW, 600), NOW + 100);
}

static void test_the_first_hour(void **state UNUSED)
{
	struct wave_facts f = facts();

	f.t.first_hour = 2;
	f.fresh = 1;
	assert_starts(&f);
	f.fresh = 2;
	assert_waits(&f, "2 users of wave 1 are on their way or in their first hour");
	f.fresh_ends = NOW + 1500;
	assert_waits(&f, "2 users of wave 1 are in their first hour on new, of at most 2; the "
			 "next may begin in 2 s");
}

static void test_quiet(void **state UNUSED)
{
	struct wave_facts f = facts();

	f.t.quiet_s = 30;
	assert_true(wave_wants_quiet(NOW, &f));
	assert_starts(&f); /* asked only when all else is open */
	f.quiet_known = true;
	assert_waits(&f, "a command is open");
	f.quiet_since = NOW - 29999;
	assert_waits(&f, "no command open for 30 s, so far 29 s; as long as that takes");
	f.quiet_since = NOW - 30000;
	assert_starts(&f);
	f.quiet_since = 0;
	f.t.latest = NOW + 1;
	assert_waits(&f, "at the latest at 20");
	f.t.latest = NOW;
	assert_starts(&f);
	assert_false(wave_wants_quiet(NOW, &f));
}

static void assert_timetable(const struct timetable *t, const char *expected)
{
	wave_timetable_text(t, why, sizeof why);
	assert_string_equal(why, expected);
}

static void test_timetables_in_words(void **state UNUSED)
{
	setenv("TZ", "UTC", 1);
	tzset();
	assert_timetable(&(struct timetable){ 0 }, "as soon as each is in step");
	assert_timetable(
		&(struct timetable){ .starts = NOW,
				     .rate = 10,
				     .first_hour = 200,
				     .quiet_s = 30,
				     .latest = NOW + 3600000 },
		"from 2023-11-14 22:13:20 UTC, 10 a minute, at most 200 in their first hour on "
		"new, when no command was open for 30 s, at the latest at 2023-11-14 23:13:20 UTC");
}

static void test_a_schedule(void **state UNUSED)
{
	struct timetable t = { .rate = 60, .first_hour = 2 };
	int64_t due[5];

	wave_schedule(&t, NOW, NOW + 500, 0, 0, due, 5);
	assert_int_equal(due[0], NOW + 500);
	assert_int_equal(due[1], NOW + 1500);
	assert_int_equal(due[2], NOW + 500 + WAVE_HOUR_MS);
	assert_int_equal(due[3], NOW + 1500 + WAVE_HOUR_MS);
	assert_int_equal(due[4], NOW + 500 + 2 * (int64_t)WAVE_HOUR_MS);
	/* One place is taken yet. */
	wave_schedule(&t, NOW, 0, 1, NOW + 9000, due, 3);
	assert_int_equal(due[0], NOW);
	assert_int_equal(due[1], NOW + 9000);
	assert_int_equal(due[2], NOW + WAVE_HOUR_MS + 0);
	t = (struct timetable){ .starts = NOW + 7 };
	wave_schedule(&t, NOW, NOW + 100000, 9, 0, due, 2);
	assert_int_equal(due[0], NOW + 7);
	assert_int_equal(due[1], NOW + 7);
}

/* ---- how it goes */

static struct settings settings(void)
{
	return (struct settings){ .waves = { .window_s = 300,
					     .least = 10,
					     .failed_percent = 20,
					     .hold_ms = 5000,
					     .slow_times = 5,
					     .slow_ms = 200,
					     .rollback_percent = 50,
					     .rollback_s = 600 } };
}

static struct wave_health well(void)
{
	return (struct wave_health){ .logins = { .total = 10, .failed = 2, .users = 2 },
				     .holds = { .count = 10, .p95 = 5000 },
				     .on_new = 5,
				     .typical_us = 300000,
				     .quiet_us = 60000 };
}

static void assert_ill(const struct settings *s, const struct wave_health *h, const char *part)
{
	why[0] = '\0';
	if (wave_is_ill(s, h, why, sizeof why) != (part != NULL) ||
	    (part && !strstr(why, part)))
		fail_msg("%s", why);
}

static void test_failing_logins(void **state UNUSED)
{
	struct settings s = settings();
	struct wave_health h = well();

	assert_ill(&s, &h, NULL); /* at every threshold */
	h.logins.failed = 3;
	assert_ill(&s, &h,
		   "3 of 10 logins to new failed (30 %, of 2 users; more than "
		   "waves.failed_percent = 20)");
	h.logins.users = 1; /* one user, who mistypes */
	assert_ill(&s, &h, NULL);
	h.on_new = 1; /* but if he is all there is */
	assert_ill(&s, &h, "3 of 10");
	h.logins = (struct wave_logins){ .total = 9, .failed = 9, .users = 3 };
	assert_ill(&s, &h, NULL);
	h.logins.total = h.logins.failed = 100;
	s.waves.failed_percent = 0;
	assert_ill(&s, &h, NULL);
}

static void test_long_waits(void **state UNUSED)
{
	struct settings s = settings();
	struct wave_health h = well();

	h.holds.p95 = 5001;
	assert_ill(&s, &h, "of 10 logins that waited one in twenty waited 5001 ms");
	h.holds.count = 9;
	assert_ill(&s, &h, NULL);
	h.holds.count = 10;
	s.waves.hold_ms = 0;
	assert_ill(&s, &h, NULL);
}

static void test_a_slow_server(void **state UNUSED)
{
	struct settings s = settings();
	struct wave_health h = well();

	h.typical_us = 301000;
	assert_ill(&s, &h, "answers live users in 301 ms, 60 ms when it is quiet");
	h.quiet_us = 0;
	assert_ill(&s, &h, NULL);
	h.quiet_us = 1000;
	h.typical_us = 200000; /* many times slower, and quick all the same */
	assert_ill(&s, &h, NULL);
}

static void test_when_users_are_led_back(void **state UNUSED)
{
	struct settings s = settings();
	struct wave_logins bad = { .total = 5, .failed = 3, .users = 2 };
	struct wave_logins good = { .total = 5, .failed = 2, .users = 2 }, none = { 0 };

	assert_true(wave_must_return(&s, &bad, &bad, 5, why, sizeof why));
	assert_string_equal(why, "6 of 10 logins to new failed for 600 s (more than "
				 "waves.rollback_percent = 50)");
	assert_false(wave_must_return(&s, &good, &bad, 5, why, sizeof why));
	assert_false(wave_must_return(&s, &bad, &good, 5, why, sizeof why));
	assert_false(wave_must_return(&s, &none, &bad, 5, why, sizeof why));
	s.waves.rollback_percent = 0;
	assert_false(wave_must_return(&s, &bad, &bad, 5, why, sizeof why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_said_when),
		cmocka_unit_test(test_not_before_its_time),
		cmocka_unit_test(test_a_pause_counts_first),
		cmocka_unit_test(test_the_rate),
		cmocka_unit_test(test_the_pace_of_a_rate),
		cmocka_unit_test(test_the_first_hour),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_timetables_in_words),
		cmocka_unit_test(test_a_schedule),
		cmocka_unit_test(test_failing_logins),
		cmocka_unit_test(test_long_waits),
		cmocka_unit_test(test_a_slow_server),
		cmocka_unit_test(test_when_users_are_led_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
