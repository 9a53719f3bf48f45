/* Hides: traces: who is traced until when, and the lines that nodes wrote. */
#include "common/store_driver.h"
#include "common/store_trace.h"

#define LIVE " stopped = 0 AND until > ?1 AND bytes < max_bytes"

static int forget_old(struct db *db, int64_t now, struct err *e)
{
	if (db_run(db,
		   "DELETE FROM trace_lines WHERE trace IN"
		   " (SELECT id FROM traces WHERE until < ?1)",
		   ARGS(INT(now - STORE_ANSWERS_MS)), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM traces WHERE until < ?1",
		      ARGS(INT(now - STORE_ANSWERS_MS)), e);
}

static int count_live(struct db *db, int64_t now, struct err *e)
{
	int64_t count = 0;

	if (db_query_int(db, "SELECT COUNT(*) FROM traces WHERE" LIVE, ARGS(INT(now)), &count,
			 e) < 0)
		return -1;
	if (count >= STORE_TRACES_MAX)
		return err_set(e, ERR_LIMIT, "%d users are traced already", STORE_TRACES_MAX);
	return 0;
}

static int stop_all_of(struct db *db, const char *name, int64_t now, struct err *e)
{
	return db_run(db, "UPDATE traces SET stopped = 1 WHERE name = ?2 AND" LIVE,
		      ARGS(INT(now), TEXT(name)), e);
}

static int put_trace(struct db *db, const char *name, int64_t for_ms, int64_t max_bytes,
		     int64_t *id, struct err *e)
{
	int64_t now = db_now_ms(db), request;
	char args[80];

	if (forget_old(db, now, e) < 0 || stop_all_of(db, name, now, e) < 0 ||
	    count_live(db, now, e) < 0)
		return -1;
	if (db_query_int(db,
			 "INSERT INTO traces (name, started, until, max_bytes)"
			 " VALUES (?1, ?2, ?3, ?4) RETURNING id",
			 ARGS(TEXT(name), INT(now), INT(now + for_ms), INT(max_bytes)), id,
			 e) < 0)
		return -1;
	snprintf(args, sizeof args, "%lld %lld %lld", (long long)*id, (long long)(now + for_ms),
		 (long long)max_bytes);
	return store_new_request(db, "trace", name, args, &request, e);
}

int store_trace_start(struct store *st, const char *name, int64_t for_ms, int64_t max_bytes,
		      int64_t *id, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (put_trace(st->db, name, for_ms, max_bytes, id, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_trace_stop(struct store *st, const char *name, struct err *e)
{
	int64_t request;

	if (db_begin(st->db, e) < 0)
		return -1;
	if (stop_all_of(st->db, name, db_now_ms(st->db), e) < 0 ||
	    store_new_request(st->db, "trace", name, "", &request, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

static struct trace_row read_trace(const struct rows *r, int64_t now)
{
	struct trace_row t = { .id = rows_int(r, 0),
			       .name = rows_text(r, 1),
			       .until = rows_int(r, 2),
			       .bytes = rows_int(r, 3),
			       .max_bytes = rows_int(r, 4) };

	t.ended = rows_int(r, 5)	   ? TRACE_STOPPED
		  : t.bytes >= t.max_bytes ? TRACE_FULL
		  : t.until <= now	   ? TRACE_TIME
					   : TRACE_LIVE;
	return t;
}

int store_traces_each(struct store *st, int64_t id, store_trace_fn *fn, void *arg,
		      struct err *e)
{
	int64_t now = db_now_ms(st->db);
	struct rows *r =
		db_query(st->db,
			 "SELECT id, name, until, bytes, max_bytes, stopped FROM traces"
			 " WHERE (?2 = 0 AND" LIVE ") OR id = ?2 ORDER BY id",
			 ARGS(INT(now), INT(id)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct trace_row t = { 0 };

		if (got > 0)
			t = read_trace(r, now);
		rc = got < 0 ? -1 : fn(&t, arg);
	}
	rows_end(&r);
	return rc;
}

int store_trace_live(struct store *st, const char *name, struct err *e)
{
	int64_t one;

	return db_query_int(st->db, "SELECT 1 FROM traces WHERE name = ?2 AND" LIVE,
			    ARGS(INT(db_now_ms(st->db)), TEXT(name)), &one, e);
}

static int put_lines(struct db *db, const char *node, int64_t trace,
		     const struct trace_line *lines, size_t n, struct err *e)
{
	int64_t bytes = 0;
	int live;

	for (size_t i = 0; i < n; i++)
		bytes += (int64_t)strlen(lines[i].line);
	live = db_run(db, "UPDATE traces SET bytes = bytes + ?2 WHERE id = ?3 AND" LIVE,
		      ARGS(INT(db_now_ms(db)), INT(bytes), INT(trace)), e);
	for (size_t i = 0; live > 0 && i < n; i++)
		if (db_run(db,
			   "INSERT INTO trace_lines (trace, node, at, session, way, line)"
			   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			   ARGS(INT(trace), TEXT(node), INT(lines[i].at),
				TEXT(lines[i].session), TEXT(lines[i].way),
				TEXT(lines[i].line)),
			   e) < 0)
			return -1;
	return live;
}

int store_trace_write(struct store *st, const char *node, int64_t trace,
		      const struct trace_line *lines, size_t n, struct err *e)
{
	int live;

	if (db_begin(st->db, e) < 0)
		return -1;
	live = put_lines(st->db, node, trace, lines, n, e);
	if (live < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e) < 0 ? -1 : live;
}

int store_trace_lines_each(struct store *st, int64_t trace, int64_t after, store_line_fn *fn,
			   void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT id, at, node, session, way, line FROM trace_lines"
				  " WHERE trace = ?1 AND id > ?2 ORDER BY id",
				  ARGS(INT(trace), INT(after)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct trace_line l = { .id = rows_int(r, 0),
					.at = rows_int(r, 1),
					.node = rows_text(r, 2),
					.session = rows_text(r, 3),
					.way = rows_text(r, 4),
					.line = rows_text(r, 5) };

		rc = got < 0 ? -1 : fn(&l, arg);
	}
	rows_end(&r);
	return rc;
}
