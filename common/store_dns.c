/* Hides: how it is kept what a domain's name servers said, and when they began to say it. */
#include "common/store_dns.h"
#include "common/store_driver.h"

/* ---- writing */

/* The newest row of the record: 1 its first_seen, and whether it says the same; 0 none; -1. */
static int newest(struct db *db, const char *domain, const struct dns_note *n, int64_t *first,
		  bool *same, struct err *e)
{
	struct rows *r = db_query(db,
				  "SELECT first_seen, value, ttl_s FROM dns_notes"
				  " WHERE domain = ?1 AND record = ?2"
				  " ORDER BY first_seen DESC LIMIT 1",
				  ARGS(TEXT(domain), TEXT(n->record)), e);
	int got;

	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0) {
		*first = rows_int(r, 0);
		*same = strcmp(rows_text(r, 1), n->value) == 0 && rows_int(r, 2) == n->ttl_s;
	}
	rows_end(&r);
	return got;
}

static int seen_again(struct db *db, const char *domain, const struct dns_note *n,
		      int64_t first, int64_t now, struct err *e)
{
	return db_run(db,
		      "UPDATE dns_notes SET last_seen = ?4"
		      " WHERE domain = ?1 AND record = ?2 AND first_seen = ?3",
		      ARGS(TEXT(domain), TEXT(n->record), INT(first), INT(now)), e);
}

static int seen_first(struct db *db, const char *domain, const struct dns_note *n, int64_t now,
		      struct err *e)
{
	if (db_run(db,
		   "INSERT INTO dns_notes (domain, record, value, ttl_s, first_seen, last_seen)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
		   ARGS(TEXT(domain), TEXT(n->record), TEXT(n->value), INT(n->ttl_s), INT(now)),
		   e) < 0)
		return -1;
	return db_run(
		db,
		"DELETE FROM dns_notes WHERE domain = ?1 AND record = ?2 AND first_seen <="
		" (SELECT first_seen FROM dns_notes WHERE domain = ?1 AND record = ?2"
		" ORDER BY first_seen DESC LIMIT 1 OFFSET ?3)",
		ARGS(TEXT(domain), TEXT(n->record), INT(STORE_DNS_NOTES)), e);
}

int store_dns_note(struct store *st, const char *domain, const struct dns_note *n,
		   struct err *e)
{
	int64_t now = db_now_ms(st->db), first = 0;
	bool same = false;
	int got;

	if (db_begin(st->db, e) < 0)
		return -1;
	got = newest(st->db, domain, n, &first, &same, e);
	/* Two looks within one millisecond are two all the same: a row may begin after now. */
	if (got > 0 && same)
		got = seen_again(st->db, domain, n, first, MAX(now, first), e);
	else if (got >= 0)
		got = seen_first(st->db, domain, n, MAX(now, first + 1), e);
	return got < 0 ? db_rollback(st->db) : db_commit(st->db, e);
}

/* ---- reading */

int store_dns_each(struct store *st, const char *domain, const char *record, store_dns_fn *fn,
		   void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT record, value, ttl_s, first_seen, last_seen"
			 " FROM dns_notes WHERE domain = ?1 AND (?2 = 0 OR record = ?3)"
			 " ORDER BY record, first_seen",
			 ARGS(TEXT(domain), INT(record != NULL), TEXT(record)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct dns_note n = { .record = rows_text(r, 0),
				      .value = rows_text(r, 1),
				      .ttl_s = rows_int(r, 2),
				      .first_seen = rows_int(r, 3),
				      .last_seen = rows_int(r, 4) };

		rc = got < 0 ? -1 : fn(&n, arg);
	}
	rows_end(&r);
	return rc;
}
