/* What a zone shall hold in the end, and when the last copy of what it held is gone. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/dns_notes.h"

static struct dns_wants w;
static struct err err;

static int tear_down(void **state UNUSED)
{
	dns_wants_release(&w);
	return 0;
}

static void make(const char *domain, const struct dns_target *t)
{
	if (dns_wants_make(&w, domain, t, &err) < 0)
		fail_msg("%s", err.text);
}

static void make_cluster(const char *kind)
{
	const struct dns_target t = { .kind = (char *)kind, .names = (char *)"mail, webmail" };

	make("A.Test", &t);
}

static char lines[4096];

static void add_line(const char *line, void *arg UNUSED)
{
	size_t n = strlen(lines);

	snprintf(lines + n, sizeof lines - n, "%s\n", line);
}

static const char *zone(void)
{
	lines[0] = '\0';
	for (size_t i = 0; i < w.count; i++)
		dns_want_lines(&w.at[i], add_line, NULL);
	return lines;
}

#define SRV(host)                                                 \
	"_imaps._tcp.a.test. 300 IN SRV 0 1 993 " host "\n"       \
	"_pop3s._tcp.a.test. 300 IN SRV 10 1 995 " host "\n"      \
	"_submissions._tcp.a.test. 300 IN SRV 0 1 465 " host "\n" \
	"_submission._tcp.a.test. 300 IN SRV 0 1 587 " host "\n"  \
	"_imap._tcp.a.test. 300 IN SRV 0 0 0 .\n"                 \
	"_pop3._tcp.a.test. 300 IN SRV 0 0 0 .\n"

static void zone_of_a_cluster(void **state UNUSED)
{
	make_cluster("opensrs-b");
	assert_string_equal(
		zone(),
		"a.test. 300 IN MX 10 mx.a.test.cust.b.hostedemail.com.\n"
		"mail.a.test. 300 IN CNAME mail.a.test.cust.b.hostedemail.com.\n"
		"webmail.a.test. 300 IN CNAME webmail.a.test.cust.b.hostedemail.com.\n"
		"a.test. 300 IN TXT \"v=spf1 include:_spf.hostedemail.com ~all\"\n"
		"key1._domainkey.a.test. 300 IN CNAME key1.a.test.dkim.hostedemail.link.\n"
		"key2._domainkey.a.test. 300 IN CNAME key2.a.test.dkim.hostedemail.link.\n" //
		SRV("mail.b.hostedemail.com."));
	dns_wants_release(&w);
	make_cluster("opensrs-a");
	assert_non_null(strstr(zone(), SRV("mail.hostedemail.com.")));
}

static void zone_of_another_host(void **state UNUSED)
{
	const struct dns_target t = { .kind = (char *)"other",
				      .mx = (char *)"20 MX2.n.test, 10 mx1.n.test",
				      .host = (char *)"imap.n.test",
				      .names = (char *)"mail, webmail",
				      .servers = (char *)"ns2.n.test, ns1.n.test" };

	make("a.test", &t);
	assert_string_equal(zone(), "a.test. 300 IN MX 10 mx1.n.test.\n"
				    "a.test. 300 IN MX 20 mx2.n.test.\n"
				    "mail.a.test. 300 IN CNAME imap.n.test.\n"
				    "webmail.a.test. 300 IN CNAME imap.n.test.\n" //
			    SRV("imap.n.test.") "a.test. 300 IN NS ns1.n.test.\n"
						"a.test. 300 IN NS ns2.n.test.\n");
}

static void nobody_says_what_new_is(void **state UNUSED)
{
	const struct dns_target none = { .names = (char *)"mail" };

	assert_int_equal(dns_wants_make(&w, "a.test", &none, &err), -1);
	assert_string_equal(err.text, "a.test: it is not known what new is: set dns.new to "
				      "opensrs-a, opensrs-b or other");
	assert_int_equal(dns_wants_make(&w, "a b", &none, &err), -1);
	assert_string_equal(err.text, "\"a b\" is no domain's name");
}

static void who_the_mail_goes_to(void **state UNUSED)
{
	make_cluster("opensrs-a");
	assert_true(dns_mx_is_new(&w, "10 mx.a.test.cust.a.hostedemail.com."));
	assert_true(dns_mx_is_new(&w, "0 mx.a.test.cust.hostedemail.com."));
	assert_true(dns_mx_is_new(&w, "0 mx.a.test.cust.hostedemail.com.|10 "
				      "mx.a.test.cust.a.hostedemail.com."));
	assert_false(dns_mx_is_new(&w, "10 mx.a.test.cust.b.hostedemail.com."));
	assert_false(dns_mx_is_new(&w, "10 mx.b.test.cust.a.hostedemail.com."));
	assert_false(dns_mx_is_new(&w, "10 mx.a.test.cust.a.hostedemail.com.|20 mx.old.test."));
	assert_false(dns_mx_is_new(&w, ".hostedemail.com."));
	/* An alias is no MX: what is asked of mail goes on to another name's. */
	assert_false(dns_mx_is_new(&w, "CNAME mx.a.test.cust.a.hostedemail.com."));
	assert_false(dns_mx_is_new(&w, "0 ."));
	assert_false(dns_mx_is_new(&w, ""));
	assert_string_equal(dns_other_cluster(&w, "10 mx.a.test.cust.b.hostedemail.com."), "b");
	assert_string_equal(dns_other_cluster(&w, "10 mx.a.test.cust.a.hostedemail.com."), "");
	assert_string_equal(dns_other_cluster(&w, "10 mx.old.test."), "");
}

/* ---- histories */

#define NEW_MX "10 mx.a.test.cust.a.hostedemail.com."
#define OLD_MX "10 mx.old.test."

static struct dns_past past_of(const struct dns_note *notes, size_t n)
{
	struct dns_past p;

	dns_past_of(&w, dns_wants_mx(&w), notes, n, &p);
	return p;
}
#define PAST(...)                                         \
	past_of((const struct dns_note[]){ __VA_ARGS__ }, \
		COUNT(((const struct dns_note[]){ __VA_ARGS__ })))

static void the_last_copy_lasts_as_long_as_the_ttl_was(void **state UNUSED)
{
	struct dns_past p;

	make_cluster("opensrs-a");
	p = PAST({ "MX", OLD_MX, 300, 1000, 5000 }, { "MX", NEW_MX, 60, 9000, 9500 });
	assert_true(p.is_new);
	assert_false(p.guessed);
	assert_int_equal(p.since, 9000);
	assert_int_equal(p.looked_at, 9500);
	assert_int_equal(p.ttl_before_s, 300);
	assert_int_equal(p.copies_until, 9000 + 300000);
}

static void a_long_ttl_before_the_short_one_may_outlast_it(void **state UNUSED)
{
	struct dns_past p;

	make_cluster("opensrs-a");
	p = PAST({ "MX", OLD_MX, 86400, 1000, 5000 }, { "MX", OLD_MX, 300, 6000, 7000 },
		 { "MX", NEW_MX, 60, 9000, 9500 });
	assert_int_equal(p.copies_until, 6000 + 86400000LL);
	p = PAST({ "MX", OLD_MX, 86400, 1000, 5000 }, { "MX", OLD_MX, 300, 6000, 7000 });
	assert_false(p.is_new);
	assert_int_equal(p.since, 1000);
	assert_int_equal(p.ttl_before_s, 86400);
	assert_int_equal(p.copies_until, 6000 + 86400000LL);
	p = PAST({ "MX", OLD_MX, 300, 1000, 5000 }, { "MX", OLD_MX, 600, 6000, 7000 });
	assert_int_equal(p.copies_until, 0);
}

static void new_in_two_forms_is_new_all_along(void **state UNUSED)
{
	struct dns_past p;

	make_cluster("opensrs-a");
	p = PAST({ "MX", OLD_MX, 5, 1, 2 },
		 { "MX", "0 mx.a.test.cust.hostedemail.com.", 3600, 1000, 5000 },
		 { "MX", NEW_MX, 60, 9000, 9500 });
	assert_int_equal(p.since, 1000);
	assert_int_equal(p.copies_until, 6000);
}

static void back_and_forth(void **state UNUSED)
{
	struct dns_past p;

	make_cluster("opensrs-a");
	p = PAST({ "MX", OLD_MX, 5, 1000, 2000 }, { "MX", NEW_MX, 5, 3000, 4000 },
		 { "MX", OLD_MX, 7, 5000, 6000 }, { "MX", NEW_MX, 5, 8000, 9000 });
	assert_int_equal(p.since, 8000);
	assert_int_equal(p.copies_until, 15000);
	p = PAST({ "MX", NEW_MX, 5, 3000, 4000 }, { "MX", OLD_MX, 7, 5000, 6000 });
	assert_false(p.is_new);
	assert_int_equal(p.since, 5000);
}

static void nobody_looked_before(void **state UNUSED)
{
	struct dns_past p;

	make_cluster("opensrs-a");
	p = PAST({ "MX", NEW_MX, 5, 3000, 4000 });
	assert_true(p.is_new && p.guessed);
	assert_int_equal(p.copies_until, 3000 + DNS_UNSEEN_TTL_S * 1000LL);
	p = past_of(NULL, 0);
	assert_false(p.is_new);
	assert_int_equal(p.looked_at, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zone_of_a_cluster),
		TEST(zone_of_another_host),
		TEST(nobody_says_what_new_is),
		TEST(who_the_mail_goes_to),
		TEST(the_last_copy_lasts_as_long_as_the_ttl_was),
		TEST(a_long_ttl_before_the_short_one_may_outlast_it),
		TEST(new_in_two_forms_is_new_all_along),
		TEST(back_and_forth),
		TEST(nobody_looked_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
