/* The store, each operation on a real file, with several handles and several processes. */
#include "common/clock.h"
#include "common/store_driver.h"

#include <poll.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <cmocka.h>

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

static struct store *open_store(bool create)
{
	struct store_opts o = { .path = path, .create = create, .nudge_dir = dir };
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

static struct user_import row(const char *name, const char *const *aliases)
{
	return (struct user_import){ .name = name,
				     .login = { name, name },
				     .wave = "1",
				     .aliases = aliases,
				     .line = 2 };
}

static void add_user(const char *name)
{
	struct user_import r = row(name, NULL);
	struct import_count count;

	OK(store_users_import(st, &r, 1, &count, &err));
	assert_int_equal(count.added, 1);
}

static struct user user_of(const char *name)
{
	struct user u;

	assert_int_equal(store_user_get(st, name, &u, &err), 1);
	return u;
}

/* Only what needs no release. */
static struct user numbers_of(const char *name)
{
	struct user u = user_of(name), numbers = u;

	numbers.name = numbers.wave = numbers.stuck_reason = numbers.progress.pass_error = NULL;
	for (int s = 0; s < SIDES; s++)
		numbers.login[s] = numbers.password_file[s] = NULL;
	user_release(&u);
	return numbers;
}

static void assert_stuck(const char *name, const char *expected)
{
	struct user u = user_of(name);

	assert_string_equal(u.stuck_reason, expected);
	user_release(&u);
}

static enum move_result move_by(struct store *s, const char *name, enum user_state from,
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
static void go_to(const char *name, enum user_state to)
{
	struct user u = numbers_of(name);

	if (move_by(st, name, u.state, to, u.change) != MOVE_DONE)
		fail_msg("%s to %s: %s", name, user_state_name(to), err.text);
}

static void go_up_to(const char *name, enum user_state last)
{
	for (int s = (int)numbers_of(name).state + 1; s <= (int)last; s++)
		go_to(name, s);
}

/* What the database says to a question, past all of our code. */
static int64_t ask(const char *sql)
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

static void do_sql(const char *sql)
{
	sqlite3 *lite;

	assert_int_equal(sqlite3_open(path, &lite), SQLITE_OK);
	assert_int_equal(sqlite3_exec(lite, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(lite);
}

/* ---- opening */

static void test_missing_or_empty(void **state UNUSED)
{
	struct store_opts o = { 0 };
	struct store *s = NULL;
	char other[128], expected[256];
	FILE *f;

	snprintf(other, sizeof other, "%s/other.db", dir);
	snprintf(expected, sizeof expected,
		 "store %s: does not exist (start once with --new-store to make it)", other);
	o.path = other;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(store_open(&s, &o, &err), -1);
		assert_null(s);
		assert_int_equal(err.kind, ERR_STORE);
		assert_string_equal(err.text, expected);
		assert_int_equal(access(other, F_OK), round ? 0 : -1);
		f = fopen(other, "w"); /* the second round: there, but empty */
		fclose(f);
	}
	o.create = true;
	OK(store_open(&s, &o, &err));
	store_close(&s);
	f = fopen(other, "w");
	fputs("this has never been a database, whatever its name says", f);
	fclose(f);
	assert_int_equal(store_open(&s, &o, &err), -1);
	assert_non_null(strstr(err.text, "not a database"));
}

static void test_identity_and_mode(void **state UNUSED)
{
	char id[STORE_ID_MAX];
	struct stat s;

	assert_int_equal(strlen(store_id(st)), 32);
	snprintf(id, sizeof id, "%s", store_id(st));
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	store_close(&st);
	st = open_store(false);
	assert_string_equal(store_id(st), id);
}

static void test_pragmas(void **state UNUSED)
{
	int64_t value;

	OK(db_query_int(st->db, "PRAGMA synchronous", NO_ARGS, &value, &err));
	assert_int_equal(value, 2); /* FULL */
	OK(db_query_int(st->db, "PRAGMA busy_timeout", NO_ARGS, &value, &err));
	assert_int_equal(value, STORE_BUSY_MS);
	OK(db_query_int(st->db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", NO_ARGS,
			&value, &err));
	assert_int_equal(value, 1);
}

static void test_newer_schema(void **state UNUSED)
{
	struct store_opts o = { .path = path, .create = true };
	struct store *s = NULL;

	do_sql("UPDATE meta SET value = '99' WHERE key = 'schema_version'");
	assert_int_equal(store_open(&s, &o, &err), -1);
	assert_non_null(strstr(err.text, "schema version 99 is newer"));
	do_sql("UPDATE meta SET value = '0' WHERE key = 'schema_version'");
	assert_int_equal(store_open(&s, &o, &err), -1);
	assert_non_null(strstr(err.text, "no way from schema version 0"));
}

static void test_migration(void **state UNUSED)
{
	static const char *const way[] = {
		NULL,
		NULL,
		NULL,
		NULL,
		NULL,
		[5] = "CREATE TABLE fifth (a BIGINT); INSERT INTO fifth VALUES (5);",
		[6] = "ALTER TABLE fifth ADD COLUMN b BIGINT NOT NULL DEFAULT 6;",
		[7] = "CREATE TABLE fifth (a BIGINT);",
	};

	do_sql("UPDATE meta SET value = '5' WHERE key = 'schema_version'");
	OK(db_begin(st->db, &err));
	OK(store_migrate(st->db, way, 7, &err));
	OK(db_commit(st->db, &err));
	assert_int_equal(ask("SELECT a * 10 + b FROM fifth"), 56);
	assert_int_equal(ask("SELECT value FROM meta WHERE key = 'schema_version'"), 7);

	/* A step that fails leaves the version where it was. */
	OK(db_begin(st->db, &err));
	assert_int_equal(store_migrate(st->db, way, 8, &err), -1);
	assert_non_null(strstr(err.text, "from schema version 7"));
	db_rollback(st->db);
	assert_int_equal(ask("SELECT value FROM meta WHERE key = 'schema_version'"), 7);
}

/* What the first version made; an older store must become what a new one is. */
static const char schema_1[] =
#include "schema_1_sql.h"
	;

static void make_first_version(void)
{
	store_close(&st);
	assert_int_equal(unlink(path), 0);
	do_sql(schema_1);
}

/* Every table with its columns, every index, in an order that does not depend on history. */
static void write_shape(char *out, size_t size)
{
	sqlite3_stmt *q;
	sqlite3 *db;
	size_t n = 0;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(
			db,
			"SELECT m.name || '.' || c.name || ' ' || c.type || ' ' ||"
			" c.\"notnull\" || ' ' || COALESCE(c.dflt_value, '') || ' ' || c.pk"
			" FROM sqlite_master m JOIN pragma_table_info(m.name) c"
			" WHERE m.type = 'table'"
			" UNION ALL SELECT m.name || ' of ' || m.tbl_name || ' ' || c.seqno ||"
			" ' ' || c.name FROM sqlite_master m JOIN pragma_index_info(m.name) c"
			" WHERE m.type = 'index' ORDER BY 1",
			-1, &q, NULL),
		SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW)
		n += (size_t)snprintf(out + n, size - n, "%s\n", sqlite3_column_text(q, 0));
	assert_true(n > 1000 && n < size);
	sqlite3_finalize(q);
	sqlite3_close(db);
}

static void test_migration_from_the_first_version(void **state UNUSED)
{
	static char fresh[16384], migrated[16384];
	struct user u = { 0 };

	write_shape(fresh, sizeof fresh);
	make_first_version();
	do_sql("INSERT INTO meta VALUES ('schema_version', '1'), ('store_id', 'x');"
	       "INSERT INTO users (name, old_login, new_login, state, change, state_since)"
	       " VALUES ('anna', 'a', 'a', 'trailing', 1, 900), ('bob', 'b', 'b', 'ready', 2, 5);"
	       "INSERT INTO history (name, at, from_state, to_state, direction, change, actor,"
	       " why) VALUES ('anna', 300, 'finalizing', 'trailing', 'forward', 1, 'e', ''),"
	       " ('anna', 700, 'finalizing', 'ready', 'back', 1, 'e', ''),"
	       " ('anna', 800, 'finalizing', 'ready', 'forward', 1, 'e', '')");
	st = open_store(false);
	write_shape(migrated, sizeof migrated);
	assert_string_equal(migrated, fresh);
	assert_int_equal(store_user_get(st, "anna", &u, &err), 1);
	assert_int_equal(u.flipped_at, 700);
	user_release(&u);
	assert_int_equal(store_user_get(st, "bob", &u, &err), 1);
	assert_int_equal(u.flipped_at, 0);
	user_release(&u);
}

/* Several programs of one host start at once on a store that none has made yet. */
static void test_made_by_several_at_once(void **state UNUSED)
{
	pid_t pids[4];
	int status;

	store_close(&st);
	assert_int_equal(unlink(path), 0);
	for (size_t i = 0; i < COUNT(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct store_opts o = { .path = path, .create = true };

			if (store_open(&st, &o, &err) < 0)
				fprintf(stderr, "%s\n", err.text);
			_exit(!st);
		}
	}
	for (size_t i = 0; i < COUNT(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(ask("SELECT COUNT(*) FROM meta WHERE key = 'store_id'"), 1);
}

/* ---- users and import */

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

	OK(store_users_import(st, rows, 2, &count, &err));
	assert_true(count.added == 2 && count.changed == 0 && count.same == 0);
	u = user_of("anna@x.org");
	assert_string_equal(u.login[SIDE_OLD], "anna");
	assert_string_equal(u.login[SIDE_NEW], "anna@x.org");
	assert_string_equal(u.password_file[SIDE_OLD], "/pw/anna");
	assert_null(u.password_file[SIDE_NEW]);
	assert_string_equal(u.wave, "1");
	assert_int_equal(u.state, USER_PENDING);
	assert_true(u.change == 1 && u.epoch == 0 && !u.go && u.attempts == 0);
	user_release(&u);
	assert_int_equal(store_user_get(st, "nobody", &u, &err), 0);

	OK(store_users_import(st, rows, 2, &count, &err));
	assert_true(count.added == 0 && count.changed == 0 && count.same == 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), 2);

	rows[0].password_file[SIDE_OLD] = NULL;
	rows[1].wave = "2";
	OK(store_users_import(st, rows, 2, &count, &err));
	assert_true(count.added == 0 && count.changed == 2 && count.same == 0);
	assert_int_equal(numbers_of("anna@x.org").change, 3);
	/* Only its wave differs: nothing that a node must know. */
	assert_int_equal(numbers_of("bob@x.org").change, 2);
}

static void test_import_all_or_nothing(void **state UNUSED)
{
	struct user_import rows[3] = { row("anna", NULL), row("bob", NULL), row("", NULL) };
	char longer[STORE_NAME_MAX + 2];
	struct import_count count;

	rows[2].line = 7;
	assert_int_equal(store_users_import(st, rows, 3, &count, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.text, "line 7"));
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	rows[2].name = longer;
	assert_int_equal(store_users_import(st, rows, 3, &count, &err), -1);
	rows[2].name = "anna";
	assert_int_equal(store_users_import(st, rows, 3, &count, &err), -1);
	assert_non_null(strstr(err.text, "twice"));
	/* Found after the first two are written already. */
	rows[2] = row("carl", (const char *const[]){ "bob", NULL });
	assert_int_equal(store_users_import(st, rows, 3, &count, &err), -1);
	assert_non_null(strstr(err.text, "alias bob is a name or alias of user bob"));
	assert_int_equal(ask("SELECT COUNT(*) FROM users"), 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), 0);
}

static void test_import_past_ready(void **state UNUSED)
{
	struct user_import r = row("anna", NULL);
	struct import_count count;

	add_user("anna");
	go_up_to("anna", USER_READY);
	r.login[SIDE_NEW] = "anna2";
	OK(store_users_import(st, &r, 1, &count, &err));
	assert_int_equal(count.changed, 1);
	go_to("anna", USER_FREEZING);
	r.wave = "9";
	OK(store_users_import(st, &r, 1, &count, &err));
	assert_int_equal(count.changed, 1);
	/* The cutover under way goes on: its change is the same. */
	go_to("anna", USER_FINALIZING);
	r.login[SIDE_NEW] = "anna3";
	assert_int_equal(store_users_import(st, &r, 1, &count, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_non_null(strstr(err.text, "line 2: user anna: is past ready"));
	r.login[SIDE_NEW] = "anna2";
	r.aliases = (const char *const[]){ "a", NULL };
	assert_int_equal(store_users_import(st, &r, 1, &count, &err), -1);
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

	OK(store_users_import(st, rows, 2, &count, &err));
	assert_aliases("a1=anna a2=anna b1=bob ");
	OK(store_users_import(st, rows, 2, &count, &err));
	assert_int_equal(count.same, 2);
	/* None said: they stay. */
	rows[0].aliases = NULL;
	OK(store_users_import(st, rows, 1, &count, &err));
	assert_int_equal(count.same, 1);
	/* One goes from one user to another in one file, whatever the order of lines. */
	rows[0].aliases = (const char *const[]){ "b1", NULL };
	rows[1].aliases = (const char *const[]){ "a2", NULL };
	OK(store_users_import(st, rows, 2, &count, &err));
	assert_int_equal(count.changed, 2);
	assert_aliases("a2=bob b1=anna ");
	assert_int_equal(numbers_of("bob").change, 4);
	/* A new user cannot take a name that leads to somebody. */
	rows[0] = row("a2", NULL);
	assert_int_equal(store_users_import(st, rows, 1, &count, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	rows[0] = row("carl", (const char *const[]){ "b1", NULL });
	assert_int_equal(store_users_import(st, rows, 1, &count, &err), -1);
	assert_non_null(strstr(err.text, "alias b1 is a name or alias of user anna"));
	/* All aliases of one are dropped. */
	rows[0] = row("anna", (const char *const[]){ NULL });
	OK(store_users_import(st, rows, 1, &count, &err));
	assert_aliases("a2=bob ");
}

struct seen {
	int count, stop_at;
	char first[16], last[16];
	bool go_on; /* move each user on from inside */
};

static int see_user(const struct user *u, void *arg)
{
	struct seen *seen = arg;

	if (seen->count++ == 0)
		snprintf(seen->first, sizeof seen->first, "%s", u->name);
	snprintf(seen->last, sizeof seen->last, "%s", u->name);
	if (seen->go_on)
		go_to(u->name, u->state + 1);
	return seen->count == seen->stop_at ? 7 : 0;
}

static void add_many(int count)
{
	struct user_import *rows = mem_array((size_t)count, sizeof *rows);
	struct import_count done;
	char(*names)[16] = mem_array((size_t)count, sizeof *names);

	for (int i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "u%05d", i);
		rows[i] = row(names[i], NULL);
		rows[i].wave = i % 2 ? "odd" : "even";
	}
	OK(store_users_import(st, rows, (size_t)count, &done, &err));
	mem_free(&rows);
	mem_free(&names);
}

static void test_users_each(void **state UNUSED)
{
	struct user_filter f = { 0 };
	struct seen seen = { 0 };
	int64_t counts[USER_STATES];

	add_many(1203); /* more than two pages */
	OK(store_users_each(st, &f, see_user, &seen, &err));
	assert_int_equal(seen.count, 1203);
	assert_string_equal(seen.last, "u01202");

	seen = (struct seen){ 0 };
	f = (struct user_filter){ .wave = "odd", .after = "u00600", .limit = 5 };
	OK(store_users_each(st, &f, see_user, &seen, &err));
	assert_int_equal(seen.count, 5);
	assert_string_equal(seen.first, "u00601");
	assert_string_equal(seen.last, "u00609");

	seen = (struct seen){ .stop_at = 3, .go_on = true };
	f = (struct user_filter){ .state = USER_PENDING, .has_state = true };
	assert_int_equal(store_users_each(st, &f, see_user, &seen, &err), 7);
	assert_int_equal(seen.count, 3);
	OK(store_users_count(st, NULL, counts, &err));
	assert_int_equal(counts[USER_PENDING], 1200);
	assert_int_equal(counts[USER_PROVISIONED], 3);
	OK(store_users_count(st, "odd", counts, &err));
	assert_int_equal(counts[USER_PENDING], 600);
	assert_int_equal(counts[USER_PROVISIONED], 1);
	assert_int_equal(counts[USER_DONE], 0);
}

static void test_changes_after(void **state UNUSED)
{
	struct seen seen = { 0 };
	int64_t last = -5, top;

	OK(store_changes_after(st, 0, see_user, &seen, &last, &err));
	assert_true(seen.count == 0 && last == -5);
	add_many(1001);
	OK(store_changes_after(st, 0, see_user, &seen, &last, &err));
	assert_true(seen.count == 1001 && last == 1001);
	go_up_to("u00007", USER_SYNCING);
	go_up_to("u00003", USER_PROVISIONED);
	seen = (struct seen){ 0 };
	OK(store_changes_after(st, last, see_user, &seen, &last, &err));
	assert_int_equal(seen.count, 2); /* each once, as it is now, by change */
	assert_string_equal(seen.first, "u00007");
	assert_string_equal(seen.last, "u00003");
	OK(store_last_change(st, &top, &err));
	assert_true(last == 1004 && top == 1004);
}

/* ---- moves */

static void test_way_forward(void **state UNUSED)
{
	struct user u;
	int64_t now;
	int n;

	clock_test_freeze();
	add_user("anna");
	OK(store_users_go(st, "anna", NULL, true, &n, &err));
	go_up_to("anna", USER_FREEZING);
	now = store_now_ms(st);
	u = numbers_of("anna");
	assert_true(u.hold_until == now + 12000 && u.direction == DIR_FORWARD && u.epoch == 0);
	assert_true(u.go && u.state_since == now && u.change == 5);
	clock_test_advance(11999);
	go_to("anna", USER_FINALIZING);
	assert_int_equal(numbers_of("anna").hold_until, now + 12000);
	go_to("anna", USER_TRAILING);
	u = numbers_of("anna");
	assert_true(u.hold_until == 0 && u.epoch == 1 && !u.go && u.change == 7);
	assert_int_equal(u.progress.last_arrival, now + 11999);
	OK(store_users_go(st, "anna", NULL, true, &n, &err));
	assert_int_equal(n, 0);
	go_to("anna", USER_DONE);
	assert_int_equal(ask("SELECT COUNT(*) FROM history"), 7);
	assert_int_equal(ask("SELECT COUNT(*) FROM history h JOIN changes c ON c.id = h.change"
			     " AND c.name = h.name"),
			 7);
}

static void test_way_back(void **state UNUSED)
{
	struct user u;

	add_user("anna");
	go_up_to("anna", USER_TRAILING);
	do_sql("UPDATE users SET go = 1");
	go_to("anna", USER_RETURNING);
	assert_false(numbers_of("anna").go);
	go_to("anna", USER_FREEZING);
	assert_int_equal(numbers_of("anna").direction, DIR_BACK);
	go_to("anna", USER_RETURNING); /* undone */
	u = numbers_of("anna");
	assert_true(u.undos == 1 && u.hold_until == 0 && u.epoch == 1);
	go_to("anna", USER_FREEZING);
	go_to("anna", USER_FINALIZING);
	go_to("anna", USER_READY); /* flipped */
	u = numbers_of("anna");
	assert_true(u.undos == 0 && u.hold_until == 0 && u.epoch == 2 && u.next_try == 0);
}

static void test_move_lost(void **state UNUSED)
{
	int64_t change = 0;
	struct user_move m = { .name = "anna",
			       .from = USER_PENDING,
			       .to = USER_PROVISIONED,
			       .change = 1,
			       .actor = "test",
			       .why = "" };

	add_user("anna");
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_DONE);
	assert_int_equal(change, 2);
	/* Both the state and the change must be as expected. */
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	m.change = 2;
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	m = (struct user_move){ .name = "anna",
				.from = USER_PROVISIONED,
				.to = USER_SYNCING,
				.change = 1,
				.actor = "test",
				.why = "" };
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	m.name = "nobody";
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	assert_int_equal(change, 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM history"), 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), 2);
}

static void test_undo_backs_off(void **state UNUSED)
{
	static const int64_t waits_min[] = { 10, 20, 40, 80 };
	struct progress pass = { .passes = 1 };
	struct user u;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_READY);
	for (int i = 0; i < (int)COUNT(waits_min); i++) {
		go_to("anna", USER_FREEZING);
		assert_stuck("anna", "");
		if (i % 2)
			go_to("anna", USER_FINALIZING);
		go_to("anna", USER_READY);
		/* A good pass in between does not make the next wait shorter. */
		OK(store_user_progress(st, "anna", &pass, &err));
		u = numbers_of("anna");
		assert_int_equal(u.undos, i + 1);
		assert_int_equal(u.next_try, store_now_ms(st) + waits_min[i] * 60000);
		assert_stuck("anna", i + 1 >= STORE_UNDOS_STUCK ? "because" : "");
	}
	OK(store_user_retry(st, "anna", &err));
	u = numbers_of("anna");
	assert_true(u.undos == 0 && u.next_try == 0 && u.attempts == 0);
	assert_stuck("anna", "");
	assert_int_equal(store_user_retry(st, "nobody", &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

static void test_flip_is_dated(void **state UNUSED)
{
	int64_t before = store_now_ms(st);

	add_user("anna");
	go_up_to("anna", USER_FINALIZING);
	assert_int_equal(numbers_of("anna").flipped_at, 0);
	go_to("anna", USER_TRAILING);
	assert_in_range(numbers_of("anna").flipped_at, before, store_now_ms(st));
	do_sql("UPDATE users SET flipped_at = 1");
	go_to("anna", USER_DONE);
	go_to("anna", USER_RETURNING);
	go_to("anna", USER_FREEZING);
	go_to("anna", USER_FINALIZING);
	assert_int_equal(numbers_of("anna").flipped_at, 1);
	go_to("anna", USER_READY);
	assert_in_range(numbers_of("anna").flipped_at, before, store_now_ms(st));
}

static void test_flip_in_time_only(void **state UNUSED)
{
	struct user u;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_FINALIZING);
	u = numbers_of("anna");
	clock_test_advance(12000); /* now == hold_until: over */
	assert_int_equal(move_by(st, "anna", USER_FINALIZING, USER_TRAILING, u.change),
			 MOVE_LOST);
	assert_int_equal(numbers_of("anna").epoch, 0);
	assert_int_equal(move_by(st, "anna", USER_FINALIZING, USER_READY, u.change), MOVE_DONE);
}

static void test_flip_excludes_undo(void **state UNUSED)
{
	struct store *other = open_store(false);
	int64_t change;

	add_user("anna");
	add_user("bob");
	go_up_to("anna", USER_FINALIZING);
	change = numbers_of("anna").change;
	assert_int_equal(move_by(other, "anna", USER_FINALIZING, USER_READY, change),
			 MOVE_DONE);
	assert_int_equal(move_by(st, "anna", USER_FINALIZING, USER_TRAILING, change),
			 MOVE_LOST);
	go_up_to("bob", USER_FINALIZING);
	change = numbers_of("bob").change;
	assert_int_equal(move_by(st, "bob", USER_FINALIZING, USER_TRAILING, change), MOVE_DONE);
	assert_int_equal(move_by(other, "bob", USER_FINALIZING, USER_READY, change), MOVE_LOST);
	assert_int_equal(numbers_of("anna").state, USER_READY);
	assert_int_equal(numbers_of("bob").state, USER_TRAILING);
	store_close(&other);
}

#define HAMMERED 120

/* The child of a race: from wherever the user is, on; says on the pipe which changes it won. */
static NO_RETURN void hammer(int out, bool undo)
{
	struct store *mine = open_store(false);
	struct user u;
	int64_t change;

	do {
		if (store_user_get(mine, "anna", &u, &err) != 1)
			_exit(1);
		struct user_move m = { .name = "anna",
				       .from = u.state,
				       .change = u.change,
				       .hold_ms = 60000,
				       .retry_ms = 1,
				       .actor = "race",
				       .why = "" };

		m.to = u.state == USER_READY		   ? USER_FREEZING
		       : u.state == USER_FREEZING && !undo ? USER_FINALIZING
							   : USER_READY;
		change = u.change;
		user_release(&u);
		switch (store_user_move(mine, &m, &change, &err)) {
		case MOVE_FAILED:
			fprintf(stderr, "%s\n", err.text);
			_exit(1);
		case MOVE_LOST:
			break;
		case MOVE_DONE:
			if (write(out, &change, sizeof change) != sizeof change)
				_exit(1);
			break;
		}
	} while (change < HAMMERED);
	_exit(0); /* without closing: as if killed */
}

static void test_two_processes_race(void **state UNUSED)
{
	int pipes[2][2], status, wins = 0;
	bool won[HAMMERED + 3] = { false };
	pid_t pids[2];
	int64_t change;

	add_user("anna");
	go_up_to("anna", USER_READY);
	store_close(&st);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		pids[i] = fork();
		if (pids[i] == 0)
			hammer(pipes[i][1], i == 1);
		close(pipes[i][1]);
	}
	for (int i = 0; i < 2; i++) {
		while (read(pipes[i][0], &change, sizeof change) == sizeof change) {
			assert_in_range(change, 5, HAMMERED + 2);
			assert_false(won[change]); /* one winner each */
			won[change] = true;
			wins++;
		}
		close(pipes[i][0]);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* What was said to be done is there, though nobody closed the store. */
	st = open_store(false);
	change = numbers_of("anna").change;
	assert_int_equal(wins, change - 4);
	assert_int_equal(ask("SELECT COUNT(*) FROM history"), change - 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM history a JOIN history b ON b.id = a.id + 1"
			     " WHERE a.to_state <> b.from_state OR a.change >= b.change"),
			 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM pragma_integrity_check"
			     " WHERE integrity_check <> 'ok'"),
			 0);
}

static int count_history(const struct history_row *h, void *arg)
{
	struct seen *seen = arg;

	assert_string_equal(h->actor, "test");
	assert_string_equal(h->why, "because");
	seen->count++;
	snprintf(seen->last, sizeof seen->last, "%s", h->to_state);
	return seen->count == seen->stop_at ? 7 : 0;
}

static void test_history(void **state UNUSED)
{
	struct seen seen = { 0 };

	add_user("anna");
	add_user("bob");
	go_up_to("anna", USER_SYNCING);
	go_up_to("bob", USER_READY);
	OK(store_history_each(st, "anna", 0, count_history, &seen, &err));
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.last, "syncing");
	seen = (struct seen){ 0 };
	OK(store_history_each(st, NULL, 1, count_history, &seen, &err));
	assert_int_equal(seen.count, 4);
	seen = (struct seen){ .stop_at = 1 };
	assert_int_equal(store_history_each(st, NULL, 0, count_history, &seen, &err), 7);
	assert_int_equal(seen.count, 1);
}

static void test_go(void **state UNUSED)
{
	int n;

	add_many(4);
	go_up_to("u00001", USER_TRAILING);
	OK(store_users_go(st, NULL, "odd", true, &n, &err));
	assert_int_equal(n, 1); /* the other one is over there already */
	OK(store_users_go(st, "u00000", NULL, true, &n, &err));
	assert_int_equal(n, 1);
	OK(store_users_go(st, "u00000", NULL, true, &n, &err));
	assert_int_equal(n, 0);
	OK(store_users_go(st, "u00000", "odd", true, &n, &err));
	assert_int_equal(n, 0);
	OK(store_users_go(st, NULL, "even", false, &n, &err));
	assert_int_equal(n, 1);
	assert_true(numbers_of("u00003").go && !numbers_of("u00000").go);
}

static int sum_latency(const struct latency_row *l, void *arg)
{
	int64_t *sum = arg;

	assert_int_equal(l->at, store_now_ms(st));
	*sum += l->commands * 1000 + l->typical_us + (l->side == SIDE_NEW ? 100000 : 0);
	return 0;
}

static void test_latency(void **state UNUSED)
{
	int64_t incarnation, sum = 0;

	clock_test_freeze();
	OK(store_node_join(st, "p1", &incarnation, &err));
	OK(store_latency_write(st, "p1", SIDE_OLD, 7, 900, &err));
	OK(store_latency_write(st, "p1", SIDE_OLD, 3, 40, &err)); /* the last one counts */
	OK(store_latency_write(st, "p1", SIDE_NEW, 2, 5, &err));
	OK(store_latency_each(st, sum_latency, &sum, &err));
	assert_int_equal(sum, 3040 + 102005);
	OK(store_node_leave(st, "p1", incarnation, &err)); /* it takes its figures with it */
	sum = 0;
	OK(store_latency_each(st, sum_latency, &sum, &err));
	assert_int_equal(sum, 0);
}

static void test_progress_and_failures(void **state UNUSED)
{
	char no[] = "no";
	struct progress p = { .passes = 3,
			      .pass_ended = 4,
			      .pass_took = 5,
			      .pass_clean = true,
			      .pass_error = no,
			      .messages = 6,
			      .copied = 7,
			      .verified = 8,
			      .exceptions = 9,
			      .bytes = 1LL << 40,
			      .last_arrival = 11,
			      .quota = no,
			      .not_before = 12 };
	struct user u;

	clock_test_freeze();
	add_user("anna");
	OK(store_user_failed(st, "anna", 5000, "old server is away", &err));
	OK(store_user_failed(st, "anna", 6000, "", &err));
	OK(store_user_progress(st, "anna", &p, &err));
	u = user_of("anna");
	assert_true(u.attempts == 2 && u.next_try == store_now_ms(st) + 6000);
	assert_string_equal(u.stuck_reason, "old server is away");
	assert_string_equal(u.progress.pass_error, "no");
	assert_true(u.progress.passes == 3 && u.progress.pass_ended == 4 &&
		    u.progress.pass_took == 5);
	assert_true(u.progress.pass_clean && u.progress.messages == 6 &&
		    u.progress.copied == 7);
	assert_true(u.progress.verified == 8 && u.progress.exceptions == 9);
	assert_true(u.progress.bytes == 1LL << 40 && u.progress.last_arrival == 11);
	assert_string_equal(u.progress.quota, "no");
	assert_int_equal(u.progress.not_before, 12);
	user_release(&u);
	/* A good pass: no failures in a row any more. */
	p.pass_error = NULL;
	p.last_arrival = 10;
	OK(store_user_progress(st, "anna", &p, &err));
	assert_int_equal(numbers_of("anna").attempts, 0);
	assert_int_equal(numbers_of("anna").progress.last_arrival, 11);
	assert_stuck("anna", "");
	OK(store_user_failed(st, "anna", 1, "x", &err));
	go_to("anna", USER_PROVISIONED);
	assert_int_equal(numbers_of("anna").attempts, 0);
	assert_stuck("anna", "");
	assert_int_equal(store_user_progress(st, "nobody", &p, &err), -1);
	assert_int_equal(store_user_failed(st, "nobody", 1, "", &err), -1);
}

/* ---- nodes */

static char seen_build[32];

static int see_node(const struct node_row *n, void *arg)
{
	struct node_row *out = arg;

	*out = *n;
	snprintf(seen_build, sizeof seen_build, "%s", n->build);
	out->node = out->build = NULL;
	return 0;
}

static struct node_row the_node(void)
{
	struct node_row n = { 0 };

	OK(store_nodes_each(st, see_node, &n, &err));
	return n;
}

static void test_leases(void **state UNUSED)
{
	int64_t first, second, now;
	struct node_row n;

	clock_test_freeze();
	OK(store_node_join(st, "p1", &first, &err));
	n = the_node();
	now = store_now_ms(st);
	assert_true(n.incarnation == first && n.pid == getpid() && n.started == now);
	assert_true(n.lease_until == now + STORE_LEASE_MS && n.counts && !n.lapsed &&
		    n.seen == 0);
	clock_test_advance(STORE_LEASE_MS - 1);
	assert_false(the_node().lapsed);
	clock_test_advance(1);
	assert_true(the_node().lapsed && the_node().counts);
	clock_test_advance(STORE_FENCE_MS - STORE_LEASE_MS - 1);
	assert_true(the_node().counts);
	clock_test_advance(1); /* STORE_FENCE_MS after the last renewal */
	assert_false(the_node().counts);
	assert_int_equal(store_node_renew(st, "p1", first, 42, &err), 1);
	n = the_node();
	assert_true(n.counts && !n.lapsed && n.seen == 42);
	/* Started again: the one before has lost its name, and may not take the row away. */
	OK(store_node_join(st, "p1", &second, &err));
	assert_true(second > first);
	assert_int_equal(store_node_renew(st, "p1", first, 43, &err), 0);
	OK(store_node_leave(st, "p1", first, &err));
	assert_int_equal(the_node().incarnation, second);
	OK(store_node_leave(st, "p1", second, &err));
	assert_int_equal(ask("SELECT COUNT(*) FROM nodes"), 0);
}

static void test_node_marks(void **state UNUSED)
{
	struct session_row s = { .id = "a", .proto = "imap", .state = "RELAY" };
	int64_t first, second;

	OK(store_node_join(st, "p1", &first, &err));
	OK(store_node_mark(st, "p1", first, "0.1-abcd", false, &err));
	assert_false(the_node().leaving);
	assert_string_equal(seen_build, "0.1-abcd");
	assert_int_equal(the_node().sessions, 0);
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	OK(store_node_mark(st, "p1", first, "0.1-abcd", true, &err));
	assert_true(the_node().leaving);
	assert_int_equal(the_node().sessions, 1);
	/* The next of its name serves, and hears nothing of the one before. */
	OK(store_node_join(st, "p1", &second, &err));
	OK(store_node_mark(st, "p1", first, "0.1-abcd", true, &err));
	assert_false(the_node().leaving);
	assert_string_equal(seen_build, "");
	assert_int_equal(the_node().sessions, 0);
}

static struct quiet quiet_for(const char *name, int64_t change)
{
	struct quiet q;

	OK(store_quiet(st, name, change, &q, &err));
	return q;
}

static void test_quiet(void **state UNUSED)
{
	int64_t p1, p2, change;
	struct quiet q;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_FREEZING);
	change = numbers_of("anna").change;
	q = quiet_for("anna", change);
	assert_true(q.nodes == 0 && q.acked == 0 && q.lapsed == 0);
	OK(store_node_join(st, "p1", &p1, &err));
	OK(store_node_join(st, "p2", &p2, &err));
	OK(store_blocker(st, "p2", "anna", "session k3f9 APPEND 18/50 MB", &err));
	OK(store_ack(st, "gone", "anna", change, &err)); /* no such node: does not count */
	OK(store_ack(st, "p1", "bob", change, &err));
	OK(store_ack(st, "p2", "anna", change - 1, &err)); /* an earlier freeze */
	OK(store_blocker(st, "p2", "anna", "session k3f9 APPEND 19/50 MB", &err));
	q = quiet_for("anna", change);
	assert_true(q.nodes == 2 && q.acked == 0 && q.lapsed == 0);
	assert_string_equal(q.waiting, "p1: no answer yet; p2: session k3f9 APPEND 19/50 MB");
	OK(store_ack(st, "p1", "anna", change, &err));
	OK(store_ack(st, "p2", "anna", change, &err));
	q = quiet_for("anna", change);
	assert_true(q.nodes == 2 && q.acked == 2);
	assert_string_equal(q.waiting, "");
	assert_int_equal(ask("SELECT COUNT(*) FROM blockers"), 0);
	/* Silent: it acknowledged, but the lease is over. Then it counts no more. */
	clock_test_advance(STORE_LEASE_MS);
	assert_int_equal(store_node_renew(st, "p1", p1, 0, &err), 1);
	q = quiet_for("anna", change);
	assert_true(q.nodes == 2 && q.acked == 2 && q.lapsed == 1);
	assert_string_equal(q.waiting, "p2: silent for 5 s");
	clock_test_advance(STORE_FENCE_MS - STORE_LEASE_MS);
	assert_int_equal(store_node_renew(st, "p1", p1, 0, &err), 1);
	q = quiet_for("anna", change);
	assert_true(q.nodes == 1 && q.acked == 1 && q.lapsed == 0);
	/* Started again: what the one before said does not count. */
	OK(store_node_join(st, "p1", &p1, &err));
	assert_int_equal(quiet_for("anna", change).acked, 0);
}

static void test_freeze_forgets_answers(void **state UNUSED)
{
	add_user("anna");
	go_up_to("anna", USER_READY);
	OK(store_ack(st, "p1", "anna", 1, &err));
	OK(store_blocker(st, "p2", "anna", "x", &err));
	OK(store_blocker(st, "p2", "bob", "x", &err));
	OK(store_blocker(st, "p2", "carl", "x", &err));
	OK(store_blocker(st, "p2", "carl", NULL, &err));
	go_to("anna", USER_FREEZING);
	assert_int_equal(ask("SELECT COUNT(*) FROM acks"), 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM blockers"), 1);
}

static void test_waiting_is_bounded(void **state UNUSED)
{
	int64_t incarnation;
	char node[16];

	for (int i = 0; i < 40; i++) {
		snprintf(node, sizeof node, "proxy-%02d", i);
		OK(store_node_join(st, node, &incarnation, &err));
	}
	assert_int_equal(quiet_for("anna", 1).nodes, 40);
	assert_int_equal(strlen(quiet_for("anna", 1).waiting),
			 sizeof(struct quiet){ 0 }.waiting - 1);
}

/* ---- what nodes and operators tell each other */

static int join_session(const struct session_row *s, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s/%s %s %s %lld; ", s->node, s->id, s->name, s->doing,
		 (long long)s->bytes_down);
	return 0;
}

static void assert_sessions(const struct session_filter *f, const char *expected)
{
	char all[256] = "";

	OK(store_sessions_each(st, f, join_session, all, &err));
	assert_string_equal(all, expected);
}

static void test_sessions(void **state UNUSED)
{
	struct session_row rows[] = {
		{ .id = "s1",
		  .name = "anna",
		  .proto = "imap",
		  .state = "RELAY",
		  .doing = "IDLE" },
		{ .id = "s2", .name = "bob", .proto = "pop3", .state = "PARK" },
	};
	struct session_filter anna = { .name = "anna" }, bob = { .name = "bob" };
	int64_t incarnation;

	OK(store_sessions_write(st, "p1", rows, 0, &err));
	OK(store_sessions_write(st, "p1", rows, 2, &err));
	OK(store_sessions_write(st, "p2", rows, 1, &err));
	rows[0].bytes_down = 1LL << 33;
	rows[1].gone = true;
	OK(store_sessions_write(st, "p1", rows, 2, &err));
	assert_sessions(NULL, "p1/s1 anna IDLE 8589934592; p2/s1 anna IDLE 0; ");
	assert_sessions(&bob, "");
	OK(store_node_join(st, "p1", &incarnation, &err));
	assert_sessions(&anna, "p2/s1 anna IDLE 0; ");
}

static void test_sessions_filtered_in_pages(void **state UNUSED)
{
	static const struct session_row p1[] = {
		{ .id = "a", .name = "bob", .proto = "imap", .side = "old", .state = "RELAY" },
		{ .id = "b", .name = "anna", .proto = "pop3", .side = "new", .state = "RELAY" },
		{ .id = "c", .name = "anna", .proto = "imap", .side = "new", .state = "QUIET" },
		{ .id = "d",
		  .name = "annabel",
		  .proto = "imap",
		  .side = "new",
		  .state = "RELAY" },
	};
	static const struct session_row p2[] = {
		{ .id = "a", .name = "anna", .proto = "imap", .side = "old", .state = "RELAY" },
	};
	struct session_filter f = { 0 };

	OK(store_sessions_write(st, "p1", p1, COUNT(p1), &err));
	OK(store_sessions_write(st, "p2", p2, COUNT(p2), &err));
	assert_sessions(
		&f, "p1/b anna  0; p1/c anna  0; p2/a anna  0; p1/d annabel  0; p1/a bob  0; ");
	f.name = "anna";
	assert_sessions(&f, "p1/b anna  0; p1/c anna  0; p2/a anna  0; ");
	f.after.name = "anna", f.after.node = "p1", f.after.id = "b";
	assert_sessions(&f, "p1/c anna  0; p2/a anna  0; ");
	f.name = NULL;
	assert_sessions(&f, "p1/c anna  0; p2/a anna  0; p1/d annabel  0; p1/a bob  0; ");
	f = (struct session_filter){ .node = "p1", .proto = "imap", .side = "new" };
	assert_sessions(&f, "p1/c anna  0; p1/d annabel  0; ");
	f.state = "RELAY";
	assert_sessions(&f, "p1/d annabel  0; ");
}

static int join_hold(const struct hold_row *h, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s %s %s %lld %lld %s; ", h->node, h->name, h->proto,
		 (long long)h->at, (long long)h->held_ms, h->released_to);
	return 0;
}

static int join_stranger(const struct stranger_row *s, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s %lld %lld; ", s->name, (long long)s->logins,
		 (long long)(s->last_seen - s->first_seen));
	return 0;
}

static int join_usage(const struct usage_row *u, void *arg)
{
	size_t n = strlen(arg);

	snprintf((char *)arg + n, 256 - n, "%s %s %lld %lld; ", u->proto, u->extension,
		 (long long)u->sessions, (long long)(u->last_seen - clock_real_ms()));
	return 0;
}

/* The counts of all nodes add up. */
static void test_usage(void **state UNUSED)
{
	const struct usage_row first[] = { { "imap", "MOVE", 2, 0 }, { "pop3", "TOP", 1, 0 } };
	const struct usage_row second[] = { { "imap", "MOVE", 5, 0 },
					    { "imap", "IDLE", 1, 0 } };
	char text[256] = "";

	clock_test_freeze();
	OK(store_usage_add(st, first, 2, &err));
	clock_test_advance(50);
	OK(store_usage_add(st, second, 2, &err));
	OK(store_usage_each(st, join_usage, text, &err));
	assert_string_equal(text, "imap IDLE 1 0; imap MOVE 7 0; pop3 TOP 1 -50; ");
}

static void test_holds_and_strangers(void **state UNUSED)
{
	char holds[256] = "", strangers[256] = "";

	clock_test_freeze();
	OK(store_hold_add(st, "p1", "anna", "imap", 1000, 250, "new", &err));
	OK(store_hold_add(st, "p1", "bob", "pop3", 2000, 18000, "refused", &err));
	OK(store_holds_each(st, NULL, join_hold, holds, &err));
	assert_string_equal(holds,
			    "p1 anna imap 1000 250 new; p1 bob pop3 2000 18000 refused; ");
	holds[0] = '\0';
	OK(store_holds_each(st, "bob", join_hold, holds, &err));
	assert_string_equal(holds, "p1 bob pop3 2000 18000 refused; ");
	OK(store_stranger(st, "zoe", &err));
	clock_test_advance(77);
	OK(store_stranger(st, "zoe", &err));
	OK(store_stranger(st, "dan", &err));
	OK(store_strangers_each(st, join_stranger, strangers, &err));
	assert_string_equal(strangers, "dan 1 0; zoe 2 77; ");
}

static int join_certificate(const struct certificate_row *c, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s=%lld ", c->name, (long long)c->not_after);
	return 0;
}

static void test_certificates(void **state UNUSED)
{
	const struct certificate_row one[] = { { "", 900 },
					       { "a.test", 500 },
					       { "b.test", 700 } };
	const struct certificate_row two[] = { { "", 900 }, { "a.test", 400 } };
	int64_t incarnation;
	char all[256] = "";

	OK(store_node_join(st, "p2", &incarnation, &err));
	OK(store_certificates_write(st, "p1", one, COUNT(one), &err));
	OK(store_certificates_write(st, "p2", one, COUNT(one), &err));
	OK(store_certificates_write(st, "p2", two, COUNT(two), &err));
	OK(store_certificates_each(st, join_certificate, all, &err));
	assert_string_equal(all, "a.test=400 b.test=700 =900 ");
	OK(store_node_leave(st, "p2", incarnation, &err));
	OK(store_certificates_write(st, "p1", one, 1, &err));
	all[0] = '\0';
	OK(store_certificates_each(st, join_certificate, all, &err));
	assert_string_equal(all, "=900 ");
}

static int join_request(const struct request_row *q, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s(%s,%s) ", q->verb, q->name, q->args);
	return 0;
}

static void test_requests(void **state UNUSED)
{
	char all[256] = "";
	int64_t last = -1;

	OK(store_requests_last(st, &last, &err));
	assert_int_equal(last, 0);
	OK(store_request_add(st, "trace", "anna", "on", &err));
	OK(store_requests_last(st, &last, &err));
	OK(store_request_add(st, "loglevel", NULL, "debug", &err));
	OK(store_request_add(st, "drop", "bob", NULL, &err));
	OK(store_requests_after(st, last, join_request, all, &err));
	assert_string_equal(all, "loglevel(,debug) drop(bob,) ");
}

static int join_answer(const struct answer_row *a, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	if (a->request)
		snprintf(all + n, 256 - n, "%s %lld+%lld/%lld %s; ", a->node,
			 (long long)a->ended, (long long)a->cut, (long long)a->remain,
			 a->doing);
	else
		snprintf(all + n, 256 - n, "%s?; ", a->node);
	return 0;
}

static void assert_answers(int64_t request, const char *expected)
{
	char all[256] = "";

	OK(store_answers_each(st, request, join_answer, all, &err));
	assert_string_equal(all, expected);
}

/* Who is alive since before the request is waited for; who came later has nothing to say. */
static void test_answers(void **state UNUSED)
{
	struct answer_row a = { .ended = 1, .cut = 0, .remain = 2, .doing = "FETCH" };
	int64_t in, id, other;

	OK(store_node_join(st, "p1", &in, &err));
	OK(store_node_join(st, "p2", &in, &err));
	OK(store_node_join(st, "dead", &in, &err));
	do_sql("UPDATE nodes SET lease_until = 1 WHERE node = 'dead'");
	OK(store_request_ask(st, "drop", "anna", "0", &id, &err));
	OK(store_request_ask(st, "drop", "bob", "0", &other, &err));
	OK(store_node_join(st, "late", &in, &err));
	do_sql("UPDATE nodes SET started = started + 10 WHERE node = 'late'");
	assert_answers(id, "p1?; p2?; ");
	a.request = id;
	OK(store_answer(st, "p2", &a, &err));
	assert_answers(id, "p1?; p2 1+0/2 FETCH; ");
	a = (struct answer_row){ .request = id, .ended = 2, .cut = 1 };
	OK(store_answer(st, "p2", &a, &err));
	OK(store_answer(st, "p1", &(struct answer_row){ .request = id }, &err));
	assert_answers(id, "p1 0+0/0 ; p2 2+1/0 ; ");
	assert_answers(other, "p1?; p2?; ");
	OK(store_drain(st, "p2", 0, &other, &err));
	assert_answers(other, "p2?; ");

	do_sql("UPDATE answers SET at = 1 WHERE node = 'p1'");
	OK(store_request_add(st, "drop", "carl", "0", &err));
	assert_int_equal(ask("SELECT COUNT(*) FROM answers"), 1);
}

static int see_drain(const struct node_row *n, void *arg)
{
	int64_t *until = arg;

	if (strcmp(n->node, "p1") == 0)
		*until = n->drain_until;
	return 0;
}

static int64_t drained_until(void)
{
	int64_t until = -1;

	OK(store_nodes_each(st, see_drain, &until, &err));
	return until;
}

/* It outlives a crash, but not a clean end. */
static void test_drain(void **state UNUSED)
{
	int64_t in, id, last;
	char all[256] = "";

	OK(store_requests_last(st, &last, &err));
	OK(store_node_join(st, "p1", &in, &err));
	assert_int_equal(drained_until(), 0);
	OK(store_drain(st, "p2", 7, &id, &err));
	assert_int_equal(drained_until(), 0);
	OK(store_drain(st, NULL, 8, &id, &err));
	assert_int_equal(drained_until(), 8);
	OK(store_node_join(st, "p1", &in, &err));
	assert_int_equal(drained_until(), 8);
	OK(store_drain(st, "p1", 0, &id, &err));
	assert_int_equal(drained_until(), 0);
	OK(store_requests_after(st, last, join_request, all, &err));
	assert_string_equal(all, "drain(p2,7) drain(,8) drain(p1,0) ");
	OK(store_drain(st, "p1", 9, &id, &err));
	OK(store_node_leave(st, "p1", in, &err));
	OK(store_node_join(st, "p1", &in, &err));
	assert_int_equal(drained_until(), 0);
}

/* ---- traces */

static int see_trace(const struct trace_row *t, void *arg)
{
	*(struct trace_row *)arg = *t;
	((struct trace_row *)arg)->name = NULL;
	return 0;
}

static enum trace_end trace_end(int64_t id)
{
	struct trace_row t = { 0 };

	OK(store_traces_each(st, id, see_trace, &t, &err));
	assert_int_equal(t.id, id);
	return t.ended;
}

static int join_line(const struct trace_line *l, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s/%s %s %s; ", l->node, l->session, l->way, l->line);
	return 0;
}

static void test_trace_until_it_is_full(void **state UNUSED)
{
	static const struct trace_line lines[] = {
		{ .at = 1, .session = "a", .way = "C:", .line = "NOOP" },
		{ .at = 2, .session = "b", .way = "S:", .line = "12345" },
	};
	char all[256] = "";
	int64_t id, other, last;

	OK(store_requests_last(st, &last, &err));
	OK(store_trace_start(st, "anna", 60000, 10, &id, &err));
	assert_int_equal(store_trace_live(st, "anna", &err), 1);
	assert_int_equal(store_trace_live(st, "bob", &err), 0);
	assert_int_equal(store_trace_write(st, "p1", id, lines, 2, &err), 1);
	assert_int_equal(trace_end(id), TRACE_LIVE);
	assert_int_equal(store_trace_write(st, "p2", id, lines, 1, &err), 1);
	assert_int_equal(trace_end(id), TRACE_FULL);
	assert_int_equal(store_trace_write(st, "p2", id, lines, 1, &err), 0);
	OK(store_trace_lines_each(st, id, 0, join_line, all, &err));
	assert_string_equal(all, "p1/a C: NOOP; p1/b S: 12345; p2/a C: NOOP; ");
	OK(store_trace_start(st, "anna", 60000, 10, &other, &err));
	assert_int_equal(trace_end(other), TRACE_LIVE);
	all[0] = '\0';
	OK(store_requests_after(st, last, join_request, all, &err));
	assert_non_null(strstr(all, "trace(anna,1 "));
}

static void test_trace_has_one_end(void **state UNUSED)
{
	struct trace_row t = { 0 };
	int64_t first, second, id;
	char name[16];

	OK(store_trace_start(st, "anna", 60000, 10, &first, &err));
	OK(store_trace_start(st, "anna", 60000, 10, &second, &err));
	assert_int_equal(trace_end(first), TRACE_STOPPED);
	OK(store_traces_each(st, 0, see_trace, &t, &err));
	assert_int_equal(t.id, second);
	OK(store_trace_stop(st, "anna", &err));
	assert_int_equal(trace_end(second), TRACE_STOPPED);
	OK(store_trace_start(st, "anna", 60000, 10, &id, &err));
	do_sql("UPDATE traces SET until = 5 WHERE stopped = 0");
	assert_int_equal(trace_end(id), TRACE_TIME);
	assert_int_equal(store_trace_live(st, "anna", &err), 0);
	/* What is older than a day goes with the next one; too many at once are refused. */
	for (int i = 0; i < STORE_TRACES_MAX; i++) {
		snprintf(name, sizeof name, "u%d", i);
		OK(store_trace_start(st, name, 60000, 10, &id, &err));
	}
	assert_int_equal(ask("SELECT COUNT(*) FROM traces WHERE until = 5"), 0);
	assert_int_equal(store_trace_start(st, "one too many", 60000, 10, &id, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
}

/* ---- nudges */

static bool is_nudged(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool nudged = poll(&p, 1, 0) == 1;

	store_nudge_drain(fd);
	return nudged;
}

static void test_nudge(void **state UNUSED)
{
	int64_t incarnation;
	int fd, stale, n;

	OK(store_nudge_listen(dir, "stale", &stale, &err));
	close(stale);
	OK(store_nudge_listen(dir, "p1.nudge", &fd, &err));
	assert_false(is_nudged(fd));
	add_user("anna");
	assert_true(is_nudged(fd));
	assert_false(is_nudged(fd));
	go_to("anna", USER_PROVISIONED);
	assert_true(is_nudged(fd));
	assert_int_equal(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1), MOVE_LOST);
	assert_false(is_nudged(fd));
	OK(store_ack(st, "p1", "anna", 2, &err));
	assert_true(is_nudged(fd));
	OK(store_users_go(st, "anna", NULL, true, &n, &err));
	assert_true(is_nudged(fd));
	OK(store_request_add(st, "drop", "anna", "", &err));
	assert_true(is_nudged(fd));
	OK(store_node_join(st, "p1", &incarnation, &err));
	OK(store_node_renew(st, "p1", incarnation, 0, &err));
	assert_false(is_nudged(fd)); /* every second by every node: wakes nobody */
	OK(store_node_leave(st, "p1", incarnation, &err));
	assert_true(is_nudged(fd));
	/* Nobody takes them: never blocks. */
	for (int i = 0; i < 5000; i++)
		store_nudge(st);
	assert_true(is_nudged(fd));
	/* The follower after this one takes the name over. */
	close(fd);
	OK(store_nudge_listen(dir, "p1.nudge", &fd, &err));
	store_nudge(st);
	assert_true(is_nudged(fd));
	close(fd);
}

/* From another process, into a poll() that waits for it. */
static void test_nudge_wakes(void **state UNUSED)
{
	struct pollfd p = { .events = POLLIN };
	int status;
	pid_t pid;

	OK(store_nudge_listen(dir, "p1", &p.fd, &err));
	add_user("anna");
	store_nudge_drain(p.fd);
	store_close(&st);
	pid = fork();
	if (pid == 0) {
		st = open_store(false);
		_exit(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1) != MOVE_DONE);
	}
	assert_int_equal(poll(&p, 1, 10000), 1);
	st = open_store(false);
	/* Nudged after the commit: what it is about can be read. */
	assert_int_equal(numbers_of("anna").state, USER_PROVISIONED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(p.fd);
}

static void test_nudge_names(void **state UNUSED)
{
	char longer[sizeof((struct sockaddr_un){ 0 }.sun_path)];
	int fd = -1;

	memset(longer, 'n', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(store_nudge_listen(dir, longer, &fd, &err), -1);
	assert_non_null(strstr(err.text, "longer than the 107 bytes"));
	assert_int_equal(store_nudge_listen(dir, "../x", &fd, &err), -1);
	assert_int_equal(store_nudge_listen(dir, "", &fd, &err), -1);
	assert_int_equal(store_nudge_listen("/nonexistent", "x", &fd, &err), -1);
	assert_int_equal(fd, -1);
}

/* ---- trouble */

static void test_waits_for_a_writer(void **state UNUSED)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	add_user("anna");
	store_close(&st);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		st = open_store(false);
		if (db_begin(st->db, &err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(50000); /* holds the lock a while; the result does not depend on it */
		_exit(db_commit(st->db, &err) < 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	st = open_store(false);
	go_to("anna", USER_PROVISIONED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

static void test_foreign_rows(void **state UNUSED)
{
	struct user u;

	add_user("anna");
	do_sql("UPDATE users SET state = 'elsewhere'");
	assert_int_equal(store_user_get(st, "anna", &u, &err), -1);
	assert_int_equal(err.kind, ERR_STORE);
	assert_non_null(strstr(err.text, "user anna: unknown state"));
	assert_int_equal(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1), MOVE_FAILED);
}

/* A write that fails half-way leaves nothing, and the handle is usable. */
static void test_failed_write(void **state UNUSED)
{
	add_user("anna");
	do_sql("ALTER TABLE history RENAME TO history_away");
	assert_int_equal(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1), MOVE_FAILED);
	assert_int_equal(err.kind, ERR_STORE);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), 1);
	do_sql("ALTER TABLE history_away RENAME TO history");
	assert_int_equal(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1), MOVE_DONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	/* Those that need a clock that runs come first: it cannot be started again. */
	const struct CMUnitTest tests[] = {
		TEST(test_missing_or_empty),
		TEST(test_identity_and_mode),
		TEST(test_pragmas),
		TEST(test_newer_schema),
		TEST(test_migration),
		TEST(test_migration_from_the_first_version),
		TEST(test_made_by_several_at_once),
		TEST(test_two_processes_race),
		TEST(test_waits_for_a_writer),
		TEST(test_nudge_wakes),
		TEST(test_import),
		TEST(test_import_all_or_nothing),
		TEST(test_import_past_ready),
		TEST(test_aliases),
		TEST(test_users_each),
		TEST(test_changes_after),
		TEST(test_way_forward),
		TEST(test_way_back),
		TEST(test_move_lost),
		TEST(test_undo_backs_off),
		TEST(test_flip_is_dated),
		TEST(test_flip_in_time_only),
		TEST(test_flip_excludes_undo),
		TEST(test_history),
		TEST(test_go),
		TEST(test_progress_and_failures),
		TEST(test_leases),
		TEST(test_node_marks),
		TEST(test_quiet),
		TEST(test_freeze_forgets_answers),
		TEST(test_waiting_is_bounded),
		TEST(test_sessions),
		TEST(test_sessions_filtered_in_pages),
		TEST(test_holds_and_strangers),
		TEST(test_usage),
		TEST(test_latency),
		TEST(test_answers),
		TEST(test_drain),
		TEST(test_trace_until_it_is_full),
		TEST(test_trace_has_one_end),
		TEST(test_certificates),
		TEST(test_requests),
		TEST(test_nudge),
		TEST(test_nudge_names),
		TEST(test_foreign_rows),
		TEST(test_failed_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
