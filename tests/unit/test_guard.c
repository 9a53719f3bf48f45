/* Who is made to wait for whom: addresses and users, guesses in a row and side by side. */
#include "tests/unit/wire_test.h"

#include "common/clock.h"
#include "proxy/guard.h"

static struct settings settings;
static struct proxy proxy;
static struct guard *guard;

static int set_up(void **state UNUSED)
{
	settings.limits.preauth_per_address = 3;
	settings.limits.sessions_per_address = 0;
	settings.limits.login_parallel = 4;
	settings.limits.login_delay_s = 15;
	settings.limits.tracked = 1000;
	proxy.settings = &settings;
	proxy.metrics = meters_new();
	guard = guard_new(&proxy);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	guard_free(&guard);
	metrics_free(&proxy.metrics);
	return 0;
}

static const struct endpoint *v4(unsigned last)
{
	static struct endpoint e = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 0 } };

	e.ip[14] = (uint8_t)(last >> 8);
	e.ip[15] = (uint8_t)last;
	return &e;
}

static const struct endpoint *v6(unsigned net, unsigned host)
{
	static struct endpoint e = { .ip = { 0x20, 0x01, 0x0d, 0xb8 } };

	e.ip[7] = (uint8_t)net;
	e.ip[15] = (uint8_t)host;
	return &e;
}

/* 0: goes to the backend; else the wait. */
static int64_t ask(struct guarded *s, const char *user)
{
	enum limit by;

	return guard_ask(guard, s, user, &by);
}

/* A login from an address that nobody else has. */
static void fails(const char *user, unsigned times)
{
	static unsigned next = 1000;

	for (; times; times--) {
		struct guarded s = { 0 };

		assert_int_equal(guard_arrive(guard, &s, v4(next++)), 0);
		while (ask(&s, user))
			clock_test_advance(50);
		guard_settle(guard, &s, user, GUARD_WRONG);
		guard_leave(guard, &s);
	}
}

static void an_address_has_so_many_connections(void **state UNUSED)
{
	struct guarded s[5] = { 0 };

	for (int i = 0; i < 3; i++)
		assert_int_equal(guard_arrive(guard, &s[i], v4(1)), 0);
	assert_int_equal(guard_arrive(guard, &s[3], v4(1)), -1);
	assert_int_equal(guard_arrive(guard, &s[3], v4(2)), 0);
	guard_leave(guard, &s[0]);
	assert_int_equal(guard_arrive(guard, &s[4], v4(1)), 0);
	for (int i = 0; i < 5; i++)
		guard_leave(guard, &s[i]);
	assert_int_equal(guard_count(guard), 0);
}

static void ipv6_counts_by_64(void **state UNUSED)
{
	struct guarded s[5] = { 0 };

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guard_arrive(guard, &s[i], v6(1, i)), 0);
	assert_int_equal(guard_arrive(guard, &s[3], v6(1, 99)), -1);
	assert_int_equal(guard_arrive(guard, &s[3], v6(2, 99)), 0);
	for (unsigned i = 0; i < 4; i++)
		guard_leave(guard, &s[i]);
}

static void trusted_addresses_have_no_limits(void **state UNUSED)
{
	struct guarded s[5] = { 0 };
	char trusted[] = "10.0.0.0/8, 192.0.0.0/16";

	settings.limits.trusted = trusted;
	for (int i = 0; i < 5; i++)
		assert_int_equal(guard_arrive(guard, &s[i], v4(1)), 0);
	assert_int_equal(guard_count(guard), 0);
	for (int i = 0; i < 5; i++)
		guard_leave(guard, &s[i]);
	settings.limits.trusted = NULL;
}

static void who_is_logged_in_makes_room(void **state UNUSED)
{
	struct guarded s[5] = { 0 };

	for (int i = 0; i < 5; i++) {
		assert_int_equal(guard_arrive(guard, &s[i], v4(1)), 0);
		assert_int_equal(guard_enter(guard, &s[i]), 0);
	}
	assert_int_equal(guard_count(guard), 0); /* and costs nothing */
	for (int i = 0; i < 5; i++)
		guard_leave(guard, &s[i]);
}

static void sessions_of_an_address_where_they_are_limited(void **state UNUSED)
{
	struct guarded s[4] = { 0 };

	settings.limits.sessions_per_address = 2;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(guard_arrive(guard, &s[i], v4(1)), 0);
		assert_int_equal(guard_enter(guard, &s[i]), 0);
	}
	assert_int_equal(guard_arrive(guard, &s[2], v4(1)), 0);
	assert_int_equal(guard_enter(guard, &s[2]), -1);
	guard_leave(guard, &s[2]);
	guard_leave(guard, &s[0]);
	assert_int_equal(guard_arrive(guard, &s[3], v4(1)), 0);
	assert_int_equal(guard_enter(guard, &s[3]), 0);
	guard_leave(guard, &s[1]);
	guard_leave(guard, &s[3]);
	assert_int_equal(guard_count(guard), 0);
}

static void guesses_wait_ever_longer(void **state UNUSED)
{
	static const int64_t want[] = { 0, 0, 0, 1000, 2000, 4000, 8000, 15000, 15000 };
	struct guarded s = { 0 };

	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(ask(&s, "anna"), want[i]);
		clock_test_advance(want[i]);
		if (want[i])
			assert_int_equal(ask(&s, "anna"), 0);
		guard_settle(guard, &s, "anna", GUARD_WRONG);
	}
	assert_int_equal(ask(&s, "berta"), 0); /* she is not concerned */
	guard_settle(guard, &s, "berta", GUARD_UNKNOWN);
}

static void the_longest_wait_is_a_setting(void **state UNUSED)
{
	struct guarded s = { 0 };

	fails("anna", 9);
	settings.limits.login_delay_s = 3;
	clock_test_advance(20000);
	assert_int_equal(ask(&s, "anna"), 0);
	guard_settle(guard, &s, "anna", GUARD_WRONG);
	assert_int_equal(ask(&s, "anna"), 3000);
	settings.limits.login_delay_s = 0;
	clock_test_advance(3000);
	assert_int_equal(ask(&s, "anna"), 0);
	guard_settle(guard, &s, "anna", GUARD_WRONG);
	assert_int_equal(ask(&s, "anna"), 0);
	guard_leave(guard, &s);
}

static void an_address_guesses_many_users(void **state UNUSED)
{
	static const int64_t want[] = { 0, 0, 0, 0, 0, 1000, 2000 };
	struct guarded s = { 0 };
	char user[16];

	assert_int_equal(guard_arrive(guard, &s, v4(7)), 0);
	for (size_t i = 0; i < COUNT(want); i++) {
		snprintf(user, sizeof user, "user%zu", i);
		assert_int_equal(ask(&s, user), want[i]);
		clock_test_advance(want[i]);
		if (want[i])
			assert_int_equal(ask(&s, user), 0);
		guard_settle(guard, &s, user, GUARD_WRONG);
	}
	guard_leave(guard, &s);
}

/* Without waiting for the answers: no more at once than allowed, and after they failed one by
 * one. */
static void guesses_side_by_side(void **state UNUSED)
{
	struct guarded s[10] = { 0 };
	unsigned under_way = 0;
	int64_t wait;

	for (size_t i = 0; i < COUNT(s); i++) {
		assert_int_equal(guard_arrive(guard, &s[i], v4((unsigned)i)), 0);
		under_way += ask(&s[i], "anna") == 0;
	}
	assert_int_equal(under_way, 4);
	for (size_t i = 0; i < 4; i++)
		guard_settle(guard, &s[i], "anna", GUARD_WRONG);
	wait = ask(&s[4], "anna");
	assert_int_equal(wait, 2000); /* the fourth failure */
	clock_test_advance(wait);
	assert_int_equal(ask(&s[4], "anna"), 0);
	for (size_t i = 5; i < COUNT(s); i++)
		assert_int_equal(ask(&s[i], "anna"), GUARD_PACE_MS);
	guard_settle(guard, &s[4], "anna", GUARD_WRONG);
	assert_int_equal(ask(&s[5], "anna"), 4000);
	for (size_t i = 0; i < COUNT(s); i++)
		guard_leave(guard, &s[i]);
}

static void only_wrong_passwords_count(void **state UNUSED)
{
	struct guarded s = { 0 };

	for (int i = 0; i < 50; i++) {
		assert_int_equal(ask(&s, "anna"), 0);
		guard_settle(guard, &s, "anna", GUARD_UNKNOWN);
	}
	assert_int_equal(guard_count(guard), 0);
}

static void who_leaves_in_between_is_not_under_way(void **state UNUSED)
{
	for (int i = 0; i < 50; i++) {
		struct guarded s = { 0 };

		assert_int_equal(guard_arrive(guard, &s, v4(1)), 0);
		assert_int_equal(ask(&s, "anna"), 0);
		guard_leave(guard, &s);
	}
	assert_int_equal(guard_count(guard), 0);
}

static void a_success_forgives(void **state UNUSED)
{
	struct guarded s = { 0 };

	assert_int_equal(guard_arrive(guard, &s, v4(7)), 0);
	for (int i = 0; i < 6; i++) {
		while (ask(&s, "anna"))
			clock_test_advance(100);
		guard_settle(guard, &s, "anna", i < 5 ? GUARD_WRONG : GUARD_RIGHT);
	}
	assert_int_equal(ask(&s, "anna"), 0);
	guard_settle(guard, &s, "anna", GUARD_WRONG);
	assert_int_equal(ask(&s, "anna"), 0);
	guard_leave(guard, &s);
}

static void nobody_locks_a_user_out_where_she_has_been(void **state UNUSED)
{
	struct guarded s = { 0 }, elsewhere = { 0 };

	assert_int_equal(guard_arrive(guard, &s, v4(7)), 0);
	assert_int_equal(ask(&s, "anna"), 0);
	guard_settle(guard, &s, "anna", GUARD_RIGHT);
	fails("anna", 8);
	assert_int_equal(guard_arrive(guard, &elsewhere, v4(8)), 0);
	assert_true(ask(&elsewhere, "anna") >= 14000);
	assert_int_equal(ask(&s, "anna"), 0);
	for (int i = 0; i < 3; i++) { /* but nor can one guess from there */
		guard_settle(guard, &s, "anna", GUARD_WRONG);
		assert_int_equal(ask(&s, "anna"), i < 2 ? 0 : 1000);
	}
	guard_leave(guard, &s);
	guard_leave(guard, &elsewhere);
}

static void time_forgives(void **state UNUSED)
{
	struct guarded s = { 0 };

	fails("anna", 8);
	clock_test_advance(GUARD_HALVE_MS); /* 4 left */
	assert_int_equal(ask(&s, "anna"), 0);
	guard_settle(guard, &s, "anna", GUARD_WRONG);
	assert_int_equal(ask(&s, "anna"), 4000); /* as for the fifth */
	clock_test_advance(3 * GUARD_HALVE_MS);	 /* 2, 1, 0 */
	assert_int_equal(ask(&s, "anna"), 0);
	guard_settle(guard, &s, "anna", GUARD_UNKNOWN);
	assert_int_equal(guard_count(guard), 8); /* the addresses, not looked at since */
}

static void memory_is_bounded(void **state UNUSED)
{
	struct guarded held = { 0 };
	char user[16];

	settings.limits.tracked = 100;
	assert_int_equal(guard_arrive(guard, &held, v4(1)), 0);
	for (int i = 0; i < 5000; i++) {
		struct guarded s = { 0 };

		snprintf(user, sizeof user, "user%d", i);
		assert_int_equal(ask(&s, user), 0);
		guard_settle(guard, &s, user, GUARD_WRONG);
		assert_true(guard_count(guard) <= 100);
	}
	assert_int_equal(guard_count(guard), 100);
	assert_true(metrics_get(proxy.metrics, METER_LIMIT_HITS, AT(LIMIT_TRACKED)) == 4901);
	guard_leave(guard, &held); /* was not forgotten under its session */
	assert_int_equal(guard_count(guard), 99);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_address_has_so_many_connections),
		TEST(ipv6_counts_by_64),
		TEST(trusted_addresses_have_no_limits),
		TEST(who_is_logged_in_makes_room),
		TEST(sessions_of_an_address_where_they_are_limited),
		TEST(guesses_wait_ever_longer),
		TEST(the_longest_wait_is_a_setting),
		TEST(an_address_guesses_many_users),
		TEST(guesses_side_by_side),
		TEST(only_wrong_passwords_count),
		TEST(who_leaves_in_between_is_not_under_way),
		TEST(a_success_forgives),
		TEST(nobody_locks_a_user_out_where_she_has_been),
		TEST(time_forgives),
		TEST(memory_is_bounded),
	};

	clock_test_freeze();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
