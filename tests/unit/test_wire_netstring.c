/* Netstrings, whole and in pieces. */
#include "common/wire/netstring.h"

#include "wire_test.h"

#define BODY_MAX 12

static void test_whole_ones(void **state UNUSED)
{
	static const struct {
		const char *bytes, *body;
	} rows[] = {
		{ "5:hello,", "hello" },
		{ "0:,", "" },
		{ "12:route a@b.cd,", "route a@b.cd" },
		{ "3:a,b,", "a,b" },
		{ "1:,,2:xy,", "," },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = strlen(rows[i].bytes), len = 0, end = 0;
		struct slice body;

		for (size_t cut = 0; cut <= n; cut++) {
			char *p = exact((struct slice){ rows[i].bytes, cut });
			enum wire rc = netstring(p, cut, BODY_MAX, &body, &len);

			if (rc == WIRE_DONE) {
				assert_slice(body, rows[i].body);
				assert_true(end == 0 || end == len);
				end = len;
				assert_int_equal(p[len - 1], ',');
			} else {
				assert_int_equal(rc, WIRE_MORE);
				assert_int_equal(end, 0);
			}
			free(p);
		}
		assert_true(end > 0);
	}
}

static void test_bad_ones(void **state UNUSED)
{
	static const char *const rows[] = {
		":x,",
		"x",
		"5hello,",
		"05:hello,",
		"00:,",
		"-1:,",
		"+1:x,",
		"5:hello;",
		"13:",
		"99",
		"1 :x,",
		" 1:x,",
		"18446744073709551617:x,",
	};
	struct slice body;
	size_t len;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (netstring(rows[i], strlen(rows[i]), BODY_MAX, &body, &len) != WIRE_BAD)
			fail_msg("%s is taken", rows[i]);
}

static void test_what_is_written_is_read(void **state UNUSED)
{
	struct buf out = { 0 };
	struct slice body;
	size_t len;

	netstring_write(&out, SLICE("NOTFOUND "));
	assert_slice(buf_slice(&out), "9:NOTFOUND ,");
	assert_int_equal(netstring(buf_slice(&out).p, buf_len(&out), 99, &body, &len),
			 WIRE_DONE);
	assert_slice(body, "NOTFOUND ");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_ones),
		cmocka_unit_test(test_bad_ones),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
