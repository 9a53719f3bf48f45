/*
 * What store*.c need of a database, and what they share. The SQL they hand down is one dialect:
 * numbered parameters ?1 ?2 …, RETURNING, ON CONFLICT, no functions that only one database has.
 * Only files named store*.c include this.
 */
#ifndef COMMON_STORE_DRIVER_H
#define COMMON_STORE_DRIVER_H

#include "common/store.h"
#include "common/store_gate.h"

struct db;
struct rows; /* an open read; owned by the db, borrowed until rows_end() */

/* A parameter. text NULL is SQL's NULL; it must live until the call returns or rows_end(). */
struct db_value {
	enum { DB_INT, DB_TEXT } type;
	int64_t i;
	const char *text;
};

#define INT(x)	((struct db_value){ .type = DB_INT, .i = (x) })
#define TEXT(x) ((struct db_value){ .type = DB_TEXT, .text = (x) })
#define ARGS(...) \
	((const struct db_value[]){ __VA_ARGS__ }), COUNT(((struct db_value[]){ __VA_ARGS__ }))
#define NO_ARGS NULL, 0

/* Of a login name what its last @ begins; where there is none, all of it. Indexes of schema.sql
 * have it to the letter. */
#define STORE_TAIL(name) "substr(" name ", length(rtrim(" name ", replace(" name ", '@', ''))))"

/* For columns that are never NULL. */
static inline const char *text_of(const char *s)
{
	return s ? s : "";
}

/* Opens the database that the options name; with opts->create a missing one is made, empty. */
int db_open(struct db **out, const struct store_opts *o, struct err *e) MUST_CHECK;
void db_close(struct db **db);
int64_t db_now_ms(struct db *db);

/*
 * A transaction that no other writer can be in at the same time, so ids come in the order of
 * commits. A commit that fails has rolled back. Rollback returns -1. None of them nests.
 */
int db_begin(struct db *db, struct err *e) MUST_CHECK;
int db_commit(struct db *db, struct err *e) MUST_CHECK;
int db_rollback(struct db *db);

/* Several statements without parameters, inside a transaction. */
int db_script(struct db *db, const char *sql, struct err *e) MUST_CHECK;
/* Is there a table of this name? 1, 0, -1. */
int db_has_table(struct db *db, const char *table, struct err *e) MUST_CHECK;
/* Does our handle lead to a file that is no longer at its path? */
bool db_was_replaced(struct db *db);
/* Wakes those who listen on other hosts; those on this one have their datagrams. */
void db_nudge(struct db *db);

/* sql must be a string that lives as long as the db: statements are kept by its address. */

/* Returns how many rows were written, or -1. Outside a transaction it is one by itself. */
int db_run(struct db *db, const char *sql, const struct db_value *args, size_t n,
	   struct err *e) MUST_CHECK;
struct rows *db_query(struct db *db, const char *sql, const struct db_value *args, size_t n,
		      struct err *e) MUST_CHECK;
/* The first column of the first row: 1 found, 0 no row, -1. */
int db_query_int(struct db *db, const char *sql, const struct db_value *args, size_t n,
		 int64_t *out, struct err *e) MUST_CHECK;

/* 1 there is a row, 0 no more, -1 error. */
int rows_next(struct rows *r, struct err *e) MUST_CHECK;
int64_t rows_int(const struct rows *r, int column);	 /* 0 for NULL */
const char *rows_text(const struct rows *r, int column); /* NULL for NULL; until rows_next() */
void rows_end(struct rows **r);

/* ---- what a driver brings: the functions above under another name */

struct db_driver {
	int (*open)(struct db **out, const struct store_opts *o, struct err *e);
	void (*close)(struct db *db);
	int64_t (*now_ms)(struct db *db);
	int (*begin)(struct db *db, struct err *e);
	int (*commit)(struct db *db, struct err *e);
	int (*rollback)(struct db *db);
	int (*script)(struct db *db, const char *sql, struct err *e);
	int (*has_table)(struct db *db, const char *table, struct err *e);
	bool (*was_replaced)(struct db *db); /* NULL: cannot be */
	void (*nudge)(struct db *db);
	struct rows *(*query)(struct db *db, const char *sql, const struct db_value *args,
			      size_t n, struct err *e);
	int (*written)(const struct rows *r); /* rows written by a statement that has run */
	int (*next)(struct rows *r, struct err *e);
	int64_t (*get_int)(const struct rows *r, int column);
	const char *(*get_text)(const struct rows *r, int column);
	void (*end)(struct rows *r);
};
/* A driver's own structs begin with these. */
struct db {
	const struct db_driver *driver;
	int64_t failures; /* counted by the drivers */
};
struct rows {
	struct db *db;
};

extern const struct db_driver store_sqlite; /* a file: store_opts.path */
extern const struct db_driver store_pg;	    /* a server: store_opts.url */

/* Nudges the follower dir/name of this process whenever another host's write says so: a thread
 * for the process's life. */
int store_pg_listen(const char *url, const char *dir, const char *name,
		    struct err *e) MUST_CHECK;
/* One empty datagram to dir/name. */
void store_nudge_name(const char *dir, const char *name);

/* ---- shared by store*.c */

struct store {
	struct db *db;
	char id[STORE_ID_MAX];
	char *nudge_dir; /* NULL: none */
	int nudge_fd;	 /* for sending; -1 until needed */
	struct place place;
	int64_t started,
		engine_epoch; /* store_engine.c; 0: no engine's handle, or a stand-by's */
	int workers; /* store_engine_lend() */
	bool leases; /* an engine's: at work, or it needs a lease of the user (store_lease.c) */
};

/* Inside the caller's transaction: 1 unless this is the handle of an engine that has lost its
 * lease. -1: error. */
int store_engine_holds(struct store *st, struct err *e) MUST_CHECK;
/* The same: 0, or -1 with that said. */
int store_engine_may(struct store *st, struct err *e) MUST_CHECK;
/* A transaction in which a result of work is written: an error in the hands of such an engine.
 */
int store_begin_work(struct store *st, struct err *e) MUST_CHECK;
/* The same about this user: who has him on lease may, and nobody else while he is
 * (common/store_lease.h). */
int store_begin_work_on(struct store *st, const char *name, struct err *e) MUST_CHECK;
/* Commits, or (rc < 0) rolls back; what is to be returned then. */
int store_end_work(struct store *st, int rc, struct err *e) MUST_CHECK;

/* The next change, now this user's; to be written into its row in the same transaction. */
int store_new_change(struct db *db, const char *name, int64_t *out, struct err *e) MUST_CHECK;

/* A request, inside the caller's transaction; answers that are too old go with it. */
int store_new_request(struct db *db, const char *verb, const char *name, const char *args,
		      int64_t *id, struct err *e) MUST_CHECK;

/* Hands rows of kind, name, item, note, actor, at to fn, and ends the read. */
int store_hand_waivers(struct rows *r, store_waiver_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

/*
 * Brings a store from the version in meta to `target`: steps[n] leads from n to n + 1, NULL
 * where there is no way from there any more. Inside the caller's transaction.
 */
int store_migrate(struct db *db, const char *const *steps, int target,
		  struct err *e) MUST_CHECK;

/* Of a row of strangers: nobody has imported the name since it logged in. */
#define STRANGER_STILL                                                       \
	"NOT EXISTS (SELECT 1 FROM users WHERE users.name = strangers.name)" \
	" AND NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.alias = strangers.name)"

#endif
