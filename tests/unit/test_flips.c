/* The flip log, and a store that is not the one it was. */
#include "tests/unit/store_stage.h"

#include "common/flips.h"

static char log_path[96];

static struct flips *open_log(void)
{
	struct flips *f = NULL;

	snprintf(log_path, sizeof log_path, "%s/flips", dir);
	OK(flips_open(&f, log_path, &err));
	return f;
}

static void write_log(const char *text, size_t n)
{
	FILE *out = fopen(log_path, "a");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, n, out), n);
	fclose(out);
}

static void test_what_is_added_is_there(void **state UNUSED)
{
	struct flips *f = open_log(), *other = open_log();

	assert_string_equal(flips_store(f), "");
	assert_int_equal(flips_epoch(f, "anna"), 0);
	OK(flips_follow(f, "0123456789abcdef0123456789abcdef", &err));
	OK(flips_add(f, "anna", 1, 300, &err));
	OK(flips_add(other, "anna", 1, 300, &err)); /* the node beside it sees the same */
	OK(flips_add(other, "bert@example.com", 2, 310, &err));
	OK(flips_sync(f, &err));
	flips_free(&f);
	flips_free(&other);
	f = open_log();
	assert_string_equal(flips_store(f), "0123456789abcdef0123456789abcdef");
	assert_int_equal(flips_epoch(f, "anna"), 1);
	assert_int_equal(flips_epoch(f, "bert@example.com"), 2);
	assert_int_equal(flips_change(f), 310);
	flips_free(&f);
}

/* A machine that is lost in mid line. */
static void test_a_line_that_was_cut_off(void **state UNUSED)
{
	static const char text[] = "store 0a\nflip 1 300 anna\nflip 3 400 ber";
	struct flips *f;

	snprintf(log_path, sizeof log_path, "%s/flips", dir);
	for (size_t n = 0; n <= sizeof text - 1; n++) {
		unlink(log_path);
		write_log(text, n);
		f = open_log();
		assert_int_equal(flips_epoch(f, "anna"), n >= 25);
		assert_int_equal(flips_epoch(f, "ber"), 0);
		flips_free(&f);
	}
	f = open_log();
	OK(flips_add(f, "carla", 1, 500, &err));
	flips_free(&f);
	f = open_log();
	assert_int_equal(flips_epoch(f, "carla"), 1);
	assert_int_equal(flips_epoch(f, "ber"), 0); /* "bert" it was going to be */
	flips_free(&f);
}

static void test_what_is_no_log_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"hello\n",     "flip 1 anna\n",	   "flip 0 3 anna\n",	 "flip 1 3 \n",
		"store xyz\n", "flip -1 3 anna\n", "store 0a and more\n"
	};
	struct flips *f = NULL;

	snprintf(log_path, sizeof log_path, "%s/flips", dir);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		unlink(log_path);
		write_log("store 0a\n", 9);
		write_log(wrong[i], strlen(wrong[i]));
		err_clear(&err);
		assert_int_equal(flips_open(&f, log_path, &err), -1);
		assert_non_null(strstr(err.text, "line 2"));
	}
}

/* ---- the store */

static int judge(struct flips *f, int64_t seen, char why[static 256])
{
	int rc = flips_judge(f, st, seen, why, 256, &err);

	if (rc < 0)
		fail_msg("%s", err.text);
	return rc;
}

static void flip_anna(struct flips *f)
{
	struct user u;

	add_user("anna");
	go_up_to("anna", USER_TRAILING);
	u = numbers_of("anna");
	assert_int_equal(u.epoch, 1);
	OK(flips_add(f, "anna", u.epoch, u.change, &err));
}

static void assert_back(const char *name, enum user_state state, int64_t epoch)
{
	struct user u = numbers_of(name);

	assert_int_equal(u.state, state);
	assert_int_equal(u.epoch, epoch);
}

static void test_an_older_store_is_found_out_and_rebuilt(void **state UNUSED)
{
	struct flips *f = open_log();
	char why[256];
	int64_t seen;
	int moved;

	assert_int_equal(judge(f, 0, why), 1); /* followed from now on */
	assert_string_equal(flips_store(f), store_id(st));
	flip_anna(f);
	add_user("bert");
	OK(store_last_change(st, &seen, &err));
	assert_int_equal(judge(f, seen, why), 1);
	/* Yesterday anna was not moved, and bert not known. */
	do_sql("UPDATE users SET state = 'ready', epoch = 0 WHERE name = 'anna'");
	assert_int_equal(flips_compare(f, st, why, sizeof why, &err), 0);
	assert_non_null(strstr(why, "has lost a move of user anna"));
	do_sql("DELETE FROM changes WHERE id > 2");
	do_sql("DELETE FROM users WHERE name = 'bert'");
	do_sql("UPDATE users SET change = 1");
	assert_int_equal(judge(f, seen, why), 0);
	assert_non_null(strstr(why, "the store is older than it was: its last change is 2"));
	assert_non_null(strstr(why, "mailferry store rebuild"));
	OK(flips_rebuild(f, st, seen, &moved, &err));
	assert_int_equal(moved, 1);
	assert_back("anna", USER_TRAILING, 1);
	assert_int_equal(judge(f, seen, why), 1);
	assert_true(numbers_of("anna").change > seen);
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE actor = 'operator' AND"
			     " from_state = 'ready' AND to_state = 'trailing'"),
			 1);
	for (int i = 0; i < 60; i++) { /* again and again: harmless */
		OK(flips_rebuild(f, st, seen, &moved, &err));
		assert_int_equal(moved, 0);
	}
	add_user("carla"); /* changes go on from there */
	assert_true(numbers_of("carla").change < INT64_MAX / 1000000);
	assert_true(numbers_of("carla").change > numbers_of("anna").change);
	flips_free(&f);
}

static void test_another_store(void **state UNUSED)
{
	struct flips *f = open_log();
	char why[256];
	int moved;

	assert_int_equal(judge(f, 0, why), 1);
	flip_anna(f);
	do_sql("UPDATE meta SET value = 'feedface' WHERE key = 'store_id'");
	do_sql("UPDATE users SET state = 'pending', epoch = 0");
	assert_int_equal(judge(f, 0, why), 0);
	assert_non_null(strstr(why, "the store is feedface, and not "));
	add_user("bert"); /* who came back to old before, by another host's log */
	OK(flips_add(f, "bert", 2, 9, &err));
	OK(flips_add(f, "carla", 1, 10, &err)); /* imported since that store was copied */
	assert_int_equal(flips_rebuild(f, st, 0, &moved, &err), -1);
	assert_string_equal(err.text, "1 users who live on new are not in the store, first carla: "
				      "import them, then rebuild it");
	assert_int_equal(ask("SELECT COUNT(*) FROM users WHERE epoch > 0"), 0);
	add_user("carla");
	OK(flips_rebuild(f, st, 0, &moved, &err));
	assert_int_equal(moved, 3);
	assert_back("carla", USER_TRAILING, 1);
	assert_back("anna", USER_TRAILING, 1);
	assert_back("bert", USER_SYNCING, 2);
	assert_int_equal(judge(f, 0, why), 1);
	flips_free(&f);
}

static void test_no_store(void **state UNUSED)
{
	struct flips *f = open_log();
	char why[256];

	assert_int_equal(judge(f, 0, why), 1);
	if (pg_url()) {
		do_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	} else {
		char other[128];

		snprintf(other, sizeof other, "%s.away", path);
		assert_int_equal(rename(path, other), 0);
	}
	assert_int_equal(judge(f, 0, why), 0);
	assert_non_null(strstr(why, "emptied"));
	flips_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_added_is_there),
		TEST(test_a_line_that_was_cut_off),
		TEST(test_what_is_no_log_is_refused),
		TEST(test_an_older_store_is_found_out_and_rebuilt),
		TEST(test_another_store),
		TEST(test_no_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
