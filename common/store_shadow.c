/* Hides: how it is kept whether new takes the passwords that are used on old: yes or no, never more. */
#include "common/store_driver.h"
#include "common/store_shadow.h"

int store_shadow_claim(struct store *st, const char *name, bool *mine, struct err *e)
{
	int64_t now = db_now_ms(st->db);
	int n = db_run(st->db,
		       "INSERT INTO shadow_logins (name, next_at) VALUES (?1, ?2)"
		       " ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at"
		       " WHERE shadow_logins.next_at <= ?3",
		       ARGS(TEXT(name), INT(now + STORE_SHADOW_MS), INT(now)), e);

	*mine = n > 0;
	return n < 0 ? -1 : 0;
}

int store_shadow_write(struct store *st, const char *name, bool accepted, struct err *e)
{
	return db_run(st->db,
		      "UPDATE shadow_logins SET at = ?2, accepted = ?3 WHERE name = ?1",
		      ARGS(TEXT(name), INT(db_now_ms(st->db)), INT(accepted)), e) < 0
		       ? -1
		       : 0;
}

int store_shadow_again(struct store *st, const char *name, int64_t after_ms, struct err *e)
{
	return db_run(st->db, "UPDATE shadow_logins SET next_at = ?2 WHERE name = ?1",
		      ARGS(TEXT(name), INT(db_now_ms(st->db) + after_ms)), e) < 0
		       ? -1
		       : 0;
}

int store_shadow_read(struct store *st, const char *name, struct shadow_row *out, struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT at, accepted FROM shadow_logins WHERE name = ?1",
			 ARGS(TEXT(name)), e);
	int got;

	*out = (struct shadow_row){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*out = (struct shadow_row){ rows_int(r, 0), rows_int(r, 1) };
	rows_end(&r);
	return got < 0 ? -1 : 0;
}
