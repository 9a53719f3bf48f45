/* Hides: the table of suspects. */
#include "sync/journal_suspect.h"

#include "sync/journal_impl.h"

int journal_suspects(struct journal *j, int64_t folder, struct journal_suspect **out, size_t *n,
		     struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, SUSPECTS, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	while ((rc = journal_row(j, st, e)) > 0) {
		*out = mem_grow(*out, *n + 1, sizeof **out);
		(*out)[(*n)++] = (struct journal_suspect){
			.uid = (uint32_t)sqlite3_column_int64(st, 0),
			.side = sqlite3_column_int(st, 1) ? SIDE_NEW : SIDE_OLD,
			.times = sqlite3_column_int(st, 2),
		};
	}
	if (rc < 0)
		mem_free(out);
	return rc;
}

int journal_suspect_add(struct journal *j, int64_t folder, uint32_t uid, enum side side,
			struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"INSERT INTO suspect(folder, uid, side, times) VALUES(?1, ?2, ?3, 1)"
		" ON CONFLICT(folder, uid) DO UPDATE SET side = ?3, times = times + 1",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int64(st, 2, uid);
	sqlite3_bind_int(st, 3, side);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_suspect_drop(struct journal *j, int64_t folder, uint32_t uid, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j, "DELETE FROM suspect WHERE folder = ?1 AND ?2 IN (0, uid)", e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int64(st, 2, uid);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}
