/* Hides: SQLite, the file, the lock. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "sync/journal_exception.h"
#include "sync/journal_impl.h"

#define DESK_BUSY_MS 500 /* the desk does not wait longer for a worker's transaction */
#define BUSY_MS                                                                      \
	2000 /* a backup reading the file; never another worker, they are locked out \
	      */

struct journal *journal_hold(struct journal *j)
{
	ASSERT(pthread_mutex_lock(&j->mutex) == 0);
	return j;
}

void journal_let_go(struct journal **j)
{
	ASSERT(pthread_mutex_unlock(&(*j)->mutex) == 0);
}

int journal_failed(struct journal *j, struct err *e)
{
	/* Only the desk meets another writer: workers are kept apart by the lock. */
	bool busy = sqlite3_errcode(j->db) == SQLITE_BUSY && j->lock < 0;

	return err_set(e, busy ? ERR_TEMP : ERR_STORE, "journal %s: %s", j->path,
		       sqlite3_errmsg(j->db));
}

/* ---- opening */

int journal_lock(const char *journal, int *fd, struct err *e)
{
	char *path = mem_printf("%s.lock", journal);
	int rc = 0;

	/* The lock file stays: removing it would let two processes lock two files of one name.
	 */
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		rc = err_set(e, ERR_STORE, "journal lock %s: %s", path, strerror(errno));
	else if (flock(*fd, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, errno == EWOULDBLOCK ? ERR_TEMP : ERR_STORE,
			     "journal is in use: %s", path);
	mem_free(&path);
	return rc;
}

int journal_exec(struct journal *j, const char *text, struct err *e)
{
	if (sqlite3_exec(j->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return journal_failed(j, e);
	return 0;
}

static int open_file(struct journal *j, int more_flags, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | more_flags;
	mode_t mask = umask(0077); /* SQLite gives -wal and -shm the mode of the file */
	int rc = sqlite3_open_v2(j->path, &j->db, flags, NULL);

	umask(mask);
	if (rc != SQLITE_OK)
		return err_set(e, ERR_STORE, "journal %s: %s", j->path,
			       j->db ? sqlite3_errmsg(j->db) : sqlite3_errstr(rc));
	if (chmod(j->path, 0600) < 0)
		return err_set(e, ERR_STORE, "journal %s: %s", j->path, strerror(errno));
	sqlite3_busy_timeout(j->db, BUSY_MS);
	if (journal_exec(j, "PRAGMA journal_mode = WAL", e) < 0 ||
	    journal_exec(j, "PRAGMA synchronous = FULL", e) < 0)
		return -1;
	return journal_exec(j, "PRAGMA foreign_keys = ON", e);
}

static struct journal *journal_new(const char *path)
{
	struct journal *j = mem_new(sizeof *j);
	pthread_mutexattr_t recursive;

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&j->mutex, &recursive);
	pthread_mutexattr_destroy(&recursive);
	j->path = mem_str(path);
	j->lock = -1;
	return j;
}

int journal_open(struct journal **out, const char *path, struct err *e)
{
	struct journal *j = journal_new(path);

	if (journal_lock(path, &j->lock, e) < 0 || open_file(j, SQLITE_OPEN_CREATE, e) < 0 ||
	    journal_upgrade(j, e) < 0) {
		journal_close(&j);
		return -1;
	}
	*out = j;
	return 0;
}

static int open_beside(struct journal *j, struct err *e)
{
	int version = 0;

	if (open_file(j, 0, e) < 0)
		return -1;
	sqlite3_busy_timeout(j->db, DESK_BUSY_MS);
	if (journal_version(j, &version, e) < 0)
		return -1;
	if (version == JOURNAL_SCHEMA || version == 0) /* 0: it is just being made */
		return version > 0;
	return err_set(e, ERR_TEMP, "journal %s: no pass of this program has opened it yet",
		       j->path);
}

int journal_open_desk(struct journal **out, const char *path, struct err *e)
{
	struct journal *j;
	int rc;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	j = journal_new(path);
	rc = open_beside(j, e);
	if (rc <= 0)
		journal_close(&j);
	*out = j;
	return rc;
}

void journal_close(struct journal **jp)
{
	struct journal *j = *jp;

	if (!j)
		return;
	if (j->in_transaction)
		journal_rollback(j);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(j->prepared[i]);
	sqlite3_close(j->db);
	if (j->lock >= 0)
		close(j->lock);
	pthread_mutex_destroy(&j->mutex);
	mem_free(&j->path);
	mem_free(jp);
}

/* ---- statements */

/* The statement, prepared once, reset, without values; NULL with *e set. */
sqlite3_stmt *journal_get(struct journal *j, enum statement s, struct err *e)
{
	if (!j->prepared[s] &&
	    sqlite3_prepare_v3(j->db, journal_sql[s], -1, SQLITE_PREPARE_PERSISTENT,
			       &j->prepared[s], NULL) != SQLITE_OK) {
		journal_failed(j, e);
		return NULL;
	}
	sqlite3_reset(j->prepared[s]);
	sqlite3_clear_bindings(j->prepared[s]);
	return j->prepared[s];
}

/* Runs a statement that gives no rows. */
int journal_done(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_DONE)
		journal_failed(j, e);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

/* 1: a row, 0: no more, -1: error. */
int journal_row(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		journal_failed(j, e);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

sqlite3_stmt *journal_prepare(struct journal *j, const char *text, struct err *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(j->db, text, -1, &st, NULL) != SQLITE_OK)
		journal_failed(j, e);
	return st;
}

int journal_finish(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	int rc = journal_done(j, st, e);

	sqlite3_finalize(st);
	return rc < 0 ? -1 : sqlite3_changes(j->db);
}

void journal_bind_text(sqlite3_stmt *st, int at, const char *s)
{
	sqlite3_bind_text(st, at, s ? s : "", -1, SQLITE_STATIC);
}

void journal_bind_id(sqlite3_stmt *st, int at, int64_t id)
{
	if (id)
		sqlite3_bind_int64(st, at, id);
	else
		sqlite3_bind_null(st, at);
}

char *journal_text(sqlite3_stmt *st, int at)
{
	const char *s = (const char *)sqlite3_column_text(st, at);

	return mem_str(s ? s : "");
}

int journal_with_id(struct journal *j, enum statement s, int64_t id, struct err *e)
{
	sqlite3_stmt *st = journal_get(j, s, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	return journal_done(j, st, e);
}

/* ---- transactions */

int journal_begin(struct journal *j, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, BEGIN, e);

	ASSERT(!j->in_transaction);
	if (!st || journal_done(j, st, e) < 0)
		return -1;
	j->in_transaction = true;
	journal_hold(j);
	return 0;
}

static void leave_transaction(struct journal *j)
{
	j->in_transaction = false;
	journal_let_go(&j);
}

int journal_commit(struct journal *j, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, COMMIT, e);

	ASSERT(j->in_transaction);
	if (!st || journal_done(j, st, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	leave_transaction(j);
	return 0;
}

void journal_rollback(struct journal *j)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, ROLLBACK, NULL);

	/* An error inside may have rolled back already; then this one fails, and that is all
	 * right. */
	if (st) {
		sqlite3_step(st);
		sqlite3_reset(st);
	}
	if (j->in_transaction)
		leave_transaction(j);
}
