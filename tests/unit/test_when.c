/* Times as people say them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "common/when.h"

/* 2026-03-28 20:00:00 UTC, 21:00 in Berlin; the next night the clocks are put forward there. */
#define NOW ((int64_t)1774728000000)

static struct err err;

static int use_berlin(void **state UNUSED)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static int64_t after_s(const char *text)
{
	int64_t at = 0;

	if (when_parse(slice_of(text), NOW, &at, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return (at - NOW) / 1000;
}

static void assert_refused(const char *text, const char *part)
{
	int64_t at;

	assert_int_equal(when_parse(slice_of(text), NOW, &at, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	if (!strstr(err.text, part))
		fail_msg("%s: %s", text, err.text);
}

static void test_clocks(void **state UNUSED)
{
	assert_int_equal(after_s("21:01"), 60);
	assert_int_equal(after_s("21:00:01"), 1);
	/* Tomorrow, which is an hour shorter. */
	assert_int_equal(after_s("21:00"), 23 * 3600);
	assert_int_equal(after_s("01:59"), 5 * 3600 - 60);
	/* There is no 02:30 in the next night, but in the one after it. */
	assert_int_equal(after_s("02:30"), 28 * 3600 + 1800);
}

static void test_dates(void **state UNUSED)
{
	assert_int_equal(after_s("2026-03-28 22:00"), 3600);
	assert_int_equal(after_s("2026-03-28T22:00:30"), 3630);
	assert_int_equal(after_s("2026-03-28T20:00:30Z"), 30);
	assert_int_equal(after_s("2026-03-28T22:00+01:00"), 3600);
	assert_int_equal(after_s("2026-03-28T15:30-05:00"), 1800);
	assert_int_equal(after_s("2026-03-29 03:00"), 5 * 3600);
}

static void test_what_is_none(void **state UNUSED)
{
	static const char *const none[] = {
		"",
		"now",
		"25:00",
		"1:00",
		"21:60",
		"21:00:60",
		"21:00x",
		"2026-03-29",
		"2026-13-01 10:00",
		"2026-00-01 10:00",
		"2026-03-28 22:00 ",
		"2026-03-28T22:00+1",
		"2026-03-28T22:00+15:00",
		"99999-03-28 10:00",
		"2026-03-28_22:00",
		"-1:00",
	};

	for (size_t i = 0; i < COUNT(none); i++)
		assert_refused(none[i], "is no time: give 22:00");
	assert_refused("2026-02-30 10:00", "does not exist");
	assert_refused("2026-03-29 02:30", "the clocks are put forward");
	assert_refused("2026-03-28 21:00", "is in the past");
	assert_refused("1970-01-01T00:00Z", "is in the past");
}

/* No part of a time reads beyond its end, and none but the whole is taken for it. */
static void test_every_cut(void **state UNUSED)
{
	static const char whole[] = "2026-03-28T22:00:30+01:00";
	int64_t at;

	for (size_t n = 0; n < sizeof whole - 1; n++) {
		char *part = malloc(n + 1); /* for the sanitizer: exactly so long */
		int rc;

		assert_non_null(part);
		memcpy(part, whole, n);
		rc = when_parse((struct slice){ part, n }, NOW, &at, &err);
		free(part);
		assert_int_equal(rc, n == 16 || n == 19 ? 0 : -1);
	}
}

static void test_as_text(void **state UNUSED)
{
	char text[WHEN_TEXT_MAX];

	when_text(NOW, text);
	assert_string_equal(text, "2026-03-28 21:00:00 CET");
	when_text(NOW + 86400000, text);
	assert_string_equal(text, "2026-03-29 22:00:00 CEST");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clocks),	     cmocka_unit_test(test_dates),
		cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_as_text),
	};

	return cmocka_run_group_tests(tests, use_berlin, NULL);
}
