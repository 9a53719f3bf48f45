/*
 * For the tests of the store: a new store for each, and how to look into it past all of our
 * code.
 *
 * In a file, or with MAILFERRY_TEST_PG in the environment (as libpq takes it) on that
 * PostgreSQL server, whose public schema each test makes anew.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/store_driver.h"

#define OK(call)                                             \
	do {                                                 \
		struct err *at_ = &err;                      \
		err_clear(at_);                              \
		if ((call) < 0)                              \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

static struct err err;
static char dir[64];
static char path[96];
static struct store *st;

static const char *pg_url(void)
{
	return getenv("MAILFERRY_TEST_PG");
}

/* What the database says to a question, past all of our code. */
static int64_t ask_lite(const char *sql)
{
	sqlite3 *lite;
	sqlite3_stmt *stmt;
	int64_t answer;

	assert_int_equal(sqlite3_open(path, &lite), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(lite, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	answer = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(lite);
	return answer;
}

static void do_lite(const char *sql)
{
	sqlite3 *lite;

	assert_int_equal(sqlite3_open(path, &lite), SQLITE_OK);
	assert_int_equal(sqlite3_exec(lite, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(lite);
}

static PGresult *ask_server(const char *sql)
{
	PGconn *c = PQconnectdb(pg_url());
	PGresult *r = PQexec(c, sql);

	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(c));
	PQfinish(c);
	return r;
}

static UNUSED int64_t ask(const char *sql)
{
	PGresult *r;
	int64_t answer;

	if (!pg_url())
		return ask_lite(sql);
	r = ask_server(sql);
	answer = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
	PQclear(r);
	return answer;
}

static void do_sql(const char *sql)
{
	if (pg_url())
		PQclear(ask_server(sql));
	else
		do_lite(sql);
}

static UNUSED struct store *open_store(bool create)
{
	struct store_opts o = {
		.path = path, .create = create, .nudge_dir = dir, .url = pg_url()
	};
	struct store *s = NULL;

	OK(store_open(&s, &o, &err));
	return s;
}

static int set_up(void **state UNUSED)
{
	snprintf(dir, sizeof dir, "/tmp/mailferry-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/store.db", dir);
	if (pg_url())
		do_sql("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public");
	st = open_store(true);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	char command[96];

	store_close(&st);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

static UNUSED struct user_import row(const char *name, const char *const *aliases)
{
	return (struct user_import){ .name = name,
				     .login = { name, name },
				     .wave = "1",
				     .aliases = aliases,
				     .line = 2 };
}

static UNUSED void add_user(const char *name)
{
	struct user_import r = row(name, NULL);
	struct import_count count;

	OK(store_users_import(st, &r, 1, &count, &err));
	assert_int_equal(count.added, 1);
}

static UNUSED struct user user_of(const char *name)
{
	struct user u;

	assert_int_equal(store_user_get(st, name, &u, &err), 1);
	return u;
}

/* Only what needs no release. */
static UNUSED struct user numbers_of(const char *name)
{
	struct user u = user_of(name), numbers = u;

	numbers.name = numbers.wave = numbers.stuck_reason = numbers.progress.pass_error = NULL;
	for (int s = 0; s < SIDES; s++)
		numbers.login[s] = numbers.password_file[s] = NULL;
	user_release(&u);
	return numbers;
}

static UNUSED void assert_stuck(const char *name, const char *expected)
{
	struct user u = user_of(name);

	assert_string_equal(u.stuck_reason, expected);
	user_release(&u);
}

static UNUSED enum move_result move_by(struct store *s, const char *name, enum user_state from,
				       enum user_state to, int64_t change)
{
	struct user_move m = { .name = name,
			       .from = from,
			       .to = to,
			       .change = change,
			       .hold_ms = 12000,
			       .retry_ms = 600000,
			       .actor = "test",
			       .why = "because" };

	return store_user_move(s, &m, NULL, &err);
}

/* One legal move from wherever the user is. */
static UNUSED void go_to(const char *name, enum user_state to)
{
	struct user u = numbers_of(name);

	if (move_by(st, name, u.state, to, u.change) != MOVE_DONE)
		fail_msg("%s to %s: %s", name, user_state_name(to), err.text);
}

static UNUSED void go_up_to(const char *name, enum user_state last)
{
	for (int s = (int)numbers_of(name).state + 1; s <= (int)last; s++)
		go_to(name, s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
