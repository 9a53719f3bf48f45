/* Hides: where sealed passwords are kept, and for how long. */
#include "common/store_driver.h"
#include "common/store_learned.h"

/* Who waited for just this need not wait longer. */
static int wake(struct db *db, const char *name, struct err *e)
{
	return db_run(db,
		      "UPDATE users SET next_try = 0 WHERE name = ?1 AND state = 'pending'",
		      ARGS(TEXT(name)), e);
}

int store_learned_write(struct store *st, const char *name, const char *sealed, struct err *e)
{
	/* Of a user who has been done with meanwhile nothing is kept. */
	int n = db_run(st->db,
		       "INSERT INTO learned (name, at, sealed) SELECT name, ?2, ?3 FROM users"
		       " WHERE name = ?1 AND state <> 'done' ON CONFLICT (name)"
		       " DO UPDATE SET at = excluded.at, sealed = excluded.sealed",
		       ARGS(TEXT(name), INT(db_now_ms(st->db)), TEXT(sealed)), e);

	if (n < 0 || wake(st->db, name, e) < 0)
		return -1;
	if (n > 0)
		store_nudge(st);
	return 0;
}

int store_learned_read(struct store *st, const char *name, char **sealed, struct err *e)
{
	struct rows *r = db_query(st->db, "SELECT sealed FROM learned WHERE name = ?1",
				  ARGS(TEXT(name)), e);
	int got;

	*sealed = NULL;
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*sealed = mem_str(rows_text(r, 0));
	rows_end(&r);
	return got;
}

int store_learned_forget(struct store *st, const char *name, struct err *e)
{
	return db_run(st->db, "DELETE FROM learned WHERE name = ?1", ARGS(TEXT(name)), e) < 0
		       ? -1
		       : 0;
}

int store_learned_erase(struct store *st, int64_t keep_ms, struct err *e)
{
	return db_run(st->db,
		      "DELETE FROM learned WHERE at < ?1 OR NOT EXISTS (SELECT 1 FROM users"
		      " WHERE users.name = learned.name AND users.state <> 'done')",
		      ARGS(INT(db_now_ms(st->db) - keep_ms)), e);
}
