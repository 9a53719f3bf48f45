/* Hides: that one walk over all rows gives every folder's numbers. */
#include "sync/journal_uids.h"

#include "sync/journal_impl.h"

static const char survey[] =
	"SELECT f.old_name, f.new_name, f.old_uidvalidity, f.old_uidnext, f.old_messages,"
	" f.new_uidvalidity, f.new_uidnext, f.new_messages, f.settled,"
	" COALESCE(m.paired, 0), COALESCE(m.equal, 0), COALESCE(m.on_new, 0),"
	" COALESCE(m.lowest, 0) FROM folder f LEFT JOIN (SELECT folder,"
	" SUM(state = 1 AND old_uid IS NOT NULL AND new_uid IS NOT NULL) AS paired,"
	" SUM(state = 1 AND old_uid = new_uid) AS equal, COUNT(new_uid) AS on_new,"
	" MIN(CASE WHEN state = 1 AND old_uid IS NOT NULL THEN new_uid END) AS lowest"
	" FROM msg GROUP BY folder) m ON m.folder = f.id ORDER BY f.id";
_Static_assert(MSG_DONE == 1, "a number inside the statement");

static struct folder_state state_at(sqlite3_stmt *st, int column)
{
	return (struct folder_state){
		.uidvalidity = (uint32_t)sqlite3_column_int64(st, column),
		.uidnext = (uint32_t)sqlite3_column_int64(st, column + 1),
		.messages = (uint32_t)sqlite3_column_int64(st, column + 2),
	};
}

static int tell(sqlite3_stmt *st, journal_uid_fn *fn, void *arg)
{
	struct journal_uid_row r = {
		.name = { (const char *)sqlite3_column_text(st, 0),
			  (const char *)sqlite3_column_text(st, 1) },
		.state = { [SIDE_OLD] = state_at(st, 2), [SIDE_NEW] = state_at(st, 5) },
		.settled = sqlite3_column_int(st, 8),
		.paired = sqlite3_column_int64(st, 9),
		.equal = sqlite3_column_int64(st, 10),
		.on_new = sqlite3_column_int64(st, 11),
		.lowest = (uint32_t)sqlite3_column_int64(st, 12),
	};

	return fn(&r, arg);
}

int journal_uid_survey(struct journal *j, journal_uid_fn *fn, void *arg, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(j, survey, e);
	int got, rc = 0;

	if (!st)
		return -1;
	while (rc == 0 && (got = journal_row(j, st, e)) != 0)
		rc = got < 0 ? -1 : tell(st, fn, arg);
	sqlite3_finalize(st);
	return rc;
}
