/* What the comparison of two folders says, and that twins, order and UIDs do not fool it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/audit.h"

#define MOST 200

struct stage {
	struct audit_message old[MOST], new[MOST];
	size_t count[SIDES];
	int64_t found[AUDIT_FINDINGS];
	uint32_t last[AUDIT_FINDINGS][SIDES];
	struct audit_policy policy;
};

static void note(enum audit_finding f, const uint32_t uid[SIDES], void *arg)
{
	struct stage *st = arg;

	st->found[f]++;
	st->last[f][SIDE_OLD] = uid[SIDE_OLD];
	st->last[f][SIDE_NEW] = uid[SIDE_NEW];
}

/* A message: its header, its body, how a server writes line ends. */
static struct audit_message *has(struct stage *st, enum side s, uint32_t uid,
				 const char *header, const char *body, const char *newline)
{
	struct audit_message *m = &(s == SIDE_OLD ? st->old : st->new)[st->count[s]++];
	struct digest_stream *d = digest_stream_new();
	char text[256];

	snprintf(text, sizeof text, "%s%s%s%s%s", header, newline, newline, body, newline);
	digest_stream_feed(d, slice_of(text));
	*m = (struct audit_message){ .uid = uid, .date = 1000, .flags = "", .readable = true };
	digest_stream_end(d, &m->digest);
	digest_stream_free(&d);
	return m;
}

static size_t compare(struct stage *st, enum audit_level level)
{
	struct audit_folder f = { .policy = st->policy,
				  .at = { st->old, st->new },
				  .count = { st->count[SIDE_OLD], st->count[SIDE_NEW] } };

	return audit_compare(&f, level, note, st, NULL);
}

static void assert_only(const struct stage *st, enum audit_finding f, int64_t n)
{
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		assert_int_equal(st->found[i], i == (int)f ? n : 0);
}

static void test_equal_in_any_order(void **state)
{
	struct stage st = { 0 };
	char header[32];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(header, sizeof header, "Subject: %u", i / 2); /* twins */
		has(&st, SIDE_OLD, i + 1, header, "x", "\r\n");
	}
	for (uint32_t i = 100; i-- > 0;) {
		snprintf(header, sizeof header, "Subject: %u", i / 2);
		has(&st, SIDE_NEW, 500 - i, header, "x", "\r\n");
	}
	assert_int_equal(compare(&st, AUDIT_FULL), 100);
	assert_only(&st, AUDIT_FINDINGS, 0);
	assert_int_equal(audit_grade(st.found), GRADE_PERFECT);
}

static void test_one_twin_less_is_missing(void **state)
{
	struct stage st = { 0 };

	(void)state;
	for (uint32_t i = 1; i <= 3; i++)
		has(&st, SIDE_OLD, i, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 8, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 9, "Subject: a", "x", "\r\n");
	assert_int_equal(compare(&st, AUDIT_FULL), 2);
	assert_only(&st, AUDIT_MISSING, 1);
	assert_int_equal(audit_grade(st.found), GRADE_POOR);
}

static void test_one_twin_more_is_extra(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 8, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 9, "Subject: a", "x", "\r\n");
	assert_int_equal(compare(&st, AUDIT_FULL), 1);
	assert_only(&st, AUDIT_EXTRA, 1);
	assert_int_equal(audit_grade(st.found), GRADE_GOOD);
}

/* Twins whose flags differ are paired so that as few as possible are blamed. */
static void test_twins_keep_their_flags(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n")->flags = "\\Seen";
	has(&st, SIDE_OLD, 2, "Subject: a", "x", "\r\n")->flags = "";
	has(&st, SIDE_OLD, 3, "Subject: a", "x", "\r\n")->flags = "\\Flagged";
	has(&st, SIDE_NEW, 7, "Subject: a", "x", "\r\n")->flags = "";
	has(&st, SIDE_NEW, 8, "Subject: a", "x", "\r\n")->flags = "\\Answered";
	has(&st, SIDE_NEW, 9, "Subject: a", "x", "\r\n")->flags = "\\Seen";
	assert_int_equal(compare(&st, AUDIT_FULL), 3);
	assert_only(&st, AUDIT_FLAGS, 1);
	assert_int_equal(st.last[AUDIT_FLAGS][SIDE_OLD], 3);
	assert_int_equal(st.last[AUDIT_FLAGS][SIDE_NEW], 8);
}

static void test_another_date(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 1, "Subject: a", "x", "\r\n")->date = 999;
	assert_int_equal(compare(&st, AUDIT_FULL), 1);
	assert_only(&st, AUDIT_DATE, 1);
}

static void test_other_line_ends_are_no_loss(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\n");
	has(&st, SIDE_NEW, 1, "Subject: a", "x", "\r\n");
	assert_int_equal(compare(&st, AUDIT_FULL), 1);
	assert_only(&st, AUDIT_RESTYLED, 1);
	assert_int_equal(audit_grade(st.found), GRADE_GOOD);
}

static void test_another_body_is_found(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 1, "Subject: a", "y", "\r\n");
	assert_int_equal(compare(&st, AUDIT_FULL), 0);
	assert_only(&st, AUDIT_ALTERED, 1);
	assert_int_equal(audit_grade(st.found), GRADE_INVESTIGATE);
}

static void test_headers_do_not_see_bodies(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 1, "Subject: a", "y", "\r\n");
	has(&st, SIDE_OLD, 2, "Subject: b", "x", "\r\n");
	assert_int_equal(compare(&st, AUDIT_HEADERS), 1);
	assert_only(&st, AUDIT_MISSING, 1);
	assert_int_equal(st.last[AUDIT_MISSING][SIDE_OLD], 2);
}

static void test_the_unreadable_is_named_once(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 4, "Subject: a", "x", "\r\n");
	has(&st, SIDE_NEW, 5, "", "", "")->readable = false;
	assert_int_equal(compare(&st, AUDIT_FULL), 1);
	assert_only(&st, AUDIT_UNREADABLE, 1);
	assert_int_equal(st.last[AUDIT_UNREADABLE][SIDE_NEW], 5);
}

static void test_an_empty_side(void **state)
{
	struct stage st = { 0 };

	(void)state;
	assert_int_equal(compare(&st, AUDIT_FULL), 0);
	assert_only(&st, AUDIT_FINDINGS, 0);
	has(&st, SIDE_OLD, 1, "Subject: a", "x", "\r\n");
	assert_int_equal(compare(&st, AUDIT_FULL), 0);
	assert_only(&st, AUDIT_MISSING, 1);
}

static void test_what_is_marked_deleted_may_stay(void **state)
{
	struct stage st = { 0 };

	(void)state;
	has(&st, SIDE_OLD, 1, "Subject: a", "one", "\r\n")->flags = "\\Deleted";
	has(&st, SIDE_OLD, 2, "Subject: b", "two", "\r\n");
	st.policy.skip_deleted = true;
	assert_int_equal(compare(&st, AUDIT_FULL), 0);
	assert_int_equal(st.found[AUDIT_LEFT], 1);
	assert_int_equal(st.last[AUDIT_LEFT][SIDE_OLD], 1);
	assert_int_equal(st.found[AUDIT_MISSING], 1);
	assert_int_equal(st.last[AUDIT_MISSING][SIDE_OLD], 2);
}

/* Three of old; new has that of date 200 only. */
static struct stage thinned(int64_t first, int64_t second)
{
	struct stage st = { .policy.purged_before = 500 };

	has(&st, SIDE_OLD, 1, "Subject: a", "one", "\r\n")->date = first;
	has(&st, SIDE_OLD, 2, "Subject: b", "two", "\r\n")->date = second;
	has(&st, SIDE_OLD, 3, "Subject: c", "three", "\r\n")->date = 200;
	has(&st, SIDE_NEW, 9, "Subject: c", "three", "\r\n")->date = 200;
	return st;
}

static void test_the_oldest_may_have_been_removed(void **state)
{
	struct stage st = thinned(100, 199);

	(void)state;
	compare(&st, AUDIT_FULL);
	assert_only(&st, AUDIT_AGED, 2);
	assert_int_equal(audit_grade(st.found), GRADE_INVESTIGATE);
}

static void test_what_is_as_young_as_the_rest_is_missing(void **state)
{
	struct stage st = thinned(100, 200);

	(void)state;
	compare(&st, AUDIT_FULL);
	assert_only(&st, AUDIT_MISSING, 2);
}

static void test_nothing_is_aged_elsewhere(void **state)
{
	struct stage st = thinned(100, 199);

	(void)state;
	st.policy.purged_before = 0;
	compare(&st, AUDIT_FULL);
	assert_only(&st, AUDIT_MISSING, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_in_any_order),
		cmocka_unit_test(test_one_twin_less_is_missing),
		cmocka_unit_test(test_one_twin_more_is_extra),
		cmocka_unit_test(test_twins_keep_their_flags),
		cmocka_unit_test(test_another_date),
		cmocka_unit_test(test_other_line_ends_are_no_loss),
		cmocka_unit_test(test_another_body_is_found),
		cmocka_unit_test(test_headers_do_not_see_bodies),
		cmocka_unit_test(test_the_unreadable_is_named_once),
		cmocka_unit_test(test_an_empty_side),
		cmocka_unit_test(test_what_is_marked_deleted_may_stay),
		cmocka_unit_test(test_the_oldest_may_have_been_removed),
		cmocka_unit_test(test_what_is_as_young_as_the_rest_is_missing),
		cmocka_unit_test(test_nothing_is_aged_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
