/* Hides: the rows that nodes write: themselves, their answers to a freeze, what they carry. */
#include "common/store_driver.h"
#include "common/store_node.h"
#include "common/store_session.h"
#include "common/store_usage.h"

/* A row's lease_until is STORE_LEASE_MS after its last renewal; the fence counts from there
 * too. */
#define GONE_AFTER_MS (STORE_FENCE_MS - STORE_LEASE_MS)

/* Of the number of rows written, or found, to the result of a call. */
static int done(int count)
{
	return count < 0 ? -1 : 0;
}

static int forget_node(struct db *db, const char *node, struct err *e)
{
	if (db_run(db, "DELETE FROM sessions WHERE node = ?1", ARGS(TEXT(node)), e) < 0 ||
	    db_run(db, "DELETE FROM certificates WHERE node = ?1", ARGS(TEXT(node)), e) < 0 ||
	    db_run(db, "DELETE FROM latency WHERE node = ?1", ARGS(TEXT(node)), e) < 0 ||
	    db_run(db, "DELETE FROM acks WHERE node = ?1", ARGS(TEXT(node)), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM blockers WHERE node = ?1", ARGS(TEXT(node)), e);
}

/* While it counts, its sessions are only seen by its row. */
static int check_name(struct store *st, const char *node, struct err *e)
{
	int64_t now = db_now_ms(st->db);
	struct rows *r =
		db_query(st->db,
			 "SELECT host, lease_until FROM nodes WHERE node = ?1 AND"
			 " place <> '' AND place <> ?2 AND lease_until > ?3",
			 ARGS(TEXT(node), TEXT(st->place.id), INT(now - GONE_AFTER_MS)), e);
	int got;

	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		got = err_set(e, ERR_INPUT,
			      "the name %s is taken: a node on host %s bears it (last heard of"
			      " %lld s ago, forgotten after %d s); give each host a name of its"
			      " own with run: host",
			      node, rows_text(r, 0),
			      (long long)(now - rows_int(r, 1) + STORE_LEASE_MS) / 1000,
			      STORE_FENCE_MS / 1000);
	rows_end(&r);
	return got;
}

static int take_name(struct store *st, const char *node, int64_t *incarnation, struct err *e)
{
	struct db *db = st->db;
	int64_t now = db_now_ms(db), before = 0;

	if (db_query_int(db, "SELECT incarnation FROM nodes WHERE node = ?1", ARGS(TEXT(node)),
			 &before, e) < 0)
		return -1;
	/* Of the clock, so that a name that was left does not start at the same number again.
	 */
	*incarnation = MAX(now, before + 1);
	return db_run(
		db,
		"INSERT INTO nodes (node, incarnation, pid, started, lease_until, seen, host, place)"
		" VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7) ON CONFLICT (node) DO UPDATE SET"
		" incarnation = excluded.incarnation, pid = excluded.pid,"
		" started = excluded.started, lease_until = excluded.lease_until, seen = 0,"
		" build = '', leaving = 0, host = excluded.host, place = excluded.place",
		ARGS(TEXT(node), INT(*incarnation), INT(getpid()), INT(now),
		     INT(now + STORE_LEASE_MS), TEXT(st->place.host), TEXT(st->place.id)),
		e);
}

int store_node_join(struct store *st, const char *node, int64_t *incarnation, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (check_name(st, node, e) < 0 || forget_node(st->db, node, e) < 0 ||
	    take_name(st, node, incarnation, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

int store_node_renew(struct store *st, const char *node, int64_t incarnation, int64_t seen,
		     struct err *e)
{
	return db_run(st->db,
		      "UPDATE nodes SET lease_until = ?3, seen = ?4"
		      " WHERE node = ?1 AND incarnation = ?2",
		      ARGS(TEXT(node), INT(incarnation),
			   INT(db_now_ms(st->db) + STORE_LEASE_MS), INT(seen)),
		      e);
}

int store_node_mark(struct store *st, const char *node, int64_t incarnation, const char *build,
		    bool leaving, struct err *e)
{
	return done(db_run(st->db,
			   "UPDATE nodes SET build = ?3, leaving = ?4"
			   " WHERE node = ?1 AND incarnation = ?2",
			   ARGS(TEXT(node), INT(incarnation), TEXT(build), INT(leaving)), e));
}

int store_node_leave(struct store *st, const char *node, int64_t incarnation, struct err *e)
{
	int ours;

	if (db_begin(st->db, e) < 0)
		return -1;
	ours = db_run(st->db, "DELETE FROM nodes WHERE node = ?1 AND incarnation = ?2",
		      ARGS(TEXT(node), INT(incarnation)), e);
	if (ours < 0 || (ours > 0 && forget_node(st->db, node, e) < 0))
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_node_forget(struct store *st, const char *node, struct err *e)
{
	int gone;

	if (db_begin(st->db, e) < 0)
		return -1;
	gone = db_run(st->db, "DELETE FROM nodes WHERE node = ?1 AND lease_until <= ?2",
		      ARGS(TEXT(node), INT(db_now_ms(st->db) - GONE_AFTER_MS)), e);
	if (gone < 0 || (gone > 0 && forget_node(st->db, node, e) < 0))
		return db_rollback(st->db);
	return db_commit(st->db, e) < 0 ? -1 : gone;
}

int store_nodes_each(struct store *st, store_node_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT node, incarnation, pid, started, lease_until, seen,"
				  " build, leaving, (SELECT COUNT(*) FROM sessions s"
				  " WHERE s.node = nodes.node), drain_until, host"
				  " FROM nodes ORDER BY node",
				  NO_ARGS, e);
	int64_t now = db_now_ms(st->db);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct node_row n = {
			.node = rows_text(r, 0),
			.incarnation = rows_int(r, 1),
			.pid = (int)rows_int(r, 2),
			.started = rows_int(r, 3),
			.lease_until = rows_int(r, 4),
			.seen = rows_int(r, 5),
			.build = rows_text(r, 6),
			.leaving = rows_int(r, 7) != 0,
			.sessions = rows_int(r, 8),
			.drain_until = rows_int(r, 9),
			.host = rows_text(r, 10),
		};

		n.counts = n.lease_until + GONE_AFTER_MS > now;
		n.lapsed = n.lease_until <= now;
		rc = got < 0 ? -1 : fn(&n, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- latency */

static enum side side_of(const char *name)
{
	return strcmp(name, side_name(SIDE_NEW)) == 0 ? SIDE_NEW : SIDE_OLD;
}

int store_latency_write(struct store *st, const char *node, enum side side, int64_t commands,
			int64_t typical_us, struct err *e)
{
	return done(db_run(st->db,
			   "INSERT INTO latency (node, side, at, commands, typical_us)"
			   " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (node, side) DO UPDATE SET"
			   " at = excluded.at, commands = excluded.commands,"
			   " typical_us = excluded.typical_us",
			   ARGS(TEXT(node), TEXT(side_name(side)), INT(db_now_ms(st->db)),
				INT(commands), INT(typical_us)),
			   e));
}

int store_latency_each(struct store *st, store_latency_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT node, side, at, commands, typical_us FROM latency"
				  " ORDER BY node, side",
				  NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct latency_row l = {
			.node = rows_text(r, 0),
			.side = side_of(rows_text(r, 1)),
			.at = rows_int(r, 2),
			.commands = rows_int(r, 3),
			.typical_us = rows_int(r, 4),
		};

		rc = got < 0 ? -1 : fn(&l, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- servers in trouble */

/* What was told late does not make younger what is known. */
static int put_server_error(struct db *db, const char *side, const char *name, int64_t at,
			    struct err *e)
{
	if (db_run(db,
		   "INSERT INTO server_errors (side, name, at) VALUES (?1, ?2, ?3)"
		   " ON CONFLICT (side, name) DO UPDATE SET at = excluded.at"
		   " WHERE excluded.at > server_errors.at",
		   ARGS(TEXT(side), TEXT(name), INT(at)), e) < 0)
		return -1;
	return db_run(db,
		      "DELETE FROM server_errors WHERE side = ?1 AND name NOT IN"
		      " (SELECT name FROM server_errors WHERE side = ?1"
		      " ORDER BY at DESC, name LIMIT ?2)",
		      ARGS(TEXT(side), INT(STORE_ERROR_USERS)), e);
}

int store_server_error(struct store *st, enum side side, const char *name, int64_t age_ms,
		       struct err *e)
{
	int64_t now = db_now_ms(st->db);

	if (db_begin(st->db, e) < 0)
		return -1;
	if (put_server_error(st->db, side_name(side), name, now - age_ms, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

int store_server_errors_each(struct store *st, store_server_error_fn *fn, void *arg,
			     struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT side, name, at FROM server_errors"
				  " ORDER BY side, at DESC, name",
				  NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct server_error_row x = { side_of(rows_text(r, 0)), rows_text(r, 1),
					      rows_int(r, 2) };

		rc = got < 0 ? -1 : fn(&x, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- certificates */

static int replace_certificates(struct db *db, const char *node,
				const struct certificate_row *rows, size_t n, struct err *e)
{
	if (db_run(db, "DELETE FROM certificates WHERE node = ?1", ARGS(TEXT(node)), e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (db_run(db,
			   "INSERT INTO certificates (node, name, not_after) VALUES (?1, ?2, ?3)",
			   ARGS(TEXT(node), TEXT(rows[i].name), INT(rows[i].not_after)), e) < 0)
			return -1;
	return 0;
}

int store_certificates_write(struct store *st, const char *node,
			     const struct certificate_row *rows, size_t n, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (replace_certificates(st->db, node, rows, n, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

int store_certificates_each(struct store *st, store_certificate_fn *fn, void *arg,
			    struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT name, MIN(not_after) FROM certificates GROUP BY name"
				  " ORDER BY 2, 1",
				  NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct certificate_row c = { rows_text(r, 0), rows_int(r, 1) };

		rc = got < 0 ? -1 : fn(&c, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- answers to a freeze */

static int put_ack(struct db *db, const char *node, const char *name, int64_t change,
		   struct err *e)
{
	if (db_run(db,
		   "INSERT INTO acks (node, name, change, at) VALUES (?1, ?2, ?3, ?4)"
		   " ON CONFLICT (node, name) DO UPDATE SET change = excluded.change,"
		   " at = excluded.at",
		   ARGS(TEXT(node), TEXT(name), INT(change), INT(db_now_ms(db))), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM blockers WHERE node = ?1 AND name = ?2",
		      ARGS(TEXT(node), TEXT(name)), e);
}

int store_ack(struct store *st, const char *node, const char *name, int64_t change,
	      struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (put_ack(st->db, node, name, change, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_blocker(struct store *st, const char *node, const char *name, const char *text,
		  struct err *e)
{
	int rc;

	if (text)
		rc = db_run(st->db,
			    "INSERT INTO blockers (node, name, text) VALUES (?1, ?2, ?3)"
			    " ON CONFLICT (node, name) DO UPDATE SET text = excluded.text",
			    ARGS(TEXT(node), TEXT(name), TEXT(text)), e);
	else
		rc = db_run(st->db, "DELETE FROM blockers WHERE node = ?1 AND name = ?2",
			    ARGS(TEXT(node), TEXT(name)), e);
	return done(rc);
}

static void PRINTF_LIKE(2, 3) add_waiting(struct quiet *q, const char *fmt, ...)
{
	size_t n = strlen(q->waiting);
	va_list ap;

	n += (size_t)snprintf(q->waiting + n, sizeof q->waiting - n, "%s", n ? "; " : "");
	if (n >= sizeof q->waiting)
		return;
	va_start(ap, fmt);
	vsnprintf(q->waiting + n, sizeof q->waiting - n, fmt, ap);
	va_end(ap);
}

/* One node that counts: node, lease_until, its acknowledged change, its blocker. */
static void weigh_node(const struct rows *r, int64_t change, int64_t now, struct quiet *q)
{
	const char *node = rows_text(r, 0), *blocker = rows_text(r, 3);
	int64_t lease_until = rows_int(r, 1);
	bool acked = rows_text(r, 2) && rows_int(r, 2) == change, lapsed = lease_until <= now;

	q->nodes++;
	q->acked += acked;
	q->lapsed += lapsed;
	if (lapsed)
		add_waiting(q, "%s: silent for %lld s%s", node,
			    (long long)(now - lease_until + STORE_LEASE_MS) / 1000,
			    lease_until + GONE_AFTER_MS > now
				    ? ""
				    : ", `mailferry forget` if it is off for good");
	else if (!acked)
		add_waiting(q, "%s: %s", node, blocker ? blocker : "no answer yet");
}

int store_quiet(struct store *st, const char *name, int64_t change, struct quiet *out,
		struct err *e)
{
	int64_t now = db_now_ms(st->db);
	struct rows *r = db_query(st->db,
				  "SELECT n.node, n.lease_until, a.change, b.text FROM nodes n"
				  " LEFT JOIN acks a ON a.node = n.node AND a.name = ?1"
				  " LEFT JOIN blockers b ON b.node = n.node AND b.name = ?1"
				  " WHERE n.lease_until > ?2 OR EXISTS (SELECT 1 FROM users"
				  " WHERE name = ?1 AND direction = 'back') ORDER BY n.node",
				  ARGS(TEXT(name), INT(now - GONE_AFTER_MS)), e);
	int got;

	*out = (struct quiet){ 0 };
	if (!r)
		return -1;
	while ((got = rows_next(r, e)) > 0)
		weigh_node(r, change, now, out);
	rows_end(&r);
	return got;
}

/* ---- sessions */

/* No user's name sorts behind this: the last code point there is. */
#define NAME_LAST "\xf4\x8f\xbf\xbf"

#define LET_IN "('RELAY', 'DRAIN', 'QUIET', 'PARTING')" /* states behind the login */

static int end_session(struct db *db, const char *node, const struct session_row *s,
		       struct err *e)
{
	if (s->name && db_run(db,
			      "INSERT INTO last_sessions (name, at, began, earliest)"
			      " VALUES (?1, ?2, ?3, ?3)"
			      " ON CONFLICT (name) DO UPDATE SET at = excluded.at,"
			      " began = excluded.began, earliest = CASE"
			      " WHEN last_sessions.earliest = 0"
			      " OR last_sessions.earliest > excluded.began"
			      " THEN excluded.began ELSE last_sessions.earliest END",
			      ARGS(TEXT(s->name), INT(db_now_ms(db)), INT(s->since)), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM sessions WHERE node = ?1 AND id = ?2",
		      ARGS(TEXT(node), TEXT(s->id)), e);
}

static int write_session(struct db *db, const char *node, const struct session_row *s,
			 struct err *e)
{
	if (s->gone)
		return end_session(db, node, s, e);
	return db_run(
		db,
		"INSERT INTO sessions (node, id, name, proto, peer, side, state, doing, since,"
		" bytes_up, bytes_down, client, route, quiet_since) VALUES (?1, ?2, ?3, ?4, ?5,"
		" ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
		" ON CONFLICT (node, id) DO UPDATE SET name = excluded.name,"
		" proto = excluded.proto, peer = excluded.peer, side = excluded.side,"
		" state = excluded.state, doing = excluded.doing, since = excluded.since,"
		" bytes_up = excluded.bytes_up, bytes_down = excluded.bytes_down,"
		" client = excluded.client, route = excluded.route,"
		" quiet_since = excluded.quiet_since",
		ARGS(TEXT(node), TEXT(s->id), TEXT(text_of(s->name)), TEXT(s->proto),
		     TEXT(text_of(s->peer)), TEXT(text_of(s->side)), TEXT(s->state),
		     TEXT(text_of(s->doing)), INT(s->since), INT(s->bytes_up),
		     INT(s->bytes_down), TEXT(text_of(s->client)), TEXT(text_of(s->route)),
		     INT(s->quiet_since)),
		e);
}

int store_sessions_write(struct store *st, const char *node, const struct session_row *rows,
			 size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	if (db_begin(st->db, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (write_session(st->db, node, &rows[i], e) < 0)
			return db_rollback(st->db);
	return db_commit(st->db, e);
}

int store_session_between(struct store *st, const char *name, int64_t since, int64_t until,
			  bool *out, struct err *e)
{
	int64_t count = 0;
	int got = db_query_int(st->db,
			       "SELECT (SELECT COUNT(*) FROM sessions WHERE name = ?1"
			       " AND since <= ?3 AND state IN " LET_IN ")"
			       " + (SELECT COUNT(*) FROM last_sessions WHERE name = ?1"
			       " AND at >= ?2 AND began <= ?3)",
			       ARGS(TEXT(name), INT(since), INT(until)), &count, e);

	*out = count > 0;
	return got < 0 ? -1 : 0;
}

int store_session_mark(struct store *st, const char *name, struct err *e)
{
	return done(db_run(
		st->db,
		"UPDATE last_sessions SET earliest = 0 WHERE name = ?1 AND earliest <> 0",
		ARGS(TEXT(name)), e));
}

int store_session_since_mark(struct store *st, const char *name, int64_t until, bool *out,
			     struct err *e)
{
	int64_t count = 0;
	int got = db_query_int(st->db,
			       "SELECT (SELECT COUNT(*) FROM sessions WHERE name = ?1"
			       " AND since <= ?2 AND state IN " LET_IN ")"
			       " + (SELECT COUNT(*) FROM last_sessions WHERE name = ?1"
			       " AND earliest BETWEEN 1 AND ?2)",
			       ARGS(TEXT(name), INT(until)), &count, e);

	*out = count > 0;
	return got < 0 ? -1 : 0;
}

/*
 * By (name, node, id), the order of an index: a page costs what is on it, however many there
 * are. One user is a range of it.
 */
static struct rows *query_sessions(struct store *st, const struct session_filter *f,
				   struct err *e)
{
	bool inside = f->after.name && (!f->name || strcmp(f->name, f->after.name) == 0);

	return db_query(
		st->db,
		"SELECT node, id, name, proto, peer, side, state, doing, since, bytes_up,"
		" bytes_down, client, route, quiet_since FROM sessions"
		" WHERE (name, node, id) > (?1, ?2, ?3) AND name <= ?4"
		" AND (?5 = '' OR node = ?5) AND (?6 = '' OR side = ?6)"
		" AND (?7 = '' OR proto = ?7) AND (?8 = '' OR state = ?8)"
		" AND (?9 = 0 OR name IN (SELECT u.name FROM users u WHERE u.wave = ?10))"
		" ORDER BY name, node, id",
		ARGS(TEXT(text_of(inside ? f->after.name : f->name)),
		     TEXT(inside ? text_of(f->after.node) : ""),
		     TEXT(inside ? text_of(f->after.id) : ""),
		     TEXT(f->name ? f->name : NAME_LAST), TEXT(text_of(f->node)),
		     TEXT(text_of(f->side)), TEXT(text_of(f->proto)), TEXT(text_of(f->state)),
		     INT(f->wave != NULL), TEXT(text_of(f->wave))),
		e);
}

int store_sessions_each(struct store *st, const struct session_filter *f, store_session_fn *fn,
			void *arg, struct err *e)
{
	static const struct session_filter all;
	struct rows *r = query_sessions(st, f ? f : &all, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct session_row s = {
			.node = rows_text(r, 0),
			.id = rows_text(r, 1),
			.name = rows_text(r, 2),
			.proto = rows_text(r, 3),
			.peer = rows_text(r, 4),
			.side = rows_text(r, 5),
			.state = rows_text(r, 6),
			.doing = rows_text(r, 7),
			.since = rows_int(r, 8),
			.bytes_up = rows_int(r, 9),
			.bytes_down = rows_int(r, 10),
			.client = rows_text(r, 11),
			.route = rows_text(r, 12),
			.quiet_since = rows_int(r, 13),
		};

		rc = got < 0 ? -1 : fn(&s, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- strangers */

int store_stranger(struct store *st, const char *name, struct err *e)
{
	return done(db_run(st->db,
			   "INSERT INTO strangers (name, first_seen, last_seen, logins)"
			   " VALUES (?1, ?2, ?2, 1) ON CONFLICT (name) DO UPDATE SET"
			   " last_seen = excluded.last_seen, logins = strangers.logins + 1",
			   ARGS(TEXT(name), INT(db_now_ms(st->db))), e));
}

int store_strangers_each(struct store *st, const char *after, store_stranger_fn *fn, void *arg,
			 struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT name, first_seen, last_seen, logins FROM strangers"
				  " WHERE name > ?1 AND " STRANGER_STILL " ORDER BY name",
				  ARGS(TEXT(after ? after : "")), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct stranger_row s = {
			.name = rows_text(r, 0),
			.first_seen = rows_int(r, 1),
			.last_seen = rows_int(r, 2),
			.logins = rows_int(r, 3),
		};

		rc = got < 0 ? -1 : fn(&s, arg);
	}
	rows_end(&r);
	return rc;
}
