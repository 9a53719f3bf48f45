/* The plan of a domain: what notes of its records come to. */
#include "tests/unit/store_stage.h"

#include "sync/dns_notes.h"
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

/* In the middle of a change: the new record's long TTL says nothing of copies of the old one.
 */
static void test_servers_that_change_one_after_the_other(void **state UNUSED)
{
	static char kind[] = "opensrs-a", names[] = "", nothing[] = "";
	static char before[] = "10 mx.old.test.",
		    after[] = "10 mx.a.test.cust.a.hostedemail.com.";
	const struct dns_target target = { .kind = kind, .names = names };
	struct dns_said said[2][32] = { 0 };
	struct dns_server servers[2] = { { .party = DNS_OWN, .said = said[0] },
					 { .party = DNS_OWN, .said = said[1] } };
	struct dns_wants w;
	struct dns_view v = { .wants = &w, .servers = servers, .count = 2 };
	struct dns_past past;

	OK(dns_wants_make(&w, "a.test", &target, &err));
	assert_true(w.count <= COUNT(said[0]));
	for (size_t i = 0; i < w.count; i++)
		said[0][i].value = said[1][i].value = nothing;
	said[0][0] = (struct dns_said){
		.outcome = DNS_FOUND, .authoritative = true, .value = after, .ttl_s = 300
	};
	said[1][0] = (struct dns_said){
		.outcome = DNS_FOUND, .authoritative = true, .value = before, .ttl_s = 3
	};
	OK(dns_notes_write(st, &v, &err));
	said[1][0] = said[0][0];
	OK(dns_notes_write(st, &v, &err));
	OK(dns_past_read(st, &w, dns_wants_mx(&w), &past, &err));
	assert_true(past.is_new);
	assert_int_equal(past.copies_until, past.since + 3000);
	dns_wants_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_alias_goes_with_its_name),
		TEST(test_servers_that_change_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
