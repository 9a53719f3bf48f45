/* The store in a file: how it is made, brought to the present schema, and what if it cannot be
 * written. */
#include "tests/unit/store_stage.h"

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
	static char fresh[24576], migrated[24576];
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
		TEST(test_waits_for_a_writer),
		TEST(test_foreign_rows),
		TEST(test_failed_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
