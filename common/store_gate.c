/* Hides: how the rows that only the gate reads are kept: facts, waivers. */
#include "common/store_driver.h"

/* ---- facts */

int store_facts_write(struct store *st, const char *name, const char *body, struct err *e)
{
	int rc;

	if (strlen(body) > STORE_FACTS_MAX)
		return err_set(e, ERR_LIMIT, "facts about %s: more than %d bytes", name,
			       STORE_FACTS_MAX);
	if (store_begin_work(st, e) < 0)
		return -1;
	rc = db_run(st->db,
		    "INSERT INTO facts (name, at, body) VALUES (?1, ?2, ?3)"
		    " ON CONFLICT (name) DO UPDATE SET at = excluded.at, body = excluded.body",
		    ARGS(TEXT(name), INT(db_now_ms(st->db)), TEXT(body)), e);
	return store_end_work(st, rc, e);
}

int store_facts_read(struct store *st, const char *name, char **body, struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT body FROM facts WHERE name = ?1", ARGS(TEXT(name)), e);
	int got;

	*body = NULL;
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*body = mem_str(rows_text(r, 0));
	rows_end(&r);
	return got;
}

/* ---- waivers */

static const char *kind_of(bool is_wave)
{
	return is_wave ? "wave" : "user";
}

static int write_waiver(struct db *db, const struct waiver_row *w, struct err *e)
{
	return db_run(db,
		      "INSERT INTO waivers (kind, name, item, note, actor, at)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, name, item)"
		      " DO UPDATE SET note = excluded.note, actor = excluded.actor,"
		      " at = excluded.at WHERE waivers.note <> excluded.note",
		      ARGS(TEXT(kind_of(w->is_wave)), TEXT(w->name), TEXT(w->item),
			   TEXT(w->note), TEXT(w->actor), INT(db_now_ms(db))),
		      e);
}

static int drop_waiver(struct db *db, const struct waiver_row *w, struct err *e)
{
	return db_run(db, "DELETE FROM waivers WHERE kind = ?1 AND name = ?2 AND item = ?3",
		      ARGS(TEXT(kind_of(w->is_wave)), TEXT(w->name), TEXT(w->item)), e);
}

/* Whoever it is about finds it in the history, also when the waiver is long gone. */
static int note_waiver(struct db *db, const struct waiver_row *w, bool on, struct err *e)
{
	char *why = mem_printf("%s of check %s%s%s%s%s", on ? "waiver" : "waiver taken back",
			       w->item, w->is_wave ? " for wave " : "",
			       w->is_wave ? w->name : "", on ? ": " : "", on ? w->note : "");
	int n = db_run(db,
		       "INSERT INTO history (name, at, from_state, to_state, direction, change,"
		       " actor, why) SELECT name, ?1, state, state, direction, change, ?2, ?3"
		       " FROM users WHERE (?4 = 0 AND name = ?5) OR (?4 = 1 AND wave = ?5)",
		       ARGS(INT(db_now_ms(db)), TEXT(w->actor), TEXT(why), INT(w->is_wave),
			    TEXT(w->name)),
		       e);

	mem_free(&why);
	return n;
}

int store_waive(struct store *st, const struct waiver_row *w, bool on, int *n, struct err *e)
{
	int changed;

	*n = 0;
	if (db_begin(st->db, e) < 0)
		return -1;
	changed = on ? write_waiver(st->db, w, e) : drop_waiver(st->db, w, e);
	if (changed > 0)
		*n = changed = note_waiver(st->db, w, on, e);
	if (changed < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}

int store_hand_waivers(struct rows *r, store_waiver_fn *fn, void *arg, struct err *e)
{
	int got, rc = 0;

	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct waiver_row w = { .is_wave = strcmp(rows_text(r, 0), "wave") == 0,
					.name = rows_text(r, 1),
					.item = rows_text(r, 2),
					.note = rows_text(r, 3),
					.actor = rows_text(r, 4),
					.at = rows_int(r, 5) };

		rc = got < 0 ? -1 : fn(&w, arg);
	}
	rows_end(&r);
	return rc;
}

int store_waivers_each(struct store *st, const char *name, const char *wave,
		       store_waiver_fn *fn, void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT kind, name, item, note, actor, at FROM waivers"
			 " WHERE (kind = 'user' AND name = ?1) OR (kind = 'wave' AND name = ?2)"
			 " ORDER BY kind, item",
			 ARGS(TEXT(name), TEXT(wave ? wave : "")), e);

	return r ? store_hand_waivers(r, fn, arg, e) : -1;
}

int store_waivers_all(struct store *st, store_waiver_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT kind, name, item, note, actor, at FROM waivers"
				  " ORDER BY kind DESC, name, item",
				  NO_ARGS, e);

	return r ? store_hand_waivers(r, fn, arg, e) : -1;
}
