/* What an older program left behind opens, and means the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <unistd.h>

#include "sync/journal.h"

static char *folder, *path;

static int make_folder(void **state UNUSED)
{
	folder = mem_str("/tmp/mailferry-journal-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	path = mem_printf("%s/anna.journal", folder);
	return 0;
}

static int remove_folder(void **state UNUSED)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };

	for (size_t i = 0; i < COUNT(ends); i++) {
		char *name = mem_printf("%s%s", path, ends[i]);

		unlink(name);
		free(name);
	}
	rmdir(folder);
	free(folder);
	free(path);
	return 0;
}

static struct journal *opened(void)
{
	struct journal *j;
	struct err e = { 0 };

	if (journal_open(&j, path, &e) < 0)
		fail_msg("%s", e.text);
	return j;
}

static void by_hand(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* As the first program made it; nothing here follows what came later. */
static const char first_schema[] =
	"CREATE TABLE folder(id INTEGER PRIMARY KEY,"
	" old_name TEXT NOT NULL UNIQUE, new_name TEXT NOT NULL UNIQUE,"
	" old_uidvalidity INTEGER NOT NULL DEFAULT 0, new_uidvalidity INTEGER NOT NULL DEFAULT 0,"
	" old_uidnext INTEGER NOT NULL DEFAULT 0, new_uidnext INTEGER NOT NULL DEFAULT 0,"
	" old_messages INTEGER NOT NULL DEFAULT 0, new_messages INTEGER NOT NULL DEFAULT 0,"
	" old_modseq INTEGER NOT NULL DEFAULT 0, new_modseq INTEGER NOT NULL DEFAULT 0,"
	" settled INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE batch(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folder(id),"
	" side INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,"
	" fence INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 1);"
	"CREATE INDEX batch_folder ON batch(folder, open);"
	"CREATE TABLE msg(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folder(id),"
	" old_uid INTEGER, new_uid INTEGER, state INTEGER NOT NULL, size INTEGER NOT NULL,"
	" date INTEGER NOT NULL, flags TEXT NOT NULL, kept TEXT NOT NULL,"
	" raw_sha BLOB, canon_sha BLOB, header_sha BLOB,"
	" old_verified INTEGER NOT NULL DEFAULT 0, new_verified INTEGER NOT NULL DEFAULT 0,"
	" adopted INTEGER NOT NULL DEFAULT 0, batch INTEGER REFERENCES batch(id),"
	" pos INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '');"
	"CREATE UNIQUE INDEX msg_old ON msg(folder, old_uid);"
	"CREATE UNIQUE INDEX msg_new ON msg(folder, new_uid);"
	"CREATE INDEX msg_gone ON msg(raw_sha) WHERE state = 3;"
	"CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;"
	"INSERT INTO folder(id, old_name, new_name) VALUES(7, 'INBOX', 'INBOX');"
	"INSERT INTO msg(id, folder, old_uid, new_uid, state, size, date, flags, kept, raw_sha,"
	" canon_sha, header_sha) VALUES(3, 7, 1, 2, 1, 5, 0, '\\Seen', '\\Seen', zeroblob(32),"
	" x'ff', zeroblob(32));"
	"PRAGMA user_version = 1;";

static void the_first_schema_opens(void **state UNUSED)
{
	static const unsigned char zero[DIGEST_SIZE];
	struct flag_pool *pool = flag_pool_new();
	struct journal_folder *f;
	struct journal_msg *m;
	struct journal *j;
	struct digest d;
	struct err e = { 0 };
	size_t n;

	by_hand(first_schema);
	j = opened();
	assert_int_equal(journal_folders(j, &f, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(journal_msgs(j, f, SIDE_OLD, pool, &m, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(m->uid[SIDE_NEW], 2);
	assert_string_equal(m->kept, "\\Seen");
	assert_int_equal(journal_digest(j, m->id, &d, &e), 0);
	assert_memory_equal(d.canon, zero, DIGEST_SIZE);
	free(m);
	n = 1;
	journal_folders_free(&f, &n);
	journal_close(&j);
	flag_pool_free(&pool);
}

static void a_later_schema_is_left_alone(void **state UNUSED)
{
	struct journal *j = opened();
	struct err e = { 0 };

	journal_close(&j);
	by_hand("PRAGMA user_version = 1000");
	assert_int_equal(journal_open(&j, path, &e), -1);
	assert_int_equal(e.kind, ERR_STORE);
	assert_non_null(strstr(e.text, "schema 1000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_schema_opens, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(a_later_schema_is_left_alone, make_folder,
						remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
