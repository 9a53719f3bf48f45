/* Hides: the table of unique ids by UID. */
#include "sync/journal_uidl.h"

#include "sync/journal_impl.h"

void journal_uidls_free(struct journal_uidl **at, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		mem_free(&(*at)[i].uidl);
	mem_free(at);
	*n = 0;
}

int journal_uidls(struct journal *j, enum side s, uint32_t uidvalidity,
		  struct journal_uidl **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"SELECT uid, uidl FROM uidl WHERE side = ?1 AND uidvalidity = ?2 ORDER BY uid",
		e);
	size_t room = 0;
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, (int)s);
	sqlite3_bind_int64(st, 2, uidvalidity);
	while ((rc = journal_row(j, st, e)) > 0) {
		if (*n == room) {
			room = room ? room * 2 : 64;
			*out = mem_grow(*out, room, sizeof **out);
		}
		(*out)[(*n)++] = (struct journal_uidl){
			(uint32_t)sqlite3_column_int64(st, 0),
			mem_str((const char *)sqlite3_column_text(st, 1)),
		};
	}
	sqlite3_finalize(st);
	if (rc < 0)
		journal_uidls_free(out, n);
	return rc;
}

static int forget(struct journal *j, enum side s, struct err *e)
{
	sqlite3_stmt *st = journal_prepare(j, "DELETE FROM uidl WHERE side = ?1", e);

	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, (int)s);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

static int write_one(struct journal *j, sqlite3_stmt *st, const struct journal_uidl *u,
		     struct err *e)
{
	int rc;

	sqlite3_reset(st);
	sqlite3_bind_int64(st, 3, u->uid);
	journal_bind_text(st, 4, u->uidl);
	rc = journal_row(j, st, e);
	return rc < 0 ? -1 : 0;
}

static int write_all(struct journal *j, enum side s, uint32_t uidvalidity,
		     const struct journal_uidl *at, size_t n, struct err *e)
{
	sqlite3_stmt *st = journal_prepare(
		j, "INSERT INTO uidl(side, uidvalidity, uid, uidl) VALUES(?1, ?2, ?3, ?4)", e);
	int rc = st ? 0 : -1;

	if (st) {
		sqlite3_bind_int(st, 1, (int)s);
		sqlite3_bind_int64(st, 2, uidvalidity);
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = write_one(j, st, &at[i], e);
	sqlite3_finalize(st);
	return rc;
}

int journal_uidls_write(struct journal *j, enum side s, uint32_t uidvalidity,
			const struct journal_uidl *at, size_t n, struct err *e)
{
	if (journal_begin(j, e) < 0)
		return -1;
	if (forget(j, s, e) < 0 || write_all(j, s, uidvalidity, at, n, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}
