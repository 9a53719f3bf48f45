/* The store keeps copies of journals, and knows whose turn it is. */
#include "tests/unit/store_stage.h"
#include "common/store_engine.h"
#include "common/store_journal.h"

static const struct place mx1 = { .id = "1111", .host = "mx1" },
			  mx2 = { .id = "2222", .host = "mx2" };

static char *digests(const char *letters)
{
	struct buf out = { 0 };
	char *text;

	for (; *letters; letters++)
		for (int i = 0; i < STORE_PART_DIGEST; i++)
			buf_add(&out, letters, 1);
	text = mem_strn(buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	return text;
}

static void write_parts(struct store *s, const char *letters)
{
	char body[2] = "";

	for (; *letters; letters++) {
		char one[2] = { *letters, '\0' }, *digest = digests(one);

		body[0] = *letters;
		OK(store_journal_part_write(s, "anna", digest, body, &err));
		free(digest);
	}
}

static int put(struct store *s, const struct place *from, const char *edition,
	       const char *letters, const char *before)
{
	struct store_journal copy = { .size = (int64_t)strlen(letters),
				      .parts = digests(letters) };
	int rc;

	snprintf(copy.edition, sizeof copy.edition, "%s", edition);
	snprintf(copy.folder, sizeof copy.folder, "%s", from->id);
	rc = store_journal_put(s, "anna", &copy, before, &err);
	store_journal_release(&copy);
	return rc;
}

static struct store_journal row_of_anna(void)
{
	struct store_journal j;

	assert_int_equal(store_journal_get(st, "anna", &j, &err), 1);
	return j;
}

static void assert_row(const char *edition, bool away, const struct place *at)
{
	struct store_journal j = row_of_anna();

	assert_string_equal(j.edition, edition);
	assert_int_equal(j.away, away);
	assert_string_equal(j.folder, at->id);
	assert_string_equal(j.host, at->host);
	store_journal_release(&j);
}

static char *listed;

static int list(const char *text, void *arg UNUSED)
{
	char *more = mem_printf("%s%.4s ", listed ? listed : "", text);

	free(listed);
	listed = more;
	return 0;
}

static void assert_listed(const char *expected)
{
	assert_string_equal(listed ? listed : "", expected);
	mem_free(&listed);
}

static void test_a_copy_is_put_and_read(void **state UNUSED)
{
	struct store_journal j;
	char *body, *b = digests("b");

	assert_int_equal(store_journal_get(st, "anna", &j, &err), 0);
	assert_int_equal(store_journal_take(st, "anna", NULL, &mx1, &err), 1);
	assert_row("", true, &mx1);
	write_parts(st, "ab");
	assert_int_equal(put(st, &mx1, "e1", "aba", ""), 1);
	j = row_of_anna();
	assert_true(!j.away && j.size == 3 && strlen(j.parts) == (size_t)3 * STORE_PART_DIGEST);
	assert_int_equal(store_journal_take(st, "anna", &j, &mx1, &err), 1);
	store_journal_release(&j);
	assert_int_equal(store_journal_part_read(st, "anna", b, &body, &err), 1);
	assert_string_equal(body, "b");
	free(body);
	assert_int_equal(store_journal_part_read(st, "berta", b, &body, &err), 0);
	/* The next one leaves no part behind that it does not have. */
	write_parts(st, "c");
	OK(store_journal_parts(st, "anna", list, NULL, &err));
	assert_listed("aaaa bbbb cccc ");
	assert_int_equal(put(st, &mx1, "e2", "ac", "e1"), 1);
	OK(store_journal_parts(st, "anna", list, NULL, &err));
	assert_listed("aaaa cccc ");
	assert_row("e2", false, &mx1);
	free(b);
}

static void test_one_folder_has_it(void **state UNUSED)
{
	struct store_journal at_mx1, j;

	assert_int_equal(store_journal_take(st, "anna", NULL, &mx1, &err), 1);
	/* Somebody was faster. */
	assert_int_equal(store_journal_take(st, "anna", NULL, &mx2, &err), 0);
	at_mx1 = row_of_anna();
	OK(store_journals_away(st, &mx2, list, NULL, &err));
	assert_listed("");
	OK(store_journals_away(st, &mx1, list, NULL, &err));
	assert_listed("anna ");
	/* Taken over: what the first one brings does not count, nor does its view of the row.
	 */
	assert_int_equal(store_journal_take(st, "anna", &at_mx1, &mx2, &err), 1);
	write_parts(st, "a");
	assert_int_equal(put(st, &mx1, "e1", "a", ""), 0);
	assert_int_equal(store_journal_back(st, "anna", &mx1, "", &err), 0);
	assert_int_equal(store_journal_take(st, "anna", &at_mx1, &mx1, &err), 0);
	assert_row("", true, &mx2);
	assert_int_equal(put(st, &mx2, "e2", "a", ""), 1);
	/* Unchanged it comes back without a copy. */
	j = row_of_anna();
	assert_int_equal(store_journal_take(st, "anna", &j, &mx1, &err), 1);
	assert_int_equal(store_journal_back(st, "anna", &mx1, "e2", &err), 1);
	assert_row("e2", false, &mx1);
	store_journal_release(&at_mx1);
	store_journal_release(&j);
}

static void test_one_that_never_was_is_forgotten(void **state UNUSED)
{
	struct store_journal j;

	assert_int_equal(store_journal_take(st, "anna", NULL, &mx1, &err), 1);
	assert_int_equal(store_journal_back(st, "anna", &mx1, "", &err), 1);
	assert_int_equal(store_journal_get(st, "anna", &j, &err), 0);
}

static struct store *open_at(const struct place *place)
{
	struct store_opts o = { .path = path, .url = pg_url(), .place = place };
	struct store *s = NULL;

	OK(store_open(&s, &o, &err));
	return s;
}

static void test_a_late_engine_brings_nothing_back(void **state UNUSED)
{
	struct store *late = open_at(&mx1), *next = open_at(&mx2);
	int64_t epoch = 0;

	clock_test_freeze();
	OK(store_engine_beat(late, &epoch, &err));
	assert_int_equal(store_journal_take(late, "anna", NULL, &mx1, &err), 1);
	write_parts(late, "a");
	clock_test_advance(STORE_ENGINE_LEASE_MS);
	/* Its lease has run out, even if nobody else is there. */
	assert_int_equal(put(late, &mx1, "e1", "a", ""), -1);
	assert_non_null(strstr(err.text, "another engine has taken over"));
	err_clear(&err);
	assert_int_equal(store_journal_back(late, "anna", &mx1, "", &err), -1);
	err_clear(&err);
	assert_int_equal(store_journal_take(late, "berta", NULL, &mx1, &err), -1);
	err_clear(&err);
	assert_row("", true, &mx1);
	epoch = 0;
	OK(store_engine_beat(next, &epoch, &err));
	assert_int_equal(store_journal_take(next, "berta", NULL, &mx2, &err), 1);
	store_close(&late);
	store_close(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_copy_is_put_and_read),
		TEST(test_one_folder_has_it),
		TEST(test_one_that_never_was_is_forgotten),
		TEST(test_a_late_engine_brings_nothing_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
