/* Hides: how counts of many nodes come together. */
#include "common/store_driver.h"
#include "common/store_usage.h"

static int add_row(struct db *db, const struct usage_row *u, int64_t now, struct err *e)
{
	return db_run(db,
		      "INSERT INTO usage (proto, extension, sessions, last_seen)"
		      " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (proto, extension) DO UPDATE SET"
		      " sessions = usage.sessions + excluded.sessions,"
		      " last_seen = excluded.last_seen",
		      ARGS(TEXT(u->proto), TEXT(u->extension), INT(u->sessions), INT(now)), e);
}

int store_usage_add(struct store *st, const struct usage_row *rows, size_t n, struct err *e)
{
	int64_t now = db_now_ms(st->db);

	if (db_begin(st->db, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_row(st->db, &rows[i], now, e) < 0)
			return db_rollback(st->db);
	return db_commit(st->db, e);
}

int store_usage_each(struct store *st, store_usage_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT proto, extension, sessions, last_seen FROM usage"
				  " ORDER BY proto, extension",
				  NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct usage_row u = {
			.proto = rows_text(r, 0),
			.extension = rows_text(r, 1),
			.sessions = rows_int(r, 2),
			.last_seen = rows_int(r, 3),
		};

		rc = got < 0 ? -1 : fn(&u, arg);
	}
	rows_end(&r);
	return rc;
}
