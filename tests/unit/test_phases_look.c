/* The plan of a domain: what notes of its records come to. */
#include "tests/unit/store_stage.h"

#include "sync/phases.h"

#define MAIL_ON_NEW "CNAME mail.a.test.cust.a.hostedemail.com."

static void note(const char *record, const char *value, int64_t ttl_s)
{
	const struct dns_note n = { .record = record, .value = value, .ttl_s = ttl_s };

	OK(store_dns_note(st, "a.test", &n, &err));
}

static struct phase_facts look(void)
{
	char kind[] = "opensrs-a", names[] = "mail, imap, pop";
	const struct settings s = { .dns.target = { .kind = kind, .names = names } };
	struct phase_facts f;

	OK(phases_look(st, &s, "a.test", &f, &err));
	return f;
}

/* check dns calls it right, as it is an alias of a name that moves. */
static void test_an_alias_goes_with_its_name(void **state UNUSED)
{
	struct phase_facts f;

	note("mail", "192.0.2.1", 300);
	note("imap", "CNAME mail.a.test.", 86400);
	note("pop", "", 0);
	f = look();
	assert_int_equal(f.names.wanted, 2);
	assert_int_equal(f.names.on_new, 0);
	assert_string_equal(f.ttl_record, "mail");

	note("mail", MAIL_ON_NEW, 300);
	f = look();
	assert_int_equal(f.names.wanted, 2);
	assert_int_equal(f.names.on_new, 2);
	assert_int_equal(f.ttl_s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_alias_goes_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
