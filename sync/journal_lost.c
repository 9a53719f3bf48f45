/* Hides: the table of what is missed, and how a message and its second copy change places. */
#include "sync/journal_lost.h"

#include "common/clock.h"
#include "sync/journal_impl.h"

#define DAY_S 86400

/* For the index of a side's UIDs the column has to be named. */
#define BY_SIDE(s, before, after) \
	((s) == SIDE_OLD ? before "old_uid" after : before "new_uid" after)
#define UID_OF(row) "CASE ?2 WHEN 0 THEN " row ".old_uid ELSE " row ".new_uid END"
_Static_assert(SIDE_OLD == 0 && MSG_DONE == 1 && MSG_SKIPPED == 4,
	       "numbers inside the statements");

static sqlite3_stmt *prepare(struct journal *j, const char *sql, int64_t first, int64_t second,
			     struct err *e)
{
	sqlite3_stmt *st = journal_prepare(j, sql, e);

	if (!st)
		return NULL;
	sqlite3_bind_int64(st, 1, first);
	sqlite3_bind_int64(st, 2, second);
	return st;
}

/* Changes rows. */
static int run(struct journal *j, sqlite3_stmt *st, struct err *e)
{
	ASSERT(j->in_transaction);
	return st && journal_finish(j, st, e) >= 0 ? 0 : -1;
}

/* Of the first row; 1: there is one. It finalizes st, which may be NULL: -1. */
static int two_numbers(struct journal *j, sqlite3_stmt *st, int64_t out[2], struct err *e)
{
	int rc = st ? journal_row(j, st, e) : -1;

	for (int i = 0; i < 2 && rc > 0; i++)
		out[i] = sqlite3_column_int64(st, i);
	sqlite3_finalize(st);
	return rc;
}

static int64_t now_s(void)
{
	return clock_real_ms() / 1000;
}

int journal_lost_lapse(struct journal *j, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = prepare(j, "DELETE FROM lost WHERE surplus = ?2 AND at < ?1",
				   now_s() - (int64_t)LOST_DAYS * DAY_S, 0, e);

	return st && journal_finish(j, st, e) >= 0 ? 0 : -1;
}

int journal_lost(struct journal *j, int64_t folder, struct journal_lost *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, LOST, e);
	int rc;

	*out = (struct journal_lost){ 0 };
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	while ((rc = journal_row(j, st, e)) > 0) {
		enum side s = sqlite3_column_int(st, 0) ? SIDE_NEW : SIDE_OLD;

		if (sqlite3_column_int(st, 1))
			out->surplus[s] = true;
		else
			out->missed[s] = true;
	}
	return rc;
}

int journal_lost_note(struct journal *j, int64_t msg, enum side s, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		prepare(j,
			"INSERT INTO lost(folder, side, uid, canon, at)"
			" SELECT folder, ?2, COALESCE(" UID_OF(
				"msg") ", 0), canon_sha, ?3"
				       " FROM msg WHERE id = ?1 AND canon_sha IS NOT NULL",
			msg, s, e);

	if (st)
		sqlite3_bind_int64(st, 3, now_s());
	return run(j, st, e);
}

/* All that stands on the side. */
static int note_all(struct journal *j, int64_t folder, enum side s, struct err *e)
{
	sqlite3_stmt *st = prepare(
		j,
		"INSERT INTO lost(folder, side, uid, canon, at)"
		" SELECT folder, ?2, 0, canon_sha, ?3 FROM msg"
		" WHERE folder = ?1 AND state = 1 AND canon_sha IS NOT NULL AND " UID_OF(
			"msg") " IS NOT NULL",
		folder, s, e);

	if (st)
		sqlite3_bind_int64(st, 3, now_s());
	return run(j, st, e);
}

/* What is surplus on this side is so in the other folder, too, and is not taken for new mail. */
static int pass_skipped(struct journal *j, int64_t folder, int64_t to_folder, enum side s,
			struct err *e)
{
	sqlite3_stmt *st = prepare(
		j,
		"UPDATE msg SET folder = ?3 WHERE folder = ?1 AND state = 4 AND " UID_OF(
			"msg") " IN (SELECT surplus FROM lost WHERE folder = ?1 AND side = ?2"
			       " AND surplus <> 0)",
		folder, s, e);

	if (st)
		sqlite3_bind_int64(st, 3, to_folder);
	return run(j, st, e);
}

int journal_lost_pass(struct journal *j, int64_t folder, int64_t to_folder, enum side s,
		      struct err *e)
{
	HELD(j);
	enum side other = s == SIDE_OLD ? SIDE_NEW : SIDE_OLD;

	if (pass_skipped(j, folder, to_folder, other, e) < 0 ||
	    journal_lost_renumber(j, folder, s, e) < 0 || note_all(j, folder, s, e) < 0)
		return -1;
	return run(j,
		   prepare(j, "UPDATE lost SET folder = ?2 WHERE folder = ?1", folder,
			   to_folder, e),
		   e);
}

int journal_lost_turn(struct journal *j, struct err *e)
{
	HELD(j);
	return run(j,
		   prepare(j,
			   "INSERT INTO lost(folder, side, uid, canon, at)"
			   " SELECT folder, ?1, old_uid, canon_sha, ?2 FROM msg"
			   " WHERE state = 3 AND new_uid IS NOT NULL AND old_uid IS NOT NULL"
			   " AND canon_sha IS NOT NULL",
			   SIDE_OLD, now_s(), e),
		   e);
}

/* The entry, the row that was made when its message was sent again, and where that stands. */
struct pair {
	int64_t entry;
	struct journal_msg row;
};

/* Of several the one that was missed first: any row may stand for it. out: its id and UID; 1:
 * there is one. */
static int find_entry(struct journal *j, int64_t folder, enum side s,
		      const unsigned char canon[DIGEST_SIZE], int64_t out[2], struct err *e)
{
	sqlite3_stmt *st = prepare(j,
				   "SELECT id, uid FROM lost WHERE folder = ?1 AND side = ?2"
				   " AND canon = ?3 AND surplus = 0 ORDER BY uid LIMIT 1",
				   folder, s, e);

	if (st)
		sqlite3_bind_blob(st, 3, canon, DIGEST_SIZE, SQLITE_STATIC);
	return two_numbers(j, st, out, e);
}

/* A row of these bytes, ?4, where it is named, being a UID. 1: there is one. */
static int find_row(struct journal *j, const char *sql, int64_t folder, enum side s,
		    const unsigned char canon[DIGEST_SIZE], int64_t uid, int64_t out[2],
		    struct err *e)
{
	sqlite3_stmt *st = prepare(j, sql, folder, s, e);

	if (st) {
		sqlite3_bind_blob(st, 3, canon, DIGEST_SIZE, SQLITE_STATIC);
		sqlite3_bind_int64(st, 4, uid);
	}
	return two_numbers(j, st, out, e);
}

#define ROW_OF \
	"SELECT id, " UID_OF("msg") " AS there FROM msg WHERE folder = ?1 AND canon_sha = ?3"

/* The row that was made when it was sent again. */
static const char sent_again[] =
	ROW_OF " AND state = 1 AND NOT adopted AND there > ?4 ORDER BY there LIMIT 1";
/* One that was recognised by its bytes since that: it was sent again before the UIDs changed. */
static const char recognised[] = ROW_OF " AND state = 1 AND adopted AND there <> ?4 LIMIT 1";
/* One that is without it on purpose. */
static const char without[] = ROW_OF " AND state = 4 AND there IS NULL LIMIT 1";
/* One that has got another. */
static const char satisfied[] = ROW_OF " AND state = 1 AND there <> ?4 LIMIT 1";

/* uid: of what came back. out->entry: 0, there is none. */
static int find(struct journal *j, int64_t folder, enum side s,
		const unsigned char canon[DIGEST_SIZE], uint32_t uid, struct pair *out,
		struct err *e)
{
	int64_t entry[2], row[2];
	int rc = find_entry(j, folder, s, canon, entry, e);

	*out = (struct pair){ 0 };
	if (rc <= 0)
		return rc;
	rc = find_row(j, sent_again, folder, s, canon, entry[1], row, e);
	if (rc == 0)
		rc = find_row(j, without, folder, s, canon, 0, row, e);
	if (rc == 0)
		rc = find_row(j, recognised, folder, s, canon, uid, row, e);
	if (rc <= 0)
		return rc;
	out->entry = entry[0];
	out->row = (struct journal_msg){ .id = row[0], .state = MSG_DONE };
	out->row.uid[s] = (uint32_t)row[1];
	return 0;
}

/* uid: of the one that came back. Without another one there is none that is surplus. */
static int change_places(struct journal *j, struct pair *p, enum side s, uint32_t uid,
			 struct err *e)
{
	uint32_t had = p->row.uid[s];
	const char *sql = had ? "UPDATE lost SET surplus = ?2 WHERE id = ?1"
			      : "DELETE FROM lost WHERE id = ?1";

	if (run(j, prepare(j, sql, p->entry, had, e), e) < 0)
		return -1;
	p->row.uid[s] = uid;
	return journal_msg_placed(j, &p->row, s, e);
}

/* It was ours under this very UID, and was sent again; but another one has the row meanwhile.
 * 1: so it is, and this one is surplus. */
static int is_third(struct journal *j, int64_t folder, enum side s,
		    const unsigned char canon[DIGEST_SIZE], uint32_t uid, struct err *e)
{
	static const char entry_of[] =
		"SELECT id, uid FROM lost WHERE folder = ?1 AND side = ?2"
		" AND canon = ?3 AND surplus = 0 AND uid = ?4 LIMIT 1";
	int64_t entry[2], row[2];
	int rc = find_row(j, entry_of, folder, s, canon, uid, entry, e);

	if (rc > 0)
		rc = find_row(j, satisfied, folder, s, canon, uid, row, e);
	if (rc <= 0)
		return rc;
	rc = run(j, prepare(j, "UPDATE lost SET surplus = ?2 WHERE id = ?1", entry[0], uid, e),
		 e);
	return rc < 0 ? -1 : 1;
}

int journal_lost_back(struct journal *j, int64_t folder, enum side s,
		      const unsigned char canon[DIGEST_SIZE], uint32_t uid, bool *back,
		      uint32_t *surplus, struct err *e)
{
	HELD(j);
	struct pair p;
	int third;

	*surplus = 0;
	/* It has the index of contents made, too. */
	if (journal_knows(j, folder, canon, 0, back, e) < 0)
		return -1;
	if (!*back)
		return 0;
	if (find(j, folder, s, canon, uid, &p, e) < 0)
		return -1;
	if (p.entry) {
		*surplus = p.row.uid[s];
		return change_places(j, &p, s, uid, e);
	}
	third = is_third(j, folder, s, canon, uid, e);
	*back = third > 0;
	*surplus = *back ? uid : 0;
	return third < 0 ? -1 : 0;
}

int journal_lost_found(struct journal *j, int64_t folder, enum side s,
		       const unsigned char canon[DIGEST_SIZE], struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = prepare(j,
				   "DELETE FROM lost WHERE id = (SELECT id FROM lost WHERE"
				   " folder = ?1 AND side = ?2 AND canon = ?3 AND surplus = 0"
				   " ORDER BY uid LIMIT 1)",
				   folder, s, e);

	if (st)
		sqlite3_bind_blob(st, 3, canon, DIGEST_SIZE, SQLITE_STATIC);
	return run(j, st, e);
}

int journal_lost_take(struct journal *j, int64_t folder, enum side s,
		      const unsigned char canon[DIGEST_SIZE], bool *yes, struct err *e)
{
	HELD(j);
	int64_t entry[2];
	int rc = find_entry(j, folder, s, canon, entry, e);

	*yes = rc > 0;
	return *yes ? journal_lost_found(j, folder, s, canon, e) : rc;
}

static int read_surplus(struct journal *j, sqlite3_stmt *st, struct journal_surplus **out,
			size_t *n, struct err *e)
{
	int rc;

	while ((rc = journal_row(j, st, e)) > 0) {
		struct journal_surplus *x;

		*out = mem_grow(*out, *n + 1, sizeof **out);
		x = &(*out)[(*n)++];
		*x = (struct journal_surplus){ .id = sqlite3_column_int64(st, 0),
					       .uid = (uint32_t)sqlite3_column_int64(st, 1),
					       .placed = sqlite3_column_int(st, 2) };
		if (sqlite3_column_bytes(st, 3) == DIGEST_SIZE)
			memcpy(x->canon, sqlite3_column_blob(st, 3), DIGEST_SIZE);
	}
	return rc;
}

int journal_lost_surplus(struct journal *j, int64_t folder, enum side s,
			 struct journal_surplus **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		prepare(j,
			BY_SIDE(s,
				"SELECT min(id), surplus, EXISTS(SELECT 1 FROM msg"
				" WHERE msg.folder = ?1 AND state <> 4 AND ",
				" = surplus), canon FROM lost"
				" WHERE folder = ?1 AND side = ?2 AND surplus <> 0"
				" GROUP BY surplus"),
			folder, s, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	rc = read_surplus(j, st, out, n, e);
	sqlite3_finalize(st);
	if (rc < 0)
		mem_free(out);
	return rc;
}

static int drop_skipped(struct journal *j, int64_t folder, enum side s, uint32_t uid,
			struct err *e)
{
	return run(j,
		   prepare(j,
			   BY_SIDE(s, "DELETE FROM msg WHERE folder = ?1 AND state = 4 AND ",
				   " = ?2"),
			   folder, uid, e),
		   e);
}

int journal_lost_removed(struct journal *j, int64_t folder, enum side s,
			 const struct journal_surplus *x, struct err *e)
{
	HELD(j);
	if (drop_skipped(j, folder, s, x->uid, e) < 0)
		return -1;
	return run(j, prepare(j, "DELETE FROM lost WHERE id = ?1", x->id, 0, e), e);
}

int journal_lost_again(struct journal *j, int64_t folder, enum side s,
		       const struct journal_surplus *x, struct err *e)
{
	HELD(j);
	if (drop_skipped(j, folder, s, x->uid, e) < 0)
		return -1;
	return run(j,
		   prepare(j, "UPDATE lost SET surplus = 0, uid = 0, at = ?2 WHERE id = ?1",
			   x->id, now_s(), e),
		   e);
}

/* One that is surplus, of the row's bytes; 1: there is one. */
static int find_surplus(struct journal *j, int64_t folder, enum side s, int64_t msg,
			struct journal_surplus *out, struct err *e)
{
	sqlite3_stmt *st =
		prepare(j,
			"SELECT id, surplus FROM lost WHERE folder = ?1 AND side = ?2"
			" AND canon = (SELECT canon_sha FROM msg WHERE id = ?3)"
			" AND surplus <> 0 LIMIT 1",
			folder, s, e);
	int64_t found[2] = { 0 };
	int rc;

	if (st)
		sqlite3_bind_int64(st, 3, msg);
	rc = two_numbers(j, st, found, e);
	*out = (struct journal_surplus){ .id = found[0], .uid = (uint32_t)found[1] };
	return rc;
}

int journal_lost_left(struct journal *j, int64_t folder, enum side s, int64_t msg, bool *yes,
		      struct err *e)
{
	HELD(j);
	struct journal_msg row = { .id = msg, .state = MSG_DONE };
	struct journal_surplus x;
	int rc = find_surplus(j, folder, s, msg, &x, e);

	*yes = rc > 0;
	if (rc <= 0)
		return rc;
	row.uid[s] = x.uid;
	if (journal_lost_again(j, folder, s, &x, e) < 0)
		return -1;
	return journal_msg_placed(j, &row, s, e);
}

int journal_lost_renumber(struct journal *j, int64_t folder, enum side s, struct err *e)
{
	HELD(j);
	return run(
		j,
		prepare(j,
			"UPDATE lost SET uid = 0, surplus = 0 WHERE folder = ?1 AND side = ?2",
			folder, s, e),
		e);
}
