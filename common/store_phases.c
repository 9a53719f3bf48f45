/* Hides: how a person's word about the plan's items is kept, and what is counted of a domain.
 */
#include "common/store_driver.h"
#include "common/store_phases.h"

/* ---- what persons said */

/* The newest word about the item: 1 and whether it says the same; 0 none; -1. */
static int said_last(struct db *db, const struct phase_note *n, bool *same, struct err *e)
{
	struct rows *r = db_query(db,
				  "SELECT done, note FROM phase_notes WHERE domain = ?1"
				  " AND item = ?2 ORDER BY id DESC LIMIT 1",
				  ARGS(TEXT(n->domain), TEXT(n->item)), e);
	int got;

	*same = false;
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*same = rows_int(r, 0) == n->done &&
			(!n->done || strcmp(rows_text(r, 1), n->note) == 0);
	else
		*same = !n->done;
	rows_end(&r);
	return got;
}

int store_phase_note(struct store *st, const struct phase_note *n, bool *changed, struct err *e)
{
	bool same;
	int rc;

	if (db_begin(st->db, e) < 0)
		return -1;
	rc = said_last(st->db, n, &same, e);
	if (rc >= 0 && !same)
		rc = db_run(st->db,
			    "INSERT INTO phase_notes (domain, item, done, note, actor, at)"
			    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			    ARGS(TEXT(n->domain), TEXT(n->item), INT(n->done), TEXT(n->note),
				 TEXT(n->actor), INT(db_now_ms(st->db))),
			    e);
	*changed = rc >= 0 && !same;
	return rc < 0 ? db_rollback(st->db) : db_commit(st->db, e);
}

int store_phases_each(struct store *st, const char *domain, store_phase_fn *fn, void *arg,
		      struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT item, done, note, actor, at FROM phase_notes"
				  " WHERE domain = ?1 ORDER BY id",
				  ARGS(TEXT(domain)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct phase_note n = { .domain = domain,
					.item = rows_text(r, 0),
					.done = rows_int(r, 1),
					.note = rows_text(r, 2),
					.actor = rows_text(r, 3),
					.at = rows_int(r, 4) };

		rc = got < 0 ? -1 : fn(&n, arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- what is counted; ?1 is "@" and the domain */

#define OF_DOMAIN(name) " " STORE_TAIL(name) " = ?1"
#define READS_BY(proto)                                                         \
	"CASE WHEN EXISTS (SELECT 1 FROM logins WHERE logins.name = users.name" \
	" AND proto = '" proto "') OR EXISTS (SELECT 1 FROM sessions"           \
	" WHERE sessions.name = users.name AND proto = '" proto "') THEN 1 ELSE 0 END"

/* In one reading of the users: whoever asks for many domains asks this for each. */
static int count_users(struct db *db, const char *tail, struct phase_counts *out, struct err *e)
{
	struct rows *r = db_query(
		db,
		"SELECT state, COUNT(*), SUM(imap), SUM(pop3),"
		" SUM(CASE WHEN imap + pop3 > 0 THEN 1 ELSE 0 END), SUM(waived)"
		" FROM (SELECT state, " READS_BY("imap") " AS imap, " READS_BY(
			"pop3") " AS pop3,"
				" CASE WHEN EXISTS (SELECT 1 FROM waivers WHERE"
				" (kind = 'user' AND waivers.name = users.name) OR"
				" (kind = 'wave' AND waivers.name = users.wave)) THEN 1 ELSE 0 END AS waived"
				" FROM users WHERE" OF_DOMAIN("name") ") u GROUP BY state",
		ARGS(TEXT(tail)), e);
	int got;

	if (!r)
		return -1;
	while ((got = rows_next(r, e)) > 0) {
		int state = user_state_find(rows_text(r, 0));

		if (state >= 0)
			out->state[state] += rows_int(r, 1);
		out->imap += rows_int(r, 2);
		out->pop3 += rows_int(r, 3);
		out->seen += rows_int(r, 4);
		out->waived += rows_int(r, 5);
	}
	rows_end(&r);
	return got;
}

int store_phase_counts(struct store *st, const char *domain, struct phase_counts *out,
		       struct err *e)
{
	char *tail = mem_printf("@%s", domain);
	int rc;

	*out = (struct phase_counts){ 0 };
	rc = count_users(st->db, tail, out, e);
	if (rc >= 0)
		rc = db_query_int(st->db,
				  "SELECT COUNT(*) FROM strangers WHERE" OF_DOMAIN(
					  "name") " AND " STRANGER_STILL,
				  ARGS(TEXT(tail)), &out->strangers, e);
	if (rc >= 0)
		rc = db_query_int(
			st->db,
			"SELECT COUNT(*) FROM sessions JOIN users ON users.name = sessions.name"
			" WHERE sessions.side = 'old' AND users.state IN ('trailing', 'done')"
			" AND" OF_DOMAIN("users.name"),
			ARGS(TEXT(tail)), &out->left_on_old, e);
	mem_free(&tail);
	return rc < 0 ? -1 : 0;
}
