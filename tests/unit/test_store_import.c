/*
 * The store: how lists of users become rows. Each test twice: with what it says, and with that
 * at the end of a long list, for which the store is read as a whole and written in bulk.
 */
#include "tests/unit/store_stage.h"

#define CROWD 300 /* more than two statements of many rows */

static int64_t crowd; /* how many of it are there; 0: short lists */
static char crowd_names[CROWD][16];

static int import(const struct user_import *rows, size_t n, struct import_count *count,
		  struct err *e)
{
	struct user_import *all = mem_array((size_t)crowd + n, sizeof *all);
	int rc;

	for (int64_t i = 0; i < crowd; i++)
		all[i] = row(crowd_names[i], NULL);
	memcpy(&all[crowd], rows, n * sizeof *rows);
	rc = store_users_import(st, all, (size_t)crowd + n, count, e);
	if (rc == 0)
		count->same -= (unsigned)crowd;
	mem_free(&all);
	return rc;
}

static int set_up_crowd(void **state)
{
	struct user_import rows[CROWD];
	struct import_count count;
	int rc = set_up(state);

	for (int i = 0; i < CROWD; i++) {
		snprintf(crowd_names[i], sizeof crowd_names[i], "crowd%03d", i);
		rows[i] = row(crowd_names[i], NULL);
	}
	OK(store_users_import(st, rows, CROWD, &count, &err));
	assert_int_equal(count.added, CROWD);
	crowd = CROWD;
	return rc;
}

static int tear_down_crowd(void **state)
{
	crowd = 0;
	return tear_down(state);
}

static void test_import(void **state UNUSED)
{
	struct user_import rows[] = {
		{ .name = "anna@x.org",
		  .login = { "anna", "anna@x.org" },
		  .password_file = { "/pw/anna", NULL },
		  .wave = "1",
		  .line = 2 },
		{ .name = "bob@x.org", .login = { "bob", "bob@x.org" }, .line = 3 },
	};
	struct import_count count;
	struct user u;

	OK(import(rows, 2, &count, &err));
	assert_true(count.added == 2 && count.changed == 0 && count.same == 0);
	u = user_of("anna@x.org");
	assert_string_equal(u.login[SIDE_OLD], "anna");
	assert_string_equal(u.login[SIDE_NEW], "anna@x.org");
	assert_string_equal(u.password_file[SIDE_OLD], "/pw/anna");
	assert_null(u.password_file[SIDE_NEW]);
	assert_string_equal(u.wave, "1");
	assert_int_equal(u.state, USER_PENDING);
	assert_true(u.change == crowd + 1 && u.epoch == 0 && !u.go && u.attempts == 0);
	user_release(&u);
	assert_int_equal(store_user_get(st, "nobody", &u, &err), 0);

	OK(import(rows, 2, &count, &err));
	assert_true(count.added == 0 && count.changed == 0 && count.same == 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), crowd + 2);

	rows[0].password_file[SIDE_OLD] = NULL;
	rows[1].wave = "2";
	OK(import(rows, 2, &count, &err));
	assert_true(count.added == 0 && count.changed == 2 && count.same == 0);
	assert_int_equal(numbers_of("anna@x.org").change, crowd + 3);
	/* Only its wave differs: nothing that a node must know. */
	assert_int_equal(numbers_of("bob@x.org").change, crowd + 2);
}

static void test_import_all_or_nothing(void **state UNUSED)
{
	struct user_import rows[3] = { row("anna", NULL), row("bob", NULL), row("", NULL) };
	char longer[STORE_NAME_MAX + 2];
	struct import_count count;

	rows[2].line = 7;
	assert_int_equal(import(rows, 3, &count, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.text, "line 7"));
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	rows[2].name = longer;
	assert_int_equal(import(rows, 3, &count, &err), -1);
	rows[2].name = "anna";
	assert_int_equal(import(rows, 3, &count, &err), -1);
	assert_non_null(strstr(err.text, "twice"));
	/* Found after the first two are written already. */
	rows[2] = row("carl", (const char *const[]){ "bob", NULL });
	assert_int_equal(import(rows, 3, &count, &err), -1);
	assert_non_null(strstr(err.text, "alias bob is a name or alias of user bob"));
	assert_int_equal(ask("SELECT COUNT(*) FROM users"), crowd);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), crowd);
}

/* Out of his wave he would be moved at once, at whatever time that was to begin. */
static void test_a_list_without_waves_leaves_them(void **state UNUSED)
{
	struct user_import r = row("anna", NULL);
	struct import_count count;
	struct user u;

	r.wave = "night";
	OK(import(&r, 1, &count, &err));
	r.wave = NULL;
	OK(import(&r, 1, &count, &err));
	assert_int_equal(count.same, 1);
	r.login[SIDE_NEW] = "another";
	OK(import(&r, 1, &count, &err));
	assert_int_equal(count.changed, 1);
	u = user_of("anna");
	assert_string_equal(u.wave, "night");
	user_release(&u);
	r.wave = "";
	OK(import(&r, 1, &count, &err));
	u = user_of("anna");
	assert_string_equal(u.wave, "");
	user_release(&u);
}

static void test_import_past_ready(void **state UNUSED)
{
	struct user_import r = row("anna", NULL);
	struct import_count count;

	add_user("anna");
	go_up_to("anna", USER_READY);
	do_sql("UPDATE users SET pass_clean = 1");
	r.login[SIDE_NEW] = "anna2";
	OK(import(&r, 1, &count, &err));
	assert_int_equal(count.changed, 1);
	assert_false(numbers_of("anna").progress.pass_clean);
	go_to("anna", USER_FREEZING);
	r.wave = "9";
	OK(import(&r, 1, &count, &err));
	assert_int_equal(count.changed, 1);
	/* The cutover under way goes on: its change is the same. */
	go_to("anna", USER_FINALIZING);
	r.login[SIDE_NEW] = "anna3";
	assert_int_equal(import(&r, 1, &count, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.text, "line 2: user anna: is past ready"));
	r.login[SIDE_NEW] = "anna2";
	r.aliases = (const char *const[]){ "a", NULL };
	assert_int_equal(import(&r, 1, &count, &err), -1);
}

static int join_alias(const char *alias, const char *name, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s=%s ", alias, name);
	return 0;
}

static void assert_aliases(const char *expected)
{
	char all[256] = "";

	OK(store_aliases_each(st, join_alias, all, &err));
	assert_string_equal(all, expected);
}

static void test_aliases(void **state UNUSED)
{
	struct user_import rows[] = {
		row("anna", (const char *const[]){ "a1", "a2", "a1", "anna", NULL }),
		row("bob", (const char *const[]){ "b1", NULL }),
	};
	struct import_count count;

	OK(import(rows, 2, &count, &err));
	assert_aliases("a1=anna a2=anna b1=bob ");
	OK(import(rows, 2, &count, &err));
	assert_int_equal(count.same, 2);
	/* None said: they stay. */
	rows[0].aliases = NULL;
	OK(import(rows, 1, &count, &err));
	assert_int_equal(count.same, 1);
	/* One goes from one user to another in one file, whatever the order of lines. */
	rows[0].aliases = (const char *const[]){ "b1", NULL };
	rows[1].aliases = (const char *const[]){ "a2", NULL };
	OK(import(rows, 2, &count, &err));
	assert_int_equal(count.changed, 2);
	assert_aliases("a2=bob b1=anna ");
	assert_int_equal(numbers_of("bob").change, crowd + 4);
	/* A new user cannot take a name that leads to somebody. */
	rows[0] = row("a2", NULL);
	assert_int_equal(import(rows, 1, &count, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	rows[0] = row("carl", (const char *const[]){ "b1", NULL });
	assert_int_equal(import(rows, 1, &count, &err), -1);
	assert_non_null(strstr(err.text, "alias b1 is a name or alias of user anna"));
	/* All aliases of one are dropped. */
	rows[0] = row("anna", (const char *const[]){ NULL });
	OK(import(rows, 1, &count, &err));
	assert_aliases("a2=bob ");
}

/* What is said twice in one list is refused, also where the store knows nothing of it yet. */
static void test_an_alias_of_two(void **state UNUSED)
{
	struct user_import rows[] = {
		row("anna", (const char *const[]){ "both", NULL }),
		row("bob", (const char *const[]){ "bb", "both", NULL }),
	};
	struct import_count count;

	rows[1].line = 3;
	assert_int_equal(import(rows, 2, &count, &err), -1);
	assert_string_equal(err.text,
			    "line 3: user bob: alias both is a name or alias of user anna");
	assert_aliases("");
	rows[1].aliases = (const char *const[]){ "bb", "anna", NULL };
	assert_int_equal(import(rows, 2, &count, &err), -1);
	assert_non_null(strstr(err.text, "alias anna is a name or alias of user anna"));
	rows[1].aliases = (const char *const[]){ "bb", "", NULL };
	assert_int_equal(import(rows, 2, &count, &err), -1);
	assert_non_null(strstr(err.text, "line 3: user bob: an alias is empty"));
}

/* All rows of a long list are other ones; each has a change of its own, and what was found of
 * who stays as he is counts on. */
static void test_many_change(void **state UNUSED)
{
	struct user_import rows[CROWD];
	struct import_count count;
	char logins[CROWD][16], aliases[CROWD][16];
	const char *lists[CROWD][2];

	do_sql("UPDATE users SET pass_clean = 1");
	for (int i = 0; i < CROWD; i++) {
		snprintf(logins[i], sizeof logins[i], "login%d", i);
		snprintf(aliases[i], sizeof aliases[i], "alias%d", i);
		lists[i][0] = aliases[i];
		lists[i][1] = NULL;
		rows[i] = row(crowd_names[i], lists[i]);
		rows[i].login[SIDE_OLD] = logins[i];
		rows[i].wave = "2";
	}
	rows[7] = row(crowd_names[7], NULL);
	rows[8] = row(crowd_names[8], NULL);
	rows[8].wave = "3";
	OK(store_users_import(st, rows, CROWD, &count, &err));
	assert_true(count.added == 0 && count.changed == CROWD - 1 && count.same == 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM aliases WHERE alias = 'alias' ||"
			     " CAST(substr(name, 6) AS INTEGER)"),
			 CROWD - 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM users WHERE old_login = 'login' ||"
			     " CAST(substr(name, 6) AS INTEGER) AND wave = '2'"),
			 CROWD - 2);
	assert_int_equal(ask("SELECT COUNT(DISTINCT change) FROM users"), CROWD);
	assert_int_equal(ask("SELECT COUNT(*) FROM users, changes WHERE changes.id ="
			     " users.change AND changes.name = users.name"),
			 CROWD);
	assert_int_equal(ask("SELECT COUNT(*) FROM users WHERE pass_clean = 1"), 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM users WHERE wave = '3'"), 1);
}

#define BOTH(name) TEST(name), cmocka_unit_test_setup_teardown(name, set_up_crowd, tear_down_crowd)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_import),
		BOTH(test_import_all_or_nothing),
		BOTH(test_a_list_without_waves_leaves_them),
		BOTH(test_import_past_ready),
		BOTH(test_aliases),
		BOTH(test_an_alias_of_two),
		cmocka_unit_test_setup_teardown(test_many_change, set_up_crowd, tear_down_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
