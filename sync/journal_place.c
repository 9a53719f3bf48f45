/* Hides: the table of folders that move, and how two of them change names in one transaction.
 */
#include "sync/journal_place.h"

#include "sync/journal_impl.h"

void journal_places_free(struct journal_place **at, size_t n)
{
	for (size_t i = 0; *at && i < n; i++) {
		mem_free(&(*at)[i].mailboxid[SIDE_OLD]);
		mem_free(&(*at)[i].mailboxid[SIDE_NEW]);
		mem_free(&(*at)[i].want);
		mem_free(&(*at)[i].step);
	}
	mem_free(at);
}

static char *column(sqlite3_stmt *st, int row, int at)
{
	return mem_str(row > 0 ? (const char *)sqlite3_column_text(st, at) : "");
}

static int read_place(struct journal *j, sqlite3_stmt *st, int64_t folder,
		      struct journal_place *out, struct err *e)
{
	int row;

	sqlite3_reset(st);
	sqlite3_bind_int64(st, 1, folder);
	row = journal_row(j, st, e);
	*out = (struct journal_place){ { column(st, row, 0), column(st, row, 1) },
				       column(st, row, 2),
				       column(st, row, 3) };
	return row < 0 ? -1 : 0;
}

int journal_places(struct journal *j, const struct journal_folder *f, size_t n,
		   struct journal_place **out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j, "SELECT old_id, new_id, want, step FROM place WHERE folder = ?1", e);
	int rc = st ? 0 : -1;

	*out = mem_array(n + 1, sizeof **out);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_place(j, st, f[i].id, &(*out)[i], e);
	sqlite3_finalize(st);
	if (rc < 0)
		journal_places_free(out, n);
	return rc;
}

int journal_place_write(struct journal *j, int64_t folder, const struct journal_place *p,
			struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		"INSERT INTO place(folder, old_id, new_id, want, step) VALUES(?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT(folder) DO UPDATE SET old_id = ?2, new_id = ?3, want = ?4, step = ?5",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	journal_bind_text(st, 2, p->mailboxid[SIDE_OLD]);
	journal_bind_text(st, 3, p->mailboxid[SIDE_NEW]);
	journal_bind_text(st, 4, p->want);
	journal_bind_text(st, 5, p->step);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

static int rename_one(struct journal *j, int64_t folder, enum side s, const char *name,
		      struct err *e)
{
	sqlite3_stmt *st =
		journal_prepare(j,
				s == SIDE_OLD ? "UPDATE folder SET old_name = ?2 WHERE id = ?1"
					      : "UPDATE folder SET new_name = ?2 WHERE id = ?1",
				e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	journal_bind_text(st, 2, name);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_rename(struct journal *j, const struct journal_folder *f, size_t n, enum side s,
		   const char *const *name, struct err *e)
{
	HELD(j);
	char aside[32];

	/* Names are unique: all step aside first, to what no server can call a folder. */
	for (size_t i = 0; i < n; i++) {
		snprintf(aside, sizeof aside, "\n%lld", (long long)f[i].id);
		if (name[i] && rename_one(j, f[i].id, s, aside, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (name[i] && rename_one(j, f[i].id, s, name[i], e) < 0)
			return -1;
	return 0;
}
