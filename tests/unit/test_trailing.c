/* A moved user: how often old is looked at, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/planner.h"
#include "sync/trailing.h"

#define NOW  ((int64_t)1700000000000)
#define DAY  ((int64_t)86400000)
#define HOUR ((int64_t)3600000)

static const struct settings settings = {
	.sync = { .trailing_s = 60, .retry_s = 5, .trailing_quiet_days = 2 },
};

static struct user user;
static struct dns_past mx;
static struct gate_item items[TRAILING_ITEMS];

/* Flipped ten days ago; a look just now; mail left five days ago; nothing came since the flip.
 */
static int set_up(void **state UNUSED)
{
	user = (struct user){ .state = USER_TRAILING, .state_since = NOW - 10 * DAY };
	user.progress.pass_ended = NOW;
	user.progress.pass_clean = true;
	user.progress.last_arrival = NOW - 10 * DAY;
	mx = (struct dns_past){ .is_new = true,
				.looked_at = NOW - HOUR,
				.since = NOW - 6 * DAY,
				.copies_until = NOW - 5 * DAY };
	return 0;
}

static struct trailing with(const struct dns_past *past)
{
	return (struct trailing){ &user, &settings, past, NOW };
}

static bool over(const struct dns_past *past)
{
	const struct trailing t = with(past);

	return trailing_is_over(&t);
}

static int64_t wait_ms(const struct dns_past *past)
{
	const struct trailing t = with(past);

	return trailing_wait_ms(&t);
}

static void it_ends_by_evidence(void **state UNUSED)
{
	assert_true(over(&mx));
	user.progress.last_arrival = NOW - 2 * DAY + 1;
	assert_false(over(&mx));
	user.progress.last_arrival--;
	assert_true(over(&mx));
	user.progress.pass_ended--; /* a look must have seen it */
	assert_false(over(&mx));
}

static void quiet_counts_only_once_mail_has_left(void **state UNUSED)
{
	mx.copies_until = NOW - 2 * DAY + 1;
	assert_false(over(&mx));
	mx.copies_until = NOW + 1;
	assert_false(over(&mx));
	mx = (struct dns_past){ .is_new = false, .looked_at = NOW };
	assert_false(over(&mx));
	mx = (struct dns_past){ 0 }; /* nobody has looked yet */
	assert_false(over(&mx));
}

static void an_old_look_at_the_mx_ends_nothing(void **state UNUSED)
{
	mx.looked_at = NOW - TRAILING_MX_OLD_MS - 1;
	assert_false(over(&mx));
}

static void without_dns_only_arrivals_count(void **state UNUSED)
{
	assert_true(over(NULL));
	user.progress.last_arrival = NOW - DAY;
	assert_false(over(NULL));
}

/* A folder of old that did not open, or a message that new did not take: it is on old still. */
static void a_look_that_left_something_ends_nothing(void **state UNUSED)
{
	const struct trailing t = with(&mx);

	user.progress.pass_clean = false;
	assert_false(over(&mx));
	assert_false(over(NULL));
	assert_int_equal(wait_ms(&mx), 60000);
	assert_int_equal(trailing_items(&t, items), 3);
	assert_true(strcmp(items[2].name, "pass") == 0 && !items[2].ok);
	user.progress.pass_clean = true;
	assert_true(over(&mx));
	assert_int_equal(trailing_items(&t, items), 2);
}

static void looks_become_rarer_once_mail_has_left(void **state UNUSED)
{
	assert_int_equal(wait_ms(NULL), 60000);
	mx.is_new = false;
	assert_int_equal(wait_ms(&mx), 60000);
	mx.is_new = true;
	assert_int_equal(wait_ms(&mx), TRAILING_RARE_MS);
	mx.copies_until = NOW - 12 * HOUR;
	assert_int_equal(wait_ms(&mx), HOUR / 2);
	user.progress.last_arrival = NOW; /* so mail comes after all */
	assert_int_equal(wait_ms(&mx), 60000);
	mx.copies_until = NOW + 1;
	assert_int_equal(wait_ms(&mx), 60000);
}

static enum plan_step step_of(int64_t now)
{
	struct gate_view v = { .s = &settings, .now = now, .mx = &mx };

	return plan_user(&user, &v, false).step;
}

static void the_planner_follows(void **state UNUSED)
{
	assert_int_equal(step_of(NOW), PLAN_FINISH);
	user.progress.pass_error = (char *)"no answer";
	assert_int_equal(step_of(NOW), PLAN_REST);
	assert_int_equal(step_of(NOW + 5000), PLAN_TRAILING); /* a failed one is not put off */
	user.progress.pass_error = NULL;
	mx.copies_until = NOW - HOUR;
	assert_int_equal(step_of(NOW + 60000), PLAN_REST);
	assert_int_equal(step_of(NOW + 200000), PLAN_TRAILING);
}

static void assert_mx(const struct dns_past *past, bool ok, const char *part)
{
	const struct trailing t = with(past);

	assert_int_equal(trailing_items(&t, items), user.progress.strays ? 3 : 2);
	if (items[0].ok != ok || !strstr(items[0].text, part))
		fail_msg("%s", items[0].text);
}

static void what_it_waits_for(void **state UNUSED)
{
	assert_mx(&mx, true,
		  "the last copy of the old one was gone at 2023-11-09 22:13:20 UTC");
	assert_true(items[1].ok);
	assert_string_equal(items[1].text,
			    "quiet on old since 2023-11-09 22:13:20 UTC, for 5 of 2 "
			    "days; the next look comes after 3600 s");
	mx.copies_until = NOW + 1;
	assert_mx(&mx, false, "is gone at");
	mx.is_new = false;
	assert_mx(&mx, false, "still leads to old");
	assert_non_null(items[0].remedy);
	assert_mx(&(struct dns_past){ 0 }, false, "nobody could look yet");
	assert_mx(NULL, true, "is not looked at");
	assert_int_equal(items[0].state, GATE_WARNS);
	user.progress.strays = 2;
	user.progress.last_stray = NOW;
	assert_mx(NULL, true, "");
	assert_false(items[1].ok); /* whoever writes there may also wait for mail there */
	assert_string_equal(items[2].text, "2 changes on old after the move, past the proxy, the "
					   "last seen at 2023-11-14 22:13:20 UTC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_ends_by_evidence, set_up),
		cmocka_unit_test_setup(quiet_counts_only_once_mail_has_left, set_up),
		cmocka_unit_test_setup(an_old_look_at_the_mx_ends_nothing, set_up),
		cmocka_unit_test_setup(without_dns_only_arrivals_count, set_up),
		cmocka_unit_test_setup(a_look_that_left_something_ends_nothing, set_up),
		cmocka_unit_test_setup(looks_become_rarer_once_mail_has_left, set_up),
		cmocka_unit_test_setup(the_planner_follows, set_up),
		cmocka_unit_test_setup(what_it_waits_for, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
