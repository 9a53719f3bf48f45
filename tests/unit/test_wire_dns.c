/* Answers of name servers: what counts of them, and those that nobody should believe. */
#include "tests/unit/wire_test.h"

#include "common/wire/dns.h"

/* ---- a message, built by hand */

static unsigned char msg[DNS_MESSAGE_MAX + 1];
static size_t len;
static struct dns_answer *got;

static void u8(unsigned v)
{
	assert_true(len < sizeof msg);
	msg[len++] = (unsigned char)v;
}

static void u16(unsigned v)
{
	u8(v >> 8);
	u8(v & 0xff);
}

static void u32(uint32_t v)
{
	u16(v >> 16);
	u16(v & 0xffff);
}

static void host(const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		u8((unsigned)n);
		for (size_t i = 0; i < n; i++)
			u8((unsigned char)name[i]);
		name += n + (name[n] == '.');
	}
	u8(0);
}

static void bump(size_t at)
{
	if (++msg[at + 1] == 0)
		msg[at]++;
}

enum { AN = 6, NS = 8 };
#define OK_AA  0x8400
#define NXNAME 0x8403

/* Header and question. */
static void begin(unsigned flags, const char *name, unsigned type)
{
	len = 0;
	u16(0x1234);
	u16(flags);
	u16(1);
	u16(0);
	u16(0);
	u16(0);
	host(name);
	u16(type);
	u16(ns_c_in);
}

/* Up to the length of the data, which rr_end() fills in. */
static size_t rr(int section, const char *owner, unsigned type, uint32_t ttl)
{
	bump((size_t)section);
	host(owner);
	u16(type);
	u16(ns_c_in);
	u32(ttl);
	u16(0);
	return len;
}

static void rr_end(size_t from)
{
	msg[from - 2] = (unsigned char)((len - from) >> 8);
	msg[from - 1] = (unsigned char)(len - from);
}

static void mx(const char *owner, uint32_t ttl, unsigned preference, const char *to)
{
	size_t at = rr(AN, owner, ns_t_mx, ttl);

	u16(preference);
	host(to);
	rr_end(at);
}

static void alias(const char *owner, const char *to)
{
	size_t at = rr(AN, owner, ns_t_cname, 60);

	host(to);
	rr_end(at);
}

static void soa(int section, const char *owner)
{
	size_t at = rr(section, owner, ns_t_soa, 60);

	host("ns.test");
	host("root.test");
	for (uint32_t i = 7; i < 12; i++)
		u32(i);
	rr_end(at);
}

static void txt(const char *a, const char *b)
{
	size_t at = rr(AN, "a.test", ns_t_txt, 60);

	u8((unsigned)strlen(a));
	for (; *a; a++)
		u8((unsigned char)*a);
	u8((unsigned)strlen(b));
	for (; *b; b++)
		u8((unsigned char)*b);
	rr_end(at);
}

static const struct dns_answer *parsed(const char *name, unsigned type)
{
	char *p = exact((struct slice){ (char *)msg, len });

	dns_answer_parse((struct slice){ p, len }, name, type, got);
	free(p);
	return got;
}

static void assert_broken(const char *name, unsigned type, const char *why)
{
	parsed(name, type);
	assert_int_equal(got->outcome, DNS_BROKEN);
	assert_string_equal(got->why, why);
	assert_int_equal(got->count, 0);
}

static int set_up(void **state UNUSED)
{
	got = mem_new(sizeof *got);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	mem_free(&got);
	return 0;
}

/* ---- right ones */

static void records_are_sorted_and_written_one_way(void **state UNUSED)
{
	begin(OK_AA, "A.Test", ns_t_mx);
	mx("a.TEST", 300, 20, "MX2.a.test");
	mx("a.test", 60, 10, "mx1.a.test");
	mx("a.test", 60, 10, "mx1.a.test");
	mx("b.test", 60, 10, "other.test");
	parsed("a.test", ns_t_mx);
	assert_int_equal(got->outcome, DNS_FOUND);
	assert_true(got->authoritative);
	assert_int_equal(got->count, 2);
	assert_string_equal(got->at[0].text, "10 mx1.a.test.");
	assert_string_equal(got->at[1].text, "20 mx2.a.test.");
	assert_int_equal(got->at[1].ttl_s, 300);
}

static void each_type_has_its_text(void **state UNUSED)
{
	size_t at;

	begin(OK_AA, "a.test", ns_t_srv);
	at = rr(AN, "a.test", ns_t_srv, 60);
	u16(0);
	u16(1);
	u16(993);
	host("imap.a.test");
	rr_end(at);
	at = rr(AN, "a.test", ns_t_srv, 0x80000000u);
	u16(0);
	u16(0);
	u16(0);
	host("");
	rr_end(at);
	parsed("a.test.", ns_t_srv);
	assert_string_equal(got->at[0].text, "0 0 0 .");
	assert_int_equal(got->at[0].ttl_s, 0);
	assert_string_equal(got->at[1].text, "0 1 993 imap.a.test.");

	begin(OK_AA, "a.test", ns_t_aaaa);
	at = rr(AN, "a.test", ns_t_aaaa, 60);
	for (int i = 0; i < 15; i++)
		u8(0);
	u8(1);
	rr_end(at);
	assert_string_equal(parsed("a.test", ns_t_aaaa)->at[0].text, "::1");

	begin(OK_AA, "a.test", ns_t_soa);
	soa(AN, "a.test");
	parsed("a.test", ns_t_soa);
	assert_string_equal(got->at[0].text, "7");
	assert_string_equal(got->zone, "a.test.");

	begin(OK_AA, "a.test", ns_t_txt);
	txt("v=spf1 a|", "\"~all");
	assert_string_equal(parsed("a.test", ns_t_txt)->at[0].text, "v=spf1 a\\124\\034~all");
}

static void long_text_is_cut(void **state UNUSED)
{
	size_t at;

	begin(OK_AA, "a.test", ns_t_txt);
	at = rr(AN, "a.test", ns_t_txt, 60);
	for (int i = 0; i < 12; i++) {
		u8(255);
		for (int k = 0; k < 255; k++)
			u8(k % 2 ? 'x' : 7);
	}
	rr_end(at);
	parsed("a.test", ns_t_txt);
	assert_int_equal(got->outcome, DNS_FOUND);
	assert_true(strlen(got->at[0].text) < DNS_DATA_MAX);
}

static void nothing_is_told_apart(void **state UNUSED)
{
	begin(OK_AA, "x.a.test", ns_t_mx);
	soa(NS, "a.test");
	parsed("x.a.test", ns_t_mx);
	assert_int_equal(got->outcome, DNS_NODATA);
	assert_string_equal(got->zone, "a.test.");
	begin(NXNAME, "x.a.test", ns_t_mx);
	assert_int_equal(parsed("x.a.test", ns_t_mx)->outcome, DNS_NXDOMAIN);
	begin(0x8002, "x.a.test", ns_t_mx);
	assert_int_equal(parsed("x.a.test", ns_t_mx)->outcome, DNS_SERVFAIL);
	begin(0x8005, "x.a.test", ns_t_mx);
	assert_int_equal(parsed("x.a.test", ns_t_mx)->outcome, DNS_REFUSED);
	assert_false(got->authoritative);
	begin(0x8004, "x.a.test", ns_t_mx);
	assert_broken("x.a.test", ns_t_mx, "error 4");
}

/* Of an alias the SOA of where it leads to comes along: those servers say nothing of the name.
 */
static void a_zone_has_the_name_in_it(void **state UNUSED)
{
	static const struct {
		const char *soa, *zone;
	} rows[] = {
		{ "b.test", "" },	 { "xa.test", "" },
		{ "a.test", "a.test." }, { "x.a.test", "x.a.test." },
		{ "test", "test." },	 { "y.x.a.test", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		begin(OK_AA, "X.A.test", ns_t_soa);
		alias("x.a.test", "y.b.test");
		soa(NS, rows[i].soa);
		assert_string_equal(parsed("X.A.test", ns_t_soa)->zone, rows[i].zone);
	}
}

static void aliases_are_followed(void **state UNUSED)
{
	size_t at;

	begin(OK_AA, "mail.a.test", ns_t_a);
	alias("x.b.test", "y.b.test");
	at = rr(AN, "y.b.test", ns_t_a, 60);
	u32(0x7f000001);
	rr_end(at);
	at = rr(AN, "mail.a.test", ns_t_a, 60);
	u32(0x7f000002); /* of a name that is an alias: it does not count */
	rr_end(at);
	alias("mail.a.test", "X.b.test");
	parsed("mail.a.test", ns_t_a);
	assert_int_equal(got->count, 3);
	assert_string_equal(got->at[0].text, "x.b.test.");
	assert_string_equal(got->at[1].text, "y.b.test.");
	assert_string_equal(got->at[2].text, "127.0.0.1");

	begin(NXNAME, "mail.a.test", ns_t_a);
	alias("mail.a.test", "gone.b.test");
	parsed("mail.a.test", ns_t_a);
	assert_int_equal(got->outcome, DNS_NXDOMAIN);
	assert_int_equal(got->count, 1);
}

/* ---- hostile ones */

static void circles_and_chains_end(void **state UNUSED)
{
	char from[16], to[16];

	begin(OK_AA, "a.test", ns_t_a);
	alias("a.test", "a.test");
	assert_broken("a.test", ns_t_a, "CNAME records in a circle");
	begin(OK_AA, "a.test", ns_t_a);
	alias("a.test", "b.test");
	alias("b.test", "c.test");
	alias("c.test", "b.test");
	assert_broken("a.test", ns_t_a, "CNAME records in a circle");
	begin(OK_AA, "0.test", ns_t_a);
	for (int i = 0; i < 20; i++) {
		snprintf(from, sizeof from, "%d.test", i);
		snprintf(to, sizeof to, "%d.test", i + 1);
		alias(from, to);
	}
	assert_broken("0.test", ns_t_a, "more than 8 CNAME records in a chain");
	begin(OK_AA, "a.test", ns_t_a);
	alias("a.test", "b.test");
	alias("a.test", "c.test");
	assert_broken("a.test", ns_t_a, "two CNAME records of one name");
}

static void a_thousand_exchangers_are_too_many(void **state UNUSED)
{
	begin(OK_AA, "a.test", ns_t_mx);
	for (unsigned i = 0; i < 1000; i++)
		mx("a.test", 60, i, "mx.a.test");
	assert_broken("a.test", ns_t_mx, "more than 64 records");
}

static void pointers_that_lead_nowhere(void **state UNUSED)
{
	size_t at;

	begin(OK_AA, "a.test", ns_t_mx);
	at = rr(AN, "a.test", ns_t_mx, 60);
	u16(10);
	u16(0xc000 | (unsigned)len); /* at itself */
	rr_end(at);
	assert_broken("a.test", ns_t_mx, "a malformed MX record");
	begin(OK_AA, "a.test", ns_t_mx);
	at = rr(AN, "a.test", ns_t_mx, 60);
	u16(10);
	u16(0xc000 | 0x3fff); /* behind the end */
	rr_end(at);
	assert_broken("a.test", ns_t_mx, "a malformed MX record");
	begin(OK_AA, "a.test", ns_t_mx);
	bump(AN);
	u16(0xc000 | (unsigned)len); /* the owner */
	u16(ns_t_mx);
	u16(ns_c_in);
	u32(60);
	u16(0);
	assert_broken("a.test", ns_t_mx, "record 1 cannot be read");
}

static void lengths_that_do_not_fit(void **state UNUSED)
{
	size_t at;

	begin(OK_AA, "a.test", ns_t_a);
	at = rr(AN, "a.test", ns_t_a, 60);
	u16(1);
	rr_end(at);
	assert_broken("a.test", ns_t_a, "a malformed A record");
	begin(OK_AA, "a.test", ns_t_mx);
	at = rr(AN, "a.test", ns_t_mx, 60);
	u16(1);
	host("mx.test");
	u8(0);
	rr_end(at);
	assert_broken("a.test", ns_t_mx, "a malformed MX record");
	begin(OK_AA, "a.test", ns_t_txt);
	at = rr(AN, "a.test", ns_t_txt, 60);
	u8(200);
	u8('x');
	rr_end(at);
	assert_broken("a.test", ns_t_txt, "a malformed TXT record");
	begin(OK_AA, "a.test", ns_t_mx);
	u8(0); /* one byte behind the end */
	assert_broken("a.test", ns_t_mx, "it is no DNS message");
	len = DNS_MESSAGE_MAX + 1;
	assert_broken("a.test", ns_t_mx, "it is no DNS message");
}

static void a_bar_is_in_no_host(void **state UNUSED)
{
	begin(OK_AA, "a.test", ns_t_mx);
	mx("a.test", 60, 10, "mx|20 mx.a.test");
	assert_broken("a.test", ns_t_mx, "a malformed MX record");
}

static void answers_to_something_else(void **state UNUSED)
{
	begin(OK_AA, "b.test", ns_t_mx);
	assert_broken("a.test", ns_t_mx, "it answers another question");
	begin(OK_AA, "a.test", ns_t_a);
	assert_broken("a.test", ns_t_mx, "it answers another question");
	begin(OK_AA, "a.test", ns_t_mx);
	msg[5] = 0;
	len = 12;
	assert_broken("a.test", ns_t_mx, "it does not say what it answers");
	begin(0x0400, "a.test", ns_t_mx);
	assert_broken("a.test", ns_t_mx, "it is a question");
	begin(0x8600, "a.test", ns_t_mx);
	mx("a.test", 60, 10, "mx.test");
	assert_broken("a.test", ns_t_mx, "it is cut short");
}

static void no_part_of_an_answer_is_one(void **state UNUSED)
{
	size_t whole;

	begin(OK_AA, "a.test", ns_t_mx);
	mx("a.test", 60, 10, "mx.a.test");
	soa(NS, "a.test");
	whole = len;
	assert_int_equal(parsed("a.test", ns_t_mx)->outcome, DNS_FOUND);
	for (len = 0; len < whole; len++)
		assert_broken("a.test", ns_t_mx, "it is no DNS message");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_are_sorted_and_written_one_way),
		TEST(each_type_has_its_text),
		TEST(long_text_is_cut),
		TEST(nothing_is_told_apart),
		TEST(a_zone_has_the_name_in_it),
		TEST(aliases_are_followed),
		TEST(circles_and_chains_end),
		TEST(a_thousand_exchangers_are_too_many),
		TEST(pointers_that_lead_nowhere),
		TEST(lengths_that_do_not_fit),
		TEST(a_bar_is_in_no_host),
		TEST(answers_to_something_else),
		TEST(no_part_of_an_answer_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
