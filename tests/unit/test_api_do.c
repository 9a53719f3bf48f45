/* What the API is asked to do. */
#include "tests/unit/api_stage.h"

#include "common/log.h"

static void test_sync(void **state UNUSED)
{
	json_t *j;

	seen.syncs = 0;
	j = ask(CLIENT_OK, "/v1/sync", json_pack("{s:s}", "wave", "1"));
	assert_int_equal(seen.syncs, 2);
	assert_int_equal(int_at(j, "count"), 2);
	j = ask(CLIENT_OK, "/v1/sync", json_pack("{s:b}", "all", 1));
	assert_int_equal(seen.syncs, 5);
	assert_string_equal(text_at(json_array_get(json_object_get(j, "refused"), 0), "error"),
			    "not now");
	ask(CLIENT_OK, "/v1/sync", json_pack("{s:s}", "user", "anna"));
	assert_int_equal(seen.syncs, 6);
	ask(CLIENT_REFUSED, "/v1/sync", json_pack("{s:s}", "wave", "77"));
	ask(CLIENT_REFUSED, "/v1/sync", json_pack("{s:s}", "user", "zoe"));
	ask(CLIENT_REFUSED, "/v1/sync", json_object());
	ask(CLIENT_REFUSED, "/v1/sync", json_pack("{s:s, s:b}", "wave", "1", "all", 1));
	assert_int_equal(seen.syncs, 6);
}

static bool has_go(const char *path)
{
	return json_is_true(
		json_object_get(json_object_get(ask(CLIENT_OK, path, NULL), "user"), "go"));
}

static void test_cutover(void **state UNUSED)
{
	int pokes = seen.pokes;
	json_t *j = ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s}", "wave", "1"));

	assert_int_equal(int_at(j, "changed"), 2);
	assert_int_equal(int_at(j, "count"), 2);
	assert_true(json_is_integer(json_object_get(j, "after")));
	assert_int_equal(seen.pokes, pokes + 1);
	assert_true(has_go("/v1/users/anna"));
	assert_false(has_go("/v1/users/carl"));
	ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s, s:b}", "user", "anna", "go", 0));
	assert_false(has_go("/v1/users/anna"));
	assert_true(has_go("/v1/users/bob"));
	ask(CLIENT_REFUSED, "/v1/cutover", json_pack("{s:b}", "all", 1));
}

/* What is written otherwise than it is taken would else count as not said: a time that is a
 * number, and the go is given at once. */
static void test_words_that_mean_nothing(void **state UNUSED)
{
	static const char *const bad[][3] = {
		{ "/v1/cutover", "{\"wave\": \"1\", \"at\": 4070908800000}",
		  "\"at\" must be a text" },
		{ "/v1/cutover", "{\"wave\": \"1\", \"at\": null}", "\"at\" must be a text" },
		{ "/v1/cutover", "{\"wave\": \"1\", \"when\": \"23:00\"}",
		  "nothing is known of \"when\" here" },
		{ "/v1/cutover", "{\"wave\": \"1\", \"go\": \"false\"}",
		  "\"go\" must be true or false" },
		{ "/v1/cutover", "{\"wave\": \"1\", \"dry_run\": 1}",
		  "\"dry_run\" must be true or false" },
		{ "/v1/cutover", "{\"wave\": \"1\", \"g\": true}",
		  "nothing is known of \"g\" here" },
		{ "/v1/pull", "{\"wave\": \"1\", \"dry_run\": \"true\"}",
		  "\"dry_run\" must be true or false" },
		{ "/v1/waive",
		  "{\"user\": \"anna\", \"note\": \"n\", \"folder\": \"INBOX\", \"uid\": \"7\"}",
		  "\"uid\" must be a whole number" },
		{ "/v1/waive",
		  "{\"user\": \"anna\", \"note\": \"n\", \"all\": true, \"count\": 1.0}",
		  "\"count\" must be a whole number" },
		{ "/v1/waive",
		  "{\"user\": \"anna\", \"note\": \"n\", \"all\": true, \"count\": -1}",
		  "which messages?" },
		{ "/v1/reload", "{\"user\": \"anna\"}", "nothing is known of \"user\" here" },
	};

	seen.pulled[0] = '\0';
	for (size_t i = 0; i < COUNT(bad); i++) {
		json_t *j = ask(CLIENT_REFUSED, bad[i][0], json_loads(bad[i][1], 0, NULL));

		assert_string_equal(text_at(j, "error"), bad[i][2]);
	}
	assert_false(has_go("/v1/users/anna"));
	assert_string_equal(seen.pulled, "");
}

static json_t *first_wave(const char *path)
{
	return json_array_get(json_object_get(ask(CLIENT_OK, path, NULL), "waves"), 0);
}

static void test_when_a_wave_goes(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/cutover",
			json_pack("{s:s, s:i, s:i, s:s, s:b}", "wave", "1", "rate", 30,
				  "first_hour", 1, "at", "2099-01-01T00:00:00Z", "dry_run", 1));
	json_t *users = json_object_get(j, "users");

	assert_int_equal(json_array_size(users), 2);
	assert_int_equal(int_at(json_array_get(users, 1), "not_before") -
				 int_at(json_array_get(users, 0), "not_before"),
			 3600000);
	j = json_object_get(first_wave("/v1/waves"), "timetable"); /* as it was */
	assert_int_equal(int_at(j, "rate"), 0);
	ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s, s:i}", "wave", "1", "rate", 30));
	j = json_object_get(first_wave("/v1/waves?wave=1"), "timetable");
	assert_int_equal(int_at(j, "rate"), 30);
	ask(CLIENT_OK, "/v1/pause", json_pack("{s:s, s:s}", "wave", "1", "note", "full"));
	j = json_object_get(first_wave("/v1/waves?wave=1"), "timetable");
	assert_true(json_is_true(json_object_get(j, "paused")));
	assert_string_equal(json_string_value(json_object_get(j, "why")), "full");
	j = ask(CLIENT_OK, "/v1/resume", json_pack("{s:s}", "wave", "1"));
	assert_int_equal(int_at(j, "changed"), 1);
	ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s, s:b}", "wave", "1", "go", 0));
}

static void test_when_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"{\"user\": \"anna\", \"rate\": 5}",
		"{\"wave\": \"1\", \"rate\": 0}",
		"{\"wave\": \"1\", \"rate\": \"5\"}",
		"{\"wave\": \"1\", \"quiet_s\": 4}",
		"{\"wave\": \"1\", \"at\": \"soon\"}",
		"{\"wave\": \"1\", \"latest\": \"2099-01-01 10:00\"}",
		"{\"wave\": \"1\", \"quiet_s\": 9, \"at\": \"2099-01-02 10:00\","
		" \"latest\": \"2099-01-01 10:00\"}",
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		ask(CLIENT_REFUSED, "/v1/cutover", json_loads(bad[i], 0, NULL));
	assert_false(has_go("/v1/users/bob"));
	ask(CLIENT_REFUSED, "/v1/pause", json_pack("{s:s}", "user", "anna"));
	ask(CLIENT_REFUSED, "/v1/pause", json_pack("{s:s}", "wave", "77"));
	ask(CLIENT_REFUSED, "/v1/report", NULL);
	ask(CLIENT_REFUSED, "/v1/report?wave=77", NULL);
}

/* Nobody is let go from a job that may move again, but by name or by that word. */
static void test_undo_of_pulls(void **state UNUSED)
{
	json_t *users;

	users = json_object_get(
		ask(CLIENT_OK, "/v1/pull", json_pack("{s:s, s:b}", "wave", "1", "undo", 1)),
		"users");
	assert_string_equal(seen.pulled, "anna@example.com ");
	assert_int_equal(json_array_size(users), 2);
	assert_string_equal(text_at(json_array_get(users, 0), "result"), "undone");
	assert_string_equal(text_at(json_array_get(users, 1), "user"), "bob@example.com");
	assert_string_equal(text_at(json_array_get(users, 1), "result"), "refused");
	assert_non_null(
		strstr(text_at(json_array_get(users, 1), "text"), "job job-7 stands still"));
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b, s:b}", "wave", "1", "undo", 1, "stuck", 1));
	assert_string_equal(seen.pulled, "bob@example.com ");
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b}", "user", "bob@example.com", "undo", 1));
	assert_string_equal(seen.pulled, "bob@example.com ");
	ask(CLIENT_REFUSED, "/v1/pull", json_pack("{s:s, s:b}", "wave", "1", "stuck", 1));
}

static const json_t *first_pulled(void)
{
	return json_array_get(json_object_get(last, "users"), 0);
}

/* By that word only who is in a job that stands still, also by his name. */
static void test_undo_of_one_in_a_still_job(void **state UNUSED)
{
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b, s:b}", "user", "anna", "undo", 1, "stuck", 1));
	assert_string_equal(seen.pulled, "");
	assert_string_equal(text_at(first_pulled(), "result"), "none");
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b, s:b}", "user", "bob", "undo", 1, "stuck", 1));
	assert_string_equal(seen.pulled, "bob@example.com ");
	assert_int_equal(json_array_size(json_object_get(last, "users")), 1);
}

/* Meanwhile the job that was looked at may be over, and another one stand still. */
static void test_undo_of_the_job_that_was_seen(void **state UNUSED)
{
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b, s:b, s:s}", "wave", "1", "undo", 1, "stuck", 1, "job",
		      "job-6"));
	assert_string_equal(seen.pulled, "");
	assert_string_equal(text_at(first_pulled(), "result"), "refused");
	assert_non_null(strstr(text_at(first_pulled(), "text"), "not job-6 but job-7"));
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b, s:b, s:s}", "wave", "1", "undo", 1, "stuck", 1, "job",
		      "job-7"));
	assert_string_equal(seen.pulled, "bob@example.com ");
	ask(CLIENT_REFUSED, "/v1/pull",
	    json_pack("{s:s, s:b, s:s}", "wave", "1", "undo", 1, "job", "job-7"));
}

static void test_drop_and_drain(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/drop",
			json_pack("{s:s, s:b, s:i}", "user", "anna", "force", 1, "seconds", 3));
	json_int_t id = int_at(j, "request");
	char path[64];

	assert_true(id > 0);
	j = ask(CLIENT_OK, "/v1/drop", json_pack("{s:s}", "user", "nobody@example.com"));
	assert_int_equal(int_at(j, "request"), id + 1);
	snprintf(path, sizeof path, "/v1/answers?request=%lld", (long long)id);
	j = ask(CLIENT_OK, path, NULL);
	assert_true(json_is_array(json_object_get(j, "answers")));
	ask(CLIENT_REFUSED, "/v1/drop", json_object());
	ask(CLIENT_REFUSED, "/v1/answers", NULL);
	ask(CLIENT_REFUSED, "/v1/answers?request=x", NULL);
	j = ask(CLIENT_OK, "/v1/drain", json_pack("{s:b}", "all", 1));
	assert_int_equal(int_at(j, "request"), id + 2);
	ask(CLIENT_OK, "/v1/drain", json_pack("{s:b, s:b}", "all", 1, "undo", 1));
	ask(CLIENT_REFUSED, "/v1/drain", json_object());
	ask(CLIENT_REFUSED, "/v1/drain", json_pack("{s:s, s:b}", "node", "x", "all", 1));
	ask(CLIENT_REFUSED, "/v1/drain", json_pack("{s:s}", "node", "proxy-77"));
	ask(CLIENT_REFUSED, "/v1/sessions?after=x", NULL);
	ask(CLIENT_OK, "/v1/sessions?after=a/b/c&side=old&limit=5", NULL);
}

static void test_a_drop_is_in_the_history(void **state UNUSED)
{
	json_t *moves;

	ask(CLIENT_OK, "/v1/drop", json_pack("{s:s}", "user", "carl@example.com"));
	ask(CLIENT_OK, "/v1/drop", json_pack("{s:s}", "user", "nobody@example.com"));
	moves = json_object_get(
		ask(CLIENT_OK, "/v1/users/carl@example.com/history?last=1", NULL), "history");
	assert_string_equal(text_at(json_array_get(moves, 0), "why"), "sessions dropped");
	change_store("DELETE FROM history WHERE why LIKE 'sessions dropped%'");
}

static void test_a_drop_that_nobody_was_asked_for(void **state UNUSED)
{
	change_store(
		"CREATE TRIGGER full_disk BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT,"
		" 'full'); END");
	ask(CLIENT_REFUSED, "/v1/drop", json_pack("{s:s}", "user", "carl@example.com"));
	change_store("DROP TRIGGER full_disk");
	ask(CLIENT_OK, "/v1/users/carl@example.com/history", NULL);
	assert_int_equal(json_array_size(json_object_get(last, "history")), 0);
}

static void test_trace(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/trace", json_pack("{s:s}", "user", "anna"));
	char path[64];

	assert_string_equal(seen.traced, "anna@example.com 1");
	snprintf(path, sizeof path, "/v1/trace?trace=%lld", (long long)int_at(j, "trace"));
	j = ask(CLIENT_OK, path, NULL);
	assert_true(json_is_null(json_object_get(j, "ended")));
	assert_int_equal(json_array_size(json_object_get(j, "lines")), 0);
	ask(CLIENT_OK, "/v1/trace", json_pack("{s:s, s:b}", "user", "anna", "stop", 1));
	assert_string_equal(seen.traced, "anna@example.com 0");
	j = ask(CLIENT_OK, path, NULL);
	assert_string_equal(text_at(j, "ended"), "stopped");
	ask(CLIENT_REFUSED, "/v1/trace?trace=77", NULL);
	ask(CLIENT_REFUSED, "/v1/trace", NULL);
	ask(CLIENT_REFUSED, "/v1/trace", json_object());
	ask(CLIENT_REFUSED, "/v1/trace", json_pack("{s:s, s:i}", "user", "anna", "seconds", 0));
	ask(CLIENT_REFUSED, "/v1/trace", json_pack("{s:s, s:s}", "user", "anna", "bytes", "1"));
}

static void test_retry_and_requests(void **state UNUSED)
{
	seen.syncs = 0;
	ask(CLIENT_OK, "/v1/retry", json_pack("{s:s}", "user", "anna"));
	assert_int_equal(seen.syncs, 0);
	/* A worker is at bob: what it began before may fail. */
	ask(CLIENT_OK, "/v1/retry", json_pack("{s:s}", "user", "bob"));
	assert_int_equal(seen.syncs, 1);
	ask(CLIENT_REFUSED, "/v1/retry", json_pack("{s:s}", "user", "zoe"));
	ask(CLIENT_OK, "/v1/requests",
	    json_pack("{s:s, s:s}", "verb", "loglevel", "level", "error"));
	assert_int_equal(log_get_level(), LOG_ERROR);
	ask(CLIENT_REFUSED, "/v1/requests",
	    json_pack("{s:s, s:s}", "verb", "loglevel", "level", "loud"));
	ask(CLIENT_REFUSED, "/v1/requests", json_pack("{s:s}", "verb", "drop"));
}

static void test_reload(void **state UNUSED)
{
	json_t *a;

	good_settings = false;
	a = ask(CLIENT_REFUSED, "/v1/reload", json_object());
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "errors"), 0)),
			    "x.conf:3: no such section \"lorry\"");
	good_settings = true;
	a = ask(CLIENT_OK, "/v1/reload", json_object());
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "taken"), 0)),
			    "sync: workers");
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "kept"), 0)),
			    "run: nodes");
	assert_true(json_integer_value(json_object_get(a, "request")) > 0);
}

static json_t *csv(const char *text)
{
	return json_pack("{s:s, s:s, s:s}", "csv", text, "file", "users.csv", "folder", dir);
}

static void test_import(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/import", csv("user,wave,old_login\nemil,3,emil\n"));

	assert_int_equal(int_at(j, "added"), 1);
	j = ask(CLIENT_OK, "/v1/import", csv("user,wave,old_login\nemil,3,emil\n"));
	assert_int_equal(int_at(j, "added"), 0);
	assert_int_equal(int_at(j, "same"), 1);
	ask(CLIENT_REFUSED, "/v1/import",
	    json_pack("{s:s, s:s, s:s}", "csv", "user\n", "file", "x", "folder", "relative"));
}

static void test_import_errors(void **state UNUSED)
{
	json_t *j = ask(CLIENT_REFUSED, "/v1/import",
			csv("user,old_password_file\nfritz,\n,\ngustl,missing.txt\n"));
	json_t *lines = json_object_get(j, "errors");

	assert_int_equal(json_array_size(lines), 2);
	assert_memory_equal(json_string_value(json_array_get(lines, 0)), "users.csv:3: ", 13);
	assert_memory_equal(json_string_value(json_array_get(lines, 1)), "users.csv:4: ", 13);
	ask(CLIENT_REFUSED, "/v1/users/fritz", NULL); /* all or nothing */
	/* What only the store can see. */
	j = ask(CLIENT_REFUSED, "/v1/import", csv("user,aliases\nhanna,anna\n"));
	lines = json_object_get(j, "errors");
	assert_int_equal(json_array_size(lines), 1);
	assert_memory_equal(json_string_value(json_array_get(lines, 0)), "users.csv:2: ", 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_cutover),
		cmocka_unit_test(test_words_that_mean_nothing),
		cmocka_unit_test(test_when_a_wave_goes),
		cmocka_unit_test(test_when_is_refused),
		cmocka_unit_test(test_undo_of_pulls),
		cmocka_unit_test(test_undo_of_one_in_a_still_job),
		cmocka_unit_test(test_undo_of_the_job_that_was_seen),
		cmocka_unit_test(test_drop_and_drain),
		cmocka_unit_test(test_a_drop_is_in_the_history),
		cmocka_unit_test(test_a_drop_that_nobody_was_asked_for),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_retry_and_requests),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_import_errors),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
