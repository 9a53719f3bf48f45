/* Hides: how a span of the past is added up by the database. */
#include "common/store_spans.h"

#include "common/store_driver.h"

int store_span(struct store *st, enum store_list l, struct store_span *out, struct err *e)
{
	static const char *const sql[] = {
		[STORE_LIST_HISTORY] = "SELECT COALESCE(MIN(id) - 1, 0), COALESCE(MAX(id), 0)"
				       " FROM history",
		[STORE_LIST_HOLDS] = "SELECT COALESCE(MIN(id) - 1, 0), COALESCE(MAX(id), 0)"
				     " FROM holds",
		[STORE_LIST_LOGINS] = "SELECT COALESCE(MIN(id) - 1, 0), COALESCE(MAX(id), 0)"
				      " FROM logins",
	};
	struct rows *r = db_query(st->db, sql[l], NO_ARGS, e);
	int got;

	_Static_assert(COUNT(sql) == STORE_LISTS, "a question for every list");
	*out = (struct store_span){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*out = (struct store_span){ rows_int(r, 0), rows_int(r, 1) };
	rows_end(&r);
	return got < 0 ? -1 : 0;
}

int store_span_moves(struct store *st, const struct store_span *s, store_span_move_fn *fn,
		     void *arg, struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT u.wave, h.from_state, h.to_state, h.direction, h.why, COUNT(*),"
		" MIN(h.at), MAX(h.at) FROM history h JOIN users u ON u.name = h.name"
		" WHERE h.id > ?1 AND h.id <= ?2 AND h.from_state <> h.to_state"
		" AND (h.from_state IN ('freezing', 'finalizing') OR h.to_state = 'returning')"
		" GROUP BY u.wave, h.from_state, h.to_state, h.direction, h.why",
		ARGS(INT(s->after), INT(s->last)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct span_move m = { .wave = rows_text(r, 0),
				       .from_state = rows_text(r, 1),
				       .to_state = rows_text(r, 2),
				       .direction = rows_text(r, 3),
				       .why = rows_text(r, 4),
				       .count = rows_int(r, 5),
				       .first = rows_int(r, 6),
				       .last = rows_int(r, 7) };

		rc = got < 0 ? -1 : fn(&m, arg);
	}
	rows_end(&r);
	return rc;
}

int store_span_notes(struct store *st, const struct store_span *s, const char *begins,
		     store_history_fn *fn, void *arg, struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT id, name, at, from_state, to_state, direction, change, actor, why"
		" FROM history WHERE id > ?1 AND id <= ?2 AND from_state = to_state"
		" AND substr(why, 1, length(?3)) = ?3 ORDER BY id",
		ARGS(INT(s->after), INT(s->last), TEXT(begins)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct history_row h = { .id = rows_int(r, 0),
					 .name = rows_text(r, 1),
					 .at = rows_int(r, 2),
					 .from_state = rows_text(r, 3),
					 .to_state = rows_text(r, 4),
					 .direction = rows_text(r, 5),
					 .change = rows_int(r, 6),
					 .actor = rows_text(r, 7),
					 .why = rows_text(r, 8) };

		rc = got < 0 ? -1 : fn(&h, arg);
	}
	rows_end(&r);
	return rc;
}

int store_span_holds(struct store *st, const struct store_span *s, store_span_hold_fn *fn,
		     void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT u.wave, h.held_ms FROM holds h JOIN users u"
				  " ON u.name = h.name WHERE h.id > ?1 AND h.id <= ?2"
				  " ORDER BY h.id",
				  ARGS(INT(s->after), INT(s->last)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : fn(rows_text(r, 0), rows_int(r, 1), arg);
	rows_end(&r);
	return rc;
}

int store_span_logins(struct store *st, const struct store_span *s, store_span_logins_fn *fn,
		      void *arg, struct err *e)
{
	struct rows *r = db_query(
		st->db,
		"SELECT u.wave, l.side, COUNT(*), COUNT(CASE WHEN l.result <> 'ok' THEN 1 END)"
		" FROM logins l JOIN users u ON u.name = l.name WHERE l.id > ?1 AND l.id <= ?2"
		" GROUP BY u.wave, l.side",
		ARGS(INT(s->after), INT(s->last)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct span_logins l = { rows_text(r, 0), rows_text(r, 1), rows_int(r, 2),
					 rows_int(r, 3) };

		rc = got < 0 ? -1 : fn(&l, arg);
	}
	rows_end(&r);
	return rc;
}
