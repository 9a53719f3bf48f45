/* The store: what name servers said, and since when. */
#include "tests/unit/store_stage.h"
#include "common/store_dns.h"

static void note(const char *domain, const char *record, const char *value, int64_t ttl_s)
{
	const struct dns_note n = { .record = record, .value = value, .ttl_s = ttl_s };

	OK(store_dns_note(st, domain, &n, &err));
}

static char seen[2048];
static int64_t last_first, last_last;

static int add_note(const struct dns_note *n, void *arg UNUSED)
{
	size_t at = strlen(seen);

	snprintf(seen + at, sizeof seen - at, "%s %s %lld\n", n->record, n->value,
		 (long long)n->ttl_s);
	assert_true(n->first_seen <= n->last_seen);
	last_first = n->first_seen;
	last_last = n->last_seen;
	return 0;
}

static const char *notes(const char *domain, const char *record)
{
	seen[0] = '\0';
	OK(store_dns_each(st, domain, record, add_note, NULL, &err));
	return seen;
}

static void test_each_change_is_a_row(void **state UNUSED)
{
	assert_string_equal(notes("a.test", NULL), "");
	note("a.test", "MX", "10 old.", 86400);
	note("a.test", "MX", "10 old.", 86400);
	note("a.test", "MX", "10 old.", 300);
	note("a.test", "MX", "10 new.", 300);
	note("a.test", "MX", "10 old.", 300);
	note("a.test", "mail A", "192.0.2.1", 60);
	note("b.test", "MX", "10 b.", 60);
	assert_string_equal(
		notes("a.test", "MX"),
		"MX 10 old. 86400\nMX 10 old. 300\nMX 10 new. 300\nMX 10 old. 300\n");
	assert_string_equal(notes("b.test", NULL), "MX 10 b. 60\n");
	assert_non_null(strstr(notes("a.test", NULL), "mail A 192.0.2.1 60\n"));
}

static void test_a_second_look_prolongs(void **state UNUSED)
{
	int64_t first, until = clock_real_ms() + 3;

	note("a.test", "MX", "10 old.", 300);
	notes("a.test", "MX");
	first = last_first;
	while (clock_real_ms() < until)
		;
	note("a.test", "MX", "10 old.", 300);
	notes("a.test", "MX");
	assert_int_equal(last_first, first);
	assert_true(last_last > first);
}

static void test_no_more_than_that_are_kept(void **state UNUSED)
{
	char value[16];

	for (int i = 0; i < STORE_DNS_NOTES + 5; i++) {
		snprintf(value, sizeof value, "%d", i);
		note("a.test", "MX", value, 300);
		note("b.test", "MX", "still there", 300);
	}
	assert_int_equal(ask("SELECT COUNT(*) FROM dns_notes WHERE domain = 'a.test'"),
			 STORE_DNS_NOTES);
	assert_int_equal(ask("SELECT MIN(CAST(value AS INTEGER)) FROM dns_notes"
			     " WHERE domain = 'a.test'"),
			 5);
	assert_string_equal(notes("b.test", NULL), "MX still there 300\n");
}

static void test_users_of_a_domain(void **state UNUSED)
{
	int64_t n[USER_STATES];

	add_user("anna@a.test");
	add_user("bert@a.test");
	add_user("carl@sub.a.test");
	add_user("dora@xa.test");
	add_user("a.test");
	add_user("t");
	go_up_to("bert@a.test", USER_READY);
	OK(store_domain_count(st, "a.test", n, &err));
	for (int s = 0; s < USER_STATES; s++)
		assert_int_equal(n[s], s == USER_PENDING || s == USER_READY ? 1 : 0);
	OK(store_domain_count(st, "%", n, &err));
	assert_int_equal(n[USER_PENDING], 0);
}

static int note_domain(const char *domain, void *arg UNUSED)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof seen - n, "%s;", domain);
	return 0;
}

static void test_domains_of_users(void **state UNUSED)
{
	seen[0] = '\0';
	add_user("anna@a.test");
	add_user("bert@a.test");
	add_user("odd@name@b.test");
	add_user("dora");
	OK(store_domains_each(st, note_domain, NULL, &err));
	assert_string_equal(seen, "a.test;b.test;;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_change_is_a_row),       TEST(test_a_second_look_prolongs),
		TEST(test_no_more_than_that_are_kept), TEST(test_users_of_a_domain),
		TEST(test_domains_of_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
