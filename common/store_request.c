/* Hides: what operators ask of the nodes, and what comes back: answers and traced lines. */
#include "common/store_driver.h"
#include "common/store_request.h"

/* Of the number of rows written, or found, to the result of a call. */
static int done(int count)
{
	return count < 0 ? -1 : 0;
}

/* ---- requests */

int store_new_request(struct db *db, const char *verb, const char *name, const char *args,
		      int64_t *id, struct err *e)
{
	int64_t now = db_now_ms(db);

	if (db_run(db, "DELETE FROM answers WHERE at < ?1", ARGS(INT(now - STORE_ANSWERS_MS)),
		   e) < 0)
		return -1;
	return db_query_int(
		db,
		"INSERT INTO requests (at, verb, name, args)"
		" VALUES (?1, ?2, ?3, ?4) RETURNING id",
		ARGS(INT(now), TEXT(verb), TEXT(name ? name : ""), TEXT(args ? args : "")), id,
		e);
}

int store_request_ask(struct store *st, const char *verb, const char *name, const char *args,
		      int64_t *id, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (store_new_request(st->db, verb, name, args, id, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_request_add(struct store *st, const char *verb, const char *name, const char *args,
		      struct err *e)
{
	int64_t id;

	return store_request_ask(st, verb, name, args, &id, e);
}

static int put_drain(struct db *db, const char *node, int64_t until, int64_t *id, struct err *e)
{
	char args[24];

	if (db_run(db, "UPDATE nodes SET drain_until = ?1 WHERE ?2 = 0 OR node = ?3",
		   ARGS(INT(until), INT(node != NULL), TEXT(node)), e) < 0)
		return -1;
	snprintf(args, sizeof args, "%lld", (long long)until);
	return store_new_request(db, "drain", node, args, id, e);
}

int store_drain(struct store *st, const char *node, int64_t until, int64_t *id, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (put_drain(st->db, node, until, id, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_requests_after(struct store *st, int64_t after, store_request_fn *fn, void *arg,
			 struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT id, at, verb, name, args FROM requests WHERE id > ?1"
				  " ORDER BY id",
				  ARGS(INT(after)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct request_row q = {
			.id = rows_int(r, 0),
			.at = rows_int(r, 1),
			.verb = rows_text(r, 2),
			.name = rows_text(r, 3),
			.args = rows_text(r, 4),
		};

		rc = got < 0 ? -1 : fn(&q, arg);
	}
	rows_end(&r);
	return rc;
}

int store_requests_last(struct store *st, int64_t *out, struct err *e)
{
	return done(db_query_int(st->db, "SELECT COALESCE(MAX(id), 0) FROM requests", NO_ARGS,
				 out, e));
}

/* ---- answers */

int store_answer(struct store *st, const char *node, const struct answer_row *a, struct err *e)
{
	return done(
		db_run(st->db,
		       "INSERT INTO answers (request, node, at, ended, cut, remain, doing)"
		       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
		       " ON CONFLICT (request, node) DO UPDATE SET at = excluded.at,"
		       " ended = excluded.ended, cut = excluded.cut,"
		       " remain = excluded.remain, doing = excluded.doing",
		       ARGS(INT(a->request), TEXT(node), INT(db_now_ms(st->db)), INT(a->ended),
			    INT(a->cut), INT(a->remain), TEXT(a->doing ? a->doing : "")),
		       e));
}

int store_answers_each(struct store *st, int64_t request, store_answer_fn *fn, void *arg,
		       struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT n.node, a.request, a.ended, a.cut, a.remain, a.doing FROM nodes n"
		" LEFT JOIN answers a ON a.node = n.node AND a.request = ?1"
		" WHERE a.request = ?1 OR (n.lease_until > ?2 AND"
		" n.started <= (SELECT at FROM requests WHERE id = ?1 AND"
		" (verb <> 'drain' OR name = '' OR name = n.node)))"
		" ORDER BY n.node",
		ARGS(INT(request), INT(db_now_ms(st->db))), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct answer_row a = {
			.node = rows_text(r, 0),
			.request = rows_int(r, 1),
			.ended = rows_int(r, 2),
			.cut = rows_int(r, 3),
			.remain = rows_int(r, 4),
			.doing = rows_text(r, 5),
		};

		rc = got < 0 ? -1 : fn(&a, arg);
	}
	rows_end(&r);
	return rc;
}
