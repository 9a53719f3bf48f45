/*
 * Hides: the rows by which engines know of each other, and the lease of the one at work.
 *
 * It is a row and no lock of the database's session: such a lock would stay with an engine that
 * is stopped, and go from one whose connection broke while its workers still copy.
 */
#include "common/store_driver.h"
#include "common/store_engine.h"
#include "common/store_lease.h"

#define FORGET_MS 600000 /* an engine that is silent for so long is not shown any more */

static int note_presence(struct store *st, int64_t now, struct err *e)
{
	if (!st->started)
		st->started = now;
	if (db_run(st->db, "DELETE FROM engines WHERE seen < ?1", ARGS(INT(now - FORGET_MS)),
		   e) < 0)
		return -1;
	return db_run(st->db,
		      "INSERT INTO engines (place, host, pid, started, seen, workers)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (place) DO UPDATE SET"
		      " host = excluded.host, pid = excluded.pid, started = excluded.started,"
		      " seen = excluded.seen, workers = excluded.workers",
		      ARGS(TEXT(st->place.id), TEXT(st->place.host), INT(getpid()),
			   INT(st->started), INT(now), INT(st->workers)),
		      e);
}

void store_engine_lend(struct store *st, int workers)
{
	st->workers = workers;
}

/* Leaves 0 in *epoch if another one has taken over. */
static int renew(struct store *st, int64_t now, int64_t *epoch, struct err *e)
{
	int n = db_run(st->db,
		       "UPDATE engine_lease SET lease_until = ?3"
		       " WHERE one = 1 AND place = ?1 AND epoch = ?2",
		       ARGS(TEXT(st->place.id), INT(*epoch), INT(now + STORE_ENGINE_LEASE_MS)),
		       e);

	if (n == 0)
		*epoch = 0;
	return n;
}

static int take(struct store *st, int64_t now, int64_t *epoch, struct err *e)
{
	return db_query_int(
		st->db,
		"INSERT INTO engine_lease (one, place, epoch, lease_until)"
		" VALUES (1, ?1, 1, ?2) ON CONFLICT (one) DO UPDATE SET"
		" place = excluded.place, epoch = engine_lease.epoch + 1,"
		" lease_until = excluded.lease_until"
		" WHERE engine_lease.lease_until <= ?3 OR engine_lease.place = excluded.place"
		" RETURNING epoch",
		ARGS(TEXT(st->place.id), INT(now + STORE_ENGINE_LEASE_MS), INT(now)), epoch, e);
}

int store_engine_beat(struct store *st, int64_t *epoch, struct err *e)
{
	int64_t now, mine = *epoch;
	int rc;

	st->leases = true;
	if (db_begin(st->db, e) < 0)
		return -1;
	now = db_now_ms(st->db);
	rc = note_presence(st, now, e);
	if (rc >= 0)
		rc = mine ? renew(st, now, &mine, e) : take(st, now, &mine, e);
	if (rc < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	if (mine)
		st->engine_epoch = mine;
	*epoch = mine;
	return 0;
}

int store_engine_leave(struct store *st, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (db_run(st->db, "DELETE FROM engines WHERE place = ?1", ARGS(TEXT(st->place.id)),
		   e) < 0 ||
	    db_run(st->db,
		   "UPDATE engine_lease SET lease_until = 0"
		   " WHERE place = ?1 AND epoch = ?2",
		   ARGS(TEXT(st->place.id), INT(st->engine_epoch)), e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_engine_holds(struct store *st, struct err *e)
{
	int64_t held = 0;

	if (!st->engine_epoch)
		return 1;
	if (db_query_int(
		    st->db,
		    "SELECT COUNT(*) FROM engine_lease"
		    " WHERE place = ?1 AND epoch = ?2 AND lease_until > ?3",
		    ARGS(TEXT(st->place.id), INT(st->engine_epoch), INT(db_now_ms(st->db))),
		    &held, e) < 0)
		return -1;
	return held > 0;
}

int store_engine_may(struct store *st, struct err *e)
{
	int held = store_engine_holds(st, e);

	if (held == 0)
		return err_set(e, ERR_STORE,
			       "another engine has taken over: what this one brings is void");
	return held < 0 ? -1 : 0;
}

int store_begin_work(struct store *st, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	return store_engine_may(st, e) < 0 ? db_rollback(st->db) : 0;
}

int store_end_work(struct store *st, int rc, struct err *e)
{
	return rc < 0 ? db_rollback(st->db) : db_commit(st->db, e);
}

int store_engines_each(struct store *st, store_engine_fn *fn, void *arg, struct err *e)
{
	int64_t now = db_now_ms(st->db);
	struct rows *r = db_query(st->db,
				  "SELECT g.place, g.host, g.pid, g.started, g.seen,"
				  " COALESCE(l.lease_until, 0), g.workers,"
				  " (SELECT COUNT(*) FROM leases WHERE leases.place = g.place"
				  " AND leases.state = ?1)"
				  " FROM engines g"
				  " LEFT JOIN engine_lease l ON l.place = g.place"
				  " ORDER BY COALESCE(l.lease_until, 0) DESC, g.host, g.place",
				  ARGS(INT(LEASE_AT_WORK)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct engine_row g = {
			.place = rows_text(r, 0),
			.host = rows_text(r, 1),
			.pid = (int)rows_int(r, 2),
			.started = rows_int(r, 3),
			.seen = rows_int(r, 4),
			.active = rows_int(r, 5) > now,
			.workers = (int)rows_int(r, 6),
			.leases = (int)rows_int(r, 7),
		};

		g.silent = g.seen + STORE_ENGINE_LEASE_MS <= now;
		rc = got < 0 ? -1 : fn(&g, arg);
	}
	rows_end(&r);
	return rc;
}
