/* Who asks, and through which page: what a request's header may say. */
#include "tests/unit/wire_test.h"

#include "common/wire/http_head.h"

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void tokens(void **state UNUSED)
{
	static const char *const none[] = {
		"",
		"Bearer",
		"Bearer ",
		"Bearer mf_",
		"Basic mf_" DIGITS,
		"Bearermf_" DIGITS,
		"Bearer mf_" DIGITS "0",
		"Bearer mf_" DIGITS " ",
		"Bearer mx_" DIGITS,
		"Bearer mf_0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"mf_" DIGITS,
	};

	assert_true(slice_is(http_bearer(SLICE("Bearer mf_" DIGITS)), "mf_" DIGITS));
	assert_true(slice_is(http_bearer(SLICE("bEARER   mf_" DIGITS)), "mf_" DIGITS));
	for (size_t i = 0; i < COUNT(none); i++)
		if (http_bearer(slice_of(none[i])).n)
			fail_msg("took \"%s\"", none[i]);
}

static void hosts(void **state UNUSED)
{
	static const char *const ours[] = {
		"127.0.0.1",	  "127.0.0.1:8143",   "192.0.2.7:1",
		"[::1]:8143",	  "[2001:db8::1]",    "localhost",
		"LOCALHOST:8143", "desk.example.com", "Desk.Example.com:443",
		"two.test"
	};
	static const char *const others[] = { "",
					      ":8143",
					      "example.com",
					      "desk.example.com.",
					      "desk.example.com.evil.test",
					      "desk.example.com:",
					      "desk.example.com:x",
					      "desk.example.com:99999",
					      "desk.example.com@evil.test",
					      "::1",
					      "[127.0.0.1]",
					      "[::1",
					      "::1]",
					      "127.1",
					      "0x7f.0.0.1",
					      "localhost.evil.test" };

	for (size_t i = 0; i < COUNT(ours); i++)
		if (!http_host_is_ours(slice_of(ours[i]), "desk.example.com, two.test"))
			fail_msg("refused \"%s\"", ours[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		if (http_host_is_ours(slice_of(others[i]), "desk.example.com, two.test"))
			fail_msg("took \"%s\"", others[i]);
	assert_false(http_host_is_ours(SLICE("desk.example.com"), NULL));
	assert_true(http_host_is_ours(SLICE("localhost"), NULL));
}

static void origins(void **state UNUSED)
{
	struct slice host = SLICE("desk.test:8143");

	assert_true(http_origin_is_ours(SLICE("https://desk.test:8143"), host, true));
	assert_true(http_origin_is_ours(SLICE("https://DESK.test:8143"), host, true));
	assert_true(http_origin_is_ours(SLICE("http://desk.test:8143"), host, false));
	assert_true(http_origin_is_ours(SLICE("https://desk.test:8143"), host, false));
	assert_false(http_origin_is_ours(SLICE("http://desk.test:8143"), host, true));
	assert_false(http_origin_is_ours(SLICE("https://desk.test"), host, true));
	assert_false(http_origin_is_ours(SLICE("https://evil.test"), host, true));
	assert_false(http_origin_is_ours(SLICE("null"), host, true));
	assert_false(http_origin_is_ours(SLICE(""), host, true));
	assert_false(http_origin_is_ours(SLICE("https://"), SLICE(""), true));
}

static void names(void **state UNUSED)
{
	struct slice bad;

	assert_int_equal(http_names_check("desk.example.com, b-2", &bad), 0);
	assert_int_equal(http_names_check("a, b_c", &bad), -1);
	assert_true(slice_is(bad, "b_c"));
	assert_int_equal(http_names_check(" ,", &bad), -1);
	assert_int_equal(bad.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tokens), cmocka_unit_test(hosts),
					    cmocka_unit_test(origins),
					    cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
