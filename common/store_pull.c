/* Hides: the table of pulls. */
#include "common/store_pull.h"

#include "common/store_driver.h"

static const char *const state_names[] = {
	[PULL_WAITING] = "waiting", [PULL_RUNNING] = "running", [PULL_DONE] = "done",
	[PULL_FAILED] = "failed",   [PULL_STUCK] = "stuck",
};
_Static_assert(COUNT(state_names) == PULL_STATES, "a name for every state");

const char *pull_state_name(enum pull_state s)
{
	return state_names[s];
}

bool pull_state_holds(enum pull_state s)
{
	return s == PULL_WAITING || s == PULL_RUNNING || s == PULL_STUCK;
}

static int find_state(const char *name, enum pull_state *out, struct err *e)
{
	for (int i = 0; i < PULL_STATES; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*out = (enum pull_state)i;
			return 0;
		}
	}
	return err_set(e, ERR_STORE, "pulls: no state \"%.40s\"", name);
}

static int write_row(struct db *db, const struct pull_row *r, struct err *e)
{
	return db_run(
		db,
		"INSERT INTO pulls (name, state, job, text, tries, asked, migrated, skipped,"
		" failed, total, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
		" ON CONFLICT (name) DO UPDATE SET state = excluded.state,"
		" job = excluded.job, text = excluded.text, tries = excluded.tries,"
		" asked = excluded.asked, migrated = excluded.migrated,"
		" skipped = excluded.skipped, failed = excluded.failed,"
		" total = excluded.total, bytes = excluded.bytes",
		ARGS(TEXT(r->name), TEXT(state_names[r->state]), TEXT(text_of(r->job)),
		     TEXT(text_of(r->text)), INT(r->tries), INT(r->asked), INT(r->migrated),
		     INT(r->skipped), INT(r->failed), INT(r->total), INT(r->bytes)),
		e);
}

int store_pulls_write(struct store *st, const struct pull_row *rows, size_t n, struct err *e)
{
	int rc = 0;

	if (store_begin_work(st, e) < 0)
		return -1;
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = write_row(st->db, &rows[i], e);
	return store_end_work(st, rc, e);
}

int store_pulls_drop(struct store *st, char *const *names, size_t n, struct err *e)
{
	int rc = 0;

	if (store_begin_work(st, e) < 0)
		return -1;
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = db_run(st->db, "DELETE FROM pulls WHERE name = ?1", ARGS(TEXT(names[i])),
			    e);
	return store_end_work(st, rc, e);
}

#define LONG_OVER                                                                           \
	" FROM pulls WHERE state IN ('done', 'failed') AND asked < ?1 AND EXISTS (SELECT 1" \
	" FROM users WHERE users.name = pulls.name AND users.state = 'done')"

static int tell_names(struct rows *r, store_pull_name_fn *fn, void *arg, struct err *e)
{
	int got, rc = 0;

	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : fn(rows_text(r, 0), arg);
	return rc;
}

int store_pulls_erase(struct store *st, int64_t keep_ms, store_pull_name_fn *fn, void *arg,
		      struct err *e)
{
	int64_t before = db_now_ms(st->db) - keep_ms;
	struct rows *r;
	int rc;

	if (store_begin_work(st, e) < 0)
		return -1;
	r = db_query(st->db, "SELECT name" LONG_OVER, ARGS(INT(before)), e);
	rc = r ? tell_names(r, fn, arg, e) : -1;
	if (r)
		rows_end(&r);
	if (rc == 0)
		rc = db_run(st->db, "DELETE" LONG_OVER, ARGS(INT(before)), e);
	return store_end_work(st, rc, e);
}

int store_pulls_each(struct store *st, store_pull_fn *fn, void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT name, state, job, text, tries, asked, migrated, skipped,"
			 " failed, total, bytes FROM pulls ORDER BY asked, name",
			 NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct pull_row row = { .name = rows_text(r, 0),
					.job = rows_text(r, 2),
					.text = rows_text(r, 3),
					.tries = (int)rows_int(r, 4),
					.asked = rows_int(r, 5),
					.migrated = rows_int(r, 6),
					.skipped = rows_int(r, 7),
					.failed = rows_int(r, 8),
					.total = rows_int(r, 9),
					.bytes = rows_int(r, 10) };

		rc = got < 0 || find_state(rows_text(r, 1), &row.state, e) < 0 ? -1
									       : fn(&row, arg);
	}
	rows_end(&r);
	return rc;
}

int store_pulls_ready(struct store *st, store_pull_name_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT pulls.name FROM pulls LEFT JOIN users ON users.name ="
				  " pulls.name WHERE pulls.state = 'waiting' AND"
				  " COALESCE(users.state, '') <> 'pending'",
				  NO_ARGS, e);
	int rc = r ? tell_names(r, fn, arg, e) : -1;

	if (r)
		rows_end(&r);
	return rc;
}

int store_pull_count(struct store *st, const char *wave, int64_t out[static PULL_STATES],
		     struct err *e)
{
	/* One statement for both would read all users for each wave. */
	static const char all[] = "SELECT state, COUNT(*) FROM pulls GROUP BY state",
			  one[] = "SELECT pulls.state, COUNT(*) FROM users JOIN pulls"
				  " ON pulls.name = users.name WHERE users.wave = ?1"
				  " GROUP BY pulls.state";
	struct rows *r = wave ? db_query(st->db, one, ARGS(TEXT(wave)), e)
			      : db_query(st->db, all, NO_ARGS, e);
	enum pull_state state = PULL_WAITING;
	int got, rc = 0;

	memset(out, 0, PULL_STATES * sizeof *out);
	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		rc = got < 0 ? -1 : find_state(rows_text(r, 0), &state, e);
		if (rc == 0)
			out[state] = rows_int(r, 1);
	}
	rows_end(&r);
	return rc;
}
