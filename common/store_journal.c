/* Hides: the rows of journals' copies and their parts. */
#include "common/store_driver.h"
#include "common/store_journal.h"

void store_journal_release(struct store_journal *j)
{
	mem_free(&j->parts);
}

int store_journal_get(struct store *st, const char *name, struct store_journal *out,
		      struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT edition, away, folder, host, at, size, parts"
				  " FROM journals WHERE name = ?1",
				  ARGS(TEXT(name)), e);
	int got;

	*out = (struct store_journal){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0) {
		snprintf(out->edition, sizeof out->edition, "%s", rows_text(r, 0));
		out->away = rows_int(r, 1);
		snprintf(out->folder, sizeof out->folder, "%s", rows_text(r, 2));
		snprintf(out->host, sizeof out->host, "%s", rows_text(r, 3));
		out->at = rows_int(r, 4);
		out->size = rows_int(r, 5);
		out->parts = mem_str(rows_text(r, 6));
	}
	rows_end(&r);
	return got;
}

int store_journal_where(struct store *st, const char *name, struct journal_whereabouts *out,
			struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT away, folder, host, size FROM journals WHERE name = ?1",
			 ARGS(TEXT(name)), e);
	int got;

	*out = (struct journal_whereabouts){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0) {
		out->away = rows_int(r, 0);
		snprintf(out->folder, sizeof out->folder, "%s", rows_text(r, 1));
		snprintf(out->host, sizeof out->host, "%s", rows_text(r, 2));
		out->size = rows_int(r, 3);
	}
	rows_end(&r);
	return got;
}

/* ---- whose it is */

static int take(struct store *st, const char *name, const struct store_journal *seen,
		const struct place *folder, struct err *e)
{
	int64_t now = db_now_ms(st->db);

	if (!seen)
		return db_run(st->db,
			      "INSERT INTO journals (name, edition, away, folder, host, at)"
			      " VALUES (?1, '', 1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
			      ARGS(TEXT(name), TEXT(folder->id), TEXT(folder->host), INT(now)),
			      e);
	return db_run(st->db,
		      "UPDATE journals SET away = 1, folder = ?2, host = ?3, at = ?4"
		      " WHERE name = ?1 AND edition = ?5 AND away = ?6 AND folder = ?7",
		      ARGS(TEXT(name), TEXT(folder->id), TEXT(folder->host), INT(now),
			   TEXT(seen->edition), INT(seen->away), TEXT(seen->folder)),
		      e);
}

/* How many rows it was, if that is so. */
static int end(struct store *st, int rows, struct err *e)
{
	return store_end_work(st, rows, e) < 0 ? -1 : rows;
}

int store_journal_take(struct store *st, const char *name, const struct store_journal *seen,
		       const struct place *folder, struct err *e)
{
	if (store_begin_work_on(st, name, e) < 0)
		return -1;
	return end(st, take(st, name, seen, folder, e), e);
}

int store_journal_still(struct store *st, const char *name, const struct store_journal *seen,
			struct err *e)
{
	int64_t n = 0;
	int got;

	if (store_begin_work_on(st, name, e) < 0)
		return -1;
	got = db_query_int(st->db,
			   "SELECT COUNT(*) FROM journals WHERE name = ?1 AND edition = ?2"
			   " AND away = ?3 AND folder = ?4",
			   ARGS(TEXT(name), TEXT(seen->edition), INT(seen->away),
				TEXT(seen->folder)),
			   &n, e);
	return end(st, got < 0 ? -1 : n > 0, e);
}

int store_journal_back(struct store *st, const char *name, const struct place *folder,
		       const char *edition, struct err *e)
{
	int rows;

	if (store_begin_work_on(st, name, e) < 0)
		return -1;
	rows = db_run(st->db,
		      *edition ? "UPDATE journals SET away = 0 WHERE name = ?1 AND away = 1"
				 " AND folder = ?2 AND edition = ?3"
			       : "DELETE FROM journals WHERE name = ?1 AND away = 1"
				 " AND folder = ?2 AND edition = ?3",
		      ARGS(TEXT(name), TEXT(folder->id), TEXT(edition)), e);
	return end(st, rows, e);
}

int store_journals_away(struct store *st, const struct place *folder, store_journal_fn *fn,
			void *arg, struct err *e)
{
	struct rows *r = db_query(st->db,
				  "SELECT name FROM journals WHERE away = 1 AND folder = ?1"
				  " AND NOT EXISTS (SELECT 1 FROM leases"
				  " WHERE leases.name = journals.name AND leases.place <> ''"
				  " AND leases.place <> ?2) ORDER BY name",
				  ARGS(TEXT(folder->id), TEXT(st->place.id)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : fn(rows_text(r, 0), arg);
	rows_end(&r);
	return rc;
}

/* ---- parts */

int store_journal_part_write(struct store *st, const char *name, const char *digest,
			     const char *body, struct err *e)
{
	return db_run(st->db,
		      "INSERT INTO journal_parts (name, digest, body) VALUES (?1, ?2, ?3)"
		      " ON CONFLICT (name, digest) DO NOTHING",
		      ARGS(TEXT(name), TEXT(digest), TEXT(body)), e) < 0
		       ? -1
		       : 0;
}

int store_journal_part_read(struct store *st, const char *name, const char *digest, char **body,
			    struct err *e)
{
	struct rows *r = db_query(
		st->db, "SELECT body FROM journal_parts WHERE name = ?1 AND digest = ?2",
		ARGS(TEXT(name), TEXT(digest)), e);
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

int store_journal_parts(struct store *st, const char *name, store_journal_fn *fn, void *arg,
			struct err *e)
{
	struct rows *r = db_query(
		st->db, "SELECT digest FROM journal_parts WHERE name = ?1 ORDER BY digest",
		ARGS(TEXT(name)), e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : fn(rows_text(r, 0), arg);
	rows_end(&r);
	return rc;
}

/* ---- a new copy */

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, STORE_PART_DIGEST);
}

struct leftovers {
	const char *kept; /* digests, ascending */
	size_t count;
	struct buf out; /* those that are not among them */
};

static int note_leftover(const char *digest, void *arg)
{
	struct leftovers *l = arg;

	if (strlen(digest) == STORE_PART_DIGEST &&
	    !(l->count && bsearch(digest, l->kept, l->count, STORE_PART_DIGEST, by_digest)))
		buf_add(&l->out, digest, STORE_PART_DIGEST);
	return 0;
}

/* Parts of former copies, and of those that never came to their end. */
static int drop_others(struct store *st, const char *name, const char *parts, struct err *e)
{
	char *kept = mem_str(parts);
	struct leftovers l = { .kept = kept, .count = strlen(parts) / STORE_PART_DIGEST };
	int rc;

	if (l.count)
		qsort(kept, l.count, STORE_PART_DIGEST, by_digest);
	rc = store_journal_parts(st, name, note_leftover, &l, e);
	while (rc >= 0 && buf_len(&l.out)) {
		char *digest = mem_strn(buf_slice(&l.out).p, STORE_PART_DIGEST);

		rc = db_run(st->db, "DELETE FROM journal_parts WHERE name = ?1 AND digest = ?2",
			    ARGS(TEXT(name), TEXT(digest)), e);
		buf_drain(&l.out, STORE_PART_DIGEST);
		mem_free(&digest);
	}
	buf_release(&l.out);
	mem_free(&kept);
	return rc < 0 ? -1 : 0;
}

int store_journal_put(struct store *st, const char *name, const struct store_journal *copy,
		      const char *before, struct err *e)
{
	int rows;

	if (store_begin_work_on(st, name, e) < 0)
		return -1;
	rows = db_run(
		st->db,
		"UPDATE journals SET edition = ?2, away = 0, at = ?3, size = ?4, parts = ?5"
		" WHERE name = ?1 AND away = 1 AND folder = ?6 AND edition = ?7",
		ARGS(TEXT(name), TEXT(copy->edition), INT(db_now_ms(st->db)), INT(copy->size),
		     TEXT(copy->parts), TEXT(copy->folder), TEXT(before)),
		e);
	if (rows > 0 && drop_others(st, name, copy->parts, e) < 0)
		rows = -1;
	return end(st, rows, e);
}
