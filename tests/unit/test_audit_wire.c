/* Items of a comparison cross from worker to engine whole, and nonsense is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/audit_wire.h"

static void test_a_folder_arrives(void **state)
{
	struct audit_totals t = { .messages = { 5, 6 },
				  .bytes = { 50, 60 },
				  .same = 4,
				  .sampled = 2,
				  .moved = true };
	struct audit_item item;
	struct err e = { 0 };
	json_t *j;

	(void)state;
	t.found[AUDIT_LISTING] = 7;
	j = audit_wire_folder("Gr&APw-n", NULL, &t);
	assert_int_equal(audit_wire_read(j, &item, &e), 0);
	assert_true(item.is_folder);
	assert_string_equal(item.name[SIDE_OLD], "Gr&APw-n");
	assert_null(item.name[SIDE_NEW]);
	t.folders = 1;
	assert_memory_equal(&item.totals, &t, sizeof t);
	json_decref(j);
}

static void test_a_finding_arrives(void **state)
{
	const uint32_t uid[SIDES] = { 0, UINT32_MAX };
	struct audit_item item;
	struct err e = { 0 };

	(void)state;
	for (int f = 0; f < AUDIT_FINDINGS; f++) {
		json_t *j = audit_wire_finding((enum audit_finding)f, "a\xff", uid);

		assert_int_equal(audit_wire_read(j, &item, &e), 0);
		assert_false(item.is_folder);
		assert_int_equal(item.what, f);
		assert_string_equal(item.name[SIDE_OLD], "a?");
		assert_memory_equal(item.uid, uid, sizeof uid);
		json_decref(j);
	}
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"folder\":{}}",
		"{\"finding\":{\"what\":\"gone\",\"folder\":\"a\",\"uid\":[1,2]}}",
		"{\"finding\":{\"what\":\"missing\",\"folder\":\"a\",\"uid\":[1]}}",
		"{\"finding\":{\"what\":\"missing\",\"folder\":\"a\",\"uid\":[1,-2]}}",
		"{\"finding\":{\"what\":\"missing\",\"folder\":\"a\",\"uid\":[1,4294967296]}}",
		"{\"finding\":{\"what\":\"missing\",\"folder\":\"a\",\"uid\":[1,2],\"x\":1}}",
		"{\"finding\":{\"what\":\"missing\",\"folder\":null,\"uid\":[1,2]}}",
		"{\"folder\":{\"old\":null,\"new\":null,\"messages\":[0,0],\"bytes\":[0,0],"
		"\"same\":0,\"sampled\":0,\"moved\":false,\"found\":[0,0,0,0,0,0,0,0,0,0]}}",
		"{\"folder\":{\"old\":\"a\",\"new\":null,\"messages\":[0,0],\"bytes\":[0,0],"
		"\"same\":0,\"sampled\":0,\"moved\":false,\"found\":[0]}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		json_t *j = json_loads(texts[i], 0, NULL);
		struct audit_item item;
		struct err e = { 0 };

		assert_non_null(j);
		assert_int_equal(audit_wire_read(j, &item, &e), -1);
		assert_int_equal(e.kind, ERR_PROTOCOL);
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_folder_arrives),
		cmocka_unit_test(test_a_finding_arrives),
		cmocka_unit_test(test_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
