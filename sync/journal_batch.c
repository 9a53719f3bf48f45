/* Hides: the rows of batches. */
#include "sync/journal_impl.h"

int journal_batch_open(struct journal *j, struct journal_batch *b, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, BATCH_OPEN, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, b->folder);
	sqlite3_bind_int(st, 2, (int)b->side);
	sqlite3_bind_int64(st, 3, b->uidvalidity);
	sqlite3_bind_int64(st, 4, b->uidnext);
	sqlite3_bind_int64(st, 5, b->fence);
	if (journal_done(j, st, e) < 0)
		return -1;
	b->id = sqlite3_last_insert_rowid(j->db);
	return 0;
}

int journal_batch_fence(struct journal *j, int64_t id, int64_t fence, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, BATCH_FENCE, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(st, 2, fence);
	return journal_done(j, st, e);
}

int journal_batch_close(struct journal *j, int64_t id, struct err *e)
{
	HELD(j);
	return journal_with_id(j, BATCH_CLOSE, id, e);
}

int journal_batches(struct journal *j, int64_t folder, struct journal_batch **out, size_t *n,
		    struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, BATCHES, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	while ((rc = journal_row(j, st, e)) > 0) {
		*out = mem_grow(*out, *n + 1, sizeof **out);
		(*out)[(*n)++] = (struct journal_batch){
			.id = sqlite3_column_int64(st, 0),
			.folder = sqlite3_column_int64(st, 1),
			.side = (enum side)sqlite3_column_int(st, 2),
			.uidvalidity = (uint32_t)sqlite3_column_int64(st, 3),
			.uidnext = (uint32_t)sqlite3_column_int64(st, 4),
			.fence = sqlite3_column_int64(st, 5),
		};
	}
	if (rc < 0)
		mem_free(out);
	return rc;
}

int journal_first_uid(struct journal *j, int64_t folder, enum side s, uint32_t uidvalidity,
		      uint32_t *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, FIRST_UID, e);

	*out = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, folder);
	sqlite3_bind_int(st, 2, (int)s);
	sqlite3_bind_int64(st, 3, uidvalidity);
	if (journal_row(j, st, e) < 1)
		return -1;
	*out = (uint32_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}
