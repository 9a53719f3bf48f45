/* What a look at a domain's records means, for every turn of a migration. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/dns_judge.h"

#define NEW_MX	 "10 mx.a.test.cust.a.hostedemail.com."
#define NEW_MAIL "CNAME mail.a.test.cust.a.hostedemail.com."
#define SPF	 "v=spf1 include:_spf.hostedemail.com ~all"

static struct dns_wants w;
static struct dns_view view;
static struct dns_past past[32];
static struct dns_case state;
static struct dns_server servers[4];

/* ---- a view, by hand */

static size_t want_of(const char *label)
{
	for (size_t i = 0; i < w.count; i++)
		if (strcmp(w.at[i].label, label) == 0)
			return i;
	fail_msg("no record %s", label);
	return 0;
}

static struct dns_said *said(int server, const char *label)
{
	return &servers[server].said[want_of(label)];
}

static void set(int server, const char *label, const char *value, uint32_t ttl_s)
{
	struct dns_said *s = said(server, label);

	mem_free(&s->value);
	s->value = mem_str(value);
	s->ttl_s = ttl_s;
	s->outcome = *value ? DNS_FOUND : DNS_NODATA;
}

static void set_all(const char *label, const char *value, uint32_t ttl_s)
{
	for (size_t i = 0; i < view.count; i++)
		set((int)i, label, value, ttl_s);
}

static void fail_server(int server, enum dns_outcome o)
{
	for (size_t i = 0; i < w.count; i++) {
		set(server, w.at[i].label, "", 0);
		servers[server].said[i].outcome = o;
	}
}

static void add_server(enum dns_party party, const char *name)
{
	struct dns_server *s = &servers[view.count++];

	*s = (struct dns_server){ .party = party };
	snprintf(s->name, sizeof s->name, "%s", name);
	s->said = mem_array(w.count, sizeof *s->said);
	for (size_t i = 0; i < w.count; i++)
		s->said[i] = (struct dns_said){ .outcome = DNS_NODATA,
						.authoritative = party != DNS_RESOLVER,
						.value = mem_str(""),
						.why = mem_str("") };
}

/* All on old and in order; 5 users of whom none was moved. */
static int set_up(void **state_ UNUSED)
{
	const struct dns_target t = { .kind = (char *)"opensrs-a",
				      .names = (char *)"mail, imap" };
	struct err e;

	assert_int_equal(dns_wants_make(&w, "a.test", &t, &e), 0);
	view = (struct dns_view){ .wants = &w, .zone = "a.test.", .servers = servers };
	add_server(DNS_OWN, "ns1.");
	add_server(DNS_OWN, "ns2.");
	add_server(DNS_RESOLVER, "9.9.9.9");
	set_all("MX", "10 mx.old.test.", 300);
	set_all("mail", "192.0.2.1", 300);
	set_all("SPF", SPF, 300);
	set_all("NS", "ns1.|ns2.", 300);
	set_all("SOA", "7", 300);
	memset(past, 0, sizeof past);
	state = (struct dns_case){ .view = &view, .past = past, .users = 5, .now = 1000000000 };
	return 0;
}

static int tear_down(void **state_ UNUSED)
{
	view.servers = mem_array(view.count, sizeof *servers);
	memcpy(view.servers, servers, view.count * sizeof *servers);
	dns_view_release(&view);
	dns_wants_release(&w);
	return 0;
}

static const char *asked;
static enum dns_verdict found;
static char text[1200];

static void find_item(const struct dns_item *i, void *arg UNUSED)
{
	if (strcmp(i->label, asked) != 0)
		return;
	found = i->verdict;
	snprintf(text, sizeof text, "%s%s%s", i->text, i->line ? "\n" : "",
		 i->line ? i->line : "");
}

static enum dns_verdict judge(const char *label)
{
	enum dns_verdict worst;

	asked = label;
	found = DNS_VERDICTS;
	text[0] = '\0';
	worst = dns_judge(&state, find_item, NULL);
	assert_true(found == DNS_VERDICTS || worst >= found);
	return worst;
}

static void assert_item(const char *label, enum dns_verdict verdict, const char *part)
{
	judge(label);
	if (found != verdict || !strstr(text, part))
		fail_msg("%s: %s: %s", label,
			 found == DNS_VERDICTS ? "no item" : dns_verdict_name(found), text);
}

static void all_on_new(void)
{
	state.on_new = state.users;
	set_all("MX", NEW_MX, 300);
	set_all("mail", NEW_MAIL, 300);
}

/* ---- before */

static void nothing_to_do_but_to_wait(void **state_ UNUSED)
{
	assert_item("MX", DNS_NOT_YET, "leave it until all users are on new");
	assert_item("mail", DNS_NOT_YET, "leads to 192.0.2.1 (TTL 300 s)");
	assert_item("imap", DNS_RIGHT, "no client uses it");
	assert_item("users", DNS_NOT_YET, "0 of 5 are on new");
	assert_item("SPF", DNS_RIGHT, "");
	assert_item("9.9.9.9", DNS_RIGHT, "has what the zone has");
	assert_item("serial", DNS_RIGHT, "7 on all");
	assert_int_equal(judge("MX"), DNS_NOT_YET);
}

static void a_long_ttl_is_lowered_first(void **state_ UNUSED)
{
	set_all("MX", "10 mx.old.test.", 86400);
	assert_item("MX", DNS_WRONG, "TTL of 86400 s: lower it to 300 s now");
	set_all("MX", "10 mx.old.test.", 3600);
	assert_item("MX", DNS_NOT_YET, "300 s is advised");
	set_all("MX", "10 mx.old.test.", 300);
	past[0] = (struct dns_past){ .copies_until = state.now + 1, .ttl_before_s = 86400 };
	assert_item("MX", DNS_NOT_YET,
		    "copies with 86400 s may last until 1970-01-12 13:46:40 UTC");
}

static void too_early(void **state_ UNUSED)
{
	state.on_new = 4;
	set_all("MX", NEW_MX, 300);
	assert_item("MX", DNS_WRONG, "leads to new already");
	assert_item("MX", DNS_WRONG, "1 of 5 users are not there");
	set_all("mail", NEW_MAIL, 300);
	assert_item("mail", DNS_WRONG, "leads to new already");
}

static void an_alias_goes_where_its_name_goes(void **state_ UNUSED)
{
	set_all("imap", "CNAME mail.a.test.", 300);
	assert_item("imap", DNS_RIGHT, "alias of mail");
	set_all("imap", "CNAME imap.a.test.", 300);
	assert_item("imap", DNS_NOT_YET, "leads to CNAME imap.a.test.");
}

static void nobody_was_imported(void **state_ UNUSED)
{
	state.users = 0;
	assert_item("users", DNS_NOT_YET, "nobody in a.test was imported");
	assert_item("MX", DNS_NOT_YET, "leave it");
}

static void no_store_no_verdict(void **state_ UNUSED)
{
	state.past = NULL;
	state.no_store = "disk on fire";
	assert_item("users", DNS_NOT_KNOWN, "disk on fire");
	assert_int_equal(judge("MX"), DNS_NOT_KNOWN);
}

/* ---- after */

static void all_is_done(void **state_ UNUSED)
{
	all_on_new();
	assert_item("MX", DNS_RIGHT, "leads to new");
	assert_item("mail", DNS_RIGHT, "leads to new");
	assert_item("_imaps._tcp SRV", DNS_NOTE, "recommended");
	assert_int_equal(judge("MX"), DNS_NOTE);
}

static void it_still_leads_to_old(void **state_ UNUSED)
{
	state.on_new = 5;
	assert_item("MX", DNS_WRONG, "though all 5 users are on new");
	assert_item("mail", DNS_WRONG, "change it now");
	set_all("MX", "", 0);
	assert_item("MX", DNS_WRONG, "there is none");
}

static void a_leftover(void **state_ UNUSED)
{
	all_on_new();
	set_all("MX", NEW_MX "|20 mx.old.test.", 300);
	assert_item("MX", DNS_WRONG, "besides new's there is 20 mx.old.test. left");
}

static void the_wrong_cluster(void **state_ UNUSED)
{
	all_on_new();
	set_all("MX", "10 mx.a.test.cust.b.hostedemail.com.", 300);
	assert_item("MX", DNS_WRONG, "leads to cluster b of OpenSRS");
	set_all("mail", "CNAME mail.a.test.cust.b.hostedemail.com.", 300);
	assert_item("mail", DNS_WRONG, "but new is cluster a");
}

static void copies_of_the_old_one(void **state_ UNUSED)
{
	all_on_new();
	past[0] = (struct dns_past){ .is_new = true, .copies_until = state.now + 1000 };
	assert_item("MX", DNS_NOT_YET, "the last copy of the old one is gone at 1970-01-12");
	past[0].guessed = true;
	assert_item("MX", DNS_NOT_YET, "a day is assumed");
	past[0].copies_until = state.now;
	assert_item("MX", DNS_RIGHT, "");
	set(2, "MX", "10 mx.old.test.", 120);
	assert_item("9.9.9.9", DNS_NOT_YET, "still has MX: 10 mx.old.test., TTL 120 s");
}

static void a_certificate_that_does_not_fit(void **state_ UNUSED)
{
	struct dns_certificate k = { .name = "mail.a.test.",
				     .asked = true,
				     .text = "wrong name" };

	state.certificates = &k;
	state.certificate_count = 1;
	assert_item("mail.a.test", DNS_NOTE, "clients will be warned once it leads to new");
	state.on_new = 5;
	assert_item("mail", DNS_NOTE, "leave it at the proxy until new has a certificate");
	k.asked = false;
	assert_item("mail.a.test", DNS_NOTE, "could not be looked at: wrong name");
	assert_item("mail", DNS_WRONG, "change it now");
	k.fits = true;
	assert_item("mail.a.test", DNS_RIGHT, "");
}

/* ---- SPF */

static void spf(void **state_ UNUSED)
{
	set_all("SPF", "", 0);
	assert_item("SPF", DNS_WRONG, "there is none");
	set_all("SPF", "v=spf1x|other", 300);
	assert_item("SPF", DNS_WRONG, "there is none");
	set_all("SPF", "other|V=SPF1 mx -all", 300);
	assert_item("SPF", DNS_WRONG,
		    "a.test. 300 IN TXT \"V=SPF1 include:_spf.hostedemail.com mx -all\"");
	set_all("SPF", "v=spf1 include:_spf.hostedemail.com.evil.test -all", 300);
	assert_item("SPF", DNS_WRONG, "does not allow");
	set_all("SPF", SPF "|v=spf1 -all", 300);
	assert_item("SPF", DNS_WRONG, "2 of them");
	/* RFC 7208 5.1: what stands behind "all" is not looked at. */
	set_all("SPF", "v=spf1 mx -ALL include:_spf.hostedemail.com", 300);
	assert_item("SPF", DNS_WRONG, "does not allow");
	set_all("SPF", "v=spf1 ~all  include:_spf.hostedemail.com ", 300);
	assert_item("SPF", DNS_WRONG, "does not allow");
	set_all("SPF", "v=spf1 +all include:_spf.hostedemail.com", 300); /* all are */
	assert_item("SPF", DNS_RIGHT, "allows");
	set_all("SPF", "v=spf1 a:all.test include:_spf.hostedemail.com ?all", 300);
	assert_item("SPF", DNS_RIGHT, "allows");
	set_all("SPF", "v=spf1  include:_spf.hostedemail.com", 300);
	assert_item("SPF", DNS_RIGHT, "allows");
}

/* ---- servers */

static void servers_that_do_not_agree(void **state_ UNUSED)
{
	set(1, "MX", NEW_MX, 300);
	assert_item("MX", DNS_WRONG, "ns1. says 10 mx.old.test.; ns2. says " NEW_MX);
	set(1, "SOA", "8", 300);
	assert_item("serial", DNS_NOT_YET, "ns2. says 8");
}

static void servers_that_cannot_be_asked(void **state_ UNUSED)
{
	fail_server(1, DNS_SILENT);
	assert_item("ns2.", DNS_NOT_KNOWN, "cannot be asked for MX: no answer");
	assert_item("MX", DNS_NOT_YET, "leave it");
	fail_server(1, DNS_REFUSED);
	assert_item("ns2.", DNS_WRONG, "let it serve the zone, or take it out of NS");
	fail_server(2, DNS_SERVFAIL);
	assert_item("9.9.9.9", DNS_NOT_KNOWN, "SERVFAIL");
	fail_server(0, DNS_SILENT);
	assert_item("zone", DNS_NOT_KNOWN, "none of them can be asked");
	judge("MX");
	assert_int_equal(found, DNS_VERDICTS);
}

static void a_server_that_does_not_know(void **state_ UNUSED)
{
	for (size_t i = 0; i < w.count; i++)
		servers[1].said[i].authoritative = false;
	assert_item("ns2.", DNS_WRONG, "does not know that it is one");
}

static void a_zone_that_moves(void **state_ UNUSED)
{
	mem_free(&w.at[want_of("NS")].value);
	w.at[want_of("NS")].value = mem_str("ns.new.");
	add_server(DNS_NEXT, "ns.new.");
	assert_item("ns.new.", DNS_WRONG,
		    "has other records: MX: no such record, TTL 0 s; mail");
	set_all("MX", "10 mx.old.test.", 300);
	set_all("mail", "192.0.2.1", 300);
	set_all("SPF", SPF, 300);
	assert_item("ns.new.", DNS_RIGHT, "has what the zone has");
	assert_item("NS", DNS_NOT_YET, "is to move to ns.new.");
	set_all("NS", "ns.new.", 300);
	assert_item("NS", DNS_RIGHT, "has moved");
}

static void there_is_no_such_domain(void **state_ UNUSED)
{
	snprintf(view.trouble, sizeof view.trouble, "a.test: no such name");
	view.absent = true;
	assert_item("zone", DNS_WRONG, "no such name");
	view.absent = false;
	assert_item("zone", DNS_NOT_KNOWN, "no such name");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_do_but_to_wait),
		TEST(a_long_ttl_is_lowered_first),
		TEST(too_early),
		TEST(an_alias_goes_where_its_name_goes),
		TEST(nobody_was_imported),
		TEST(no_store_no_verdict),
		TEST(all_is_done),
		TEST(it_still_leads_to_old),
		TEST(a_leftover),
		TEST(the_wrong_cluster),
		TEST(copies_of_the_old_one),
		TEST(a_certificate_that_does_not_fit),
		TEST(spf),
		TEST(servers_that_do_not_agree),
		TEST(servers_that_cannot_be_asked),
		TEST(a_server_that_does_not_know),
		TEST(a_zone_that_moves),
		TEST(there_is_no_such_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
