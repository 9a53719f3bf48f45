/* What the API tells. */
#include "tests/unit/api_stage.h"

#include <poll.h>

static void test_users(void **state UNUSED)
{
	static const char *const keys[] = {
		"name",	      "wave",	   "state",    "direction", "route",
		"side",	      "go",	   "change",   "epoch",	    "state_since",
		"hold_until", "attempts",  "undos",    "next_try",  "stuck",
		"old_login",  "new_login", "progress", "running",   "awaited"
	};
	json_t *j = ask(CLIENT_OK, "/v1/users", NULL), *u, *list = json_object_get(j, "users");

	assert_int_equal(json_array_size(list), 3);
	u = json_array_get(list, 0);
	for (size_t i = 0; i < COUNT(keys); i++)
		if (!json_object_get(u, keys[i]))
			fail_msg("no key %s", keys[i]);
	assert_int_equal(json_object_size(u), COUNT(keys));
	assert_string_equal(text_at(u, "state"), "pending");
	assert_string_equal(text_at(u, "route"), "old");
	assert_true(json_is_null(json_object_get(u, "running")));
	u = json_array_get(list, 1);
	assert_int_equal(int_at(json_object_get(u, "running"), "done"), 3);
	j = ask(CLIENT_OK, "/v1/users?wave=2", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 1);
	j = ask(CLIENT_OK, "/v1/users?state=ready", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 0);
	j = ask(CLIENT_OK, "/v1/users?q=OB%40", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 1);
	j = ask(CLIENT_OK, "/v1/users?only=stuck", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 0);
	j = ask(CLIENT_REFUSED, "/v1/users?only=nice", NULL);
	assert_string_equal(text_at(j, "error"), "no such kind: nice");
}

static void test_pages(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/users?limit=2", NULL);

	assert_int_equal(json_array_size(json_object_get(j, "users")), 2);
	assert_true(json_is_true(json_object_get(j, "more")));
	j = ask(CLIENT_OK, "/v1/users?limit=2&after=bob%40example.com", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 1);
	assert_true(json_is_false(json_object_get(j, "more")));
}

static void test_one_user(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/users/anna%40EXAMPLE.com", NULL);

	assert_string_equal(text_at(json_object_get(j, "user"), "name"), "anna@example.com");
	j = ask(CLIENT_OK, "/v1/users/anna", NULL); /* the default domain */
	assert_string_equal(text_at(json_object_get(j, "user"), "name"), "anna@example.com");
	j = ask(CLIENT_REFUSED, "/v1/users/zoe", NULL);
	assert_string_equal(text_at(j, "error"), "no user zoe@example.com");
	assert_string_not_equal(text_at(j, "remedy"), "(none)");
}

static void test_why(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/users/anna/why", NULL), *item;

	assert_string_equal(text_at(json_object_get(j, "user"), "name"), "anna@example.com");
	assert_non_null(strstr(text_at(j, "summary"), "not yet logged in"));
	item = json_array_get(json_object_get(j, "waits_for"), 0);
	assert_string_equal(text_at(item, "name"), "verified");
	assert_true(json_is_false(json_object_get(item, "open")));
	assert_true(json_is_array(json_object_get(j, "sessions")));
	assert_true(json_is_array(json_object_get(j, "history")));
}

static const char *waived_for(const char *name)
{
	char *path = mem_printf("/v1/users/%s/why", name);
	json_t *items = json_object_get(ask(CLIENT_OK, path, NULL), "waits_for");

	mem_free(&path);
	assert_int_equal(json_array_size(items), 2);
	return text_at(json_array_get(items, 1), "waived_for");
}

/* Also where the check holds: else nobody could take it back. */
static void test_whose_waiver_it_is(void **state UNUSED)
{
	change_store("INSERT INTO waivers VALUES ('wave', '1', 'quota', 'n', 'a', 1), ('user',"
		     " 'bob@example.com', 'quota', 'n', 'a', 1)");
	assert_string_equal(waived_for("anna@example.com"), "wave");
	assert_string_equal(waived_for("bob@example.com"), "user");
	assert_string_equal(waived_for("carl@example.com"), "(none)");
	change_store("DELETE FROM waivers");
}

static void test_status(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/status", NULL);
	json_t *all = json_object_get(j, "users");

	assert_int_equal(int_at(all, "users"), 3);
	assert_int_equal(int_at(json_object_get(all, "states"), "pending"), 3);
	assert_int_equal(json_array_size(json_object_get(j, "waves")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "active")), 1); /* bob */
	assert_int_equal(int_at(j, "strangers"), 1);
	assert_int_equal(int_at(json_object_get(j, "engine"), "workers_max"), 4);
	assert_true(json_is_array(json_object_get(j, "nodes")));
	assert_true(json_is_array(json_object_get(j, "warnings")));
	assert_int_equal(int_at(all, "to_compare"), 0);
	assert_int_equal(int_at(json_object_get(j, "holds"), "p95_ms"), 840);
	assert_true(json_is_null(json_object_get(json_object_get(j, "pace"), "eta_ms")));
	assert_true(
		json_is_array(json_object_get(json_object_get(j, "sessions"), "protocols")));
}

/* The first status is the first sample. */
static void test_rates(void **state UNUSED)
{
	json_t *j, *s;

	ask(CLIENT_OK, "/v1/status", NULL);
	j = ask(CLIENT_OK, "/v1/rates?seconds=60", NULL);
	assert_int_equal(int_at(j, "seconds"), 60);
	assert_int_equal(json_array_size(json_object_get(j, "samples")), 1);
	s = json_array_get(json_object_get(j, "samples"), 0);
	assert_int_equal(int_at(s, "on_new"), 0);
	assert_int_equal(int_at(s, "sessions"), 0);
	ask(CLIENT_REFUSED, "/v1/rates?seconds=86401", NULL);
}

static void test_status_tells_of_certificates(void **state UNUSED)
{
	static const struct {
		const char *name;
		int days;
	} want[] = {
		{ "gone.test", -1 }, { "soon.test", 20 }, { "later.test", 21 }, { "", 40 }
	};
	json_t *j = ask(CLIENT_OK, "/v1/status", NULL), *w;
	json_t *list = json_object_get(j, "certificates");
	int expired = 0, soon = 0, others = 0;
	size_t i;

	assert_int_equal(json_array_size(list), COUNT(want));
	for (i = 0; i < COUNT(want); i++) {
		assert_string_equal(text_at(json_array_get(list, i), "name"), want[i].name);
		assert_int_equal(int_at(json_array_get(list, i), "days"), want[i].days);
	}
	json_array_foreach (json_object_get(j, "warnings"), i, w) {
		const char *text = json_string_value(w);

		if (strstr(text, "certificate for gone.test expired on 2"))
			expired++;
		else if (strstr(text, "certificate for soon.test expires on 2"))
			soon++;
		else if (strstr(text, "certificate"))
			others++;
	}
	assert_int_equal(expired, 1);
	assert_int_equal(soon, 1);
	assert_int_equal(others, 0);
}

static void test_lists(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/strangers", NULL);

	assert_string_equal(text_at(json_array_get(json_object_get(j, "strangers"), 0), "name"),
			    "dora@example.com");
	j = json_object_get(ask(CLIENT_OK, "/v1/domains", NULL), "domains");
	assert_int_equal(json_array_size(j), 1);
	assert_string_equal(text_at(json_array_get(j, 0), "domain"), "example.com");
	assert_true(json_is_null(json_object_get(json_array_get(j, 0), "mx")));
	j = ask(CLIENT_OK, "/v1/holds?user=anna", NULL);
	assert_int_equal(int_at(json_array_get(json_object_get(j, "holds"), 0), "held_ms"),
			 840);
	j = ask(CLIENT_OK, "/v1/holds?user=bob", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "holds")), 0);
	j = ask(CLIENT_OK, "/v1/sessions", NULL);
	assert_true(json_is_array(json_object_get(j, "sessions")));
	j = ask(CLIENT_OK, "/v1/nodes", NULL);
	assert_true(json_is_array(json_object_get(j, "nodes")));
	j = ask(CLIENT_OK, "/v1", NULL);
	assert_true(json_array_size(json_object_get(j, "routes")) > 10);
}

static void test_the_past(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/report?wave=1", NULL);

	assert_int_equal(int_at(j, "users"), 2);
	assert_int_equal(int_at(json_object_get(j, "holds"), "p95_ms"), 840);
	j = ask(CLIENT_OK, "/v1/users/anna/logins", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "logins")), 0);
	j = ask(CLIENT_OK, "/v1/users/anna/drops", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "drops")), 0);
}

static void assert_history(const char *tail, size_t count, bool more)
{
	char *path = mem_printf("/v1/%s", tail);
	json_t *j = ask(CLIENT_OK, path, NULL);

	mem_free(&path);
	assert_int_equal(json_array_size(json_object_get(j, "history")), count);
	assert_true(json_is_boolean(json_object_get(j, "more")));
	assert_int_equal(json_is_true(json_object_get(j, "more")), more);
}

static void test_the_end_of_the_history(void **state UNUSED)
{
	int64_t rows;

	write_moves(3, 10);
	ask(CLIENT_OK, "/v1/history", NULL);
	rows = (int64_t)json_array_size(json_object_get(last, "history"));
	assert_true(rows >= 3);
	assert_history("history?last=2", 2, true);
	assert_history("history?limit=2", 2, true);
	assert_history("history?last=1000", (size_t)rows, false);
	assert_history("users/anna@example.com/history?last=2", 2, true);
	assert_history("users/carl@example.com/history?last=2", 0, false);
}

/* The page asks every few seconds: nobody is looked for where there is nobody. */
static void test_pulls_of_a_wave(void **state UNUSED)
{
	seen.shown = 0;
	ask(CLIENT_OK, "/v1/pull?wave=1", NULL);
	assert_int_equal(seen.shown, 0);
	change_store(
		"INSERT INTO pulls VALUES ('anna@example.com', 'waiting', '', '', 0, 0, 0, 0,"
		" 0, 0, 0)");
	ask(CLIENT_OK, "/v1/pull?wave=1", NULL);
	assert_int_equal(json_array_size(json_object_get(last, "users")), 1);
	assert_int_equal(seen.shown, 1);
	assert_true(json_is_false(json_object_get(last, "more")));
	change_store("INSERT INTO pulls VALUES ('bob@example.com', 'stuck', 'job-7', '', 0, 0, 0, 0,"
		     " 0, 0, 0)");
	ask(CLIENT_OK, "/v1/pull?wave=1&state=stuck&limit=1", NULL);
	assert_int_equal(json_array_size(json_object_get(last, "users")), 1);
	assert_string_equal(text_at(json_array_get(json_object_get(last, "users"), 0), "job"),
			    "job-7");
	assert_true(json_is_false(json_object_get(last, "more")));
	ask(CLIENT_REFUSED, "/v1/pull?wave=1&state=odd", NULL);
	change_store("DELETE FROM pulls");
}

static void test_final_report_waits_for_a_journal(void **state UNUSED)
{
	json_t *said, *x;
	json_int_t users;

	change_store("UPDATE users SET exceptions = 1 WHERE name = 'bob@example.com'");
	seen.journals = seen.journal_waits = 0;
	said = ask(CLIENT_OK, "/v1/report/final", json_object());
	while (strcmp(text_at(said, "state"), "making") == 0) {
		poll(NULL, 0, 20);
		said = ask(CLIENT_OK, "/v1/report/final", NULL);
	}
	assert_string_equal(text_at(said, "state"), "done");
	assert_int_equal(seen.journals, 3);
	assert_int_equal(seen.journal_waits, 0);
	x = json_object_get(json_object_get(json_object_get(said, "document"), "report"),
			    "exceptions");
	assert_int_equal(json_array_size(json_object_get(x, "unread")), 0);
	users = int_at(said, "users");
	said = ask(CLIENT_OK, "/v1/users", NULL);
	assert_int_equal(json_array_size(json_object_get(said, "users")), users);
	change_store("UPDATE users SET exceptions = 0");
}

static const char *domain_at(size_t i)
{
	return text_at(json_array_get(json_object_get(last, "domains"), i), "domain");
}

/* Whoever looks at the plans of all domains has everybody counted: the engine waits for a part
 * of it at most. */
static void test_plans_of_large_domains(void **state UNUSED)
{
	change_store(
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)"
		" INSERT INTO users (name, old_login, new_login, wave, state, change, epoch,"
		" state_since) SELECT 'u' || i || CASE WHEN i % 2 THEN '@x.test' ELSE '@y.test'"
		" END, '', '', '9', 'pending', 1000 + i, 0, 0 FROM n");
	ask(CLIENT_OK, "/v1/phases", NULL);
	assert_int_equal(json_array_size(json_object_get(last, "domains")), 2);
	assert_string_equal(domain_at(1), "x.test");
	assert_true(json_is_true(json_object_get(last, "more")));
	ask(CLIENT_OK, "/v1/phases?after=x.test", NULL);
	assert_int_equal(json_array_size(json_object_get(last, "domains")), 1);
	assert_string_equal(domain_at(0), "y.test");
	assert_true(json_is_false(json_object_get(last, "more")));
	ask(CLIENT_OK, "/v1/phases?limit=1", NULL);
	assert_string_equal(domain_at(0), "example.com");
	assert_true(json_is_true(json_object_get(last, "more")));
	change_store("DELETE FROM users WHERE wave = '9'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_one_user),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_whose_waiver_it_is),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_status_tells_of_certificates),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_plans_of_large_domains),
		cmocka_unit_test(test_the_past),
		cmocka_unit_test(test_the_end_of_the_history),
		cmocka_unit_test(test_pulls_of_a_wave),
		cmocka_unit_test(test_final_report_waits_for_a_journal),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
