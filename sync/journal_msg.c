/* Hides: the rows of messages. */
#include "sync/journal_impl.h"

static const char *pooled(struct flag_pool *p, sqlite3_stmt *st, int at)
{
	return flags_of(p, slice_of((const char *)sqlite3_column_text(st, at)));
}

static void read_msg(sqlite3_stmt *st, const struct journal_folder *f, struct flag_pool *p,
		     struct journal_msg *m)
{
	*m = (struct journal_msg){
		.id = sqlite3_column_int64(st, 0),
		.state = (enum msg_state)sqlite3_column_int(st, 3),
		.size = (uint64_t)sqlite3_column_int64(st, 4),
		.date = sqlite3_column_int64(st, 5),
		.flags = pooled(p, st, 6),
		.kept = pooled(p, st, 7),
		.hashed = sqlite3_column_int(st, 10),
		.adopted = sqlite3_column_int(st, 11),
		.batch = sqlite3_column_int64(st, 12),
		.pos = sqlite3_column_int(st, 13),
	};
	for (int s = 0; s < SIDES; s++) {
		uint32_t validity = (uint32_t)sqlite3_column_int64(st, 8 + s);

		m->uid[s] = (uint32_t)sqlite3_column_int64(st, 1 + s);
		m->verified[s] = validity && validity == f->state[s].uidvalidity;
	}
}

/* All rows of a statement that is bound, added to *out. */
static int read_msgs(struct journal *j, sqlite3_stmt *st, const struct journal_folder *f,
		     struct flag_pool *p, struct journal_msg **out, size_t *n, struct err *e)
{
	int rc;

	while ((rc = journal_row(j, st, e)) > 0) {
		if ((*n & (*n + 1)) == 0) /* full at each power of two less one, at most */
			*out = mem_grow(*out, *n * 2 + 1, sizeof **out);
		read_msg(st, f, p, &(*out)[(*n)++]);
	}
	return rc;
}

int journal_msgs(struct journal *j, const struct journal_folder *f, enum side by,
		 struct flag_pool *p, struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, by == SIDE_OLD ? MSGS_BY_OLD : MSGS_BY_NEW, e);

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	if (read_msgs(j, st, f, p, out, n, e) == 0)
		return 0;
	mem_free(out);
	return -1;
}

int journal_msgs_between(struct journal *j, const struct journal_folder *f, enum side by,
			 uint32_t lo, uint32_t hi, struct flag_pool *p,
			 struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		journal_get(j, by == SIDE_OLD ? MSGS_BETWEEN_OLD : MSGS_BETWEEN_NEW, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	sqlite3_bind_int64(st, 2, lo);
	sqlite3_bind_int64(st, 3, hi);
	return read_msgs(j, st, f, p, out, n, e);
}

int journal_msgs_without(struct journal *j, const struct journal_folder *f, enum side by,
			 int64_t after, size_t most, struct flag_pool *p,
			 struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		journal_get(j, by == SIDE_OLD ? MSGS_WITHOUT_OLD : MSGS_WITHOUT_NEW, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	sqlite3_bind_int64(st, 2, after);
	sqlite3_bind_int64(st, 3, (int64_t)most);
	return read_msgs(j, st, f, p, out, n, e);
}

int journal_msg_of(struct journal *j, const struct journal_folder *f, int64_t id,
		   struct flag_pool *p, struct journal_msg *out, bool *found, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, MSG_OF_ID, e);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	sqlite3_bind_int64(st, 2, id);
	rc = journal_row(j, st, e);
	*found = rc > 0;
	if (*found)
		read_msg(st, f, p, out);
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

int journal_batch_msgs(struct journal *j, const struct journal_folder *f, int64_t batch,
		       struct flag_pool *p, struct journal_msg **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, MSGS_OF_BATCH, e);

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	sqlite3_bind_int64(st, 2, batch);
	if (read_msgs(j, st, f, p, out, n, e) == 0)
		return 0;
	mem_free(out);
	return -1;
}

/* The UIDs of a statement that is bound. */
static int read_uids(struct journal *j, sqlite3_stmt *st, uint32_t **out, size_t *n,
		     struct err *e)
{
	int rc;

	*out = NULL;
	*n = 0;
	while ((rc = journal_row(j, st, e)) > 0) {
		if ((*n & (*n + 1)) == 0)
			*out = mem_grow(*out, *n * 2 + 1, sizeof **out);
		(*out)[(*n)++] = (uint32_t)sqlite3_column_int64(st, 0);
	}
	if (rc < 0)
		mem_free(out);
	return rc;
}

int journal_uids(struct journal *j, int64_t folder, enum side s, uint32_t **out, size_t *n,
		 struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, s == SIDE_OLD ? UIDS_OLD : UIDS_NEW, e);

	*out = NULL;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	return read_uids(j, st, out, n, e);
}

int journal_uids_between(struct journal *j, int64_t folder, enum side s, uint32_t lo,
			 uint32_t hi, uint32_t **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		journal_get(j, s == SIDE_OLD ? UIDS_BETWEEN_OLD : UIDS_BETWEEN_NEW, e);

	*out = NULL;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int64(st, 2, lo);
	sqlite3_bind_int64(st, 3, hi);
	return read_uids(j, st, out, n, e);
}

int journal_uid_marks(struct journal *j, int64_t folder, enum side s, size_t nth,
		      uint32_t **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		journal_get(j, s == SIDE_OLD ? UIDS_BETWEEN_OLD : UIDS_BETWEEN_NEW, e);
	size_t at = 0;
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int64(st, 2, 1);
	sqlite3_bind_int64(st, 3, UINT32_MAX);
	while ((rc = journal_row(j, st, e)) > 0) {
		if (++at % nth)
			continue;
		*out = mem_grow(*out, *n + 1, sizeof **out);
		(*out)[(*n)++] = (uint32_t)sqlite3_column_int64(st, 0);
	}
	if (rc < 0)
		mem_free(out);
	return rc;
}

/* The first question by content makes the index, which then stays. */
static int index_contents(struct journal *j, struct err *e)
{
	sqlite3_stmt *st = j->knows ? NULL : journal_get(j, KNOWS_INDEX, e);

	if (j->knows)
		return 0;
	if (!st || journal_done(j, st, e) < 0)
		return -1;
	j->knows = true;
	return 0;
}

int journal_knows(struct journal *j, int64_t folder, const unsigned char canon[DIGEST_SIZE],
		  int64_t but, bool *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st;
	int rc;

	if (index_contents(j, e) < 0)
		return -1;
	st = journal_get(j, KNOWS, e);
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_blob(st, 2, canon, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, but);
	rc = journal_row(j, st, e);
	sqlite3_reset(st);
	*out = rc > 0;
	return rc < 0 ? -1 : 0;
}

int journal_not_after(struct journal *j, int64_t folder, int64_t date, int64_t *out,
		      struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, NOT_AFTER, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int64(st, 2, date);
	if (journal_row(j, st, e) < 1)
		return -1;
	*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

int journal_reason(struct journal *j, int64_t id, char out[static JOURNAL_REASON_MAX],
		   struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, REASON, e);
	int rc;

	out[0] = '\0';
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	rc = journal_row(j, st, e);
	if (rc > 0)
		snprintf(out, JOURNAL_REASON_MAX, "%s",
			 (const char *)sqlite3_column_text(st, 0));
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

int journal_not_kept(struct journal *j, journal_kept_fn *fn, void *arg, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, NOT_KEPT, e);
	int rc;

	if (!st)
		return -1;
	while ((rc = journal_row(j, st, e)) > 0) {
		rc = fn((const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 1), sqlite3_column_int64(st, 2),
			arg);
		if (rc) {
			sqlite3_reset(st);
			return rc;
		}
	}
	return rc;
}

int journal_trailed(struct journal *j, bool yes, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, TRAILED, e);

	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, yes);
	return journal_done(j, st, e);
}

int journal_count(struct journal *j, const struct journal_folder *f, struct journal_counts *out,
		  struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, COUNT_MSGS, e);

	*out = (struct journal_counts){ 0 };
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	for (int s = 0; s < SIDES; s++) {
		sqlite3_bind_int64(st, 2 + s, f->state[s].uidvalidity);
		sqlite3_bind_int64(st, 4 + s, f->state[s].uidnext);
	}
	if (journal_row(j, st, e) < 1)
		return -1;
	out->rows = sqlite3_column_int64(st, 0);
	out->unverified = sqlite3_column_int64(st, 1);
	out->in_doubt = sqlite3_column_int64(st, 2);
	for (int s = 0; s < SIDES; s++) {
		out->at[s] = sqlite3_column_int64(st, 3 + s);
		out->below[s] = sqlite3_column_int64(st, 5 + s);
		out->without[s] = sqlite3_column_int64(st, 7 + s);
	}
	out->gone = sqlite3_column_int64(st, 9);
	sqlite3_reset(st);
	return 0;
}

static void bind_digest(sqlite3_stmt *st, int at, const struct digest *d)
{
	sqlite3_bind_blob(st, at, d->raw, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(st, at + 1, d->canon, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(st, at + 2, d->header, DIGEST_SIZE, SQLITE_STATIC);
}

static void bind_msg(sqlite3_stmt *st, const struct journal_folder *f,
		     const struct journal_msg *m, const char *reason)
{
	for (int s = 0; s < SIDES; s++) {
		journal_bind_id(st, 1 + s, m->uid[s]);
		sqlite3_bind_int64(st, 8 + s, m->verified[s] ? f->state[s].uidvalidity : 0);
	}
	sqlite3_bind_int(st, 3, (int)m->state);
	sqlite3_bind_int64(st, 4, (int64_t)m->size);
	sqlite3_bind_int64(st, 5, m->date);
	journal_bind_text(st, 6, m->flags);
	journal_bind_text(st, 7, m->kept);
	sqlite3_bind_int(st, 10, m->adopted);
	journal_bind_id(st, 11, m->batch);
	sqlite3_bind_int(st, 12, m->pos);
	journal_bind_text(st, 13, reason);
	sqlite3_bind_int64(st, 14, f->id);
}

static int add_msg(struct journal *j, const struct journal_folder *f, struct journal_msg *m,
		   const struct digest *d, const char *reason, struct err *e)
{
	sqlite3_stmt *st = journal_get(j, MSG_ADD, e);

	if (!st)
		return -1;
	bind_msg(st, f, m, reason);
	if (d)
		bind_digest(st, 15, d);
	if (journal_done(j, st, e) < 0)
		return -1;
	m->id = sqlite3_last_insert_rowid(j->db);
	return 0;
}

static int write_digest(struct journal *j, int64_t id, const struct digest *d, struct err *e)
{
	sqlite3_stmt *st = journal_get(j, MSG_DIGEST, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	bind_digest(st, 2, d);
	return journal_done(j, st, e);
}

static int change_msg(struct journal *j, const struct journal_folder *f,
		      const struct journal_msg *m, const struct digest *d, const char *reason,
		      struct err *e)
{
	sqlite3_stmt *st = journal_get(j, MSG_WRITE, e);

	if (!st)
		return -1;
	bind_msg(st, f, m, reason);
	sqlite3_bind_int64(st, 15, m->id);
	if (journal_done(j, st, e) < 0)
		return -1;
	return d ? write_digest(j, m->id, d, e) : 0;
}

int journal_msg_write(struct journal *j, const struct journal_folder *f, struct journal_msg *m,
		      const struct digest *d, const char *reason, struct err *e)
{
	HELD(j);
	int rc = m->id ? change_msg(j, f, m, d, reason, e) : add_msg(j, f, m, d, reason, e);

	if (rc == 0 && d)
		m->hashed = true;
	return rc;
}

int journal_msg_placed(struct journal *j, const struct journal_msg *m, enum side s,
		       struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, s == SIDE_OLD ? MSG_PLACED_OLD : MSG_PLACED_NEW, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, m->id);
	journal_bind_id(st, 2, m->uid[s]);
	sqlite3_bind_int(st, 3, (int)m->state);
	journal_bind_id(st, 4, m->batch);
	return journal_done(j, st, e);
}

int journal_msg_verified(struct journal *j, const struct journal_folder *f,
			 const struct journal_msg *m, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, MSG_VERIFIED, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, m->id);
	for (int s = 0; s < SIDES; s++)
		sqlite3_bind_int64(st, 2 + s, m->verified[s] ? f->state[s].uidvalidity : 0);
	return journal_done(j, st, e);
}

int journal_msg_flagged(struct journal *j, const struct journal_msg *m, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, MSG_FLAGGED, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, m->id);
	journal_bind_text(st, 2, m->flags);
	journal_bind_text(st, 3, m->kept);
	return journal_done(j, st, e);
}

int journal_msg_drop(struct journal *j, int64_t id, struct err *e)
{
	HELD(j);
	return journal_with_id(j, MSG_DROP, id, e);
}

static int read_sha(sqlite3_stmt *st, int at, unsigned char out[DIGEST_SIZE])
{
	if (sqlite3_column_bytes(st, at) != DIGEST_SIZE)
		return -1;
	memcpy(out, sqlite3_column_blob(st, at), DIGEST_SIZE);
	return 0;
}

int journal_digest(struct journal *j, int64_t id, struct digest *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, DIGEST, e);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	rc = journal_row(j, st, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || read_sha(st, 0, out->raw) < 0 || read_sha(st, 1, out->canon) < 0 ||
	    read_sha(st, 2, out->header) < 0)
		rc = err_set(e, ERR_STORE, "journal %s: no digest of message %lld", j->path,
			     (long long)id);
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

/* Reads are one transaction of ours, unless the caller has one. */
static int read_begin(struct journal *j, struct err *e)
{
	sqlite3_stmt *st = j->in_transaction ? NULL : journal_get(j, BEGIN_READ, e);

	if (j->in_transaction)
		return 0;
	return st ? journal_done(j, st, e) : -1;
}

static int read_end(struct journal *j, struct err *e)
{
	sqlite3_stmt *st = j->in_transaction ? NULL : journal_get(j, COMMIT, e);

	if (j->in_transaction)
		return 0;
	return st ? journal_done(j, st, e) : -1;
}

int journal_digests(struct journal *j, const int64_t *ids, size_t n, struct digest *out,
		    struct err *e)
{
	HELD(j);
	struct err second = { 0 };
	int rc = 0;

	if (read_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = journal_digest(j, ids[i], &out[i], e);
	if (read_end(j, rc < 0 ? &second : e) < 0)
		return -1;
	return rc;
}

int journal_gone(struct journal *j, const unsigned char raw[DIGEST_SIZE], int64_t *id,
		 struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, GONE, e);
	int rc;

	*id = 0;
	if (!st)
		return -1;
	sqlite3_bind_blob(st, 1, raw, DIGEST_SIZE, SQLITE_STATIC);
	rc = journal_row(j, st, e);
	if (rc > 0)
		*id = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return rc < 0 ? -1 : 0;
}

int journal_totals(struct journal *j, enum side to, struct journal_totals *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, TOTALS, e);

	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, to);
	if (journal_row(j, st, e) < 1)
		return -1;
	out->messages = sqlite3_column_int64(st, 0);
	out->bytes = sqlite3_column_int64(st, 1);
	out->verified = sqlite3_column_int64(st, 2);
	out->exceptions = sqlite3_column_int64(st, 3);
	out->in_doubt = sqlite3_column_int64(st, 4);
	sqlite3_reset(st);
	return 0;
}
