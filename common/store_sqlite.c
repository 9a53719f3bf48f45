/* Hides: SQLite. Statements are prepared once and kept; what the pragmas promise is set here.
 */
#include "common/store_driver.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define STATEMENTS_MAX 512 /* each is a literal in store*.c, of which there are some 220 */

struct statement {
	struct rows rows;
	const char *sql;
	sqlite3_stmt *stmt;
	bool open;
};

struct lite {
	struct db db;
	sqlite3 *lite;
	char *path;
	unsigned reading; /* open reads */
	size_t count;
	struct statement statements[STATEMENTS_MAX];
};

static struct lite *lite_of(struct db *db)
{
	return (struct lite *)db;
}

static struct statement *statement_of(struct rows *r)
{
	return (struct statement *)r;
}

static int fail(struct lite *db, struct err *e)
{
	db->db.failures++;
	return err_set(e, ERR_STORE, "store %s: %s", db->path, sqlite3_errmsg(db->lite));
}

/*
 * Opening and closing a file that SQLite has open in this process would drop its POSIX locks,
 * so the file is only touched when it is certain to be new.
 */
static int make_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST
			       ? 0
			       : err_set(e, ERR_STORE, "store %s: %s", path, strerror(errno));
	close(fd);
	return 0;
}

static int check_file(const struct store_opts *o, struct err *e)
{
	struct stat s;

	if (stat(o->path, &s) < 0) {
		if (errno != ENOENT)
			return err_set(e, ERR_STORE, "store %s: %s", o->path, strerror(errno));
		if (o->create)
			return make_file(o->path, e);
	} else if (!S_ISREG(s.st_mode)) {
		return err_set(e, ERR_STORE, "store %s: is not a file", o->path);
	} else if (o->create || s.st_size > 0) {
		return 0;
	}
	return err_set(e, ERR_STORE,
		       "store %s: does not exist (start once with --new-store to make it)",
		       o->path);
}

/*
 * Turning a new file into WAL mode takes a lock that SQLite does not wait for; whoever loses
 * that race finds the file turned by the winner, so it is tried until the time is over.
 */
static int enter_wal(struct lite *db)
{
	const int step_ms = 5;
	int rc = SQLITE_BUSY;

	for (int waited = 0; rc == SQLITE_BUSY && waited < STORE_BUSY_MS; waited += step_ms) {
		rc = sqlite3_exec(db->lite, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
		if (rc == SQLITE_BUSY)
			sqlite3_sleep(step_ms);
	}
	return rc;
}

static void lite_close(struct db *at);

static int lite_open(struct db **out, const struct store_opts *o, struct err *e)
{
	struct lite *db;

	if (check_file(o, e) < 0)
		return -1;
	db = mem_new(sizeof *db);
	db->db.driver = &store_sqlite;
	db->path = mem_str(o->path);
	if (sqlite3_open_v2(o->path, &db->lite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) ||
	    sqlite3_busy_timeout(db->lite, STORE_BUSY_MS) || enter_wal(db) ||
	    sqlite3_exec(db->lite, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF", NULL,
			 NULL, NULL)) {
		fail(db, e);
		lite_close(&db->db);
		return -1;
	}
	*out = &db->db;
	return 0;
}

static void lite_close(struct db *at)
{
	struct lite *db = lite_of(at);

	ASSERT(db->reading == 0);
	for (size_t i = 0; i < db->count; i++)
		sqlite3_finalize(db->statements[i].stmt);
	sqlite3_close(db->lite);
	mem_free(&db->path);
	free(db);
}

static int64_t lite_now_ms(struct db *db UNUSED)
{
	return clock_real_ms();
}

static int lite_begin(struct db *db, struct err *e)
{
	/* A writer whose handle still reads an older state is refused at once, without waiting.
	 */
	ASSERT(lite_of(db)->reading == 0);
	return db_run(db, "BEGIN IMMEDIATE", NO_ARGS, e) < 0 ? -1 : 0;
}

static int lite_rollback(struct db *at);

static int lite_commit(struct db *db, struct err *e)
{
	return db_run(db, "COMMIT", NO_ARGS, e) < 0 ? lite_rollback(db) : 0;
}

static int lite_rollback(struct db *at)
{
	struct lite *db = lite_of(at);

	/* Some errors, a full disk among them, have rolled back already. */
	if (!sqlite3_get_autocommit(db->lite))
		sqlite3_exec(db->lite, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int lite_script(struct db *at, const char *sql, struct err *e)
{
	struct lite *db = lite_of(at);

	return sqlite3_exec(db->lite, sql, NULL, NULL, NULL) ? fail(db, e) : 0;
}

static int lite_has_table(struct db *db, const char *table, struct err *e)
{
	int64_t count;

	if (db_query_int(
		    db, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?1",
		    ARGS(TEXT(table)), &count, e) < 0)
		return -1;
	return count > 0;
}

static bool lite_was_replaced(struct db *db)
{
	int moved = 0;

	return sqlite3_file_control(lite_of(db)->lite, "main", SQLITE_FCNTL_HAS_MOVED,
				    &moved) == SQLITE_OK &&
	       moved;
}

static struct statement *prepare(struct lite *db, const char *sql, struct err *e)
{
	struct statement *r;

	for (size_t i = 0; i < db->count; i++)
		if (db->statements[i].sql == sql)
			return &db->statements[i];
	ASSERT(db->count < STATEMENTS_MAX);
	r = &db->statements[db->count];
	if (sqlite3_prepare_v3(db->lite, sql, -1, SQLITE_PREPARE_PERSISTENT, &r->stmt, NULL)) {
		fail(db, e);
		return NULL;
	}
	r->rows.db = &db->db;
	r->sql = sql;
	db->count++;
	return r;
}

static int bind(struct statement *r, const struct db_value *args, size_t n)
{
	ASSERT((size_t)sqlite3_bind_parameter_count(r->stmt) == n);
	for (size_t i = 0; i < n; i++) {
		int rc = SQLITE_OK;

		switch (args[i].type) {
		case DB_INT:
			rc = sqlite3_bind_int64(r->stmt, (int)i + 1, args[i].i);
			break;
		case DB_TEXT:
			rc = sqlite3_bind_text(r->stmt, (int)i + 1, args[i].text, -1,
					       SQLITE_STATIC);
			break;
		}
		if (rc)
			return rc;
	}
	return SQLITE_OK;
}

static struct rows *lite_query(struct db *at, const char *sql, const struct db_value *args,
			       size_t n, struct err *e)
{
	struct lite *db = lite_of(at);
	struct statement *r = prepare(db, sql, e);

	if (!r)
		return NULL;
	ASSERT(!r->open); /* the same read inside its own callback */
	if (bind(r, args, n)) {
		fail(db, e);
		sqlite3_clear_bindings(r->stmt);
		return NULL;
	}
	r->open = true;
	db->reading++;
	return &r->rows;
}

static int lite_next(struct rows *at, struct err *e)
{
	struct statement *r = statement_of(at);

	switch (sqlite3_step(r->stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return fail(lite_of(at->db), e);
	}
}

static int64_t lite_int(const struct rows *r, int column)
{
	return sqlite3_column_int64(((const struct statement *)r)->stmt, column);
}

static const char *lite_text(const struct rows *r, int column)
{
	return (const char *)sqlite3_column_text(((const struct statement *)r)->stmt, column);
}

static int lite_written(const struct rows *r)
{
	return sqlite3_changes(lite_of(r->db)->lite);
}

static void lite_end(struct rows *at)
{
	struct statement *r = statement_of(at);

	sqlite3_reset(r->stmt);
	sqlite3_clear_bindings(r->stmt);
	r->open = false;
	lite_of(at->db)->reading--;
}

const struct db_driver store_sqlite = {
	.open = lite_open,
	.close = lite_close,
	.now_ms = lite_now_ms,
	.begin = lite_begin,
	.commit = lite_commit,
	.rollback = lite_rollback,
	.script = lite_script,
	.has_table = lite_has_table,
	.was_replaced = lite_was_replaced,
	.query = lite_query,
	.written = lite_written,
	.next = lite_next,
	.get_int = lite_int,
	.get_text = lite_text,
	.end = lite_end,
};
