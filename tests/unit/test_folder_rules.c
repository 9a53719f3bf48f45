/* The operator's file about folders: whose lines count, and what is wrong with the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/folder_rules.h"
#include "sync/job_folders.h"

static int read_text(const char *text, const char *user, const char *wave,
		     struct folder_rules *out, struct err *e)
{
	char path[] = "/tmp/mailferry-rules-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	rc = folder_rules_read(path, user, wave, out, e);
	unlink(path);
	return rc;
}

static const char sample[] = "# a comment\n"
			     "map \"Sent Items\" = \"Sent\" # and another\n"
			     "\tskip  \"Public*\"\r\n"
			     "\n"
			     "wave 2\n"
			     "map \"Sent Items\" = \"Sent of wave 2\"\n"
			     "user anna@example.com\n"
			     "map \"q\\\"b\\\\\" = \"\xc3\x84rger\"\n"
			     "user bert@example.com\n"
			     "map \"q\\\"b\\\\\" = \"other\"\n"
			     "all\n"
			     "skip \"Old\"";

static void test_whose_lines_count(void **state)
{
	struct folder_rules r;
	struct err e = { 0 };

	assert_int_equal(read_text(sample, "anna@example.com", "2", &r, &e), 0);
	assert_int_equal(r.map_count, 3); /* the user's first, then the wave's, then all's */
	assert_string_equal(r.map[0].old, "q\"b\\");
	assert_string_equal(r.map[0].new, "\xc3\x84rger");
	assert_string_equal(r.map[1].new, "Sent of wave 2");
	assert_string_equal(r.map[2].new, "Sent");
	assert_int_equal(r.skip_count, 2);
	folder_rules_release(&r);

	assert_int_equal(read_text(sample, "carl@example.com", NULL, &r, &e), 0);
	assert_int_equal(r.map_count, 1);
	assert_string_equal(r.map[0].new, "Sent");
	folder_rules_release(&r);
	(void)state;
}

static void test_mistakes_are_named_with_their_lines(void **state)
{
	static const struct {
		const char *text, *where, *what;
	} rows[] = {
		{ "mapp \"a\" = \"b\"", ":1: ", "begins with" },
		{ "\nmap a = \"b\"", ":2: ", "in quotes" },
		{ "map \"a\" \"b\"", ":1: ", "= must stand" },
		{ "map \"a = \"b\"", ":1: ", "= must stand" },
		{ "map \"a\" = \"b", ":1: ", "closing quote" },
		{ "map \"a\" = \"\"", ":1: ", "UTF-8" },
		{ "map \"a\" = \"\xff\"", ":1: ", "UTF-8" },
		{ "map \"a\" = \"b\" c", ":1: ", "means nothing" },
		{ "map \"inbox\" = \"b\"", ":1: ", "INBOX" },
		{ "map \"a\" = \"b\"\nmap \"a\" = \"c\"", ":2: ", "already" },
		{ "map \"a\" = \"b\"\nmap \"c\" = \"b\"", ":2: ", "never become one" },
		{ "user", ":1: ", "name is missing" },
		{ "user somebody\nskip Public", ":2: ", "in quotes" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct folder_rules r;
		struct err e = { 0 };

		assert_int_equal(read_text(rows[i].text, "anna", NULL, &r, &e), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		if (!strstr(e.text, rows[i].where) || !strstr(e.text, rows[i].what))
			fail_msg("%s: %s", rows[i].text, e.text);
	}
	(void)state;
}

static void test_patterns(void **state)
{
	assert_true(folder_pattern_fits("Public*", "Public"));
	assert_true(folder_pattern_fits("Public*", "Public.a.b"));
	assert_true(folder_pattern_fits("*old*x", "very old ox"));
	assert_true(folder_pattern_fits("*", ""));
	assert_false(folder_pattern_fits("Public", "Public.a"));
	assert_false(folder_pattern_fits("*x", "xy"));
	assert_false(folder_pattern_fits("a", ""));
	(void)state;
}

static void test_they_travel_in_a_job(void **state)
{
	struct folder_rules r = { .shared = true }, back;
	struct buf line = { 0 };
	json_t *j;

	folder_rules_add_map(&r, "q\"b", "\xc3\x84");
	folder_rules_add_skip(&r, "x*");
	job_folders_write(&r, &line);
	j = json_loadb(buf_slice(&line).p, buf_len(&line), 0, NULL);
	assert_int_equal(job_folders_read(j, &back), 0);
	assert_true(back.shared);
	assert_string_equal(back.map[0].old, "q\"b");
	assert_string_equal(back.map[0].new, "\xc3\x84");
	assert_string_equal(back.skip[0], "x*");
	json_decref(j);
	folder_rules_release(&back);

	j = json_pack("{s:b, s:[[s]], s:[]}", "shared", 1, "map", "only one", "skip");
	assert_int_equal(job_folders_read(j, &back), -1);
	json_decref(j);
	folder_rules_release(&back);
	folder_rules_release(&r);
	buf_release(&line);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_lines_count),
		cmocka_unit_test(test_mistakes_are_named_with_their_lines),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_they_travel_in_a_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
