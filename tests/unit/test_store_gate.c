/* The store: what only the gate looks at. */
#include "tests/unit/store_stage.h"

static void assert_facts(const char *name, const char *expected)
{
	char *body;
	int got = store_facts_read(st, name, &body, &err);

	assert_int_equal(got, expected != NULL);
	if (expected)
		assert_string_equal(body, expected);
	mem_free(&body);
}

static void test_facts_are_the_last_ones(void **state UNUSED)
{
	char *large = mem_new(STORE_FACTS_MAX + 2);

	assert_facts("anna", NULL);
	OK(store_facts_write(st, "anna", "{\"a\":1}", &err));
	OK(store_facts_write(st, "anna", "{\"a\":2}", &err));
	assert_facts("anna", "{\"a\":2}");
	assert_facts("bert", NULL);
	memset(large, ' ', STORE_FACTS_MAX + 1);
	assert_int_equal(store_facts_write(st, "anna", large, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_facts("anna", "{\"a\":2}");
	mem_free(&large);
}

static char seen[512];

static int add_waiver(const struct waiver_row *w, void *arg UNUSED)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof seen - n, "%s %s %s %s %s\n", w->is_wave ? "wave" : "user",
		 w->name, w->item, w->note, w->actor);
	return 0;
}

static void assert_waivers(const char *name, const char *wave, const char *expected)
{
	seen[0] = '\0';
	OK(store_waivers_each(st, name, wave, add_waiver, NULL, &err));
	assert_string_equal(seen, expected);
}

static int waive(const char *name, bool is_wave, const char *item, const char *note, bool on)
{
	const struct waiver_row w = { .name = name,
				      .is_wave = is_wave,
				      .item = item,
				      .note = note,
				      .actor = "operator" };
	int n;

	OK(store_waive(st, &w, on, &n, &err));
	return n;
}

static int64_t notes_of(const char *name)
{
	char sql[160];

	snprintf(sql, sizeof sql,
		 "SELECT COUNT(*) FROM history WHERE name = '%s' AND why LIKE 'waiver%%'",
		 name);
	return ask(sql);
}

static void test_waivers_of_users_and_waves(void **state UNUSED)
{
	add_user("anna");
	add_user("bert");
	assert_waivers("anna", "1", "");
	assert_int_equal(waive("anna", false, "uids", "plain is fine", true), 1);
	assert_int_equal(waive("1", true, "names", "ticket 7", true), 2);
	assert_waivers("anna", "1",
		       "user anna uids plain is fine operator\n"
		       "wave 1 names ticket 7 operator\n");
	assert_waivers("bert", "1", "wave 1 names ticket 7 operator\n");
	assert_waivers("bert", "2", "");
	assert_waivers("bert", NULL, "");
	/* Said again, nothing changes; another note is another decision. */
	assert_int_equal(waive("anna", false, "uids", "plain is fine", true), 0);
	assert_int_equal(waive("anna", false, "uids", "says Bert", true), 1);
	assert_int_equal(notes_of("anna"), 3);
	assert_int_equal(notes_of("bert"), 1);
}

static void test_waivers_are_taken_back(void **state UNUSED)
{
	add_user("anna");
	assert_int_equal(waive("anna", false, "uids", "fine", true), 1);
	assert_int_equal(waive("anna", false, "names", "", false), 0);
	assert_int_equal(waive("anna", false, "uids", "", false), 1);
	assert_waivers("anna", "1", "");
	assert_int_equal(waive("anna", false, "uids", "", false), 0);
	assert_int_equal(notes_of("anna"), 2); /* the history keeps both */
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE why ="
			     " 'waiver taken back of check uids'"),
			 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE why ="
			     " 'waiver of check uids: fine'"),
			 1);
}

static bool claim(const char *name)
{
	bool mine;

	OK(store_shadow_claim(st, name, &mine, &err));
	return mine;
}

static void assert_shadow(const char *name, bool known, bool accepted)
{
	struct shadow_row r;

	OK(store_shadow_read(st, name, &r, &err));
	assert_int_equal(r.at != 0, known);
	assert_int_equal(r.accepted, accepted);
}

static void test_shadow_logins_are_tried_once_a_day(void **state UNUSED)
{
	assert_shadow("anna", false, false);
	assert_true(claim("anna"));
	assert_false(claim("anna"));
	assert_true(claim("bert"));
	assert_shadow("anna", false, false);
	OK(store_shadow_write(st, "anna", true, &err));
	assert_shadow("anna", true, true);
	assert_shadow("bert", false, false);
	assert_false(claim("anna"));
	OK(store_shadow_again(st, "anna", 60000, &err));
	assert_false(claim("anna"));
	OK(store_shadow_again(st, "anna", 0, &err));
	assert_shadow("anna", true, true); /* until there is another answer */
	assert_true(claim("anna"));
	OK(store_shadow_write(st, "anna", false, &err));
	assert_shadow("anna", true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_facts_are_the_last_ones),
		TEST(test_waivers_of_users_and_waves),
		TEST(test_waivers_are_taken_back),
		TEST(test_shadow_logins_are_tried_once_a_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
