/* The store: whose mail OpenSRS's own tool pulls. */
#include "tests/unit/store_stage.h"

#include "common/store_pull.h"

static char seen[512];

static int add_row(const struct pull_row *r, void *arg UNUSED)
{
	size_t at = strlen(seen);

	snprintf(seen + at, sizeof seen - at, "%s %s %s \"%s\" %d %lld/%lld\n", r->name,
		 pull_state_name(r->state), r->job, r->text, r->tries,
		 (long long)(r->migrated + r->skipped), (long long)r->total);
	return 0;
}

static void assert_rows(const char *expected)
{
	seen[0] = '\0';
	OK(store_pulls_each(st, add_row, NULL, &err));
	assert_string_equal(seen, expected);
}

static void test_rows_in_the_order_of_asking(void **state UNUSED)
{
	struct pull_row rows[] = {
		{ .name = "anna@a.test", .state = PULL_WAITING, .asked = 2 },
		{ .name = "bob@a.test", .state = PULL_DONE, .job = "j", .text = "t", .tries = 1,
		  .asked = 1, .migrated = 3, .skipped = 1, .total = 4 },
	};
	char name[] = "bob@a.test", *bob = name;
	int64_t n[PULL_STATES];

	add_user("anna@a.test");
	add_user("bob@a.test");
	assert_rows("");
	OK(store_pulls_write(st, rows, COUNT(rows), &err));
	assert_rows("bob@a.test done j \"t\" 1 4/4\nanna@a.test waiting  \"\" 0 0/0\n");
	OK(store_pull_count(st, NULL, n, &err));
	assert_int_equal(n[PULL_WAITING], 1);
	assert_int_equal(n[PULL_DONE], 1);
	OK(store_pull_count(st, "no such wave", n, &err));
	assert_int_equal(n[PULL_DONE], 0);
	rows[0].state = PULL_STUCK;
	OK(store_pulls_write(st, rows, 1, &err));
	OK(store_pulls_drop(st, &bob, 1, &err));
	assert_rows("anna@a.test stuck  \"\" 0 0/0\n");
}

static int add_name(const char *name, void *arg UNUSED)
{
	size_t at = strlen(seen);

	snprintf(seen + at, sizeof seen - at, "%s ", name);
	return 0;
}

/* An account makes a user ready; of who is not known any more the engine says so. */
static void test_who_is_ready(void **state UNUSED)
{
	const struct pull_row rows[] = {
		{ .name = "anna@a.test", .state = PULL_WAITING, .asked = 1 },
		{ .name = "bob@a.test", .state = PULL_WAITING, .asked = 2 },
		{ .name = "carl@a.test", .state = PULL_RUNNING, .asked = 3 },
		{ .name = "gone@a.test", .state = PULL_WAITING, .asked = 4 },
	};

	for (size_t i = 0; i < 3; i++)
		add_user(rows[i].name);
	do_sql("UPDATE users SET state = 'ready' WHERE name <> 'anna@a.test'");
	OK(store_pulls_write(st, rows, COUNT(rows), &err));
	seen[0] = '\0';
	OK(store_pulls_ready(st, add_name, NULL, &err));
	assert_non_null(strstr(seen, "bob@a.test "));
	assert_non_null(strstr(seen, "gone@a.test "));
	assert_int_equal(strlen(seen), strlen("bob@a.test gone@a.test "));
}

static int note_name(const char *name, void *arg UNUSED)
{
	snprintf(seen, sizeof seen, "%s", name);
	return 0;
}

static void test_what_is_long_over(void **state UNUSED)
{
	const struct pull_row rows[] = {
		{ .name = "anna@a.test", .state = PULL_DONE, .asked = 1 }, /* she is not done */
		{ .name = "bob@a.test", .state = PULL_DONE, .asked = 2 },
		{ .name = "carl@a.test", .state = PULL_STUCK, .asked = 3 },
		{ .name = "dora@a.test", .state = PULL_FAILED, .asked = store_now_ms(st) },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		add_user(rows[i].name);
	do_sql("UPDATE users SET state = 'done' WHERE name <> 'anna@a.test'");
	OK(store_pulls_write(st, rows, COUNT(rows), &err));
	OK(store_pulls_erase(st, 60000, note_name, NULL, &err));
	assert_string_equal(seen, "bob@a.test");
	seen[0] = '\0';
	OK(store_pulls_each(st, add_row, NULL, &err));
	assert_null(strstr(seen, "bob"));
	assert_non_null(strstr(seen, "anna@a.test done"));
	assert_non_null(strstr(seen, "carl@a.test stuck"));
	assert_non_null(strstr(seen, "dora@a.test failed"));
}

static void test_who_is_left_alone(void **state UNUSED)
{
	assert_true(pull_state_holds(PULL_WAITING) && pull_state_holds(PULL_RUNNING) &&
		    pull_state_holds(PULL_STUCK));
	assert_false(pull_state_holds(PULL_DONE) || pull_state_holds(PULL_FAILED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_in_the_order_of_asking),
		TEST(test_who_is_ready),
		TEST(test_what_is_long_over),
		TEST(test_who_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
