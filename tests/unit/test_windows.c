/* Windows: together all UIDs, never too much in one, and their counts those of the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sync/windows.h"

#define UIDS_MAX 200
#define ROUNDS	 3000

struct uids {
	uint32_t at[UIDS_MAX];
	size_t count;
};

/* Dense, sparse or at the very end of what a UID can be. */
static struct uids some_uids(unsigned *seed)
{
	static const uint32_t steps[] = { 1, 3, 1000, 20000000 };
	struct uids u = { .count = (size_t)rand_r(seed) % UIDS_MAX };
	uint32_t step = steps[rand_r(seed) % 4];
	uint64_t uid = step == 1 && rand_r(seed) % 2 ? UINT32_MAX - UIDS_MAX : 0;

	for (size_t i = 0; i < u.count; i++) {
		uid += 1 + (step > 1 ? (uint32_t)rand_r(seed) % step : 0);
		if (uid > UINT32_MAX) {
			u.count = i;
			break;
		}
		u.at[i] = (uint32_t)uid;
	}
	return u;
}

/* Most of them, and some others. */
static struct uids nearly(const struct uids *u, unsigned *seed)
{
	struct uids out = { 0 };
	unsigned missing = 1 + (unsigned)rand_r(seed) % 20;

	for (size_t i = 0; i < u->count; i++) {
		if ((unsigned)rand_r(seed) % missing)
			out.at[out.count++] = u->at[i];
		else if (u->at[i] < UINT32_MAX &&
			 (i + 1 == u->count || u->at[i] + 1 < u->at[i + 1]))
			out.at[out.count++] = u->at[i] + 1;
	}
	return out;
}

static struct uids marks_of(const struct uids *u, size_t nth)
{
	struct uids out = { 0 };

	for (size_t i = nth - 1; i < u->count; i += nth)
		out.at[out.count++] = u->at[i];
	return out;
}

static size_t between(const struct uids *u, uint32_t lo, uint32_t hi, size_t *first)
{
	size_t n = 0;

	*first = 0;
	while (*first < u->count && u->at[*first] < lo)
		(*first)++;
	while (*first + n < u->count && u->at[*first + n] <= hi)
		n++;
	return n;
}

static bool has(const struct uids *u, uint32_t uid)
{
	size_t first;

	return between(u, uid, uid, &first) > 0;
}

static void check_bounds(const struct windows *w)
{
	assert_true(w->count > 0);
	assert_int_equal(w->at[0].lo, 1);
	assert_int_equal(w->at[w->count - 1].hi, UINT32_MAX);
	for (size_t i = 0; i < w->count; i++) {
		assert_true(w->at[i].lo <= w->at[i].hi);
		if (i)
			assert_int_equal(w->at[i].lo, w->at[i - 1].hi + 1);
	}
}

/* As if counted one by one. */
static void check_counts(const struct windows *w, const struct uids *there,
			 const struct uids *known, size_t nth)
{
	int64_t sum_there = 0, gone = 0, unknown = 0;

	for (size_t i = 0; i < w->count; i++) {
		const struct window *at = &w->at[i];
		uint32_t want_gone = 0, want_unknown = 0;
		size_t t, k, n = between(there, at->lo, at->hi, &t),
			     m = between(known, at->lo, at->hi, &k);

		assert_true(n <= 2 * nth && m <= 2 * nth);
		for (size_t x = 0; x < n; x++)
			want_unknown += !has(known, there->at[t + x]);
		for (size_t x = 0; x < m; x++)
			want_gone += !has(there, known->at[k + x]);
		assert_int_equal(at->there, n);
		assert_int_equal(at->gone, want_gone);
		assert_int_equal(at->unknown, want_unknown);
		sum_there += n;
		gone += want_gone;
		unknown += want_unknown;
	}
	assert_int_equal(sum_there, there->count);
	assert_int_equal(w->there, there->count);
	assert_int_equal(w->gone, gone);
	assert_int_equal(w->unknown, unknown);
}

static void count_in_parts(struct windows *w, const struct uids *there,
			   const struct uids *known, size_t at_once)
{
	for (size_t i = 0, last; i < w->count; i = last) {
		size_t t, k, n, m;

		last = MIN(i + at_once, w->count);
		n = between(there, w->at[i].lo, w->at[last - 1].hi, &t);
		m = between(known, w->at[i].lo, w->at[last - 1].hi, &k);
		windows_count(w, i, last, there->at + t, n, known->at + k, m);
	}
}

static void test_any_folder(void **state)
{
	unsigned seed = 4;

	for (int i = 0; i < ROUNDS; i++) {
		struct uids there = some_uids(&seed);
		struct uids known = i % 5 ? nearly(&there, &seed) : some_uids(&seed);
		size_t nth = 1 + (size_t)rand_r(&seed) % 40;
		struct uids a = marks_of(&there, nth), b = marks_of(&known, nth);
		struct windows w;

		windows_divide(&w, a.at, a.count, b.at, b.count);
		check_bounds(&w);
		count_in_parts(&w, &there, &known, 1 + (size_t)rand_r(&seed) % 5);
		check_counts(&w, &there, &known, nth);
		windows_release(&w);
	}
	(void)state;
}

/* Two lists that are the same but for one message make no windows of one message. */
static void test_few_windows(void **state)
{
	uint32_t a[100], b[100];
	struct windows w;

	for (uint32_t i = 0; i < 100; i++) {
		a[i] = (i + 1) * 10;
		b[i] = a[i] + 1;
	}
	windows_divide(&w, a, 100, a, 100);
	assert_int_equal(w.count, 51);
	windows_release(&w);
	windows_divide(&w, a, 100, b, 100);
	assert_true(w.count <= 70);
	windows_release(&w);
	(void)state;
}

static void test_empty(void **state)
{
	struct windows w;

	windows_divide(&w, NULL, 0, NULL, 0);
	check_bounds(&w);
	assert_int_equal(w.count, 1);
	windows_count(&w, 0, 1, NULL, 0, NULL, 0);
	assert_int_equal(w.there + w.gone + w.unknown, 0);
	windows_release(&w);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_folder),
		cmocka_unit_test(test_few_windows),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
