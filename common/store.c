/* Hides: how a store comes to be, knows itself and grows from one schema version to the next.
 */
#include "common/store_driver.h"

#include <errno.h>
#include <sys/random.h>

static const char schema[] =
#include "schema_sql.h"
	;

/*
 * steps[n] leads from version n to n + 1. schema.sql is always the newest, and a new store
 * starts there; no store of version 0 was ever made.
 */
static const char *const steps[STORE_SCHEMA_VERSION] = {
	[0] = NULL,
	[1] = "ALTER TABLE users ADD COLUMN flipped_at BIGINT NOT NULL DEFAULT 0;"
	      "UPDATE users SET flipped_at = COALESCE((SELECT MAX(at) FROM history"
	      " WHERE history.name = users.name AND from_state = 'finalizing' AND"
	      " ((direction = 'forward' AND to_state = 'trailing') OR"
	      " (direction = 'back' AND to_state = 'ready'))), 0);"
	      "ALTER TABLE nodes ADD COLUMN build TEXT NOT NULL DEFAULT '';"
	      "ALTER TABLE nodes ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE nodes ADD COLUMN drain_until BIGINT NOT NULL DEFAULT 0;"
	      "ALTER TABLE sessions ADD COLUMN client TEXT NOT NULL DEFAULT '';"
	      "ALTER TABLE sessions ADD COLUMN route TEXT NOT NULL DEFAULT '';"
	      "DROP INDEX sessions_by_name;"
	      "CREATE INDEX sessions_by_name ON sessions (name, node, id);"
	      "CREATE TABLE certificates (node TEXT NOT NULL, name TEXT NOT NULL,"
	      " not_after BIGINT NOT NULL, PRIMARY KEY (node, name));"
	      "CREATE TABLE answers (request BIGINT NOT NULL, node TEXT NOT NULL,"
	      " at BIGINT NOT NULL, ended BIGINT NOT NULL, cut BIGINT NOT NULL,"
	      " remain BIGINT NOT NULL, doing TEXT NOT NULL, PRIMARY KEY (request, node));"
	      "CREATE INDEX answers_by_time ON answers (at);"
	      "CREATE TABLE traces (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
	      " started BIGINT NOT NULL, until BIGINT NOT NULL, max_bytes BIGINT NOT NULL,"
	      " bytes BIGINT NOT NULL DEFAULT 0, stopped INTEGER NOT NULL DEFAULT 0);"
	      "CREATE TABLE trace_lines (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	      " trace BIGINT NOT NULL, node TEXT NOT NULL, at BIGINT NOT NULL,"
	      " session TEXT NOT NULL, way TEXT NOT NULL, line TEXT NOT NULL);"
	      "CREATE INDEX trace_lines_by_trace ON trace_lines (trace, id);",
	[2] = "CREATE TABLE usage (proto TEXT NOT NULL, extension TEXT NOT NULL,"
	      " sessions BIGINT NOT NULL, last_seen BIGINT NOT NULL,"
	      " PRIMARY KEY (proto, extension));",
	[3] = "ALTER TABLE users ADD COLUMN quota TEXT NOT NULL DEFAULT '';"
	      "ALTER TABLE users ADD COLUMN not_before BIGINT NOT NULL DEFAULT 0;"
	      "CREATE TABLE latency (node TEXT NOT NULL, side TEXT NOT NULL, at BIGINT NOT NULL,"
	      " commands BIGINT NOT NULL, typical_us BIGINT NOT NULL,"
	      " PRIMARY KEY (node, side));",
	[4] = "CREATE TABLE pop3_users (name TEXT PRIMARY KEY, seen BIGINT NOT NULL DEFAULT 0,"
	      " mapped_at BIGINT NOT NULL DEFAULT 0, complete INTEGER NOT NULL DEFAULT 0,"
	      " accepted INTEGER NOT NULL DEFAULT 0, entries BIGINT NOT NULL DEFAULT 0,"
	      " missing BIGINT NOT NULL DEFAULT 0, bytes BIGINT NOT NULL DEFAULT 0,"
	      " digest TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '');"
	      "CREATE TABLE pop3_parts (name TEXT NOT NULL, part INTEGER NOT NULL,"
	      " body TEXT NOT NULL, PRIMARY KEY (name, part));",
	[5] = "CREATE TABLE facts (name TEXT PRIMARY KEY, at BIGINT NOT NULL,"
	      " body TEXT NOT NULL);"
	      "CREATE TABLE waivers (kind TEXT NOT NULL, name TEXT NOT NULL,"
	      " item TEXT NOT NULL, note TEXT NOT NULL, actor TEXT NOT NULL,"
	      " at BIGINT NOT NULL, PRIMARY KEY (kind, name, item));",
	[6] = "CREATE TABLE last_sessions (name TEXT PRIMARY KEY, at BIGINT NOT NULL);",
	[7] = "CREATE TABLE dns_notes (domain TEXT NOT NULL, record TEXT NOT NULL,"
	      " value TEXT NOT NULL, ttl_s BIGINT NOT NULL, first_seen BIGINT NOT NULL,"
	      " last_seen BIGINT NOT NULL, PRIMARY KEY (domain, record, first_seen));",
	[8] = "ALTER TABLE sessions ADD COLUMN quiet_since BIGINT NOT NULL DEFAULT 0;"
	      "CREATE INDEX holds_by_name ON holds (name, id);"
	      "CREATE INDEX holds_by_time ON holds (at);"
	      "CREATE TABLE logins (id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT"
	      " NULL, name TEXT NOT NULL, proto TEXT NOT NULL, at BIGINT NOT NULL, side TEXT"
	      " NOT NULL, route TEXT NOT NULL, result TEXT NOT NULL, client TEXT NOT NULL,"
	      " held_ms BIGINT NOT NULL, took_ms BIGINT NOT NULL);"
	      "CREATE INDEX logins_by_name ON logins (name, id);"
	      "CREATE INDEX logins_by_time ON logins (at);"
	      "CREATE TABLE drops (node TEXT NOT NULL, session TEXT NOT NULL, name TEXT NOT"
	      " NULL, proto TEXT NOT NULL, at BIGINT NOT NULL, side TEXT NOT NULL, doing"
	      " TEXT NOT NULL, why TEXT NOT NULL, bye TEXT NOT NULL, client TEXT NOT NULL,"
	      " back_ms BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (node, session));"
	      "CREATE INDEX drops_by_name ON drops (name, at);"
	      "CREATE INDEX drops_by_time ON drops (at);"
	      "CREATE TABLE timetables (kind TEXT NOT NULL, name TEXT NOT NULL, starts"
	      " BIGINT NOT NULL DEFAULT 0, rate INTEGER NOT NULL DEFAULT 0, first_hour"
	      " INTEGER NOT NULL DEFAULT 0, quiet_s INTEGER NOT NULL DEFAULT 0, latest"
	      " BIGINT NOT NULL DEFAULT 0, paused INTEGER NOT NULL DEFAULT 0, why TEXT NOT"
	      " NULL DEFAULT '', actor TEXT NOT NULL DEFAULT '', since BIGINT NOT NULL"
	      " DEFAULT 0, PRIMARY KEY (kind, name));",
	[9] = "CREATE TABLE shadow_logins (name TEXT PRIMARY KEY, next_at BIGINT NOT NULL,"
	      " at BIGINT NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0);",
	[10] = "ALTER TABLE nodes ADD COLUMN host TEXT NOT NULL DEFAULT '';"
	       "ALTER TABLE nodes ADD COLUMN place TEXT NOT NULL DEFAULT '';"
	       "CREATE TABLE engines (place TEXT PRIMARY KEY, host TEXT NOT NULL,"
	       " pid INTEGER NOT NULL, started BIGINT NOT NULL, seen BIGINT NOT NULL);"
	       "CREATE TABLE engine_lease (one INTEGER PRIMARY KEY, place TEXT NOT NULL,"
	       " epoch BIGINT NOT NULL, lease_until BIGINT NOT NULL);",
	[11] = "CREATE TABLE learned (name TEXT PRIMARY KEY, at BIGINT NOT NULL,"
	       " sealed TEXT NOT NULL);",
	[12] = "ALTER TABLE users ADD COLUMN strays BIGINT NOT NULL DEFAULT 0;"
	       "ALTER TABLE users ADD COLUMN last_stray BIGINT NOT NULL DEFAULT 0;",
	[13] = "CREATE TABLE validities (name TEXT PRIMARY KEY, lines TEXT NOT NULL);",
	[14] = "CREATE TABLE phase_notes (id INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT"
	       " NULL, item TEXT NOT NULL, done INTEGER NOT NULL, note TEXT NOT NULL, actor"
	       " TEXT NOT NULL, at BIGINT NOT NULL);"
	       "CREATE INDEX phase_notes_by_domain ON phase_notes (domain, item, id);",
	[15] = "CREATE TABLE pulls (name TEXT PRIMARY KEY, state TEXT NOT NULL, job TEXT NOT"
	       " NULL, text TEXT NOT NULL, tries INTEGER NOT NULL, asked BIGINT NOT NULL,"
	       " migrated BIGINT NOT NULL, skipped BIGINT NOT NULL, failed BIGINT NOT NULL,"
	       " total BIGINT NOT NULL, bytes BIGINT NOT NULL);",
	[16] = "CREATE TABLE journals (name TEXT PRIMARY KEY, edition TEXT NOT NULL, away"
	       " INTEGER NOT NULL, folder TEXT NOT NULL, host TEXT NOT NULL, at BIGINT NOT"
	       " NULL, size BIGINT NOT NULL DEFAULT 0, parts TEXT NOT NULL DEFAULT '');"
	       "CREATE INDEX journals_by_folder ON journals (away, folder);"
	       "CREATE TABLE journal_parts (name TEXT NOT NULL, digest TEXT NOT NULL, body TEXT"
	       " NOT NULL, PRIMARY KEY (name, digest));",
	[17] = "CREATE INDEX users_by_domain ON users (" STORE_TAIL(
		"name") ");"
			"CREATE INDEX strangers_by_domain ON strangers (" STORE_TAIL(
				"name") ");",
	[18] = "CREATE TABLE server_errors (side TEXT NOT NULL, name TEXT NOT NULL,"
	       " at BIGINT NOT NULL, PRIMARY KEY (side, name));"
	       "ALTER TABLE last_sessions ADD COLUMN began BIGINT NOT NULL DEFAULT 0;",
	[19] = "ALTER TABLE last_sessions ADD COLUMN earliest BIGINT NOT NULL DEFAULT 0;",
	[20] = "ALTER TABLE engines ADD COLUMN workers INTEGER NOT NULL DEFAULT 0;"
	       "CREATE TABLE leases (name TEXT PRIMARY KEY, kind TEXT NOT NULL,"
	       " change BIGINT NOT NULL, connections INTEGER NOT NULL, rules TEXT NOT NULL,"
	       " folder TEXT NOT NULL, offered BIGINT NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
	       " place TEXT NOT NULL DEFAULT '', body TEXT NOT NULL DEFAULT '');",
};

static int meta_get_int(struct db *db, const char *key, int64_t *out, struct err *e)
{
	int got = db_query_int(db, "SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?1",
			       ARGS(TEXT(key)), out, e);

	return got == 0 ? err_set(e, ERR_STORE, "meta has no %s", key) : got;
}

static int meta_set(struct db *db, const char *key, const char *value, struct err *e)
{
	return db_run(db,
		      "INSERT INTO meta (key, value) VALUES (?1, ?2)"
		      " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		      ARGS(TEXT(key), TEXT(value)), e);
}

static int meta_set_version(struct db *db, int version, struct err *e)
{
	char text[16];

	snprintf(text, sizeof text, "%d", version);
	return meta_set(db, "schema_version", text, e);
}

static int set_new_id(struct db *db, struct err *e)
{
	unsigned char random[(STORE_ID_MAX - 1) / 2];
	char id[STORE_ID_MAX];

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return err_set(e, ERR_STORE, "getrandom: %s", strerror(errno));
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	return meta_set(db, "store_id", id, e);
}

int store_migrate(struct db *db, const char *const *way, int target, struct err *e)
{
	int64_t version;

	if (meta_get_int(db, "schema_version", &version, e) < 0)
		return -1;
	if (version > target)
		return err_set(
			e, ERR_STORE,
			"schema version %lld is newer than this program's %d: use the program"
			" that wrote it, or a newer one",
			(long long)version, target);
	if (version == target)
		return 0;
	for (; version < target; version++)
		if (version < 0 || !way[version])
			return err_set(e, ERR_STORE,
				       "there is no way from schema version %lld to %d",
				       (long long)version, target);
		else if (db_script(db, way[version], e) < 0)
			return err_wrap(e, "from schema version %lld", (long long)version);
	return meta_set_version(db, target, e) < 0 ? -1 : 0;
}

static int make_schema(struct db *db, struct err *e)
{
	if (db_script(db, schema, e) < 0 || set_new_id(db, e) < 0)
		return -1;
	return meta_set_version(db, STORE_SCHEMA_VERSION, e);
}

static int bring_schema(struct store *st, bool create, struct err *e)
{
	int has;

	if (db_begin(st->db, e) < 0)
		return -1;
	has = db_has_table(st->db, "meta", e);
	if (has == 0 && !create)
		has = err_set(e, ERR_STORE,
			      "holds no tables (start once with --new-store to make them)");
	if (has < 0 || (has == 0 && make_schema(st->db, e) < 0) ||
	    store_migrate(st->db, steps, STORE_SCHEMA_VERSION, e) < 0)
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

static int read_id(struct store *st, struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT value FROM meta WHERE key = 'store_id'", NO_ARGS, e);
	int got;

	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		snprintf(st->id, sizeof st->id, "%s", rows_text(r, 0));
	rows_end(&r);
	if (got == 0)
		return err_set(e, ERR_STORE, "meta has no store_id");
	return got < 0 ? -1 : 0;
}

int store_open(struct store **out, const struct store_opts *o, struct err *e)
{
	struct store *st = mem_new(sizeof *st);

	st->nudge_fd = -1;
	st->nudge_dir = mem_str(o->nudge_dir);
	if (o->place)
		st->place = *o->place;
	if (db_open(&st->db, o, e) < 0)
		goto fail;
	if (bring_schema(st, o->create, e) < 0 || read_id(st, e) < 0) {
		err_wrap(e, "store %s", o->url ? "postgresql" : o->path);
		goto fail;
	}
	*out = st;
	return 0;
fail:
	store_close(&st);
	return -1;
}

void store_close(struct store **at)
{
	struct store *st = *at;

	if (!st)
		return;
	db_close(&st->db);
	if (st->nudge_fd >= 0)
		close(st->nudge_fd);
	mem_free(&st->nudge_dir);
	mem_free(at);
}

int64_t store_now_ms(struct store *st)
{
	return db_now_ms(st->db);
}

const char *store_id(const struct store *st)
{
	return st->id;
}

int64_t store_failures(const struct store *st)
{
	return st->db->failures;
}

int store_last_change(struct store *st, int64_t *out, struct err *e)
{
	return db_query_int(st->db, "SELECT COALESCE(MAX(id), 0) FROM changes", NO_ARGS, out,
			    e) < 0
		       ? -1
		       : 0;
}
