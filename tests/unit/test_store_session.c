/* The store: sessions, logins that were held, who is not in it, what clients use. */
#include "common/store_node.h"
#include "common/store_session.h"
#include "common/store_sums.h"
#include "common/store_usage.h"
#include "tests/unit/store_stage.h"

static int join_session(const struct session_row *s, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s/%s %s %s %lld; ", s->node, s->id, s->name, s->doing,
		 (long long)s->bytes_down);
	return 0;
}

static void assert_sessions(const struct session_filter *f, const char *expected)
{
	char all[256] = "";

	OK(store_sessions_each(st, f, join_session, all, &err));
	assert_string_equal(all, expected);
}

static void test_sessions(void **state UNUSED)
{
	struct session_row rows[] = {
		{ .id = "s1",
		  .name = "anna",
		  .proto = "imap",
		  .state = "RELAY",
		  .doing = "IDLE" },
		{ .id = "s2", .name = "bob", .proto = "pop3", .state = "PARK" },
	};
	struct session_filter anna = { .name = "anna" }, bob = { .name = "bob" };
	int64_t incarnation;

	OK(store_sessions_write(st, "p1", rows, 0, &err));
	OK(store_sessions_write(st, "p1", rows, 2, &err));
	OK(store_sessions_write(st, "p2", rows, 1, &err));
	rows[0].bytes_down = 1LL << 33;
	rows[1].gone = true;
	OK(store_sessions_write(st, "p1", rows, 2, &err));
	assert_sessions(NULL, "p1/s1 anna IDLE 8589934592; p2/s1 anna IDLE 0; ");
	assert_sessions(&bob, "");
	OK(store_node_join(st, "p1", &incarnation, &err));
	assert_sessions(&anna, "p2/s1 anna IDLE 0; ");
}

static bool was_there(int64_t since, int64_t until)
{
	bool there;

	OK(store_session_between(st, "anna", since, until, &there, &err));
	return there;
}

static void test_when_a_node_had_a_session(void **state UNUSED)
{
	struct session_row s = {
		.id = "s1", .name = "anna", .proto = "imap", .state = "RELAY"
	};
	int64_t now;

	clock_test_freeze();
	now = store_now_ms(st);
	s.since = now - 100;
	assert_false(was_there(0, now));
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_there(now - 50, now));
	assert_false(was_there(0, now - 101)); /* it came later */
	s.gone = true;
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_there(now - 50, now - 20) && was_there(now, now));
	assert_false(was_there(now + 1, now + 1)); /* it had ended */
	assert_false(was_there(0, now - 101));
}

static bool was_since_mark(int64_t until)
{
	bool there;

	OK(store_session_since_mark(st, "anna", until, &there, &err));
	return there;
}

static void test_the_first_session_since_it_was_asked(void **state UNUSED)
{
	struct session_row s = {
		.id = "s1", .name = "anna", .proto = "imap", .state = "RELAY", .since = 100
	};

	OK(store_session_mark(st, "anna", &err));
	assert_false(was_since_mark(1000));
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_since_mark(100)); /* it is there */
	assert_false(was_since_mark(99));
	s.gone = true;
	for (s.since = 50; s.since < 500; s.since += 200)
		OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_since_mark(50));
	assert_false(was_since_mark(49));
	OK(store_session_mark(st, "anna", &err));
	assert_false(was_since_mark(1000));
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_since_mark(650));
	assert_false(was_since_mark(649));
}

static void test_sessions_filtered_in_pages(void **state UNUSED)
{
	static const struct session_row p1[] = {
		{ .id = "a", .name = "bob", .proto = "imap", .side = "old", .state = "RELAY" },
		{ .id = "b", .name = "anna", .proto = "pop3", .side = "new", .state = "RELAY" },
		{ .id = "c", .name = "anna", .proto = "imap", .side = "new", .state = "QUIET" },
		{ .id = "d",
		  .name = "annabel",
		  .proto = "imap",
		  .side = "new",
		  .state = "RELAY" },
	};
	static const struct session_row p2[] = {
		{ .id = "a", .name = "anna", .proto = "imap", .side = "old", .state = "RELAY" },
	};
	struct session_filter f = { 0 };

	OK(store_sessions_write(st, "p1", p1, COUNT(p1), &err));
	OK(store_sessions_write(st, "p2", p2, COUNT(p2), &err));
	assert_sessions(
		&f, "p1/b anna  0; p1/c anna  0; p2/a anna  0; p1/d annabel  0; p1/a bob  0; ");
	f.name = "anna";
	assert_sessions(&f, "p1/b anna  0; p1/c anna  0; p2/a anna  0; ");
	f.after.name = "anna", f.after.node = "p1", f.after.id = "b";
	assert_sessions(&f, "p1/c anna  0; p2/a anna  0; ");
	f.name = NULL;
	assert_sessions(&f, "p1/c anna  0; p2/a anna  0; p1/d annabel  0; p1/a bob  0; ");
	f = (struct session_filter){ .node = "p1", .proto = "imap", .side = "new" };
	assert_sessions(&f, "p1/c anna  0; p1/d annabel  0; ");
	f.state = "RELAY";
	assert_sessions(&f, "p1/d annabel  0; ");
	add_user("bob");
	f = (struct session_filter){ .wave = "1" };
	assert_sessions(&f, "p1/a bob  0; ");
}

static int join_hold(const struct hold_row *h, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s %s %s %lld %lld %s; ", h->node, h->name, h->proto,
		 (long long)(h->at - clock_real_ms()), (long long)h->held_ms, h->released_to);
	return 0;
}

static int join_stranger(const struct stranger_row *s, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s %lld %lld; ", s->name, (long long)s->logins,
		 (long long)(s->last_seen - s->first_seen));
	return 0;
}

static int join_usage(const struct usage_row *u, void *arg)
{
	size_t n = strlen(arg);

	snprintf((char *)arg + n, 256 - n, "%s %s %lld %lld; ", u->proto, u->extension,
		 (long long)u->sessions, (long long)(u->last_seen - clock_real_ms()));
	return 0;
}

/* The counts of all nodes add up. */
static void test_usage(void **state UNUSED)
{
	const struct usage_row first[] = { { "imap", "MOVE", 2, 0 }, { "pop3", "TOP", 1, 0 } };
	const struct usage_row second[] = { { "imap", "MOVE", 5, 0 },
					    { "imap", "IDLE", 1, 0 } };
	char text[256] = "";

	clock_test_freeze();
	OK(store_usage_add(st, first, 2, &err));
	clock_test_advance(50);
	OK(store_usage_add(st, second, 2, &err));
	OK(store_usage_each(st, join_usage, text, &err));
	assert_string_equal(text, "imap IDLE 1 0; imap MOVE 7 0; pop3 TOP 1 -50; ");
}

static void add_hold(const char *name, const char *proto, int64_t at, int64_t held_ms,
		     const char *to)
{
	OK(store_hold_add(st, "p1",
			  &(struct hold_row){ .name = name,
					      .proto = proto,
					      .at = clock_real_ms() + at,
					      .held_ms = held_ms,
					      .released_to = to },
			  &err));
}

static void import_with_alias(const char *name, const char *alias)
{
	const struct user_import row = { .name = name,
					 .login = { name, name },
					 .aliases = (const char *const[]){ alias, NULL } };
	struct import_count count;

	OK(store_users_import(st, &row, 1, &count, &err));
}

static void test_holds_and_strangers(void **state UNUSED)
{
	char holds[256] = "", strangers[256] = "";
	int64_t count;

	clock_test_freeze();
	add_hold("anna", "imap", -2000, 250, "new");
	add_hold("bob", "pop3", -1000, 18000, "refused");
	OK(store_holds_each(st, NULL, 0, join_hold, holds, &err));
	assert_string_equal(holds,
			    "p1 anna imap -2000 250 new; p1 bob pop3 -1000 18000 refused; ");
	holds[0] = '\0';
	OK(store_holds_each(st, "bob", 0, join_hold, holds, &err));
	assert_string_equal(holds, "p1 bob pop3 -1000 18000 refused; ");
	holds[0] = '\0';
	OK(store_holds_each(st, NULL, 1, join_hold, holds, &err));
	assert_string_equal(holds, "p1 anna imap -2000 250 new; ");
	OK(store_stranger(st, "zoe", &err));
	clock_test_advance(77);
	OK(store_stranger(st, "zoe", &err));
	OK(store_stranger(st, "dan", &err));
	OK(store_strangers_each(st, NULL, join_stranger, strangers, &err));
	assert_string_equal(strangers, "dan 1 0; zoe 2 77; ");
	strangers[0] = '\0';
	OK(store_strangers_each(st, "dan", join_stranger, strangers, &err));
	assert_string_equal(strangers, "zoe 2 77; ");
	/* Who is imported afterwards, by name or by an alias, is none any more. */
	OK(store_stranger(st, "zoe.smith", &err));
	import_with_alias("zoe", "zoe.smith");
	strangers[0] = '\0';
	OK(store_strangers_each(st, NULL, join_stranger, strangers, &err));
	assert_string_equal(strangers, "dan 1 0; ");
	OK(store_strangers_count(st, &count, &err));
	assert_int_equal(count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sessions),
		TEST(test_sessions_filtered_in_pages),
		TEST(test_holds_and_strangers),
		TEST(test_usage),
		TEST(test_when_a_node_had_a_session),
		TEST(test_the_first_session_since_it_was_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
