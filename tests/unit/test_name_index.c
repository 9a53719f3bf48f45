/* Names are found where they stand, however many there are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/name_index.h"

#define MANY 5000

static void test_all_are_found(void **state UNUSED)
{
	struct name_index x = { 0 };
	char *names[MANY];

	assert_true(name_index_find(&x, "") == NAME_NONE);
	for (size_t i = 0; i < MANY; i++) {
		names[i] = mem_printf("folder.%zu", i);
		assert_true(name_index_find(&x, names[i]) == NAME_NONE);
		name_index_add(&x, names[i], i);
	}
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(name_index_find(&x, names[i]), i);
	assert_true(name_index_find(&x, "folder.") == NAME_NONE);
	assert_true(name_index_find(&x, "Folder.1") == NAME_NONE);
	name_index_release(&x);
	assert_true(name_index_find(&x, names[0]) == NAME_NONE);
	for (size_t i = 0; i < MANY; i++)
		free(names[i]);
}

static void test_the_first_of_a_name_stays(void **state UNUSED)
{
	struct name_index x = { 0 };

	name_index_add(&x, "a", 1);
	name_index_add(&x, "a", 2);
	assert_int_equal(name_index_find(&x, "a"), 1);
	name_index_release(&x);
}

static void test_inbox_is_one(void **state UNUSED)
{
	struct name_index x = { 0 };

	name_index_add(&x, "inbox", 7);
	name_index_add(&x, "INBOX.x", 8);
	assert_int_equal(name_index_find(&x, "INBOX"), 7);
	assert_int_equal(name_index_find(&x, "Inbox"), 7);
	assert_int_equal(name_index_find(&x, "INBOX.x"), 8);
	assert_true(name_index_find(&x, "inbox.x") == NAME_NONE);
	name_index_release(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_found),
		cmocka_unit_test(test_the_first_of_a_name_stays),
		cmocka_unit_test(test_inbox_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
