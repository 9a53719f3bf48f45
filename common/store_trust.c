/* Hides: how a store is asked who it is, and how it is made to know moves that it has lost. */
#include "common/store_driver.h"
#include "common/store_trust.h"

#define JUMP 1000000 /* no node has seen so many changes more than its flip log tells */

int store_look(struct store *st, struct store_look *out, struct err *e)
{
	int has = db_was_replaced(st->db) ? 0 : db_has_table(st->db, "meta", e);
	struct rows *r;
	int got;

	*out = (struct store_look){ .gone = has == 0 };
	if (has <= 0)
		return has;
	r = db_query(st->db,
		     "SELECT value, (SELECT COALESCE(MAX(id), 0) FROM changes) FROM meta"
		     " WHERE key = 'store_id'",
		     NO_ARGS, e);
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0) {
		snprintf(out->id, sizeof out->id, "%s", rows_text(r, 0));
		out->last_change = rows_int(r, 1);
	}
	rows_end(&r);
	out->gone = got == 0;
	return got < 0 ? -1 : 0;
}

/* ---- rebuilding */

/* Nodes ask for what is beyond the highest change they have seen: everybody's row is. No
 * further than that: a store may be rebuilt any number of times, and numbers end. */
static int raise_changes(struct db *db, int64_t beyond, struct err *e)
{
	int64_t top = 0, least = 0, highest = 0;

	if (db_query_int(db, "SELECT COALESCE(MAX(id), 0) FROM changes", NO_ARGS, &top, e) <
		    0 ||
	    db_query_int(db, "SELECT COALESCE(MIN(change), 0) FROM users", NO_ARGS, &least, e) <
		    0)
		return -1;
	beyond = MAX(beyond, top) + JUMP;
	if (db_run(db, "UPDATE users SET change = change + ?1", ARGS(INT(beyond - least)), e) <
		    0 ||
	    db_query_int(db, "SELECT COALESCE(MAX(change), 0) FROM users", NO_ARGS, &highest,
			 e) < 0)
		return -1;
	return db_run(db, "INSERT INTO changes (id, name) VALUES (?1, '')",
		      ARGS(INT(MAX(highest, beyond) + 1)), e) < 0
		       ? -1
		       : 0;
}

static int note(struct db *db, const struct flip_row *r, const char *state, int64_t change,
		struct err *e)
{
	return db_run(
		db,
		"INSERT INTO history (name, at, from_state, to_state, direction, change,"
		" actor, why) SELECT name, ?2, state, ?3, 'forward', ?4, 'operator',"
		" 'rebuilt: this flip was lost with the store' FROM users WHERE name = ?1",
		ARGS(TEXT(r->name), INT(db_now_ms(db)), TEXT(state), INT(change)), e);
}

/* On new his stragglers are looked for again; back on old he is compared before anything else.
 * 1 moved, 0 the store knew it or does not know the user, -1. */
static int put_where_he_lives(struct db *db, const struct flip_row *r, struct err *e)
{
	const char *state = user_state_name(r->epoch % 2 ? USER_TRAILING : USER_SYNCING);
	int64_t change, now = db_now_ms(db), behind = 0;

	if (db_query_int(db, "SELECT COUNT(*) FROM users WHERE name = ?1 AND epoch < ?2",
			 ARGS(TEXT(r->name), INT(r->epoch)), &behind, e) < 0)
		return -1;
	if (!behind)
		return 0;
	if (store_new_change(db, r->name, &change, e) < 0 || note(db, r, state, change, e) < 0)
		return -1;
	return db_run(db,
		      "UPDATE users SET state = ?2, direction = 'forward', change = ?3,"
		      " epoch = ?4, hold_until = 0, go = 0, undos = 0, pass_clean = 0,"
		      " pass_ended = 0, last_arrival = ?5, state_since = ?5, flipped_at = ?5"
		      " WHERE name = ?1",
		      ARGS(TEXT(r->name), TEXT(state), INT(change), INT(r->epoch), INT(now)),
		      e);
}

/* One whom the store does not know would go to old like any stranger, away from his mail. */
static int all_are_known(struct db *db, const struct flip_row *rows, size_t n, struct err *e)
{
	const char *first = NULL;
	int missing = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t known = 0;

		if (rows[i].epoch % 2 == 0)
			continue;
		if (db_query_int(db, "SELECT COUNT(*) FROM users WHERE name = ?1",
				 ARGS(TEXT(rows[i].name)), &known, e) < 0)
			return -1;
		missing += known == 0;
		first = known || first ? first : rows[i].name;
	}
	if (missing == 0)
		return 0;
	return err_set(e, ERR_INPUT,
		       "%d users who live on new are not in the store, first %s: import them, "
		       "then rebuild it",
		       missing, first);
}

/* Copies of journals that are older than what was done since: whoever goes on from one has to
 * look for the rest. And what was on lease then is not now. */
static int doubt_journals(struct db *db, struct err *e)
{
	if (db_run(db, "UPDATE journals SET away = 1, folder = '', host = ''", NO_ARGS, e) < 0)
		return -1;
	return db_run(db, "DELETE FROM leases", NO_ARGS, e) < 0 ? -1 : 0;
}

int store_rebuild(struct store *st, const struct flip_row *rows, size_t n, int64_t beyond,
		  int *moved, struct err *e)
{
	*moved = 0;
	if (db_begin(st->db, e) < 0)
		return -1;
	if (all_are_known(st->db, rows, n, e) < 0 || raise_changes(st->db, beyond, e) < 0 ||
	    doubt_journals(st->db, e) < 0)
		return db_rollback(st->db);
	for (size_t i = 0; i < n; i++) {
		int rc = put_where_he_lives(st->db, &rows[i], e);

		if (rc < 0)
			return db_rollback(st->db);
		*moved += rc;
	}
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}
