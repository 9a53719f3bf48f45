/* The store: who reads by which protocol and client. */
#include "tests/unit/store_stage.h"

#include "common/store_past.h"

static char seen[1024];

static int add(const struct access_row *a, void *arg UNUSED)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof seen - n, "%s/%s/%s/%s/%s/%lld/%lld\n", a->name, a->wave,
		 a->state, a->proto, a->client, (long long)a->logins, (long long)a->last);
	return 0;
}

static void assert_access(const char *wave, const char *after, int64_t users,
			  const char *expected)
{
	seen[0] = '\0';
	OK(store_access_each(st, wave, after, users, add, NULL, &err));
	assert_string_equal(seen, expected);
}

static void test_who_reads_how(void **state UNUSED)
{
	add_user("anna");
	add_user("bob");
	add_user("carl");
	do_sql("UPDATE users SET wave = '2' WHERE name = 'carl';"
	       "UPDATE users SET wave = '1' WHERE name <> 'carl';"
	       "INSERT INTO logins (node, name, proto, at, side, route, result, client, held_ms,"
	       " took_ms) VALUES ('n', 'anna', 'imap', 5, 'old', '', 'ok', '', 0, 0),"
	       " ('n', 'anna', 'imap', 9, 'old', '', 'ok', '', 0, 0),"
	       " ('n', 'anna', 'pop3', 7, 'old', '', 'ok', '', 0, 0),"
	       " ('n', 'bob', 'imap', 7, 'old', '', 'refused', '', 0, 0),"
	       " ('n', 'eve', 'imap', 7, 'old', '', 'ok', '', 0, 0);"
	       "INSERT INTO sessions (node, id, name, proto, peer, side, state, doing, since,"
	       " bytes_up, bytes_down, client) VALUES"
	       " ('n', '1', 'anna', 'imap', '', 'old', 'RELAY', '', 9, 0, 0, 'Mutt 2')");
	assert_access(NULL, NULL, 10,
		      "anna/1/pending///0/0\nanna/1/pending/imap//2/9\nanna/1/pending/imap/Mutt 2/0/9\n"
		      "anna/1/pending/pop3//1/7\nbob/1/pending///0/0\ncarl/2/pending///0/0\n");
	assert_access("2", NULL, 10, "carl/2/pending///0/0\n");
	assert_access("1", "anna", 10, "bob/1/pending///0/0\n");
	assert_access(NULL, "anna", 1, "bob/1/pending///0/0\n");
	assert_access("3", NULL, 10, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_reads_how),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
