/* The store: what persons said of the plan, and what is counted of a domain. */
#include "tests/unit/store_stage.h"
#include "common/store_phases.h"
#include "common/store_usage.h"

static bool say(const char *domain, const char *item, bool done, const char *note)
{
	const struct phase_note n = {
		.domain = domain, .item = item, .done = done, .note = note, .actor = "uid 7"
	};
	bool changed;

	OK(store_phase_note(st, &n, &changed, &err));
	return changed;
}

static char seen[512];

static int add_note(const struct phase_note *n, void *arg UNUSED)
{
	size_t at = strlen(seen);

	assert_true(n->at > 0);
	assert_string_equal(n->actor, "uid 7");
	snprintf(seen + at, sizeof seen - at, "%s %d %s\n", n->item, n->done, n->note);
	return 0;
}

static void assert_said(const char *domain, const char *expected)
{
	seen[0] = '\0';
	OK(store_phases_each(st, domain, add_note, NULL, &err));
	assert_string_equal(seen, expected);
}

static void test_what_was_said_stays(void **state UNUSED)
{
	assert_said("a.test", "");
	assert_false(say("a.test", "brand", false, ""));
	assert_true(say("a.test", "brand", true, "one"));
	assert_false(say("a.test", "brand", true, "one"));
	assert_true(say("a.test", "brand", true, "two"));
	assert_true(say("a.test", "told", true, "one"));
	assert_true(say("a.test", "brand", false, "oh"));
	assert_false(say("a.test", "brand", false, "oh no"));
	assert_true(say("a.test", "brand", true, "two"));
	assert_true(say("b.test", "brand", true, "other"));
	assert_said("a.test",
		    "brand 1 one\nbrand 1 two\ntold 1 one\nbrand 0 oh\nbrand 1 two\n");
	assert_said("b.test", "brand 1 other\n");
}

static void test_counts_of_one_domain(void **state UNUSED)
{
	const struct waiver_row w = {
		.name = "anna@a.test", .item = "uids", .note = "n", .actor = "a"
	};
	struct phase_counts c;
	int n;

	add_user("anna@a.test");
	add_user("bob@a.test");
	add_user("carl@a.test");
	add_user("dora@aa.test");
	do_sql("INSERT INTO logins (node, name, proto, at, side, route, result, client, held_ms,"
	       " took_ms) VALUES ('n', 'anna@a.test', 'imap', 1, 'old', '', 'ok', '', 0, 0),"
	       " ('n', 'anna@a.test', 'pop3', 1, 'old', '', 'ok', '', 0, 0),"
	       " ('n', 'dora@aa.test', 'pop3', 1, 'old', '', 'ok', '', 0, 0);"
	       "INSERT INTO sessions (node, id, name, proto, peer, side, state, doing, since,"
	       " bytes_up, bytes_down) VALUES"
	       " ('n', '1', 'bob@a.test', 'imap', '', 'old', 'RELAY', '', 1, 0, 0),"
	       " ('n', '2', 'carl@a.test', 'imap', '', 'new', 'RELAY', '', 1, 0, 0);"
	       "UPDATE users SET state = 'trailing' WHERE name <> 'anna@a.test'");
	OK(store_stranger(st, "eve@a.test", &err));
	OK(store_stranger(st, "anna@a.test", &err)); /* imported since */
	OK(store_stranger(st, "eve@aa.test", &err));
	OK(store_waive(st, &w, true, &n, &err));
	OK(store_phase_counts(st, "a.test", &c, &err));
	assert_int_equal(c.state[USER_PENDING], 1);
	assert_int_equal(c.state[USER_TRAILING], 2);
	assert_int_equal(c.seen, 3);
	assert_int_equal(c.imap, 3);
	assert_int_equal(c.pop3, 1);
	assert_int_equal(c.strangers, 1);
	assert_int_equal(c.waived, 1);
	assert_int_equal(c.left_on_old, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_said_stays),
		TEST(test_counts_of_one_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
