/* Which entry of a maildrop is which message of INBOX. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/uidl_match.h"

#define MOST 6

/* A message as the tests write it: header and body as one letter each. "" is none. */
struct scene {
	struct uidl_row rows[MOST];
	struct uidl_entry entries[MOST];
	struct digest of_rows[MOST], of_entries[MOST];
	struct uidl_lists l;
};

static void content(struct digest *d, const char *text)
{
	memset(d->header, text[0], DIGEST_SIZE);
	memset(d->canon, text[0] ^ text[1], DIGEST_SIZE);
}

/* known: "" none; text: header and body, "" not known. */
static void add_row(struct scene *s, const char *known, const char *text, uint64_t size)
{
	size_t i = s->l.row_count++;

	content(&s->of_rows[i], *text ? text : "??");
	s->rows[i] = (struct uidl_row){ .uid = (uint32_t)i + 1,
					.size = size,
					.known = *known ? known : NULL,
					.digest = *text ? &s->of_rows[i] : NULL };
	s->l.rows = s->rows;
}

static void add_entry(struct scene *s, const char *id, const char *text, uint64_t size)
{
	size_t i = s->l.entry_count++;

	content(&s->of_entries[i], *text ? text : "!!");
	s->entries[i] = (struct uidl_entry){ .number = (uint32_t)i + 1,
					     .size = size,
					     .id = id,
					     .digest = *text ? &s->of_entries[i] : NULL };
	s->l.entries = s->entries;
}

/* All steps; "1-3" says that each row's entry is the first, none, the third. */
static void assert_match(struct scene *s, size_t headers, size_t bytes, const char *expected)
{
	char got[MOST + 1] = "";

	assert_int_equal(uidl_match_known(&s->l), headers);
	assert_int_equal(uidl_match_headers(&s->l), bytes);
	uidl_match_bytes(&s->l);
	uidl_match_order(&s->l);
	for (size_t i = 0; i < s->l.row_count; i++) {
		int at = s->rows[i].entry;

		got[i] = at < 0 ? '-' : (char)('1' + at);
		assert_true(at < 0 || s->entries[at].row == (int)i);
	}
	assert_string_equal(got, expected);
}

static void test_known_ids_need_no_reading(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "a", "", 1);
	add_row(&s, "b", "", 1);
	add_row(&s, "", "cc", 1);
	add_entry(&s, "b", "", 7);
	add_entry(&s, "a", "", 7);
	add_entry(&s, "fresh", "cc", 7);
	assert_match(&s, 1, 0, "213");
}

/* An id that stands for two entries, or was known for two messages, proves nothing. */
static void test_an_id_twice_proves_nothing(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "a", "a1", 1);
	add_row(&s, "", "b1", 1);
	add_entry(&s, "a", "b1", 2);
	add_entry(&s, "a", "a1", 2);
	assert_match(&s, 2, 0, "21");
}

static void test_headers(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "", "a1", 1);
	add_row(&s, "", "b1", 1);
	add_row(&s, "", "c1", 1); /* not shown */
	add_entry(&s, "x", "b1", 2);
	add_entry(&s, "y", "a1", 2);
	add_entry(&s, "z", "d1", 2); /* in no folder that we know */
	add_entry(&s, "w", "", 2);   /* could not be read */
	assert_match(&s, 4, 0, "21-");
}

static void test_bytes_tell_equal_headers_apart(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "", "a1", 1);
	add_row(&s, "", "a2", 1);
	add_row(&s, "", "a2", 1);
	add_entry(&s, "x", "a2", 2);
	add_entry(&s, "y", "a2", 2);
	add_entry(&s, "z", "a1", 2);
	assert_match(&s, 3, 3, "312"); /* twins in their order */
}

/* One twin more here than there: which is which cannot be known. */
static void test_a_twin_too_many(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "", "a1", 1);
	add_row(&s, "", "a1", 1);
	add_row(&s, "", "b1", 1);
	add_entry(&s, "x", "a1", 1);
	add_entry(&s, "y", "b1", 1);
	assert_match(&s, 2, 1, "--2");
}

static void test_place_where_content_says_nothing(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "", "a1", 1);
	add_row(&s, "", "", 5); /* an exception: it was not copied */
	add_row(&s, "", "c1", 1);
	add_entry(&s, "x", "a1", 9);
	add_entry(&s, "y", "q1", 5);
	add_entry(&s, "z", "c1", 9);
	assert_match(&s, 3, 0, "123");
}

static void test_place_is_no_proof_without_size(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "", "a1", 1);
	add_row(&s, "", "", 5);
	add_entry(&s, "x", "a1", 9);
	add_entry(&s, "y", "q1", 6);
	assert_match(&s, 2, 0, "1-");
}

static void test_place_is_no_proof_in_another_order(void **state UNUSED)
{
	struct scene s = { 0 };

	add_row(&s, "", "a1", 1);
	add_row(&s, "", "b1", 1);
	add_row(&s, "", "", 5);
	add_entry(&s, "x", "b1", 9);
	add_entry(&s, "y", "a1", 9);
	add_entry(&s, "z", "q1", 5);
	assert_match(&s, 3, 0, "21-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_ids_need_no_reading),
		cmocka_unit_test(test_an_id_twice_proves_nothing),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_bytes_tell_equal_headers_apart),
		cmocka_unit_test(test_a_twin_too_many),
		cmocka_unit_test(test_place_where_content_says_nothing),
		cmocka_unit_test(test_place_is_no_proof_without_size),
		cmocka_unit_test(test_place_is_no_proof_in_another_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
