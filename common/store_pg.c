/*
 * Hides: PostgreSQL. The same SQL with $1 for ?1; writers stand in line at one advisory lock,
 * so that ids come in the order of commits, as they do with SQLite's one writer.
 *
 * A broken connection is made anew by the next call that begins something; what was begun on
 * the old one fails and was rolled back by the server. The clock is the server's: read with
 * every lock, kept by our monotonic clock in between.
 */
#include "common/store_driver.h"

#include <inttypes.h>
#include <libpq-fe.h>

#include "common/clock.h"
#include "common/wire/utf7.h"

#define STATEMENTS_MAX 512 /* each is a literal in store*.c, of which there are some 220 */
#define ARGS_MAX       1024 /* parameters of one, as MANY_ROWS * MANY_WIDTH */
#define WRITE_LOCK     0x6d616966 /* "maif": of all advisory locks of the database, ours */
#define OID_INT8       20
#define OID_TEXT       25
#define CLOCK_MS       30000 /* the server's clock is asked for again after this */
#define CLOCK_SLACK_MS 1000  /* by less than this it does not go back */

struct statement {
	const char *sql; /* as store*.c has it */
	char name[16];
	bool prepared; /* on the present connection */
};

struct pg_rows {
	struct rows rows;
	struct pg_rows *next; /* of those not in use */
	PGresult *result;
	int row; /* the present one; -1 before the first */
};

struct pg {
	struct db db;
	PGconn *conn;
	char *url;
	bool in_tx;
	int64_t offset_ms, clock_asked; /* server's clock minus monotonic */
	int64_t told_ms;		/* what we said it is, last */
	unsigned reading;		/* rows not ended */
	struct pg_rows *spare;
	size_t count;
	struct statement statements[STATEMENTS_MAX];
};

static struct pg *pg_of(struct db *db)
{
	return (struct pg *)db;
}

static struct pg_rows *rows_of(struct rows *r)
{
	return (struct pg_rows *)r;
}

/* Host and name only: a URL may hold a password. */
static int fail(struct pg *pg, const char *why, struct err *e)
{
	size_t n = strcspn(why, "\n");

	pg->db.failures++;
	return err_set(e, ERR_STORE, "store postgresql %s at %s: %.*s",
		       pg->conn && PQdb(pg->conn) ? PQdb(pg->conn) : "?",
		       pg->conn && PQhost(pg->conn) ? PQhost(pg->conn) : "?", (int)n, why);
}

/* ---- connection */

int store_url_check(const char *url, struct err *e)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	int rc = 0;

	if (!options)
		rc = err_set(e, ERR_INPUT, "%.*s", (int)strcspn(why ? why : "no memory", "\n"),
			     why ? why : "no memory");
	for (PQconninfoOption *o = options; o && o->keyword && rc == 0; o++)
		if (strcmp(o->keyword, "password") == 0 && o->val)
			rc = err_set(e, ERR_INPUT,
				     "the password does not belong here: use passfile=FILE");
	PQconninfoFree(options);
	PQfreemem(why);
	return rc;
}

/*
 * Our own limits stand before what the URL says only where it says nothing. A process that is
 * stopped, or a host that is cut off, in the middle of a transaction holds the lock of all
 * writers: the server ends that transaction before those who wait for the lock give up.
 */
static int setup(struct pg *pg, struct err *e)
{
	static const char sql[] = "SET client_min_messages = warning; SET lock_timeout = 5000;"
				  " SET statement_timeout = 60000;"
				  " SET idle_in_transaction_session_timeout = 3000;"
				  " SET synchronous_commit = on;"
				  " SET default_transaction_isolation = 'read committed'";
	PGresult *r = PQexec(pg->conn, sql);
	int rc = 0;

	_Static_assert(STORE_BUSY_MS == 5000, "lock_timeout says the same");
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		rc = fail(pg, PQerrorMessage(pg->conn), e);
	PQclear(r);
	return rc;
}

static int connect_to(struct pg *pg, struct err *e)
{
	static const char *const keys[] = { "keepalives_idle",
					    "keepalives_interval",
					    "keepalives_count",
					    "tcp_user_timeout",
					    "connect_timeout",
					    "application_name",
					    "client_encoding",
					    "dbname",
					    NULL };
	const char *const values[] = { "5",	    "5",    "2",     "10000", "5",
				       "mailferry", "UTF8", pg->url, NULL };

	if (pg->conn)
		PQfinish(pg->conn);
	for (size_t i = 0; i < pg->count; i++)
		pg->statements[i].prepared = false;
	pg->in_tx = false;
	pg->clock_asked = 0;
	/* expand_dbname: what stands in the URL comes later in the list, and so counts. */
	pg->conn = PQconnectdbParams(keys, values, 1);
	if (PQstatus(pg->conn) != CONNECTION_OK)
		return fail(pg, PQerrorMessage(pg->conn), e);
	return setup(pg, e);
}

/* Before anything begins. A server that has gone meanwhile has said so: its word is read first.
 */
static int ready(struct pg *pg, struct err *e)
{
	if (pg->in_tx || (PQconsumeInput(pg->conn) && PQstatus(pg->conn) == CONNECTION_OK))
		return 0;
	return connect_to(pg, e);
}

static void pg_close(struct db *at)
{
	struct pg *pg = pg_of(at);

	ASSERT(pg->reading == 0);
	while (pg->spare) {
		struct pg_rows *r = pg->spare;

		pg->spare = r->next;
		free(r);
	}
	if (pg->conn)
		PQfinish(pg->conn);
	mem_free(&pg->url);
	free(pg);
}

static int pg_open(struct db **out, const struct store_opts *o, struct err *e)
{
	struct pg *pg = mem_new(sizeof *pg);

	pg->db.driver = &store_pg;
	pg->url = mem_str(o->url);
	if (connect_to(pg, e) < 0) {
		pg_close(&pg->db);
		return -1;
	}
	*out = &pg->db;
	return 0;
}

/* ---- transactions */

static int exec(struct pg *pg, const char *sql, PGresult **out, struct err *e)
{
	PGresult *r = PQexec(pg->conn, sql);
	ExecStatusType got = PQresultStatus(r);
	int rc = 0;

	if (got != PGRES_COMMAND_OK && got != PGRES_TUPLES_OK)
		rc = fail(pg, PQerrorMessage(pg->conn), e);
	if (rc == 0 && out)
		*out = r;
	else
		PQclear(r);
	return rc;
}

static void take_clock(struct pg *pg, const PGresult *r, int column)
{
	pg->clock_asked = clock_mono_ms();
	pg->offset_ms = strtoll(PQgetvalue(r, 0, column), NULL, 10) - pg->clock_asked;
}

#define SERVER_MS "(extract(epoch from clock_timestamp()) * 1000)::bigint"

static int pg_rollback(struct db *at)
{
	struct pg *pg = pg_of(at);

	if (pg->in_tx)
		PQclear(PQexec(pg->conn, "ROLLBACK"));
	pg->in_tx = false;
	return -1;
}

/* A server that ended between two calls may show it only in the second: nothing is done yet, so
 * it is tried once more on a new connection. */
static int start_tx(struct pg *pg, struct err *e)
{
	for (int again = 0; ready(pg, e) == 0; again++) {
		if (exec(pg, "BEGIN", NULL, e) == 0)
			return 0;
		if (again || PQstatus(pg->conn) == CONNECTION_OK)
			break;
		err_clear(e);
	}
	return -1;
}

static int pg_begin(struct db *at, struct err *e)
{
	static const char sql[] = "SELECT pg_advisory_xact_lock(%d), " SERVER_MS;
	struct pg *pg = pg_of(at);
	PGresult *r;
	char text[sizeof sql + 16];

	ASSERT(!pg->in_tx);
	snprintf(text, sizeof text, "SELECT pg_advisory_xact_lock(%d), " SERVER_MS, WRITE_LOCK);
	if (start_tx(pg, e) < 0)
		return -1;
	pg->in_tx = true;
	if (exec(pg, text, &r, e) < 0)
		return pg_rollback(at);
	take_clock(pg, r, 1);
	PQclear(r);
	return 0;
}

/* A server that cannot commit says ROLLBACK, and that is no error to libpq. */
static int pg_commit(struct db *at, struct err *e)
{
	struct pg *pg = pg_of(at);
	PGresult *r = PQexec(pg->conn, "COMMIT");
	bool done =
		PQresultStatus(r) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(r), "COMMIT") == 0;

	pg->in_tx = false;
	if (!done)
		fail(pg,
		     PQresultStatus(r) == PGRES_COMMAND_OK ? "the transaction had failed"
							   : PQerrorMessage(pg->conn),
		     e);
	PQclear(r);
	return done ? 0 : -1;
}

/* The server's clock is measured anew with each transaction, and may come out a little lower. */
static int64_t never_back(struct pg *pg, int64_t now)
{
	if (now < pg->told_ms && pg->told_ms - now < CLOCK_SLACK_MS)
		return pg->told_ms;
	pg->told_ms = now;
	return now;
}

static int64_t pg_now_ms(struct db *at)
{
	struct pg *pg = pg_of(at);
	PGresult *r;
	struct err e = { 0 };

	if (clock_test_is_frozen())
		return clock_real_ms();
	if (clock_mono_ms() - pg->clock_asked > CLOCK_MS && !pg->in_tx && ready(pg, &e) == 0 &&
	    exec(pg, "SELECT " SERVER_MS, &r, &e) == 0) {
		take_clock(pg, r, 0);
		PQclear(r);
	}
	return never_back(pg, clock_mono_ms() + pg->offset_ms);
}

static void pg_nudge(struct db *at)
{
	struct pg *pg = pg_of(at);
	struct err e = { 0 };

	/* A hint: if it fails, those who listen look by themselves soon. */
	if (!pg->in_tx && PQstatus(pg->conn) == CONNECTION_OK)
		(void)!exec(pg, "NOTIFY " STORE_PG_CHANNEL, NULL, &e);
}

/* ---- SQL */

static void add_until(struct buf *out, const char **p, const char *end)
{
	buf_add(out, *p, (size_t)(end - *p));
	*p = end;
}

/* The schema's few words that SQLite has and PostgreSQL says otherwise. */
static const struct {
	const char *from, *to;
} words[] = {
	{ "INTEGER PRIMARY KEY AUTOINCREMENT",
	  "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY" },
	{ "TEXT", "TEXT COLLATE \"C\"" }, /* order by bytes, as strcmp() does */
};

/* In our dialect; the caller frees. */
static char *translate(const char *sql, bool is_schema)
{
	struct buf out = { 0 };
	char *text;

	for (const char *p = sql, *at = sql; *at || p != at;) {
		size_t i = is_schema ? 0 : COUNT(words);

		while (i < COUNT(words) &&
		       strncmp(at, words[i].from, strlen(words[i].from)) != 0)
			i++;
		if (i < COUNT(words)) {
			add_until(&out, &p, at);
			buf_add_str(&out, words[i].to);
			at = p = at + strlen(words[i].from);
		} else if (*at == '?') {
			add_until(&out, &p, at);
			buf_add_str(&out, "$");
			at = p = at + 1;
		} else if (*at) {
			at++;
		} else {
			add_until(&out, &p, at);
		}
	}
	text = mem_strn(buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	return text;
}

static int pg_script(struct db *at, const char *sql, struct err *e)
{
	char *text = translate(sql, true);
	int rc = exec(pg_of(at), text, NULL, e);

	free(text);
	return rc;
}

static int pg_has_table(struct db *db, const char *table, struct err *e)
{
	int64_t count;

	if (db_query_int(db,
			 "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()"
			 " AND tablename = ?1",
			 ARGS(TEXT(table)), &count, e) < 0)
		return -1;
	return count > 0;
}

static struct statement *find_statement(struct pg *pg, const char *sql)
{
	struct statement *s;

	for (size_t i = 0; i < pg->count; i++)
		if (pg->statements[i].sql == sql)
			return &pg->statements[i];
	ASSERT(pg->count < STATEMENTS_MAX);
	s = &pg->statements[pg->count];
	snprintf(s->name, sizeof s->name, "s%zu", pg->count++);
	s->sql = sql;
	return s;
}

static int prepare(struct pg *pg, struct statement *s, const struct db_value *args, size_t n,
		   struct err *e)
{
	Oid types[ARGS_MAX];
	char *text;
	PGresult *r;
	int rc = 0;

	if (s->prepared)
		return 0;
	for (size_t i = 0; i < n; i++)
		types[i] = args[i].type == DB_INT ? OID_INT8 : OID_TEXT;
	text = translate(s->sql, false);
	r = PQprepare(pg->conn, s->name, text, (int)n, types);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		rc = fail(pg, PQerrorMessage(pg->conn), e);
	PQclear(r);
	free(text);
	s->prepared = rc == 0;
	return rc;
}

/* What a client calls itself may be any bytes; PostgreSQL takes only UTF-8. NULL: it is fine.
 */
static char *as_utf8(const char *s)
{
	struct slice rest = slice_of(s);
	struct buf out = { 0 };
	uint32_t cp;
	size_t n;
	char *text;

	if (utf8_is_valid(rest))
		return NULL;
	for (; rest.n > 0; rest = (struct slice){ rest.p + n, rest.n - n }) {
		n = utf8_next(rest, &cp);
		buf_add(&out, n ? rest.p : "?", n ? n : 1);
		n = n ? n : 1;
	}
	text = mem_strn(buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	return text;
}

static PGresult *run_prepared(struct pg *pg, const struct statement *s,
			      const struct db_value *args, size_t n)
{
	const char *values[ARGS_MAX];
	char numbers[ARGS_MAX][24];
	char *mended[ARGS_MAX];
	PGresult *r;

	values[0] = NULL;
	for (size_t i = 0; i < n; i++) {
		mended[i] = NULL;
		if (args[i].type == DB_INT) {
			snprintf(numbers[i], sizeof numbers[i], "%" PRId64, args[i].i);
			values[i] = numbers[i];
		} else {
			mended[i] = args[i].text ? as_utf8(args[i].text) : NULL;
			values[i] = mended[i] ? mended[i] : args[i].text;
		}
	}
	r = PQexecPrepared(pg->conn, s->name, (int)n, values, NULL, NULL, 0);
	for (size_t i = 0; i < n; i++)
		free(mended[i]);
	return r;
}

/* ---- rows */

static void pg_end(struct rows *at)
{
	struct pg_rows *r = rows_of(at);
	struct pg *pg = pg_of(at->db);

	PQclear(r->result);
	r->result = NULL;
	r->next = pg->spare;
	pg->spare = r;
	pg->reading--;
}

static struct pg_rows *new_rows(struct pg *pg, PGresult *result)
{
	struct pg_rows *r = pg->spare ? pg->spare : mem_new(sizeof *r);

	if (pg->spare)
		pg->spare = r->next;
	*r = (struct pg_rows){ .rows = { &pg->db }, .result = result, .row = -1 };
	pg->reading++;
	return r;
}

static bool is_read(const char *sql)
{
	return strncmp(sql, "SELECT", 6) == 0;
}

static PGresult *run_here(struct pg *pg, struct statement *s, const struct db_value *args,
			  size_t n, struct err *e)
{
	PGresult *r;
	ExecStatusType got;

	if (ready(pg, e) < 0 || prepare(pg, s, args, n, e) < 0)
		return NULL;
	r = run_prepared(pg, s, args, n);
	got = PQresultStatus(r);
	if (got == PGRES_COMMAND_OK || got == PGRES_TUPLES_OK)
		return r;
	fail(pg, PQerrorMessage(pg->conn), e);
	PQclear(r);
	return NULL;
}

/* A write outside a transaction is one by itself, and stands in line like all writers. */
static PGresult *run_alone(struct pg *pg, struct statement *s, const struct db_value *args,
			   size_t n, struct err *e)
{
	PGresult *r;

	if (pg_begin(&pg->db, e) < 0)
		return NULL;
	r = run_here(pg, s, args, n, e);
	if (!r) {
		pg_rollback(&pg->db);
		return NULL;
	}
	if (pg_commit(&pg->db, e) == 0)
		return r;
	PQclear(r);
	return NULL;
}

/* Reading changes nothing: what a lost connection took is asked for again on a new one. */
static PGresult *read_alone(struct pg *pg, struct statement *s, const struct db_value *args,
			    size_t n, struct err *e)
{
	PGresult *r = run_here(pg, s, args, n, e);

	if (r || PQstatus(pg->conn) == CONNECTION_OK)
		return r;
	err_clear(e);
	return run_here(pg, s, args, n, e);
}

static struct rows *pg_query(struct db *at, const char *sql, const struct db_value *args,
			     size_t n, struct err *e)
{
	struct pg *pg = pg_of(at);
	struct statement *s = find_statement(pg, sql);
	PGresult *r;

	ASSERT(n <= ARGS_MAX);
	if (pg->in_tx)
		r = run_here(pg, s, args, n, e);
	else if (is_read(sql))
		r = read_alone(pg, s, args, n, e);
	else
		r = run_alone(pg, s, args, n, e);
	return r ? &new_rows(pg, r)->rows : NULL;
}

static int pg_next(struct rows *at, struct err *e UNUSED)
{
	struct pg_rows *r = rows_of(at);

	return ++r->row < PQntuples(r->result);
}

static int pg_written(const struct rows *r)
{
	return (int)strtol(PQcmdTuples(((const struct pg_rows *)r)->result), NULL, 10);
}

static const char *pg_text(const struct rows *at, int column)
{
	const struct pg_rows *r = (const struct pg_rows *)at;

	return PQgetisnull(r->result, r->row, column) ? NULL
						      : PQgetvalue(r->result, r->row, column);
}

static int64_t pg_int(const struct rows *at, int column)
{
	const char *text = pg_text(at, column);

	return text ? strtoll(text, NULL, 10) : 0;
}

const struct db_driver store_pg = {
	.open = pg_open,
	.close = pg_close,
	.now_ms = pg_now_ms,
	.begin = pg_begin,
	.commit = pg_commit,
	.rollback = pg_rollback,
	.script = pg_script,
	.has_table = pg_has_table,
	.nudge = pg_nudge,
	.query = pg_query,
	.written = pg_written,
	.next = pg_next,
	.get_int = pg_int,
	.get_text = pg_text,
	.end = pg_end,
};
