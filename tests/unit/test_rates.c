/* Samples in a ring, thinned out for a plot, and the pace they tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "admin/rates.h"
#include "common/mem.h"

#define START 1700000000000

struct seen {
	size_t count;
	int64_t first, last, before;
	bool ascends;
};

static void see(const struct rate_sample *s, void *arg)
{
	struct seen *v = arg;

	if (v->count++ == 0) {
		v->first = s->at;
		v->ascends = true;
	} else {
		v->ascends = v->ascends && s->at > v->before;
	}
	v->before = v->last = s->at;
}

static void fill(struct rates *r, int n, int64_t verified_each)
{
	for (int i = 0; i < n; i++)
		rates_add(r, &(struct rate_sample){ .at = START + (int64_t)i * RATES_EVERY_MS,
						    .verified = i * verified_each });
}

static void test_nothing_yet(void **state UNUSED)
{
	struct rates r = { 0 };
	struct seen v = { 0 };

	rates_each(&r, RATES_SPAN_MS, 10, see, &v);
	assert_int_equal(v.count, 0);
	assert_int_equal(rates_pace(&r, 10).eta_ms, 0);
	fill(&r, 1, 1);
	assert_int_equal(rates_pace(&r, 10).eta_ms, 0);
	rates_release(&r);
}

static void test_the_oldest_go(void **state UNUSED)
{
	struct rates r = { 0 };
	struct seen v = { 0 };

	fill(&r, RATES_MAX + 7, 1);
	rates_each(&r, 2 * (int64_t)RATES_SPAN_MS, RATES_MAX, see, &v);
	assert_int_equal(v.count, RATES_MAX);
	assert_int_equal(v.first, START + 7 * (int64_t)RATES_EVERY_MS);
	assert_int_equal(v.last, START + (RATES_MAX + 6) * (int64_t)RATES_EVERY_MS);
	assert_true(v.ascends);
	rates_release(&r);
}

static void test_thinned_out(void **state UNUSED)
{
	for (int n = 1; n <= 50; n++)
		for (size_t most = 1; most <= 12; most++) {
			struct rates r = { 0 };
			struct seen v = { 0 };

			fill(&r, n, 1);
			rates_each(&r, RATES_SPAN_MS, most, see, &v);
			assert_in_range(v.count, 1, most);
			assert_int_equal(v.last, START + (n - 1) * (int64_t)RATES_EVERY_MS);
			assert_true(v.ascends);
			rates_release(&r);
		}
}

static void test_a_span(void **state UNUSED)
{
	struct rates r = { 0 };
	struct seen v = { 0 };

	fill(&r, 100, 1);
	rates_each(&r, 10 * RATES_EVERY_MS, 1000, see, &v);
	assert_int_equal(v.count, 11); /* both ends */
	rates_release(&r);
}

static void test_pace(void **state UNUSED)
{
	struct rates r = { 0 };
	struct pace p;

	fill(&r, 1000, 5);
	p = rates_pace(&r, 200);
	assert_int_equal((int)p.compared_per_minute, 20); /* 5 in each 15 s */
	assert_int_equal(p.eta_ms, 600000);
	assert_int_equal(rates_pace(&r, 0).eta_ms, 0);
	rates_release(&r);

	fill(&r, 1000, 0); /* nothing moves: no end is known */
	assert_int_equal(rates_pace(&r, 200).eta_ms, 0);
	rates_release(&r);
}

static void test_a_clock_that_goes_back(void **state UNUSED)
{
	struct rates r = { 0 };
	struct seen v = { 0 };

	fill(&r, 10, 1);
	rates_add(&r, &(struct rate_sample){ .at = START });
	rates_each(&r, RATES_SPAN_MS, 10, see, &v);
	assert_int_equal(v.count, 1);
	rates_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_yet),
		cmocka_unit_test(test_the_oldest_go),
		cmocka_unit_test(test_thinned_out),
		cmocka_unit_test(test_a_span),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_a_clock_that_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
