/* Which messages found are which of those sent: twins, gaps, strangers, other orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/pass.h"

#define MOST 16

/* One letter is one content. */
static void digests_of(const char *letters, struct digest *out)
{
	for (size_t i = 0; letters[i]; i++) {
		out[i] = (struct digest){ .size = 1 };
		memset(out[i].canon, letters[i], sizeof out[i].canon);
	}
}

static void check(const char *sent, const char *there, const int *want)
{
	struct digest s[MOST], t[MOST];
	int match[MOST];

	digests_of(sent, s);
	digests_of(there, t);
	probe_align(s, strlen(sent), t, strlen(there), match);
	for (size_t i = 0; i < strlen(sent); i++)
		if (match[i] != want[i])
			fail_msg("%s in %s: message %zu is %d, not %d", sent, there, i,
				 match[i], want[i]);
}

static void test_all_arrived(void **state)
{
	check("abc", "abc", (int[]){ 0, 1, 2 });
	check("cab", "cab", (int[]){ 0, 1, 2 });
	(void)state;
}

static void test_none_arrived(void **state)
{
	check("abc", "", (int[]){ -1, -1, -1 });
	check("abc", "xyz", (int[]){ -1, -1, -1 });
	check("", "xyz", NULL);
	(void)state;
}

static void test_gaps_and_deliveries_between(void **state)
{
	check("abcd", "ac", (int[]){ 0, -1, 1, -1 });
	check("abc", "xaybzc", (int[]){ 1, 3, 5 });
	(void)state;
}

static void test_identical_twins_are_told_apart_by_number(void **state)
{
	check("aaa", "aa", (int[]){ 0, 1, -1 });
	check("aaa", "aaaa", (int[]){ 0, 1, 2 });
	check("abab", "aab", (int[]){ 0, 2, 1, -1 });
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_arrived),
		cmocka_unit_test(test_none_arrived),
		cmocka_unit_test(test_gaps_and_deliveries_between),
		cmocka_unit_test(test_identical_twins_are_told_apart_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
