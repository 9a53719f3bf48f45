/* The store: what only the gate looks at. */
#include "sync/facts_keep.h"
#include "common/store_session.h"
#include "common/store_shadow.h"
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

/* ---- who made the changes that a pass found */

static struct facts facts_after_pass(struct user *u, int64_t flags)
{
	const struct job_result r = { .ok = true, .flags = flags, .facts.known = true, .took_ms = 10 };
	struct facts out;
	char *body;

	OK(facts_keep(st, u, &r, &err));
	u->progress.pass_ended = store_now_ms(st);
	assert_int_equal(store_facts_read(st, u->name, &body, &err), 1);
	OK(facts_parse(body, &out, &err));
	mem_free(&body);
	return out;
}

static void session_ends(int64_t since)
{
	const struct session_row s = { .id = "s", .name = "anna", .since = since, .gone = true };

	OK(store_sessions_write(st, "p1", &s, 1, &err));
}

/* Sessions come and go between what was found and the pass that judges it, minutes later. */
static void test_the_first_session_is_the_witness(void **state UNUSED)
{
	static char anna[] = "anna";
	struct user u = { .name = anna, .state = USER_READY, .progress.pass_clean = true };
	struct facts f;
	int64_t began;

	clock_test_freeze();
	(void)facts_after_pass(&u, 0);
	clock_test_advance(300000);
	began = store_now_ms(st) - 300;
	assert_int_equal(facts_after_pass(&u, 2).found, 2);
	clock_test_advance(500);
	session_ends(began); /* its end is told */
	for (int i = 0; i < 3; i++) {
		clock_test_advance(10000);
		session_ends(store_now_ms(st) - 300);
	}
	clock_test_advance(270000);
	f = facts_after_pass(&u, 0);
	assert_true(f.found == 0 && f.unseen == 0);

	clock_test_advance(300000);
	assert_int_equal(facts_after_pass(&u, 2).found, 2); /* those before are no witnesses */
	clock_test_advance(10000);
	session_ends(store_now_ms(st) - 300); /* nor is this one */
	clock_test_advance(290000);
	f = facts_after_pass(&u, 3);
	assert_true(f.unseen == 2 && f.found == 0); /* but it saw the next ones */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_facts_are_the_last_ones),
		TEST(test_waivers_of_users_and_waves),
		TEST(test_waivers_are_taken_back),
		TEST(test_shadow_logins_are_tried_once_a_day),
		TEST(test_the_first_session_is_the_witness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
