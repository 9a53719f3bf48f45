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
	" MIN(CASE WHEN state = 1 AND old_uid <> new_uid THEN new_uid END) AS lowest"
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

int journal_uid_numbers(struct journal *j, int64_t folder, struct uid_numbers *out,
			struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"SELECT COUNT(*), COALESCE(SUM(old_uid = new_uid), 0),"
		" COALESCE(MIN(CASE WHEN old_uid <> new_uid THEN new_uid END), 0) FROM msg"
		" WHERE folder = ?1 AND state = 1 AND old_uid IS NOT NULL AND new_uid IS NOT"
		" NULL",
		e);
	int got;

	*out = (struct uid_numbers){ 0 };
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	got = journal_row(j, st, e);
	if (got > 0)
		*out = (struct uid_numbers){ sqlite3_column_int64(st, 0),
					     sqlite3_column_int64(st, 1),
					     (uint32_t)sqlite3_column_int64(st, 2) };
	sqlite3_finalize(st);
	return got < 0 ? -1 : 0;
}

/* ---- what was chosen */

static void read_state(sqlite3_stmt *st, struct uid_state *out)
{
	int mode = sqlite3_column_int(st, 0);

	*out = (struct uid_state){
		.known = true,
		.mode = mode < UID_MODES ? (enum uid_mode)mode : UID_PLAIN,
		.filler = (uint32_t)sqlite3_column_int64(st, 2),
		.fence = sqlite3_column_int64(st, 3),
	};
	snprintf(out->why, sizeof out->why, "%s", (const char *)sqlite3_column_text(st, 1));
}

/* The one row, if there is one; finalizes. */
static int take_state(struct journal *j, sqlite3_stmt *st, struct uid_state *out, struct err *e)
{
	int got = journal_row(j, st, e);

	*out = (struct uid_state){ 0 };
	if (got > 0)
		read_state(st, out);
	sqlite3_finalize(st);
	return got < 0 ? -1 : 0;
}

int journal_uid_state(struct journal *j, int64_t folder, struct uid_state *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j, "SELECT mode, why, filler, fence FROM uids WHERE folder = ?1", e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	return take_state(j, st, out, e);
}

int journal_uid_state_of(struct journal *j, const char *old_name, struct uid_state *out,
			 struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"SELECT mode, why, filler, fence FROM uids JOIN folder ON id = folder"
		" WHERE old_name = ?1",
		e);

	if (!st)
		return -1;
	journal_bind_text(st, 1, old_name);
	return take_state(j, st, out, e);
}

int journal_uid_state_write(struct journal *j, int64_t folder, const struct uid_state *s,
			    struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"INSERT INTO uids(folder, mode, why, filler, fence) VALUES(?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT(folder) DO UPDATE SET mode = ?2, why = ?3, filler = ?4, fence = ?5",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int(st, 2, (int)s->mode);
	journal_bind_text(st, 3, s->why);
	sqlite3_bind_int64(st, 4, s->filler);
	sqlite3_bind_int64(st, 5, s->fence);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_uid_why(struct journal *j, enum uid_mode m, char folder[static JOURNAL_REASON_MAX],
		    char why[static UIDS_WHY_MAX], struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"SELECT f.old_name, u.why FROM uids u JOIN folder f ON f.id = u.folder"
		" WHERE u.mode = ?1 AND u.why <> '' ORDER BY f.id LIMIT 1",
		e);
	int got;

	folder[0] = why[0] = '\0';
	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, (int)m);
	got = journal_row(j, st, e);
	if (got > 0) {
		snprintf(folder, JOURNAL_REASON_MAX, "%s",
			 (const char *)sqlite3_column_text(st, 0));
		snprintf(why, UIDS_WHY_MAX, "%s", (const char *)sqlite3_column_text(st, 1));
	}
	sqlite3_finalize(st);
	return got < 0 ? -1 : 0;
}
