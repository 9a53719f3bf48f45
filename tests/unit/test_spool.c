/* A spool gives back what was put in, from memory and from its file, wherever it is cut. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/spool.h"

#define PATTERN 251 /* bytes until it repeats: no power of two */
#define LARGE	(SPOOL_MEMORY_ALL + 1000)

static char *pattern(size_t n)
{
	char *p = mem_new(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i % PATTERN);
	return p;
}

static int expect(struct slice bytes, void *arg, struct err *e UNUSED)
{
	uint64_t *at = arg;

	for (size_t i = 0; i < bytes.n; i++, (*at)++)
		if (bytes.p[i] != (char)(*at % PATTERN))
			return -1;
	return 0;
}

static void check(const struct spool *s, uint64_t at, uint64_t n)
{
	struct err e = { 0 };
	uint64_t end = at;

	assert_int_equal(spool_read(s, at, n, expect, &end, &e), 0);
	assert_int_equal(end, at + n);
}

static void put(struct spool *s, const char *bytes, size_t to, size_t step)
{
	struct err e = { 0 };

	while (spool_size(s) < to) {
		size_t at = (size_t)spool_size(s), n = MIN(step, to - at);

		assert_int_equal(spool_add(s, (struct slice){ bytes + at, n }, &e), 0);
	}
}

static void test_all_comes_back(void **state UNUSED)
{
	const size_t steps[] = { 1, 1000, 65535, 65536, 65537, 300000 }, n = 300000;
	char *bytes = pattern(n);

	for (size_t i = 0; i < COUNT(steps); i++) {
		struct spool *s = spool_new(2 * n);

		put(s, bytes, n, steps[i]);
		check(s, 0, n);
		check(s, 65530, 20);
		check(s, 65536, 65536);
		check(s, n, 0);
		spool_free(&s);
	}
	free(bytes);
}

static void test_a_cut_forgets_the_rest(void **state UNUSED)
{
	const size_t cuts[] = { 0, 1, 65535, 65536, 65537, 131072, 199999 }, n = 200000;
	char *bytes = pattern(n);

	for (size_t limit = n / 2; limit <= n; limit += n / 2) /* in a file, in memory */
		for (size_t i = 0; i < COUNT(cuts); i++) {
			struct spool *s = spool_new(limit);

			put(s, bytes, n, 7000);
			spool_cut(s, cuts[i]);
			assert_int_equal(spool_size(s), cuts[i]);
			put(s, bytes, n, 7000);
			check(s, 0, n);
			spool_free(&s);
		}
	free(bytes);
}

/* What does not fit into the memory of all goes to a file, and the memory serves the next. */
static void test_the_memory_of_all_is_limited(void **state UNUSED)
{
	char *bytes = pattern(LARGE);

	for (int round = 0; round < 3; round++) {
		struct spool *half = spool_new(LARGE), *most = spool_new(LARGE);

		put(half, bytes, LARGE / 2, 100000);
		put(most, bytes, LARGE, 100000);
		check(half, 0, LARGE / 2);
		check(most, 0, LARGE);
		spool_free(&half);
		spool_free(&most);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_comes_back),
		cmocka_unit_test(test_a_cut_forgets_the_rest),
		cmocka_unit_test(test_the_memory_of_all_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
