/* The store: sealed passwords come, change and go. */
#include "tests/unit/store_stage.h"
#include "common/store_learned.h"

static void assert_learned(const char *name, const char *expected)
{
	char *sealed;
	int got = store_learned_read(st, name, &sealed, &err);

	assert_int_equal(got, expected != NULL);
	if (expected)
		assert_string_equal(sealed, expected);
	mem_free(&sealed);
}

static void test_the_last_one_is_kept(void **state UNUSED)
{
	add_user("anna");
	assert_learned("anna", NULL);
	OK(store_learned_write(st, "anna", "one", &err));
	assert_learned("anna", "one");
	OK(store_learned_write(st, "anna", "two", &err));
	assert_learned("anna", "two");
	OK(store_learned_write(st, "stranger", "x", &err));
	assert_learned("stranger", NULL);
	OK(store_learned_forget(st, "anna", &err));
	assert_learned("anna", NULL);
}

static void test_they_are_erased(void **state UNUSED)
{
	add_user("anna");
	add_user("bert");
	add_user("cora");
	OK(store_learned_write(st, "anna", "a", &err));
	OK(store_learned_write(st, "bert", "b", &err));
	OK(store_learned_write(st, "cora", "c", &err));
	(void)ask("UPDATE users SET state = 'done' WHERE name = 'bert' RETURNING 1");
	(void)ask("UPDATE learned SET at = at - 10000 WHERE name = 'cora' RETURNING 1");
	assert_int_equal(store_learned_erase(st, 5000, &err), 2);
	assert_learned("anna", "a");
	assert_learned("bert", NULL);
	assert_learned("cora", NULL);
	OK(store_learned_write(st, "bert", "b", &err)); /* is done: nothing is kept */
	assert_learned("bert", NULL);
}

static void test_who_waited_for_it_is_due(void **state UNUSED)
{
	add_user("anna");
	(void)ask("UPDATE users SET next_try = 4000000000000 WHERE name = 'anna' RETURNING 1");
	OK(store_learned_write(st, "anna", "a", &err));
	assert_int_equal(ask("SELECT next_try FROM users WHERE name = 'anna'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_last_one_is_kept),
		TEST(test_they_are_erased),
		TEST(test_who_waited_for_it_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
