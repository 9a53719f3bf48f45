/* Hides: how what nodes saw of clients is kept, and what is thrown away. */
#include "common/store_past.h"
#include "common/store_driver.h"
#include "common/store_session.h"

static int64_t limit_of(int limit)
{
	return limit ? limit : INT64_MAX;
}

/* ---- rows with texts of their own */

static void disown(const char **text)
{
	free((char *)(uintptr_t)*text);
}

struct login_row *login_row_copy(const struct login_row *l)
{
	struct login_row *mine = mem_new(sizeof *mine);

	*mine = *l;
	mine->node = mem_str(l->node);
	mine->name = mem_str(l->name);
	mine->proto = mem_str(l->proto);
	mine->side = mem_str(l->side);
	mine->route = mem_str(l->route);
	mine->result = mem_str(l->result);
	mine->client = mem_str(l->client);
	return mine;
}

void login_row_free(struct login_row **at)
{
	struct login_row *l = *at;

	if (!l)
		return;
	disown(&l->node);
	disown(&l->name);
	disown(&l->proto);
	disown(&l->side);
	disown(&l->route);
	disown(&l->result);
	disown(&l->client);
	mem_free(at);
}

struct drop_row *drop_row_copy(const struct drop_row *d)
{
	struct drop_row *mine = mem_new(sizeof *mine);

	*mine = *d;
	mine->node = mem_str(d->node);
	mine->session = mem_str(d->session);
	mine->name = mem_str(d->name);
	mine->proto = mem_str(d->proto);
	mine->side = mem_str(d->side);
	mine->doing = mem_str(d->doing);
	mine->why = mem_str(d->why);
	mine->bye = mem_str(d->bye);
	mine->client = mem_str(d->client);
	return mine;
}

void drop_row_free(struct drop_row **at)
{
	struct drop_row *d = *at;

	if (!d)
		return;
	disown(&d->node);
	disown(&d->session);
	disown(&d->name);
	disown(&d->proto);
	disown(&d->side);
	disown(&d->doing);
	disown(&d->why);
	disown(&d->bye);
	disown(&d->client);
	mem_free(at);
}

/* ---- logins */

/* The clients of one user come back one by one: each takes the place of one that was dropped,
 * its own where its name is known. */
static int note_return(struct db *db, const struct login_row *l, struct err *e)
{
	return db_run(db,
		      "UPDATE drops SET back_ms = CASE WHEN at < ?3 THEN ?3 - at ELSE 1 END"
		      " WHERE (node, session) = (SELECT node, session FROM drops"
		      " WHERE name = ?1 AND proto = ?2 AND back_ms = 0 AND at > ?5"
		      " ORDER BY CASE WHEN client = ?4 THEN 0 ELSE 1 END, at, session LIMIT 1)",
		      ARGS(TEXT(l->name), TEXT(l->proto), INT(l->at), TEXT(text_of(l->client)),
			   INT(l->at - STORE_BACK_MS)),
		      e);
}

static int write_login(struct db *db, const char *node, const struct login_row *l,
		       struct err *e)
{
	if (db_run(db,
		   "INSERT INTO logins (node, name, proto, at, side, route, result, client,"
		   " held_ms, took_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
		   ARGS(TEXT(node), TEXT(l->name), TEXT(l->proto), INT(l->at), TEXT(l->side),
			TEXT(text_of(l->route)), TEXT(l->result), TEXT(text_of(l->client)),
			INT(l->held_ms), INT(l->took_ms)),
		   e) < 0)
		return -1;
	return strcmp(l->result, LOGIN_OK) == 0 ? note_return(db, l, e) : 0;
}

static int prune_logins(struct db *db, struct err *e)
{
	if (db_run(db, "DELETE FROM logins WHERE at < ?1",
		   ARGS(INT(db_now_ms(db) - STORE_PAST_MS)), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM logins WHERE id <= (SELECT MAX(id) FROM logins) - ?1",
		      ARGS(INT(STORE_LOGINS_MAX)), e);
}

static int write_logins(struct db *db, const char *node, const struct login_row *rows, size_t n,
			struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (write_login(db, node, &rows[i], e) < 0)
			return -1;
	return prune_logins(db, e);
}

int store_logins_write(struct store *st, const char *node, const struct login_row *rows,
		       size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	if (db_begin(st->db, e) < 0)
		return -1;
	if (write_logins(st->db, node, rows, n, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

#define LOGINS(order)                                                             \
	"SELECT id, node, name, proto, at, side, route, result, client, held_ms," \
	" took_ms FROM (SELECT * FROM logins WHERE name = ?1 AND id > ?2"         \
	" ORDER BY id " order " LIMIT ?3) l ORDER BY id"

int store_logins_each(struct store *st, const struct past_filter *f, store_login_fn *fn,
		      void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db, f->newest ? LOGINS("DESC") : LOGINS("ASC"),
			 ARGS(TEXT(f->name), INT(f->after), INT(limit_of(f->limit))), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct login_row l = {
			.id = rows_int(r, 0),
			.node = rows_text(r, 1),
			.name = rows_text(r, 2),
			.proto = rows_text(r, 3),
			.at = rows_int(r, 4),
			.side = rows_text(r, 5),
			.route = rows_text(r, 6),
			.result = rows_text(r, 7),
			.client = rows_text(r, 8),
			.held_ms = rows_int(r, 9),
			.took_ms = rows_int(r, 10),
		};

		rc = got < 0 ? -1 : fn(&l, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- drops */

static int write_drop(struct db *db, const char *node, const struct drop_row *d, struct err *e)
{
	return db_run(
		db,
		"INSERT INTO drops (node, session, name, proto, at, side, doing, why, bye,"
		" client) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
		" ON CONFLICT (node, session) DO UPDATE SET bye = excluded.bye",
		ARGS(TEXT(node), TEXT(d->session), TEXT(d->name), TEXT(d->proto), INT(d->at),
		     TEXT(d->side), TEXT(text_of(d->doing)), TEXT(d->why), TEXT(d->bye),
		     TEXT(text_of(d->client))),
		e);
}

static int write_drops(struct db *db, const char *node, const struct drop_row *rows, size_t n,
		       struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (write_drop(db, node, &rows[i], e) < 0)
			return -1;
	return db_run(db, "DELETE FROM drops WHERE at < ?1",
		      ARGS(INT(db_now_ms(db) - STORE_PAST_MS)), e);
}

int store_drops_write(struct store *st, const char *node, const struct drop_row *rows, size_t n,
		      struct err *e)
{
	if (n == 0)
		return 0;
	if (db_begin(st->db, e) < 0)
		return -1;
	if (write_drops(st->db, node, rows, n, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

#define DROPS(order)                                                            \
	"SELECT node, session, name, proto, at, side, doing, why, bye, client," \
	" back_ms FROM (SELECT * FROM drops WHERE name = ?1 AND at > ?2"        \
	" ORDER BY at " order ", node " order ", session " order " LIMIT ?3) d" \
	" ORDER BY at, node, session"

int store_drops_each(struct store *st, const struct past_filter *f, store_drop_fn *fn,
		     void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db, f->newest ? DROPS("DESC") : DROPS("ASC"),
			 ARGS(TEXT(f->name), INT(f->after), INT(limit_of(f->limit))), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct drop_row d = {
			.node = rows_text(r, 0),
			.session = rows_text(r, 1),
			.name = rows_text(r, 2),
			.proto = rows_text(r, 3),
			.at = rows_int(r, 4),
			.side = rows_text(r, 5),
			.doing = rows_text(r, 6),
			.why = rows_text(r, 7),
			.bye = rows_text(r, 8),
			.client = rows_text(r, 9),
			.back_ms = rows_int(r, 10),
		};

		rc = got < 0 ? -1 : fn(&d, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- holds */

static int add_hold(struct db *db, const char *node, const struct hold_row *h, struct err *e)
{
	if (db_run(db,
		   "INSERT INTO holds (node, name, proto, at, held_ms, released_to)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		   ARGS(TEXT(node), TEXT(h->name), TEXT(h->proto), INT(h->at), INT(h->held_ms),
			TEXT(h->released_to)),
		   e) < 0 ||
	    db_run(db, "DELETE FROM holds WHERE at < ?1",
		   ARGS(INT(db_now_ms(db) - STORE_PAST_MS)), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM holds WHERE id <= (SELECT MAX(id) FROM holds) - ?1",
		      ARGS(INT(STORE_HOLDS_MAX)), e);
}

int store_hold_add(struct store *st, const char *node, const struct hold_row *h, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (add_hold(st->db, node, h, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

#define HOLDS(condition)                                                              \
	"SELECT id, at, held_ms, node, name, proto, released_to FROM holds" condition \
	" ORDER BY id LIMIT ?1"

/* Texts of their own for one and for all: an index serves only a condition that always stands.
 */
static struct rows *query_holds(struct store *st, const char *name, int limit, struct err *e)
{
	if (name)
		return db_query(st->db, HOLDS(" WHERE name = ?2"),
				ARGS(INT(limit_of(limit)), TEXT(name)), e);
	return db_query(st->db, HOLDS(""), ARGS(INT(limit_of(limit))), e);
}

int store_holds_each(struct store *st, const char *name, int limit, store_hold_fn *fn,
		     void *arg, struct err *e)
{
	struct rows *r = query_holds(st, name, limit, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct hold_row h = {
			.id = rows_int(r, 0),
			.at = rows_int(r, 1),
			.held_ms = rows_int(r, 2),
			.node = rows_text(r, 3),
			.name = rows_text(r, 4),
			.proto = rows_text(r, 5),
			.released_to = rows_text(r, 6),
		};

		rc = got < 0 ? -1 : fn(&h, arg);
	}
	rows_end(&r);
	return rc;
}
