/* Hides: the rows about single messages that people read, and how a person's wish gets in. */
#include "sync/journal_exception.h"

#include "sync/journal_impl.h"

static const char *const kinds[] = {
	[EXCEPTION_OTHER] = "other",
	[EXCEPTION_CONTENT] = "content",
	[EXCEPTION_SIZE] = "size",
	[EXCEPTION_POLICY] = "policy",
	[EXCEPTION_UNREADABLE] = "unreadable",
	[EXCEPTION_ALTERED] = "altered",
};
_Static_assert(COUNT(kinds) == EXCEPTION_KINDS, "a name for every kind");

const char *exception_kind_name(enum exception_kind k)
{
	return kinds[k];
}

int exception_kind_find(const char *name)
{
	for (int i = 0; i < EXCEPTION_KINDS; i++)
		if (strcmp(kinds[i], name) == 0)
			return i;
	return -1;
}

/* ---- exceptions */

int journal_exception_write(struct journal *j, int64_t msg, const struct journal_exception *x,
			    struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"INSERT INTO exception(msg, kind, tried, subject, file, server, since, retry)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(msg) DO UPDATE SET"
		" waived = waived AND kind = ?2, kind = ?2, tried = ?3, subject = ?4,"
		" file = ?5, server = ?6, retry = ?8",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, msg);
	sqlite3_bind_int(st, 2, (int)x->kind);
	journal_bind_text(st, 3, x->tried);
	journal_bind_text(st, 4, x->subject);
	journal_bind_text(st, 5, x->file);
	journal_bind_text(st, 6, x->server);
	sqlite3_bind_int64(st, 7, x->since);
	sqlite3_bind_int(st, 8, x->retry);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

static int drop_of(struct journal *j, const char *sql, int64_t msg, struct err *e)
{
	sqlite3_stmt *st = journal_prepare(j, sql, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, msg);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_exception_end(struct journal *j, int64_t msg, struct err *e)
{
	HELD(j);
	return drop_of(j, "DELETE FROM exception WHERE msg = ?1", msg, e);
}

static const char *text_at(sqlite3_stmt *st, int at)
{
	const char *s = (const char *)sqlite3_column_text(st, at);

	return s ? s : "";
}

static void read_exception(sqlite3_stmt *st, struct journal_exception *x)
{
	int kind = sqlite3_column_int(st, 7);

	*x = (struct journal_exception){
		.folder = text_at(st, 0),
		.msg = sqlite3_column_int64(st, 1),
		.uid = { (uint32_t)sqlite3_column_int64(st, 2),
			 (uint32_t)sqlite3_column_int64(st, 3) },
		.size = (uint64_t)sqlite3_column_int64(st, 4),
		.date = sqlite3_column_int64(st, 5),
		.reason = text_at(st, 6),
		.kind = kind < EXCEPTION_KINDS ? (enum exception_kind)kind : EXCEPTION_OTHER,
		.tried = text_at(st, 8),
		.subject = text_at(st, 9),
		.file = text_at(st, 10),
		.server = text_at(st, 11),
		.since = sqlite3_column_int64(st, 12),
		.retry = sqlite3_column_int(st, 13),
		.waived = sqlite3_column_int(st, 14),
		.note = text_at(st, 15),
	};
}

int journal_exceptions_each(struct journal *j, int64_t folder, journal_except_fn *fn, void *arg,
			    struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, EXCEPTIONS, e);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	while ((rc = journal_row(j, st, e)) > 0) {
		struct journal_exception x;

		read_exception(st, &x);
		rc = fn(&x, arg);
		if (rc)
			break;
	}
	sqlite3_reset(st);
	return rc;
}

static int run_with(struct journal *j, const char *sql, const char *text, struct err *e)
{
	sqlite3_stmt *st = journal_prepare(j, sql, e);

	if (!st)
		return -1;
	if (text)
		journal_bind_text(st, 1, text);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_exceptions_wake(struct journal *j, const char *here, struct err *e)
{
	HELD(j);
	if (run_with(j, "UPDATE exception SET retry = 1 WHERE server <> ?1 AND NOT waived",
		     here, e) < 0)
		return -1;
	return run_with(
		j,
		"UPDATE folder SET settled = 0 WHERE settled AND id IN (SELECT folder FROM"
		" msg JOIN exception ON msg.id = exception.msg WHERE state = 2 AND retry)",
		NULL, e);
}

/* ---- repairs and differences */

int journal_repair_write(struct journal *j, int64_t msg, const struct journal_repair *r,
			 struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"INSERT OR REPLACE INTO repair(msg, receipt, refusal, at, size_before,"
		" size_after, raw_before, raw_after) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, msg);
	journal_bind_text(st, 2, r->receipt);
	journal_bind_text(st, 3, r->refusal);
	sqlite3_bind_int64(st, 4, r->at);
	sqlite3_bind_int64(st, 5, (int64_t)r->before.size);
	sqlite3_bind_int64(st, 6, (int64_t)r->after.size);
	sqlite3_bind_blob(st, 7, r->before.raw, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(st, 8, r->after.raw, DIGEST_SIZE, SQLITE_STATIC);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_repair_drop(struct journal *j, int64_t msg, struct err *e)
{
	HELD(j);
	return drop_of(j, "DELETE FROM repair WHERE msg = ?1", msg, e);
}

static void read_sha(sqlite3_stmt *st, int at, unsigned char out[DIGEST_SIZE])
{
	if (sqlite3_column_bytes(st, at) == DIGEST_SIZE)
		memcpy(out, sqlite3_column_blob(st, at), DIGEST_SIZE);
}

int journal_repairs_each(struct journal *j, journal_repair_fn *fn, void *arg, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"SELECT folder.old_name, old_uid, new_uid, receipt, refusal, at, size_before,"
		" size_after, raw_before, raw_after FROM repair JOIN msg ON msg.id = repair.msg"
		" JOIN folder ON folder.id = msg.folder WHERE msg.state IN (1, 3)"
		" ORDER BY msg.folder, old_uid, msg.id",
		e);
	int rc;

	if (!st)
		return -1;
	while ((rc = journal_row(j, st, e)) > 0) {
		struct journal_repair r = {
			.folder = text_at(st, 0),
			.uid = { (uint32_t)sqlite3_column_int64(st, 1),
				 (uint32_t)sqlite3_column_int64(st, 2) },
			.receipt = text_at(st, 3),
			.refusal = text_at(st, 4),
			.at = sqlite3_column_int64(st, 5),
			.before.size = (uint64_t)sqlite3_column_int64(st, 6),
			.after.size = (uint64_t)sqlite3_column_int64(st, 7),
		};

		read_sha(st, 8, r.before.raw);
		read_sha(st, 9, r.after.raw);
		rc = fn(&r, arg);
		if (rc)
			break;
	}
	sqlite3_finalize(st);
	return rc;
}

int journal_difference(struct journal *j, int64_t msg, const char *what, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st;

	if (!*what)
		return drop_of(j, "DELETE FROM difference WHERE msg = ?1", msg, e);
	st = journal_prepare(j, "INSERT OR REPLACE INTO difference(msg, what) VALUES(?1, ?2)",
			     e);
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, msg);
	journal_bind_text(st, 2, what);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_specials(struct journal *j, struct journal_specials *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"SELECT (SELECT count(*) FROM exception JOIN msg ON msg.id = exception.msg"
		"  WHERE msg.state = 2 AND waived),"
		" (SELECT count(*) FROM repair JOIN msg ON msg.id = repair.msg"
		"  WHERE msg.state = 1), (SELECT count(*) FROM difference)",
		e);
	int rc;

	if (!st)
		return -1;
	rc = journal_row(j, st, e);
	if (rc > 0)
		*out = (struct journal_specials){ sqlite3_column_int64(st, 0),
						  sqlite3_column_int64(st, 1),
						  sqlite3_column_int64(st, 2) };
	sqlite3_finalize(st);
	return rc > 0 ? 0 : -1;
}

/* ---- wishes */

int journal_waive(struct journal *j, const struct exception_choice *c, bool on,
		  const char *note, int *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"UPDATE exception SET waived = ?1, note = ?2 WHERE waived <> ?1 AND msg IN"
		" (SELECT msg.id FROM msg JOIN folder ON folder.id = msg.folder"
		"  WHERE msg.state = 2 AND (?3 = 0 OR folder.old_name = ?4)"
		"  AND (?5 = 0 OR msg.old_uid = ?5)) AND (?6 = 0 OR kind = ?7)",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, on);
	journal_bind_text(st, 2, on ? note : "");
	sqlite3_bind_int(st, 3, c->folder != NULL);
	journal_bind_text(st, 4, c->folder);
	sqlite3_bind_int64(st, 5, c->uid);
	sqlite3_bind_int(st, 6, c->has_kind);
	sqlite3_bind_int(st, 7, c->kind);
	*n = journal_finish(j, st, e);
	return *n < 0 ? -1 : 0;
}

int journal_retry(struct journal *j, int *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		journal_prepare(j, "UPDATE exception SET retry = 1 WHERE waived = 0", e);

	if (!st)
		return -1;
	*n = journal_finish(j, st, e);
	return *n < 0 ? -1 : 0;
}
