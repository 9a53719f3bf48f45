/* Addresses and networks: what people write, and who is inside. */
#include "tests/unit/wire_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/wire/endpoint.h"

static struct endpoint ip(const char *text)
{
	struct endpoint at = { .port = 993 };

	assert_int_equal(endpoint_set_ip(&at, slice_of(text)), 0);
	return at;
}

static void texts(void **state UNUSED)
{
	static const struct {
		const char *in, *ip, *whole;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1:993" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:993" },
		{ "2001:DB8:0:0::1", "2001:db8::1", "[2001:db8::1]:993" },
		{ "::1", "::1", "[::1]:993" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:993" },
	};
	static const char *const none[] = { "",
					    "1.2.3",
					    "1.2.3.256",
					    "1.2.3.4 ",
					    "01.2.3.4",
					    "1.2.3.4/8",
					    "x",
					    ":::",
					    "fe80::1%eth0",
					    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2550" };
	char one[ENDPOINT_IP_MAX], all[ENDPOINT_TEXT_MAX];
	struct endpoint at = ip("192.0.2.7");

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct endpoint e = ip(rows[i].in);

		endpoint_ip_text(&e, one);
		endpoint_text(&e, all);
		assert_string_equal(one, rows[i].ip);
		assert_string_equal(all, rows[i].whole);
	}
	for (size_t i = 0; i < COUNT(none); i++)
		if (endpoint_set_ip(&at, slice_of(none[i])) != -1)
			fail_msg("took \"%s\"", none[i]);
	assert_int_equal(endpoint_set_ip(&at, SLICE("1.2.3.4\0")), -1);
	endpoint_ip_text(&at, one);
	assert_string_equal(one, "192.0.2.7");
}

static void with_ports(void **state UNUSED)
{
	static const char *const none[] = { "",	     "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536",
					    ":25",   "[::1]",	"::1:25",   "[1.2.3.4]:25",
					    "[]:25", "[::1:25", "x:25",	    "[::1]x:25" };
	static const char *const good[] = { "192.0.2.1:993", "[::1]:1", "0.0.0.0:0",
					    "[::]:65535" };
	union endpoint_sockaddr sa;
	socklen_t n;
	char text[ENDPOINT_TEXT_MAX];
	struct endpoint at, back;

	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(endpoint_parse(&at, slice_of(good[i])), 0);
		endpoint_text(&at, text);
		assert_string_equal(text, good[i]);
		n = endpoint_sockaddr(&at, &sa);
		assert_int_equal(n, sa.any.sa_family == AF_INET ? sizeof sa.in : sizeof sa.in6);
		back = endpoint_of(&sa.any);
		assert_memory_equal(&at, &back, sizeof at);
	}
	for (size_t i = 0; i < COUNT(none); i++)
		if (endpoint_parse(&at, slice_of(none[i])) != -1)
			fail_msg("took \"%s\"", none[i]);
}

static void of_sockets(void **state UNUSED)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(143),
				  .sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(143) };
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct endpoint a = endpoint_of((struct sockaddr *)&in), b;

	inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr);
	b = endpoint_of((struct sockaddr *)&in6);
	assert_memory_equal(&a, &b, sizeof a);
	assert_int_equal(a.port, 143);
	assert_true(endpoint_known(&a));
	a = endpoint_of(&other);
	assert_false(endpoint_known(&a));
}

static void kinds(void **state UNUSED)
{
	struct endpoint a = ip("127.8.0.1"), b = ip("::1"), c = ip("2001:db8::1"),
			d = ip("128.0.0.1"), e = ip("0.0.0.0"), f = ip("::");

	assert_true(endpoint_is_loopback(&a) && endpoint_is_loopback(&b));
	assert_false(endpoint_is_loopback(&c) || endpoint_is_loopback(&d));
	assert_true(endpoint_is_v4(&a) && !endpoint_is_v4(&b) && !endpoint_is_v4(&c));
	assert_true(endpoint_is_any(&e) && endpoint_is_any(&f));
	assert_false(endpoint_is_any(&a) || endpoint_is_any(&b) || endpoint_is_any(&d));
	a.port = 1;
	assert_true(endpoint_same_ip(&a, &(struct endpoint){ 0 }) == false);
	b = a;
	b.port = 2;
	assert_true(endpoint_same_ip(&a, &b));
}

static void who_is_inside(void **state UNUSED)
{
	static const struct {
		const char *list, *ip;
		bool inside;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.0.0.1", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.0", false },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "203.0.113.9", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true },
		{ "::1/128", "127.0.0.1", false },
		{ " 10.0.0.0/8 ,,::1\t192.0.2.0/24 ", "192.0.2.9", true },
		{ "10.0.0.0/8, ::1", "192.0.2.9", false },
		{ "", "192.0.2.9", false },
		{ NULL, "192.0.2.9", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct endpoint at = ip(rows[i].ip);

		if (networks_have(rows[i].list, &at) != rows[i].inside)
			fail_msg("%s in %s", rows[i].ip, rows[i].list);
	}
}

static void lists_with_mistakes(void **state UNUSED)
{
	static const struct {
		const char *list, *bad;
	} rows[] = {
		{ "", "" },
		{ " , ", "" },
		{ "10.0.0.0/8, here", "here" },
		{ "10.0.0.1/8", "10.0.0.1/8" },
		{ "10.0.0.0/33", "10.0.0.0/33" },
		{ "10.0.0.0/", "10.0.0.0/" },
		{ "/8", "/8" },
		{ "::/129", "::/129" },
		{ "2001:db8::1/64", "2001:db8::1/64" },
		{ "10.0.0.0/8;::1", "10.0.0.0/8;::1" },
	};
	struct slice bad;

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(networks_check(rows[i].list, &bad), -1);
		assert_slice(bad, rows[i].bad);
	}
	assert_int_equal(networks_check("10.0.0.0/8, ::1 2001:db8::/32,192.0.2.1/32", &bad), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),	 cmocka_unit_test(with_ports),
		cmocka_unit_test(of_sockets),	 cmocka_unit_test(kinds),
		cmocka_unit_test(who_is_inside), cmocka_unit_test(lists_with_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
