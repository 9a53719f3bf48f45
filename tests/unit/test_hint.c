/* What servers say when they have had enough, and what the copier makes of it (case 65). */
#include "tests/unit/wire_test.h"

#include "sync/hint.h"
#include "sync/hosts.h"
#include "sync/planner.h"

static const struct {
	const char *code, *text;
	enum later_whom whom;
	int64_t wait_ms;
	bool fewer;
} answers[] = {
	{ "", "Request is throttled. Suggested Backoff Time: 299961 milliseconds", LATER_USER,
	  299961, true },
	{ "", "Suggested Backoff Time: 99999999999999999999999 milliseconds", LATER_USER,
	  HINT_WAIT_MAX_MS, true },
	{ "", "Suggested backoff time: soon", LATER_USER, 0, true },
	{ "THROTTLED", "slower, please", LATER_USER, 0, true },
	{ "LIMIT", "Too many", LATER_USER, 0, true },
	{ "INUSE", "Mailbox is locked", LATER_COMMAND, 0, false },
	{ "UNAVAILABLE", "Temporary failure", LATER_USER, 0, false },
	{ "UNAVAILABLE", "Too many connections from 192.0.2.1", LATER_HOST, 0, true },
	{ "serverbug", "Internal error", LATER_USER, 0, false },
	{ "ALERT",
	  "Maximum number of connections from user+IP exceeded "
	  "(mail_max_userip_connections=10)",
	  LATER_USER, 0, true },
	{ "ALERT", "Too many simultaneous connections. (Failure)", LATER_USER, 0, true },
	{ "OVERQUOTA", "Account exceeded bandwidth limits. (Failure)", LATER_USER, 0, true },
	{ "", "Maximum number of connections reached", LATER_HOST, 0, true },
	{ "", "Server is busy, try later", LATER_HOST, 0, true },
	{ "", "User is authenticated but not connected.", LATER_USER, 0, false },
	/* case 74: the next login brings a new token */
	{ "", "Session expired, please login again.", LATER_COMMAND, 1000, false },
	/* ordinary refusals */
	{ "AUTHENTICATIONFAILED", "Too many login failures", LATER_NOBODY, 0, false },
	{ "OVERQUOTA", "Mailbox is full", LATER_NOBODY, 0, false },
	{ "NONEXISTENT", "No such mailbox", LATER_NOBODY, 0, false },
	{ "TOOBIG", "Message too large", LATER_NOBODY, 0, false },
	{ "", "", LATER_NOBODY, 0, false },
};

static void answers_mean_what_they_say(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct later l =
			hint_read(slice_of(answers[i].code), slice_of(answers[i].text));

		if (l.whom != answers[i].whom || l.wait_ms != answers[i].wait_ms ||
		    l.fewer != answers[i].fewer)
			fail_msg("[%s] %s: %s, %lld ms", answers[i].code, answers[i].text,
				 later_whom_name(l.whom), (long long)l.wait_ms);
	}
}

static void full_is_not_throttled(void **state UNUSED)
{
	assert_true(hint_is_full(SLICE("OVERQUOTA"), SLICE("Mailbox is full")));
	assert_true(
		hint_is_full(SLICE(""), SLICE("Quota exceeded (mailbox for user is full)")));
	assert_false(
		hint_is_full(SLICE("OVERQUOTA"), SLICE("Account exceeded bandwidth limits")));
	assert_false(hint_is_full(SLICE("TOOBIG"), SLICE("too large")));
}

/* ---- what the engine does with it */

static const struct later too_many = { .whom = LATER_HOST, .side = SIDE_OLD, .fewer = true };

static void a_complaint_halves_and_time_heals(void **state UNUSED)
{
	struct hosts h = { 0 };
	int64_t now = 1000000;

	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now), 16);
	hosts_hear(&h, &too_many, "too many connections", 8, now);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now), 4);
	assert_int_equal(hosts_limit(&h, SIDE_NEW, 16, now), 16); /* others continue */
	/* The other seven hear the same a moment later. */
	hosts_hear(&h, &too_many, "too many connections", 7, now + 100);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + 100), 4);
	hosts_hear(&h, &too_many, "too many connections", 4, now + HOSTS_LOWER_GAP_MS);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + HOSTS_LOWER_GAP_MS), 2);
	now += HOSTS_LOWER_GAP_MS;
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + HOSTS_RAISE_MS - 1), 2);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + HOSTS_RAISE_MS), 3);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + 3 * HOSTS_RAISE_MS), 5);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + 20 * HOSTS_RAISE_MS), 16);
	for (int i = 0; i < 20; i++) /* never down to nothing */
		hosts_hear(&h, &too_many, "too many connections", 1,
			   now + (20 + i) * HOSTS_RAISE_MS);
	assert_int_equal(hosts_limit(&h, SIDE_OLD, 16, now + 39 * HOSTS_RAISE_MS), 1);
}

static void a_pause_is_kept_and_explained(void **state UNUSED)
{
	struct later l = { .whom = LATER_HOST, .side = SIDE_NEW, .wait_ms = 20000 };
	struct hosts h = { 0 };
	char text[300];

	hosts_hear(&h, &l, "new: the server says BYE busy", 2, 5000);
	assert_int_equal(hosts_limit(&h, SIDE_NEW, 4, 24999), 0);
	hosts_text(&h, SIDE_NEW, 4, 6000, text, sizeof text);
	assert_string_equal(text,
			    "the new server wants to be left alone for 19 s more: new: the "
			    "server says BYE busy");
	assert_int_equal(hosts_limit(&h, SIDE_NEW, 4, 25000), 4);
	hosts_text(&h, SIDE_NEW, 4, 25000, text, sizeof text);
	assert_string_equal(text, "");
	/* What concerns one user holds nobody else back. */
	l.whom = LATER_USER;
	hosts_hear(&h, &l, "new: busy", 2, 30000);
	assert_int_equal(hosts_limit(&h, SIDE_NEW, 4, 30001), 4);
}

static void waits_are_told_or_ours(void **state UNUSED)
{
	struct job_result r = { .kind = ERR_TEMP };

	assert_int_equal(plan_wait_ms(60, 2, NULL), 240000);
	assert_int_equal(plan_wait_ms(60, 0, &r), 60000);
	r.later = (struct later){ .whom = LATER_USER, .wait_ms = 299961 };
	assert_int_equal(plan_wait_ms(60, 0, &r), 299961);
	assert_int_equal(plan_wait_ms(60, 9, &r), 299961);
	r.later.wait_ms = 3;
	assert_int_equal(plan_wait_ms(60, 0, &r), PLAN_TOLD_MIN_MS);
	r.later = (struct later){ .whom = LATER_COMMAND, .wait_ms = 1000 };
	assert_int_equal(plan_wait_ms(60, 0, &r), 1000);
	assert_int_equal(plan_wait_ms(60, PLAN_COMMAND_TRIES, &r), 480000);
	/* case 68: a full mailbox does not empty itself in a minute */
	r = (struct job_result){ .kind = ERR_FULL };
	assert_int_equal(plan_wait_ms(60, 0, &r), PLAN_FULL_MS);
	assert_int_equal(plan_wait_ms(60, 20, &r), PLAN_BACKOFF_MAX_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_mean_what_they_say),
		cmocka_unit_test(full_is_not_throttled),
		cmocka_unit_test(a_complaint_halves_and_time_heals),
		cmocka_unit_test(a_pause_is_kept_and_explained),
		cmocka_unit_test(waits_are_told_or_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
