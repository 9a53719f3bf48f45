/* Hides: how timetables are kept, and how a wave is counted. */
#include "common/store_wave.h"
#include "common/store_driver.h"
#include "common/store_past.h"

static const char *kind_of(bool is_wave)
{
	return is_wave ? "wave" : "user";
}

/* ---- timetables */

static int write_timetable(struct db *db, const struct timetable *t, struct err *e)
{
	if (t->is_wave && db_run(db,
				 "DELETE FROM timetables WHERE kind = 'user' AND name IN"
				 " (SELECT name FROM users WHERE wave = ?1)",
				 ARGS(TEXT(t->name)), e) < 0)
		return -1;
	return db_run(db,
		      "INSERT INTO timetables (kind, name, starts, rate, first_hour, quiet_s,"
		      " latest, actor, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
		      " ON CONFLICT (kind, name) DO UPDATE SET starts = excluded.starts,"
		      " rate = excluded.rate, first_hour = excluded.first_hour,"
		      " quiet_s = excluded.quiet_s, latest = excluded.latest,"
		      " actor = CASE WHEN timetables.paused = 1 THEN timetables.actor"
		      " ELSE excluded.actor END,"
		      " since = CASE WHEN timetables.paused = 1 THEN timetables.since"
		      " ELSE excluded.since END",
		      ARGS(TEXT(kind_of(t->is_wave)), TEXT(t->name), INT(t->starts),
			   INT(t->rate), INT(t->first_hour), INT(t->quiet_s), INT(t->latest),
			   TEXT(text_of(t->actor)), INT(db_now_ms(db))),
		      e);
}

int store_timetable_write(struct store *st, const struct timetable *t, struct err *e)
{
	if (db_begin(st->db, e) < 0)
		return -1;
	if (write_timetable(st->db, t, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_timetable_drop(struct store *st, const char *name, bool is_wave, struct err *e)
{
	return db_run(st->db, "DELETE FROM timetables WHERE kind = ?1 AND name = ?2",
		      ARGS(TEXT(kind_of(is_wave)), TEXT(name)), e) < 0
		       ? -1
		       : 0;
}

int store_timetables_each(struct store *st, store_timetable_fn *fn, void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT kind, name, starts, rate, first_hour, quiet_s, latest,"
			 " paused, why, actor, since FROM timetables ORDER BY kind, name",
			 NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct timetable t = {
			.is_wave = strcmp(rows_text(r, 0), "wave") == 0,
			.name = rows_text(r, 1),
			.starts = rows_int(r, 2),
			.rate = (int)rows_int(r, 3),
			.first_hour = (int)rows_int(r, 4),
			.quiet_s = (int)rows_int(r, 5),
			.latest = rows_int(r, 6),
			.paused = rows_int(r, 7) != 0,
			.why = rows_text(r, 8),
			.actor = rows_text(r, 9),
			.since = rows_int(r, 10),
		};

		rc = got < 0 ? -1 : fn(&t, arg);
	}
	rows_end(&r);
	return rc;
}

int store_wave_pause(struct store *st, const char *wave, bool on, const char *actor,
		     const char *why, struct err *e)
{
	int n = db_run(st->db,
		       "INSERT INTO timetables (kind, name, paused, why, actor, since)"
		       " SELECT 'wave', ?1, ?2, ?3, ?4, ?5 WHERE ?2 = 1 OR EXISTS"
		       " (SELECT 1 FROM timetables WHERE kind = 'wave' AND name = ?1)"
		       " ON CONFLICT (kind, name) DO UPDATE SET paused = excluded.paused,"
		       " why = excluded.why, actor = excluded.actor, since = excluded.since"
		       " WHERE timetables.paused <> excluded.paused",
		       ARGS(TEXT(wave), INT(on), TEXT(on ? text_of(why) : ""), TEXT(actor),
			    INT(db_now_ms(st->db))),
		       e);

	if (n > 0)
		store_nudge(st);
	return n;
}

/* ---- counts */

int store_waves_each(struct store *st, store_wave_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT wave FROM users UNION SELECT name FROM timetables"
				  " WHERE kind = 'wave' ORDER BY 1",
				  NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : fn(rows_text(r, 0), arg);
	rows_end(&r);
	return rc;
}

int store_wave_count(struct store *st, const char *wave, int64_t fresh_since,
		     struct wave_count *out, struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT COUNT(*),"
		" COUNT(CASE WHEN go = 1 AND state IN ('pending', 'provisioned', 'syncing',"
		" 'ready') THEN 1 END),"
		" COUNT(CASE WHEN state IN ('freezing', 'finalizing') AND direction = 'forward'"
		" THEN 1 END),"
		" COUNT(CASE WHEN state IN ('trailing', 'done', 'returning') THEN 1 END),"
		" COUNT(CASE WHEN state IN ('trailing', 'done', 'returning') AND"
		" flipped_at > ?2 THEN 1 END),"
		" MIN(CASE WHEN state IN ('trailing', 'done', 'returning') AND"
		" flipped_at > ?2 THEN flipped_at END)"
		" FROM users WHERE wave = ?1",
		ARGS(TEXT(wave), INT(fresh_since)), e);
	int got;

	*out = (struct wave_count){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*out = (struct wave_count){ rows_int(r, 0), rows_int(r, 1), rows_int(r, 2),
					    rows_int(r, 3), rows_int(r, 4), rows_int(r, 5) };
	rows_end(&r);
	return got < 0 ? -1 : 0;
}

int store_wave_last_begun(struct store *st, const char *wave, int64_t *out, struct err *e)
{
	*out = 0;
	return db_query_int(st->db,
			    "SELECT COALESCE(MAX(h.at), 0) FROM users u JOIN history h"
			    " ON h.name = u.name WHERE u.wave = ?1 AND h.to_state = 'freezing'"
			    " AND h.direction = 'forward'",
			    ARGS(TEXT(wave)), out, e) < 0
		       ? -1
		       : 0;
}

int store_wave_logins(struct store *st, const char *wave, int64_t from, int64_t until,
		      struct wave_logins *out, struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT COUNT(*), COUNT(CASE WHEN l.result <> 'ok' THEN 1 END),"
			 " COUNT(DISTINCT CASE WHEN l.result <> 'ok' THEN l.name END)"
			 " FROM logins l JOIN users u ON u.name = l.name"
			 " WHERE l.at >= ?2 AND l.at < ?3 AND l.side = 'new' AND u.wave = ?1",
			 ARGS(TEXT(wave), INT(from), INT(until)), e);
	int got;

	*out = (struct wave_logins){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*out = (struct wave_logins){ rows_int(r, 0), rows_int(r, 1), rows_int(r, 2) };
	rows_end(&r);
	return got < 0 ? -1 : 0;
}

/* ---- how long it took */

struct times {
	int64_t *ms;
	size_t n, size;
};

static void add_time(struct times *t, int64_t ms)
{
	if (t->n == t->size) {
		t->size = t->size ? t->size * 2 : 64;
		t->ms = mem_grow(t->ms, t->size, sizeof *t->ms);
	}
	t->ms[t->n++] = ms;
}

/* The nearest rank: of 20 the 19th is the 95th percentile. */
static int64_t quantile(const int64_t *ms, size_t n, unsigned percent)
{
	return n ? ms[(n * percent + 99) / 100 - 1] : 0;
}

struct spread spread_of(const int64_t *ms, size_t n)
{
	return (struct spread){ (int64_t)n, quantile(ms, n, 50), quantile(ms, n, 95),
				quantile(ms, n, 100) };
}

int store_wave_holds(struct store *st, const char *wave, int64_t since, struct spread *out,
		     struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT h.held_ms FROM holds h JOIN users u ON u.name = h.name"
			 " WHERE h.at >= ?2 AND (?3 = 0 OR u.wave = ?1) ORDER BY h.held_ms",
			 ARGS(TEXT(text_of(wave)), INT(since), INT(wave != NULL)), e);
	struct times t = { 0 };
	int got;

	if (!r)
		return -1;
	while ((got = rows_next(r, e)) > 0)
		add_time(&t, rows_int(r, 0));
	rows_end(&r);
	*out = spread_of(t.ms, t.n);
	mem_free(&t.ms);
	return got;
}

/* One client after the other, as they come sorted. */
struct backs {
	char *client; /* NULL: none yet */
	int64_t drops;
	struct times times;
};

static int tell_client(struct backs *b, store_back_fn *fn, void *arg)
{
	struct spread s = spread_of(b->times.ms, b->times.n);
	int rc = b->client ? fn(b->client, b->drops, &s, arg) : 0;

	mem_free(&b->client);
	b->drops = 0;
	b->times.n = 0;
	return rc;
}

static int take_back(struct backs *b, const char *client, int64_t ms, store_back_fn *fn,
		     void *arg)
{
	int rc = 0;

	if (!b->client || strcmp(b->client, client) != 0) {
		rc = tell_client(b, fn, arg);
		b->client = mem_str(client);
	}
	b->drops++;
	if (ms)
		add_time(&b->times, ms);
	return rc;
}

int store_wave_backs(struct store *st, const char *wave, store_back_fn *fn, void *arg,
		     struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT d.client, d.back_ms FROM drops d JOIN users u"
				  " ON u.name = d.name WHERE u.wave = ?1 AND d.why = ?2"
				  " ORDER BY d.client, d.back_ms",
				  ARGS(TEXT(wave), TEXT(DROP_MOVED)), e);
	struct backs b = { 0 };
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : take_back(&b, rows_text(r, 0), rows_int(r, 1), fn, arg);
	if (rc == 0)
		rc = tell_client(&b, fn, arg);
	rows_end(&r);
	mem_free(&b.client);
	mem_free(&b.times.ms);
	return rc;
}

int store_wave_undos(struct store *st, const char *wave, store_reason_fn *fn, void *arg,
		     struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT h.why, COUNT(*) FROM users u JOIN history h ON h.name = u.name"
		" WHERE u.wave = ?1 AND h.direction = 'forward' AND h.to_state = 'ready'"
		" AND h.from_state IN ('freezing', 'finalizing')"
		" GROUP BY h.why ORDER BY 2 DESC, 1",
		ARGS(TEXT(wave)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : fn(rows_text(r, 0), rows_int(r, 1), arg);
	rows_end(&r);
	return rc;
}

int store_wave_flips(struct store *st, const char *wave, struct wave_flips *out, struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT COUNT(CASE WHEN h.to_state = 'trailing' THEN 1 END),"
		" COUNT(CASE WHEN h.to_state = 'ready' AND h.direction = 'back' THEN 1 END),"
		" MIN(CASE WHEN h.to_state = 'trailing' THEN h.at END),"
		" MAX(CASE WHEN h.to_state = 'trailing' THEN h.at END)"
		" FROM users u JOIN history h ON h.name = u.name"
		" WHERE u.wave = ?1 AND h.from_state = 'finalizing'",
		ARGS(TEXT(wave)), e);
	int got;

	*out = (struct wave_flips){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*out = (struct wave_flips){ rows_int(r, 0), rows_int(r, 1), rows_int(r, 2),
					    rows_int(r, 3) };
	rows_end(&r);
	return got < 0 ? -1 : 0;
}

int store_wave_waivers(struct store *st, const char *wave, store_waiver_fn *fn, void *arg,
		       struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT kind, name, item, note, actor, at FROM waivers"
		" WHERE (kind = 'wave' AND name = ?1) OR (kind = 'user' AND name IN"
		" (SELECT name FROM users WHERE wave = ?1)) ORDER BY kind DESC, name, item",
		ARGS(TEXT(wave)), e);

	return r ? store_hand_waivers(r, fn, arg, e) : -1;
}

/* ---- one user */

int store_user_quiet(struct store *st, const char *name, int64_t *since, struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT COUNT(*), COUNT(CASE WHEN s.quiet_since = 0 THEN 1 END),"
			 " COALESCE(MAX(s.quiet_since), 0),"
			 " COALESCE((SELECT at FROM last_sessions WHERE name = ?1), 1)"
			 " FROM sessions s JOIN nodes n ON n.node = s.node"
			 " WHERE s.name = ?1 AND n.lease_until > ?2",
			 ARGS(TEXT(name), INT(db_now_ms(st->db))), e);
	int got;

	*since = 0;
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0 && rows_int(r, 0) == 0)
		*since = rows_int(r, 3);
	else if (got > 0 && rows_int(r, 1) == 0)
		*since = rows_int(r, 2);
	rows_end(&r);
	return got < 0 ? -1 : 0;
}
