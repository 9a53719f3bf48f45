/* What the store adds up for screens, and whom a list's filter finds. */
#include "store_stage.h"

#include "common/store_session.h"
#include "common/store_sums.h"
#include "common/store_wave.h"

static char seen[1024];

static void PRINTF_LIKE(1, 2) note(const char *fmt, ...)
{
	size_t n = strlen(seen);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen + n, sizeof seen - n, fmt, ap);
	va_end(ap);
}

static int note_sums(const char *wave, const struct user_sums *s, void *arg UNUSED)
{
	note("%s: %lld users, %lld pending, %lld syncing, stuck %lld, failing %lld, go %lld,"
	     " messages %lld, verified %lld, left %lld, exceptions %lld of %lld; ",
	     wave, (long long)s->users, (long long)s->states[USER_PENDING],
	     (long long)s->states[USER_SYNCING], (long long)s->stuck, (long long)s->failing,
	     (long long)s->go, (long long)s->messages, (long long)s->verified,
	     (long long)s->to_compare, (long long)s->exceptions, (long long)s->with_exceptions);
	return 0;
}

static void test_users_of_waves(void **state UNUSED)
{
	struct user_sums one;

	seen[0] = '\0';
	OK(store_sums_each(st, note_sums, NULL, &err));
	assert_string_equal(seen, "");
	add_user("anna");
	add_user("bert");
	add_user("carl");
	go_up_to("bert", USER_SYNCING);
	do_sql("UPDATE users SET wave = '2' WHERE name = 'carl'");
	do_sql("UPDATE users SET messages = 10, verified = 4, go = 1 WHERE name = 'bert'");
	do_sql("UPDATE users SET messages = 5, verified = 6, attempts = 2, exceptions = 3"
	       " WHERE name = 'anna'");
	do_sql("UPDATE users SET stuck_reason = 'no', attempts = 9, messages = 7,"
	       " state = 'done' WHERE name = 'carl'");
	OK(store_sums_each(st, note_sums, NULL, &err));
	assert_string_equal(
		seen, "1: 2 users, 1 pending, 1 syncing, stuck 0, failing 1, go 1, messages 15,"
		      " verified 10, left 6, exceptions 3 of 1; "
		      /* What is on new is not left to compare. */
		      "2: 1 users, 0 pending, 0 syncing, stuck 1, failing 0, go 0, messages 7,"
		      " verified 0, left 0, exceptions 0 of 0; ");
	OK(store_sums_of(st, "1", &one, &err));
	assert_int_equal(one.users, 2);
	assert_int_equal(one.exceptions, 3);
	assert_int_equal(one.with_exceptions, 1);
	OK(store_sums_of(st, "3", &one, &err));
	assert_int_equal(one.users, 0);
	do_sql("UPDATE users SET state = 'nonsense' WHERE name = 'carl'");
	assert_int_equal(store_sums_each(st, note_sums, NULL, &err), -1);
}

static int note_sessions(const char *proto, const char *side, bool waiting, int64_t count,
			 void *arg UNUSED)
{
	note("%s %s %d: %lld; ", proto, side, waiting, (long long)count);
	return 0;
}

static void session(const char *id, const char *proto, const char *side,
		    const char *session_state)
{
	char *sql = mem_printf(
		"INSERT INTO sessions (node, id, name, proto, peer, side, state, doing, since,"
		" bytes_up, bytes_down) VALUES ('p', '%s', 'anna', '%s', '', '%s', '%s', '', 0, 0, 0)",
		id, proto, side, session_state);

	do_sql(sql);
	mem_free(&sql);
}

static void test_sessions(void **state UNUSED)
{
	session("a", "imap", "old", "RELAY");
	session("b", "imap", "old", "DRAIN");
	session("c", "imap", "", "PARK");
	session("d", "pop3", "new", "RELAY");
	session("e", "imap", "", "AUTH");
	seen[0] = '\0';
	OK(store_session_sums_each(st, note_sessions, NULL, &err));
	assert_string_equal(seen, "imap  0: 1; imap  1: 1; imap old 0: 2; pop3 new 0: 1; ");
}

static void hold(const char *name, int64_t at, int64_t ms)
{
	OK(store_hold_add(st, "p",
			  &(struct hold_row){ .name = name,
					      .proto = "imap",
					      .at = at,
					      .held_ms = ms,
					      .released_to = "new" },
			  &err));
}

static void test_holds_of_all(void **state UNUSED)
{
	int64_t now = store_now_ms(st);
	struct spread s;

	add_user("anna");
	add_user("bert");
	do_sql("UPDATE users SET wave = '2' WHERE name = 'bert'");
	hold("anna", now - 10, 700);
	hold("bert", now - 10, 900);
	hold("bert", now - 5000, 9000);
	OK(store_wave_holds(st, NULL, now - 1000, &s, &err));
	assert_true(s.count == 2 && s.p50 == 700 && s.most == 900);
}

/* ---- whom a filter finds */

static int note_name(const struct user *u, void *arg UNUSED)
{
	note("%s ", u->name);
	return 0;
}

static void assert_found(const struct user_filter *f, const char *expected)
{
	seen[0] = '\0';
	OK(store_users_each(st, f, note_name, NULL, &err));
	assert_string_equal(seen, expected);
}

static void test_part_of_a_name(void **state UNUSED)
{
	add_user("anna@example.com");
	add_user("b_rt@example.com");
	add_user("bert@example.com");
	add_user("50%!@example.com");
	assert_found(&(struct user_filter){ .part = "NN" }, "anna@example.com ");
	assert_found(&(struct user_filter){ .part = "b_r" }, "b_rt@example.com ");
	assert_found(&(struct user_filter){ .part = "0%!" }, "50%!@example.com ");
	assert_found(&(struct user_filter){ .part = "'" }, "");
	assert_found(&(struct user_filter){ .part = "@example", .after = "b", .limit = 1 },
		     "b_rt@example.com ");
	assert_found(&(struct user_filter){ .part = "" },
		     "50%!@example.com anna@example.com b_rt@example.com bert@example.com ");
}

static void test_only(void **state UNUSED)
{
	add_user("anna");
	add_user("bert");
	add_user("carl");
	add_user("dora");
	do_sql("UPDATE users SET stuck_reason = 'no', attempts = 1 WHERE name = 'anna'");
	do_sql("UPDATE users SET attempts = 1 WHERE name = 'bert'");
	do_sql("UPDATE users SET exceptions = 1 WHERE name = 'carl'");
	do_sql("UPDATE users SET go = 1 WHERE name = 'dora'");
	assert_found(&(struct user_filter){ .only = USER_ONLY_STUCK }, "anna ");
	assert_found(&(struct user_filter){ .only = USER_ONLY_FAILING }, "bert ");
	assert_found(&(struct user_filter){ .only = USER_ONLY_EXCEPTIONS }, "carl ");
	assert_found(&(struct user_filter){ .only = USER_ONLY_GO }, "dora ");
}

static void test_held(void **state UNUSED)
{
	add_user("anna");
	add_user("bert");
	go_up_to("bert", USER_FREEZING);
	seen[0] = '\0';
	OK(store_users_held(st, note_name, NULL, &err));
	assert_string_equal(seen, "bert ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_users_of_waves), TEST(test_sessions), TEST(test_holds_of_all),
		TEST(test_part_of_a_name), TEST(test_only),	TEST(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
