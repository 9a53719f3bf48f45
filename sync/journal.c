/* Hides: SQLite, the schema, the lock. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "sync/journal_exception.h"
#include "sync/journal_impl.h"

#define DESK_BUSY_MS 500 /* the desk does not wait longer for a worker's transaction */
#define BUSY_MS                                                                      \
	2000 /* a backup reading the file; never another worker, they are locked out \
	      */

static const char schema[] =
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
	/* the UIDVALIDITY under which each side's bytes were compared */
	" old_verified INTEGER NOT NULL DEFAULT 0, new_verified INTEGER NOT NULL DEFAULT 0,"
	" adopted INTEGER NOT NULL DEFAULT 0, batch INTEGER REFERENCES batch(id),"
	" pos INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '');"
	"CREATE UNIQUE INDEX msg_old ON msg(folder, old_uid);"
	"CREATE UNIQUE INDEX msg_new ON msg(folder, new_uid);"
	"CREATE INDEX msg_gone ON msg(raw_sha) WHERE state = 3;"
	"CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;";
_Static_assert(MSG_GONE == 3, "numbers inside the schema");

/* What came later: steps[n] leads from version n to n + 1. A new journal goes through all of
 * them. */
static const char *const steps[] = {
	[0] = schema,
	/* what could not be copied, and what was changed before a server took it */
	[1] = "CREATE TABLE exception(msg INTEGER PRIMARY KEY REFERENCES msg(id) ON DELETE CASCADE,"
	      " kind INTEGER NOT NULL, tried TEXT NOT NULL, subject TEXT NOT NULL,"
	      " file TEXT NOT NULL, server TEXT NOT NULL, since INTEGER NOT NULL,"
	      " retry INTEGER NOT NULL DEFAULT 0, waived INTEGER NOT NULL DEFAULT 0,"
	      " note TEXT NOT NULL DEFAULT '');"
	      "INSERT INTO exception(msg, kind, tried, subject, file, server, since, retry)"
	      " SELECT id, 0, '', '', '', '', 0, 1 FROM msg WHERE state = 2;"
	      "CREATE TABLE repair(msg INTEGER PRIMARY KEY REFERENCES msg(id) ON DELETE CASCADE,"
	      " receipt TEXT NOT NULL, refusal TEXT NOT NULL, at INTEGER NOT NULL,"
	      " size_before INTEGER NOT NULL, size_after INTEGER NOT NULL,"
	      " raw_before BLOB NOT NULL, raw_after BLOB NOT NULL);"
	      "CREATE INDEX repair_before ON repair(raw_before);"
	      "CREATE TABLE difference(msg INTEGER PRIMARY KEY REFERENCES msg(id) ON DELETE CASCADE,"
	      " what TEXT NOT NULL);",
	/* The canonical form is most messages' own now (sync/digest.h). Of others, a comparison
	 * or batch that was not finished then finds a difference, and says so. */
	[2] = "UPDATE msg SET canon_sha = raw_sha WHERE raw_sha IS NOT NULL",
	/* is a stranger's message one of ours? And: which folders had their first trailing pass
	 */
	[3] = "CREATE INDEX msg_canon ON msg(folder, canon_sha);"
	      "ALTER TABLE folder ADD COLUMN trailed INTEGER NOT NULL DEFAULT 0;",
	/* mail read by POP3: what stands for its UIDs (sync/journal_pop3.h); never given twice
	 */
	[4] = "CREATE TABLE pop3(uid INTEGER PRIMARY KEY AUTOINCREMENT, uidl TEXT NOT NULL,"
	      " ordinal INTEGER NOT NULL, size INTEGER NOT NULL);"
	      "CREATE INDEX pop3_uidl ON pop3(uidl, ordinal);",
	/* what folders are known by when they are renamed, and renames under way */
	[5] = "CREATE TABLE place(folder INTEGER PRIMARY KEY REFERENCES folder(id) ON DELETE"
	      " CASCADE, old_id TEXT NOT NULL DEFAULT '', new_id TEXT NOT NULL DEFAULT '',"
	      " want TEXT NOT NULL DEFAULT '', step TEXT NOT NULL DEFAULT '');",
};
_Static_assert(COUNT(steps) == JOURNAL_SCHEMA, "a step to every version");
_Static_assert(MSG_EXCEPTION == 2, "numbers inside the steps");

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	FOLDERS,
	FOLDER_ADD,
	FOLDER_WRITE,
	FORGET_ONE_SIDED_OLD,
	FORGET_ONE_SIDED_NEW,
	RENUMBER_OLD,
	RENUMBER_NEW,
	FOLDER_DROP_MSGS,
	FOLDER_DROP_BATCHES,
	FOLDER_DROP,
	SUBSCRIPTIONS,
	SUBSCRIBE,
	UNSUBSCRIBE,
	MSGS_BY_OLD,
	MSGS_BY_NEW,
	MSGS_BETWEEN_OLD,
	MSGS_BETWEEN_NEW,
	MSGS_OF_BATCH,
	UIDS_OLD,
	UIDS_NEW,
	KNOWS,
	NOT_AFTER,
	REASON,
	NOT_KEPT,
	TRAILED,
	COUNT_MSGS,
	MSG_ADD,
	MSG_WRITE,
	MSG_DIGEST,
	MSG_DROP,
	DIGEST,
	GONE,
	TOTALS,
	BATCH_OPEN,
	BATCH_FENCE,
	BATCH_CLOSE,
	BATCHES,
	FIRST_UID,
	STATEMENTS
};

#define MSG_COLUMNS                                                                         \
	"id, old_uid, new_uid, state, size, date, flags, kept, old_verified, new_verified," \
	" raw_sha IS NOT NULL, adopted, batch, pos"

static const char *const sql[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FOLDERS] =
		"SELECT id, old_name, new_name, old_uidvalidity, new_uidvalidity, old_uidnext,"
		" new_uidnext, old_messages, new_messages, old_modseq, new_modseq, settled,"
		" trailed FROM folder ORDER BY id",
	[FOLDER_ADD] = "INSERT INTO folder(old_name, new_name) VALUES(?1, ?2)",
	[FOLDER_WRITE] =
		"UPDATE folder SET old_uidvalidity = ?2, new_uidvalidity = ?3,"
		" old_uidnext = ?4, new_uidnext = ?5, old_messages = ?6, new_messages = ?7,"
		" old_modseq = ?8, new_modseq = ?9, settled = ?10 WHERE id = ?1",
	[FORGET_ONE_SIDED_OLD] = "DELETE FROM msg WHERE folder = ?1 AND (state NOT IN (0, 1) OR"
				 " (state = 1 AND new_uid IS NULL))",
	[FORGET_ONE_SIDED_NEW] = "DELETE FROM msg WHERE folder = ?1 AND (state NOT IN (0, 1) OR"
				 " (state = 1 AND old_uid IS NULL))",
	[RENUMBER_OLD] = "UPDATE msg SET old_uid = NULL, old_verified = 0 WHERE folder = ?1",
	[RENUMBER_NEW] = "UPDATE msg SET new_uid = NULL, new_verified = 0 WHERE folder = ?1",
	[FOLDER_DROP_MSGS] = "DELETE FROM msg WHERE folder = ?1",
	[FOLDER_DROP_BATCHES] = "DELETE FROM batch WHERE folder = ?1",
	[FOLDER_DROP] = "DELETE FROM folder WHERE id = ?1",
	[SUBSCRIPTIONS] = "SELECT name FROM subscription",
	[SUBSCRIBE] = "INSERT OR IGNORE INTO subscription(name) VALUES(?1)",
	[UNSUBSCRIBE] = "DELETE FROM subscription WHERE name = ?1",
	[MSGS_BY_OLD] =
		"SELECT " MSG_COLUMNS " FROM msg WHERE folder = ?1 ORDER BY old_uid, id",
	[MSGS_BY_NEW] =
		"SELECT " MSG_COLUMNS " FROM msg WHERE folder = ?1 ORDER BY new_uid, id",
	[MSGS_BETWEEN_OLD] =
		"SELECT " MSG_COLUMNS " FROM msg"
		" WHERE folder = ?1 AND old_uid BETWEEN ?2 AND ?3 ORDER BY old_uid",
	[MSGS_BETWEEN_NEW] =
		"SELECT " MSG_COLUMNS " FROM msg"
		" WHERE folder = ?1 AND new_uid BETWEEN ?2 AND ?3 ORDER BY new_uid",
	[MSGS_OF_BATCH] = "SELECT " MSG_COLUMNS " FROM msg"
			  " WHERE folder = ?1 AND batch = ?2 AND state = 0 ORDER BY pos",
	/* What is GONE has left old, whatever its UID there was. */
	[UIDS_OLD] = "SELECT old_uid FROM msg"
		     " WHERE folder = ?1 AND old_uid > 0 AND state <> 3 ORDER BY old_uid",
	[UIDS_NEW] =
		"SELECT new_uid FROM msg WHERE folder = ?1 AND new_uid > 0 ORDER BY new_uid",
	[KNOWS] = "SELECT 1 FROM msg WHERE folder = ?1 AND canon_sha = ?2 AND id <> ?3 LIMIT 1",
	[NOT_AFTER] = "SELECT count(*) FROM msg WHERE folder = ?1 AND state = 1 AND date <= ?2",
	[REASON] = "SELECT reason FROM msg WHERE id = ?1",
	[NOT_KEPT] = "SELECT flags, kept, count(*) FROM msg WHERE state = 1 AND flags <> kept"
		     " GROUP BY flags, kept",
	[TRAILED] = "UPDATE folder SET trailed = ?1 WHERE trailed <> ?1",
	[COUNT_MSGS] =
		"SELECT count(*),"
		" count(*) FILTER (WHERE state = 1 AND (old_verified <> ?2 OR new_verified <> ?3)),"
		" count(*) FILTER (WHERE state = 0),"
		" count(old_uid) FILTER (WHERE state <> 3), count(new_uid),"
		" count(*) FILTER (WHERE state <> 3 AND old_uid < ?4),"
		" count(*) FILTER (WHERE new_uid < ?5) FROM msg WHERE folder = ?1",
	[MSG_ADD] = "INSERT INTO msg(old_uid, new_uid, state, size, date, flags, kept,"
		    " old_verified, new_verified, adopted, batch, pos, reason, folder)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
	[MSG_WRITE] =
		"UPDATE msg SET old_uid = ?1, new_uid = ?2, state = ?3, size = ?4, date = ?5,"
		" flags = ?6, kept = ?7, old_verified = ?8, new_verified = ?9, adopted = ?10,"
		" batch = ?11, pos = ?12, reason = ?13, folder = ?14 WHERE id = ?15",
	[MSG_DIGEST] =
		"UPDATE msg SET raw_sha = ?2, canon_sha = ?3, header_sha = ?4 WHERE id = ?1",
	[MSG_DROP] = "DELETE FROM msg WHERE id = ?1",
	[DIGEST] = "SELECT raw_sha, canon_sha, header_sha FROM msg WHERE id = ?1",
	[GONE] = "SELECT id FROM msg WHERE state = 3 AND raw_sha = ?1"
		 " UNION ALL SELECT id FROM repair JOIN msg ON id = msg"
		 " WHERE state = 3 AND raw_before = ?1 LIMIT 1",
	[TOTALS] =
		"SELECT count(*) FILTER (WHERE msg.state = 1),"
		" coalesce(sum(size) FILTER (WHERE msg.state = 1), 0),"
		" count(*) FILTER (WHERE msg.state = 1 AND old_verified = old_uidvalidity"
		"  AND new_verified = new_uidvalidity AND old_verified > 0 AND new_verified > 0),"
		" count(*) FILTER (WHERE msg.state = 2 AND NOT coalesce(waived, 0)),"
		" count(*) FILTER (WHERE msg.state = 0)"
		" FROM msg JOIN folder ON folder.id = msg.folder"
		" LEFT JOIN exception ON exception.msg = msg.id",
	[BATCH_OPEN] = "INSERT INTO batch(folder, side, uidvalidity, uidnext, fence)"
		       " VALUES(?1, ?2, ?3, ?4, ?5)",
	[BATCH_FENCE] = "UPDATE batch SET fence = ?2 WHERE id = ?1",
	[BATCH_CLOSE] = "UPDATE batch SET open = 0 WHERE id = ?1",
	[BATCHES] = "SELECT id, folder, side, uidvalidity, uidnext, fence FROM batch"
		    " WHERE open = 1 AND (folder = ?1 OR ?1 = 0) ORDER BY id",
	[FIRST_UID] =
		"SELECT min(uidnext) FROM batch WHERE folder = ?1 AND side = ?2 AND uidvalidity = ?3",
};
_Static_assert(COUNT(sql) == STATEMENTS, "a text for every statement");
_Static_assert(MSG_INTENT == 0 && MSG_DONE == 1 && MSG_EXCEPTION == 2,
	       "numbers inside the statements");

struct journal {
	pthread_mutex_t mutex; /* recursive: held by every call, and through a transaction */
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENTS];
	char *path;
	int lock;
	bool in_transaction;
};

struct journal *journal_hold(struct journal *j)
{
	ASSERT(pthread_mutex_lock(&j->mutex) == 0);
	return j;
}

void journal_let_go(struct journal **j)
{
	ASSERT(pthread_mutex_unlock(&(*j)->mutex) == 0);
}

static int failed(struct journal *j, struct err *e)
{
	/* Only the desk meets another writer: workers are kept apart by the lock. */
	bool busy = sqlite3_errcode(j->db) == SQLITE_BUSY && j->lock < 0;

	return err_set(e, busy ? ERR_TEMP : ERR_STORE, "journal %s: %s", j->path,
		       sqlite3_errmsg(j->db));
}

/* ---- opening */

static int take_lock(struct journal *j, struct err *e)
{
	char *path = mem_printf("%s.lock", j->path);
	int rc = 0;

	/* The lock file stays: removing it would let two processes lock two files of one name.
	 */
	j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock < 0)
		rc = err_set(e, ERR_STORE, "journal lock %s: %s", path, strerror(errno));
	else if (flock(j->lock, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, errno == EWOULDBLOCK ? ERR_TEMP : ERR_STORE,
			     "journal is in use: %s", path);
	mem_free(&path);
	return rc;
}

static int run(struct journal *j, const char *text, struct err *e)
{
	if (sqlite3_exec(j->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return failed(j, e);
	return 0;
}

static int read_version(struct journal *j, int *out, struct err *e)
{
	sqlite3_stmt *st;
	int rc = -1;

	if (sqlite3_prepare_v2(j->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
		return failed(j, e);
	if (sqlite3_step(st) == SQLITE_ROW) {
		*out = sqlite3_column_int(st, 0);
		rc = 0;
	}
	sqlite3_finalize(st);
	return rc < 0 ? failed(j, e) : 0;
}

static int make_schema(struct journal *j, struct err *e)
{
	int version = 0;
	char number[64];

	if (read_version(j, &version, e) < 0)
		return -1;
	if (version == JOURNAL_SCHEMA)
		return 0;
	if (version < 0 || version > JOURNAL_SCHEMA)
		return err_set(e, ERR_STORE, "journal %s: schema %d, this program knows %d",
			       j->path, version, JOURNAL_SCHEMA);
	if (run(j, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	for (; version < JOURNAL_SCHEMA; version++)
		if (run(j, steps[version], e) < 0)
			return -1;
	snprintf(number, sizeof number, "PRAGMA user_version = %d; COMMIT", JOURNAL_SCHEMA);
	return run(j, number, e);
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
	if (run(j, "PRAGMA journal_mode = WAL", e) < 0 ||
	    run(j, "PRAGMA synchronous = FULL", e) < 0)
		return -1;
	return run(j, "PRAGMA foreign_keys = ON", e);
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

	if (take_lock(j, e) < 0 || open_file(j, SQLITE_OPEN_CREATE, e) < 0 ||
	    make_schema(j, e) < 0) {
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
	if (read_version(j, &version, e) < 0)
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
static sqlite3_stmt *get(struct journal *j, enum statement s, struct err *e)
{
	if (!j->prepared[s] && sqlite3_prepare_v3(j->db, sql[s], -1, SQLITE_PREPARE_PERSISTENT,
						  &j->prepared[s], NULL) != SQLITE_OK) {
		failed(j, e);
		return NULL;
	}
	sqlite3_reset(j->prepared[s]);
	sqlite3_clear_bindings(j->prepared[s]);
	return j->prepared[s];
}

/* Runs a statement that gives no rows. */
static int finish(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_DONE)
		failed(j, e);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

/* 1: a row, 0: no more, -1: error. */
static int next_row(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		failed(j, e);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

sqlite3_stmt *journal_prepare(struct journal *j, const char *text, struct err *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(j->db, text, -1, &st, NULL) != SQLITE_OK)
		failed(j, e);
	return st;
}

int journal_finish(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	int rc = finish(j, st, e);

	sqlite3_finalize(st);
	return rc < 0 ? -1 : sqlite3_changes(j->db);
}

int journal_row(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	return next_row(j, st, e);
}

void journal_bind_text(sqlite3_stmt *st, int at, const char *s)
{
	sqlite3_bind_text(st, at, s ? s : "", -1, SQLITE_STATIC);
}

static void bind_id(sqlite3_stmt *st, int at, int64_t id)
{
	if (id)
		sqlite3_bind_int64(st, at, id);
	else
		sqlite3_bind_null(st, at);
}

static char *text_of(sqlite3_stmt *st, int at)
{
	const char *s = (const char *)sqlite3_column_text(st, at);

	return mem_str(s ? s : "");
}

static int with_id(struct journal *j, enum statement s, int64_t id, struct err *e)
{
	sqlite3_stmt *st = get(j, s, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	return finish(j, st, e);
}

int journal_begin(struct journal *j, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, BEGIN, e);

	ASSERT(!j->in_transaction);
	if (!st || finish(j, st, e) < 0)
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
	sqlite3_stmt *st = get(j, COMMIT, e);

	ASSERT(j->in_transaction);
	if (!st || finish(j, st, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	leave_transaction(j);
	return 0;
}

void journal_rollback(struct journal *j)
{
	HELD(j);
	sqlite3_stmt *st = get(j, ROLLBACK, NULL);

	/* An error inside may have rolled back already; then this one fails, and that is all
	 * right. */
	if (st)
		(void)finish(j, st, NULL);
	if (j->in_transaction)
		leave_transaction(j);
}

/* ---- folders */

void journal_folders_free(struct journal_folder **f, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		for (int s = 0; s < SIDES; s++)
			mem_free(&(*f)[i].name[s]);
	mem_free(f);
	*n = 0;
}

static void read_folder(sqlite3_stmt *st, struct journal_folder *f)
{
	*f = (struct journal_folder){ .id = sqlite3_column_int64(st, 0) };
	for (int s = 0; s < SIDES; s++) {
		f->name[s] = text_of(st, 1 + s);
		f->state[s] = (struct folder_state){
			.uidvalidity = (uint32_t)sqlite3_column_int64(st, 3 + s),
			.uidnext = (uint32_t)sqlite3_column_int64(st, 5 + s),
			.messages = (uint32_t)sqlite3_column_int64(st, 7 + s),
			.modseq = (uint64_t)sqlite3_column_int64(st, 9 + s),
		};
	}
	f->settled = sqlite3_column_int(st, 11);
	f->trailed = sqlite3_column_int(st, 12);
}

int journal_folders(struct journal *j, struct journal_folder **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, FOLDERS, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	while ((rc = next_row(j, st, e)) > 0) {
		*out = mem_grow(*out, *n + 1, sizeof **out);
		read_folder(st, &(*out)[(*n)++]);
	}
	if (rc < 0)
		journal_folders_free(out, n);
	return rc;
}

int journal_folder_add(struct journal *j, const char *const name[SIDES], int64_t *id,
		       struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, FOLDER_ADD, e);

	if (!st)
		return -1;
	journal_bind_text(st, 1, name[SIDE_OLD]);
	journal_bind_text(st, 2, name[SIDE_NEW]);
	if (finish(j, st, e) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(j->db);
	return 0;
}

int journal_folder_write(struct journal *j, const struct journal_folder *f, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, FOLDER_WRITE, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	for (int s = 0; s < SIDES; s++) {
		sqlite3_bind_int64(st, 2 + s, f->state[s].uidvalidity);
		sqlite3_bind_int64(st, 4 + s, f->state[s].uidnext);
		sqlite3_bind_int64(st, 6 + s, f->state[s].messages);
		sqlite3_bind_int64(st, 8 + s, (int64_t)f->state[s].modseq);
	}
	sqlite3_bind_int(st, 10, f->settled);
	return finish(j, st, e);
}

int journal_renumber(struct journal *j, int64_t id, enum side s, struct err *e)
{
	HELD(j);
	bool old = s == SIDE_OLD;

	if (with_id(j, old ? FORGET_ONE_SIDED_OLD : FORGET_ONE_SIDED_NEW, id, e) < 0)
		return -1;
	return with_id(j, old ? RENUMBER_OLD : RENUMBER_NEW, id, e);
}

int journal_folder_drop(struct journal *j, int64_t id, struct err *e)
{
	HELD(j);
	if (with_id(j, FOLDER_DROP_MSGS, id, e) < 0 ||
	    with_id(j, FOLDER_DROP_BATCHES, id, e) < 0)
		return -1;
	return with_id(j, FOLDER_DROP, id, e);
}

int journal_subscriptions(struct journal *j, journal_name_fn *fn, void *arg, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, SUBSCRIPTIONS, e);
	int rc;

	if (!st)
		return -1;
	while ((rc = next_row(j, st, e)) > 0) {
		rc = fn((const char *)sqlite3_column_text(st, 0), arg);
		if (rc) {
			sqlite3_reset(st);
			return rc;
		}
	}
	return rc;
}

int journal_subscribed(struct journal *j, const char *name, bool yes, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, yes ? SUBSCRIBE : UNSUBSCRIBE, e);

	if (!st)
		return -1;
	journal_bind_text(st, 1, name);
	return finish(j, st, e);
}

/* ---- messages */

static const char *pooled(struct flag_pool *p, sqlite3_stmt *st, int at)
{
	return flags_of(p, slice_of((const char *)sqlite3_column_text(st, at)));
}

static void read_msg(sqlite3_stmt *st, const struct journal_folder *f, struct flag_pool *p,
		     struct journal_msg *m)
{
	*m = (struct journal_msg){
		.id = sqlite3_column_int64(st, 0),
		.state = (enum msg_state)sqlite3_column_int(st, 3),
		.size = (uint64_t)sqlite3_column_int64(st, 4),
		.date = sqlite3_column_int64(st, 5),
		.flags = pooled(p, st, 6),
		.kept = pooled(p, st, 7),
		.hashed = sqlite3_column_int(st, 10),
		.adopted = sqlite3_column_int(st, 11),
		.batch = sqlite3_column_int64(st, 12),
		.pos = sqlite3_column_int(st, 13),
	};
	for (int s = 0; s < SIDES; s++) {
		uint32_t validity = (uint32_t)sqlite3_column_int64(st, 8 + s);

		m->uid[s] = (uint32_t)sqlite3_column_int64(st, 1 + s);
		m->verified[s] = validity && validity == f->state[s].uidvalidity;
	}
}

/* All rows of a statement that is bound, added to *out. */
static int read_msgs(struct journal *j, sqlite3_stmt *st, const struct journal_folder *f,
		     struct flag_pool *p, struct journal_msg **out, size_t *n, struct err *e)
{
	int rc;

	while ((rc = next_row(j, st, e)) > 0) {
		if ((*n & (*n + 1)) == 0) /* full at each power of two less one, at most */
			*out = mem_grow(*out, *n * 2 + 1, sizeof **out);
		read_msg(st, f, p, &(*out)[(*n)++]);
	}
	return rc;
}

int journal_msgs(struct journal *j, const struct journal_folder *f, enum side by,
		 struct flag_pool *p, struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, by == SIDE_OLD ? MSGS_BY_OLD : MSGS_BY_NEW, e);

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	if (read_msgs(j, st, f, p, out, n, e) == 0)
		return 0;
	mem_free(out);
	return -1;
}

int journal_msgs_between(struct journal *j, const struct journal_folder *f, enum side by,
			 uint32_t lo, uint32_t hi, struct flag_pool *p,
			 struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, by == SIDE_OLD ? MSGS_BETWEEN_OLD : MSGS_BETWEEN_NEW, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	sqlite3_bind_int64(st, 2, lo);
	sqlite3_bind_int64(st, 3, hi);
	return read_msgs(j, st, f, p, out, n, e);
}

int journal_batch_msgs(struct journal *j, const struct journal_folder *f, int64_t batch,
		       struct flag_pool *p, struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, MSGS_OF_BATCH, e);

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	sqlite3_bind_int64(st, 2, batch);
	if (read_msgs(j, st, f, p, out, n, e) == 0)
		return 0;
	mem_free(out);
	return -1;
}

int journal_uids(struct journal *j, int64_t folder, enum side s, uint32_t **out, size_t *n,
		 struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, s == SIDE_OLD ? UIDS_OLD : UIDS_NEW, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	while ((rc = next_row(j, st, e)) > 0) {
		if ((*n & (*n + 1)) == 0)
			*out = mem_grow(*out, *n * 2 + 1, sizeof **out);
		(*out)[(*n)++] = (uint32_t)sqlite3_column_int64(st, 0);
	}
	if (rc < 0)
		mem_free(out);
	return rc;
}

int journal_knows(struct journal *j, int64_t folder, const unsigned char canon[DIGEST_SIZE],
		  int64_t but, bool *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, KNOWS, e);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_blob(st, 2, canon, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, but);
	rc = next_row(j, st, e);
	sqlite3_reset(st);
	*out = rc > 0;
	return rc < 0 ? -1 : 0;
}

int journal_not_after(struct journal *j, int64_t folder, int64_t date, int64_t *out,
		      struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, NOT_AFTER, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int64(st, 2, date);
	if (next_row(j, st, e) < 1)
		return -1;
	*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

int journal_reason(struct journal *j, int64_t id, char out[static JOURNAL_REASON_MAX],
		   struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, REASON, e);
	int rc;

	out[0] = '\0';
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	rc = next_row(j, st, e);
	if (rc > 0)
		snprintf(out, JOURNAL_REASON_MAX, "%s",
			 (const char *)sqlite3_column_text(st, 0));
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

int journal_not_kept(struct journal *j, journal_kept_fn *fn, void *arg, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, NOT_KEPT, e);
	int rc;

	if (!st)
		return -1;
	while ((rc = next_row(j, st, e)) > 0) {
		rc = fn((const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 1), sqlite3_column_int64(st, 2),
			arg);
		if (rc) {
			sqlite3_reset(st);
			return rc;
		}
	}
	return rc;
}

int journal_trailed(struct journal *j, bool yes, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, TRAILED, e);

	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, yes);
	return finish(j, st, e);
}

int journal_count(struct journal *j, const struct journal_folder *f, struct journal_counts *out,
		  struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, COUNT_MSGS, e);

	*out = (struct journal_counts){ 0 };
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	for (int s = 0; s < SIDES; s++) {
		sqlite3_bind_int64(st, 2 + s, f->state[s].uidvalidity);
		sqlite3_bind_int64(st, 4 + s, f->state[s].uidnext);
	}
	if (next_row(j, st, e) < 1)
		return -1;
	out->rows = sqlite3_column_int64(st, 0);
	out->unverified = sqlite3_column_int64(st, 1);
	out->in_doubt = sqlite3_column_int64(st, 2);
	for (int s = 0; s < SIDES; s++) {
		out->at[s] = sqlite3_column_int64(st, 3 + s);
		out->below[s] = sqlite3_column_int64(st, 5 + s);
	}
	sqlite3_reset(st);
	return 0;
}

static int write_digest(struct journal *j, int64_t id, const struct digest *d, struct err *e)
{
	sqlite3_stmt *st = get(j, MSG_DIGEST, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_blob(st, 2, d->raw, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, d->canon, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(st, 4, d->header, DIGEST_SIZE, SQLITE_STATIC);
	return finish(j, st, e);
}

int journal_msg_write(struct journal *j, const struct journal_folder *f, struct journal_msg *m,
		      const struct digest *d, const char *reason, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, m->id ? MSG_WRITE : MSG_ADD, e);

	if (!st)
		return -1;
	for (int s = 0; s < SIDES; s++) {
		bind_id(st, 1 + s, m->uid[s]);
		sqlite3_bind_int64(st, 8 + s, m->verified[s] ? f->state[s].uidvalidity : 0);
	}
	sqlite3_bind_int(st, 3, (int)m->state);
	sqlite3_bind_int64(st, 4, (int64_t)m->size);
	sqlite3_bind_int64(st, 5, m->date);
	journal_bind_text(st, 6, m->flags);
	journal_bind_text(st, 7, m->kept);
	sqlite3_bind_int(st, 10, m->adopted);
	bind_id(st, 11, m->batch);
	sqlite3_bind_int(st, 12, m->pos);
	journal_bind_text(st, 13, reason);
	sqlite3_bind_int64(st, 14, f->id);
	if (m->id)
		sqlite3_bind_int64(st, 15, m->id);
	if (finish(j, st, e) < 0)
		return -1;
	if (!m->id)
		m->id = sqlite3_last_insert_rowid(j->db);
	if (!d)
		return 0;
	m->hashed = true;
	return write_digest(j, m->id, d, e);
}

int journal_msg_drop(struct journal *j, int64_t id, struct err *e)
{
	HELD(j);
	return with_id(j, MSG_DROP, id, e);
}

static int read_sha(sqlite3_stmt *st, int at, unsigned char out[DIGEST_SIZE])
{
	if (sqlite3_column_bytes(st, at) != DIGEST_SIZE)
		return -1;
	memcpy(out, sqlite3_column_blob(st, at), DIGEST_SIZE);
	return 0;
}

int journal_digest(struct journal *j, int64_t id, struct digest *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, DIGEST, e);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	rc = next_row(j, st, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || read_sha(st, 0, out->raw) < 0 || read_sha(st, 1, out->canon) < 0 ||
	    read_sha(st, 2, out->header) < 0)
		rc = err_set(e, ERR_STORE, "journal %s: no digest of message %lld", j->path,
			     (long long)id);
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

int journal_gone(struct journal *j, const unsigned char raw[DIGEST_SIZE], int64_t *id,
		 struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, GONE, e);
	int rc;

	*id = 0;
	if (!st)
		return -1;
	sqlite3_bind_blob(st, 1, raw, DIGEST_SIZE, SQLITE_STATIC);
	rc = next_row(j, st, e);
	if (rc > 0)
		*id = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

int journal_totals(struct journal *j, struct journal_totals *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, TOTALS, e);

	if (!st || next_row(j, st, e) < 1)
		return -1;
	out->messages = sqlite3_column_int64(st, 0);
	out->bytes = sqlite3_column_int64(st, 1);
	out->verified = sqlite3_column_int64(st, 2);
	out->exceptions = sqlite3_column_int64(st, 3);
	out->in_doubt = sqlite3_column_int64(st, 4);
	sqlite3_reset(st);
	return 0;
}

/* ---- batches */

int journal_batch_open(struct journal *j, struct journal_batch *b, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, BATCH_OPEN, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, b->folder);
	sqlite3_bind_int(st, 2, (int)b->side);
	sqlite3_bind_int64(st, 3, b->uidvalidity);
	sqlite3_bind_int64(st, 4, b->uidnext);
	sqlite3_bind_int64(st, 5, b->fence);
	if (finish(j, st, e) < 0)
		return -1;
	b->id = sqlite3_last_insert_rowid(j->db);
	return 0;
}

int journal_batch_fence(struct journal *j, int64_t id, int64_t fence, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, BATCH_FENCE, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(st, 2, fence);
	return finish(j, st, e);
}

int journal_batch_close(struct journal *j, int64_t id, struct err *e)
{
	HELD(j);
	return with_id(j, BATCH_CLOSE, id, e);
}

int journal_batches(struct journal *j, int64_t folder, struct journal_batch **out, size_t *n,
		    struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, BATCHES, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	while ((rc = next_row(j, st, e)) > 0) {
		*out = mem_grow(*out, *n + 1, sizeof **out);
		(*out)[(*n)++] = (struct journal_batch){
			.id = sqlite3_column_int64(st, 0),
			.folder = sqlite3_column_int64(st, 1),
			.side = (enum side)sqlite3_column_int(st, 2),
			.uidvalidity = (uint32_t)sqlite3_column_int64(st, 3),
			.uidnext = (uint32_t)sqlite3_column_int64(st, 4),
			.fence = sqlite3_column_int64(st, 5),
		};
	}
	if (rc < 0)
		mem_free(out);
	return rc;
}

int journal_first_uid(struct journal *j, int64_t folder, enum side s, uint32_t uidvalidity,
		      uint32_t *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = get(j, FIRST_UID, e);

	*out = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int(st, 2, (int)s);
	sqlite3_bind_int64(st, 3, uidvalidity);
	if (next_row(j, st, e) < 1)
		return -1;
	*out = (uint32_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}
