/* Hides: the row that marks a journal, and the file as bytes. */
#include "sync/journal_mark.h"

#include "sync/journal_impl.h"

static void take_text(sqlite3_stmt *st, int at, char out[static STORE_EDITION_MAX])
{
	const char *s = (const char *)sqlite3_column_text(st, at);

	snprintf(out, STORE_EDITION_MAX, "%s", s ? s : "");
}

int journal_mark(struct journal *j, struct journal_mark *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, MARK, e);
	int rc;

	*out = (struct journal_mark){ 0 };
	if (!st)
		return -1;
	rc = journal_row(j, st, e);
	if (rc > 0) {
		take_text(st, 0, out->edition);
		take_text(st, 1, out->former);
		out->doubt = sqlite3_column_int(st, 2);
		out->fence = sqlite3_column_int64(st, 3);
		sqlite3_reset(st);
	}
	return rc < 0 ? -1 : 0;
}

int journal_mark_write(struct journal *j, const struct journal_mark *m, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, MARK_WRITE, e);

	if (!st)
		return -1;
	journal_bind_text(st, 1, m->edition);
	journal_bind_text(st, 2, m->former);
	sqlite3_bind_int(st, 3, m->doubt);
	sqlite3_bind_int64(st, 4, m->fence);
	return journal_done(j, st, e);
}

/* What a server says has changed since the last pass is about another last pass. */
static int forget_states(struct journal *j, struct err *e)
{
	return journal_exec(j, "UPDATE folder SET settled = 0, old_modseq = 0, new_modseq = 0",
			    e);
}

int journal_doubt(struct journal *j, const char *edition, struct err *e)
{
	struct journal_mark m = { .doubt = true };

	snprintf(m.edition, sizeof m.edition, "%s", edition);
	if (journal_begin(j, e) < 0)
		return -1;
	if (journal_mark_write(j, &m, e) < 0 || forget_states(j, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/* ---- bytes */

static sqlite3_file *file_of(struct journal *j)
{
	sqlite3_file *f = NULL;

	if (sqlite3_file_control(j->db, "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK)
		return NULL;
	return f && f->pMethods ? f : NULL;
}

int journal_settle(struct journal *j, int64_t *size, struct err *e)
{
	HELD(j);
	sqlite3_int64 n = 0;
	sqlite3_file *f;
	int rc;

	rc = sqlite3_wal_checkpoint_v2(j->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (rc != SQLITE_OK)
		return journal_failed(j, e);
	f = file_of(j);
	if (!f || f->pMethods->xFileSize(f, &n) != SQLITE_OK)
		return err_set(e, ERR_STORE, "journal %s: its size cannot be read", j->path);
	*size = n;
	return 0;
}

/* By SQLite's own descriptor: closing another one of the same file would end its locks. */
int journal_bytes(struct journal *j, int64_t at, void *out, size_t n, struct err *e)
{
	HELD(j);
	sqlite3_file *f = file_of(j);

	if (!f || f->pMethods->xRead(f, out, (int)n, at) != SQLITE_OK)
		return err_set(e, ERR_STORE, "journal %s: cannot be read at %lld", j->path,
			       (long long)at);
	return 0;
}
