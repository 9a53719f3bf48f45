/* Lists of hosts, mail exchangers and resolvers as mailferry.conf has them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "config/dns_words.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void words(void **state UNUSED)
{
	const char *list = " a,b b ,, c ", *none = NULL;
	struct slice w;

	assert_true(dns_word(&list, &w) && slice_is(w, "a"));
	assert_true(dns_word(&list, &w) && slice_is(w, "b b"));
	assert_true(dns_word(&list, &w) && slice_is(w, "c"));
	assert_false(dns_word(&list, &w));
	assert_false(dns_word(&none, &w));
}

static void hosts(void **state UNUSED)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{ "Mail.Example.COM", "mail.example.com." },
		{ "mail.example.com.", "mail.example.com." },
		{ "_imaps._tcp.x-y.test", "_imaps._tcp.x-y.test." },
		{ L63 ".test", L63 ".test." },
		{ L63 "a.test", NULL },
		{ L63 "." L63 "." L63 "." L63 "." L63, NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ ".", NULL },
		{ "", NULL },
		{ "a b", NULL },
		{ "a\nb", NULL },
	};
	char got[DNS_HOST_MAX];

	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc = dns_host(slice_of(rows[i].text), got);

		if (rc != (rows[i].want ? 0 : -1) || (rc == 0 && strcmp(got, rows[i].want)))
			fail_msg("\"%s\"", rows[i].text);
	}
}

static void exchangers(void **state UNUSED)
{
	char got[DNS_HOST_MAX + 8];

	assert_int_equal(dns_mx(SLICE("10  MX.a.test"), got), 0);
	assert_string_equal(got, "10 mx.a.test.");
	assert_int_equal(dns_mx(SLICE("65536 mx.a.test"), got), -1);
	assert_int_equal(dns_mx(SLICE("mx.a.test"), got), -1);
	assert_int_equal(dns_mx(SLICE("10 "), got), -1);
	assert_int_equal(dns_mx(SLICE("-1 mx"), got), -1);
}

static void resolvers(void **state UNUSED)
{
	struct endpoint at[DNS_RESOLVERS_MAX];
	char text[ENDPOINT_TEXT_MAX];
	struct slice bad;
	size_t n;

	assert_int_equal(
		dns_resolvers("9.9.9.9, 192.0.2.1:5353,[2620:fe::fe]:99 , 2001:db8::1, "
			      "[::1]",
			      at, &n, &bad),
		0);
	assert_int_equal(n, 5);
	endpoint_text(&at[0], text);
	assert_string_equal(text, "9.9.9.9:53");
	endpoint_text(&at[1], text);
	assert_string_equal(text, "192.0.2.1:5353");
	endpoint_text(&at[2], text);
	assert_string_equal(text, "[2620:fe::fe]:99");
	endpoint_text(&at[3], text);
	assert_string_equal(text, "[2001:db8::1]:53");
	endpoint_text(&at[4], text);
	assert_string_equal(text, "[::1]:53");
	assert_int_equal(dns_resolvers(NULL, at, &n, &bad), 0);
	assert_int_equal(n, 0);
	assert_int_equal(dns_resolvers("9.9.9.9, dns.test", at, &n, &bad), -1);
	assert_true(slice_is(bad, "dns.test"));
	assert_int_equal(dns_resolvers("9.9.9.9:0", at, &n, &bad), -1);
	assert_int_equal(dns_resolvers("[::1", at, &n, &bad), -1);
	assert_int_equal(dns_resolvers("[::1]x", at, &n, &bad), -1);
	assert_int_equal(dns_resolvers("::1,::1,::1,::1,::1,::1,::1,::1,::2", at, &n, &bad),
			 -1);
	assert_true(slice_is(bad, "::2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(hosts),
		cmocka_unit_test(exchangers),
		cmocka_unit_test(resolvers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
