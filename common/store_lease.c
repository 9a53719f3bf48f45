/* Hides: the rows of users on lease, and who may write about whom. */
#include "common/store_lease.h"

#include "common/store_driver.h"
#include "common/store_engine.h"

/* Not heard of in time, ?1 being the time by which it had to be. */
#define LAPSED "NOT EXISTS (SELECT 1 FROM engines g WHERE g.place = leases.place AND g.seen > ?1)"

static int64_t heard_since(struct store *st)
{
	return db_now_ms(st->db) - STORE_ENGINE_LEASE_MS;
}

/* ---- who may write */

/* sql: of user ?1, this engine's place ?2, what is at work ?3. */
static int is_at_work(struct store *st, const char *sql, const char *name, struct err *e)
{
	int64_t n = 0;

	if (db_query_int(st->db, sql,
			 ARGS(TEXT(name), TEXT(st->place.id), INT(LEASE_AT_WORK)), &n, e) < 0)
		return -1;
	return n > 0;
}

int store_lease_elsewhere(struct store *st, const char *name, struct err *e)
{
	return is_at_work(st,
			  "SELECT COUNT(*) FROM leases WHERE name = ?1 AND place <> ''"
			  " AND place <> ?2 AND state = ?3",
			  name, e);
}

static int is_mine(struct store *st, const char *name, struct err *e)
{
	return is_at_work(st,
			  "SELECT COUNT(*) FROM leases WHERE name = ?1 AND place = ?2"
			  " AND state = ?3",
			  name, e);
}

static int may_write(struct store *st, const char *name, struct err *e)
{
	int mine = st->leases ? is_mine(st, name, e) : 0, elsewhere;

	if (mine)
		return mine < 0 ? -1 : 0;
	if (st->leases && !st->engine_epoch)
		return err_set(e, ERR_STORE,
			       "user %s is not on lease to this engine any more: what it "
			       "brings is void",
			       name);
	elsewhere = store_lease_elsewhere(st, name, e);
	if (elsewhere > 0)
		return err_set(e, ERR_STORE, "user %s is on lease to another engine", name);
	return elsewhere < 0 ? -1 : store_engine_may(st, e);
}

int store_begin_work_on(struct store *st, const char *name, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	return may_write(st, name, e) < 0 ? db_rollback(st->db) : 0;
}

/* ---- the engine at work */

/* How many rows it was, if that is so. */
static int end(struct store *st, int rows, struct err *e)
{
	if (store_end_work(st, rows, e) < 0)
		return -1;
	store_nudge(st);
	return rows;
}

int store_lease_offer(struct store *st, const struct lease_row *l, struct err *e)
{
	if (store_begin_work(st, e) < 0)
		return -1;
	return end(st,
		   db_run(st->db,
			  "INSERT INTO leases (name, kind, change, connections, rules,"
			  " folder, offered) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
			  " ON CONFLICT (name) DO NOTHING",
			  ARGS(TEXT(l->name), TEXT(l->kind), INT(l->change),
			       INT(l->connections), TEXT(l->rules), TEXT(l->folder),
			       INT(db_now_ms(st->db))),
			  e),
		   e);
}

int store_lease_close(struct store *st, const char *name, struct err *e)
{
	if (store_begin_work(st, e) < 0)
		return -1;
	return end(st,
		   db_run(st->db,
			  "DELETE FROM leases WHERE name = ?2"
			  " AND (state <> ?3 OR " LAPSED ")",
			  ARGS(INT(heard_since(st)), TEXT(name), INT(LEASE_AT_WORK)), e),
		   e);
}

int store_leases_each(struct store *st, const char *place, store_lease_fn *fn, void *arg,
		      struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT l.name, l.kind, l.change, l.connections, l.folder,"
				  " l.offered, l.state, l.place, COALESCE(g.host, ''),"
				  " COALESCE(g.seen, 0), l.body, l.rules FROM leases l"
				  " LEFT JOIN engines g ON g.place = l.place"
				  " WHERE ?1 = '' OR l.place = ?1 ORDER BY l.name",
				  ARGS(TEXT(text_of(place))), e);
	int64_t since = heard_since(st);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct lease_row l = {
			.name = rows_text(r, 0),
			.kind = rows_text(r, 1),
			.change = rows_int(r, 2),
			.connections = (int)rows_int(r, 3),
			.folder = rows_text(r, 4),
			.offered = rows_int(r, 5),
			.state = (enum lease_state)rows_int(r, 6),
			.place = rows_text(r, 7),
			.host = rows_text(r, 8),
			.text = rows_text(r, 10),
			.rules = rows_text(r, 11),
		};

		l.lapsed = l.state == LEASE_AT_WORK && rows_int(r, 9) <= since;
		rc = got < 0 ? -1 : fn(&l, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- an engine that stands by */

static int is_heard(struct store *st, struct err *e)
{
	int64_t n = 0;

	if (db_query_int(st->db,
			 "SELECT COUNT(*) FROM engines WHERE place = ?1 AND seen > ?2",
			 ARGS(TEXT(st->place.id), INT(heard_since(st))), &n, e) < 0)
		return -1;
	return n > 0;
}

int store_lease_pick(struct store *st, const char *folder, int n, struct err *e)
{
	int rows, heard;

	if (db_begin(st->db, e) < 0)
		return -1;
	heard = is_heard(st, e);
	rows = heard <= 0
		       ? heard
		       : db_run(st->db,
				"UPDATE leases SET place = ?1, state = ?2 WHERE name IN"
				" (SELECT name FROM leases WHERE state = ?3 AND"
				" (folder IN ('', ?4) OR offered <= ?5)"
				" ORDER BY CASE WHEN folder = ?4 THEN 0 ELSE 1 END, offered,"
				" name LIMIT ?6)",
				ARGS(TEXT(st->place.id), INT(LEASE_AT_WORK), INT(LEASE_OFFERED),
				     TEXT(folder), INT(db_now_ms(st->db) - STORE_LEASE_SHY_MS),
				     INT(n)),
				e);
	if (rows < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	return rows;
}

int store_lease_tell(struct store *st, const char *name, const char *progress, struct err *e)
{
	if (strlen(progress) > STORE_LEASE_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "progress of %s: more than %d bytes", name,
			       STORE_LEASE_TEXT_MAX);
	return db_run(st->db,
		      "UPDATE leases SET body = ?3 WHERE name = ?1 AND place = ?2"
		      " AND state = ?4",
		      ARGS(TEXT(name), TEXT(st->place.id), TEXT(progress), INT(LEASE_AT_WORK)),
		      e);
}

int store_lease_end(struct store *st, const char *name, enum lease_state state,
		    const char *text, struct err *e)
{
	int rows;

	if (strlen(text) > STORE_LEASE_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "result of %s: more than %d bytes", name,
			       STORE_LEASE_TEXT_MAX);
	rows = db_run(st->db,
		      "UPDATE leases SET state = ?3, body = ?4 WHERE name = ?1 AND place = ?2"
		      " AND state = ?5",
		      ARGS(TEXT(name), TEXT(st->place.id), INT(state), TEXT(text),
			   INT(LEASE_AT_WORK)),
		      e);
	if (rows > 0)
		store_nudge(st);
	return rows;
}
