/* Hides: the rows of folders and subscriptions. */
#include "sync/journal_impl.h"
#include "sync/journal_lost.h"

bool journal_is_settled(const struct journal_folder *f, enum side s)
{
	return f->settled >> s & 1;
}

void journal_folders_free(struct journal_folder **f, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		for (int s = 0; s < SIDES; s++)
			mem_free(&(*f)[i].name[s]);
	mem_free(f);
	*n = 0;
}

static void read_folder(sqlite3_stmt *st, struct journal_folder *f)
{
	*f = (struct journal_folder){ .id = sqlite3_column_int64(st, 0) };
	for (int s = 0; s < SIDES; s++) {
		f->name[s] = journal_text(st, 1 + s);
		f->state[s] = (struct folder_state){
			.uidvalidity = (uint32_t)sqlite3_column_int64(st, 3 + s),
			.uidnext = (uint32_t)sqlite3_column_int64(st, 5 + s),
			.messages = (uint32_t)sqlite3_column_int64(st, 7 + s),
			.modseq = (uint64_t)sqlite3_column_int64(st, 9 + s),
		};
	}
	f->settled = (unsigned)sqlite3_column_int(st, 11);
	f->trailed = sqlite3_column_int(st, 12);
}

int journal_folders(struct journal *j, struct journal_folder **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, FOLDERS, e);
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	while ((rc = journal_row(j, st, e)) > 0) {
		*out = mem_grow(*out, *n + 1, sizeof **out);
		read_folder(st, &(*out)[(*n)++]);
	}
	if (rc < 0)
		journal_folders_free(out, n);
	return rc;
}

int journal_folder_add(struct journal *j, const char *const name[SIDES], int64_t *id,
		       struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, FOLDER_ADD, e);

	if (!st)
		return -1;
	journal_bind_text(st, 1, name[SIDE_OLD]);
	journal_bind_text(st, 2, name[SIDE_NEW]);
	if (journal_done(j, st, e) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(j->db);
	return 0;
}

int journal_folder_write(struct journal *j, const struct journal_folder *f, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, FOLDER_WRITE, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, f->id);
	for (int s = 0; s < SIDES; s++) {
		sqlite3_bind_int64(st, 2 + s, f->state[s].uidvalidity);
		sqlite3_bind_int64(st, 4 + s, f->state[s].uidnext);
		sqlite3_bind_int64(st, 6 + s, f->state[s].messages);
		sqlite3_bind_int64(st, 8 + s, (int64_t)f->state[s].modseq);
	}
	sqlite3_bind_int(st, 10, (int)f->settled);
	return journal_done(j, st, e);
}

int journal_renumber(struct journal *j, int64_t id, enum side s, struct err *e)
{
	HELD(j);
	bool old = s == SIDE_OLD;

	if (journal_lost_renumber(j, id, s, e) < 0 ||
	    journal_with_id(j, old ? FORGET_ONE_SIDED_OLD : FORGET_ONE_SIDED_NEW, id, e) < 0)
		return -1;
	return journal_with_id(j, old ? RENUMBER_OLD : RENUMBER_NEW, id, e);
}

/* What is in doubt there may have any UID by now. */
static int batches_from_first(struct journal *j, int64_t id, enum side s, struct err *e)
{
	sqlite3_stmt *st = journal_get(j, BATCHES_FROM_FIRST, e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int(st, 2, (int)s);
	return journal_done(j, st, e);
}

int journal_lose_uids(struct journal *j, int64_t id, enum side s, bool left, struct err *e)
{
	HELD(j);
	bool old = s == SIDE_OLD;

	if (journal_lost_renumber(j, id, s, e) < 0)
		return -1;
	if (!left)
		return batches_from_first(j, id, s, e) < 0
			       ? -1
			       : journal_with_id(j, old ? LOSE_OLD : LOSE_NEW, id, e);
	if (journal_with_id(j, old ? FORGET_UNFIT_OLD : FORGET_UNFIT_NEW, id, e) < 0)
		return -1;
	return journal_with_id(j, old ? LEAVE_OLD : LEAVE_NEW, id, e);
}

int journal_folder_left(struct journal *j, int64_t id, int64_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st =
		journal_prepare(j,
				"UPDATE msg SET state = 3, reason = 'left old after the flip'"
				" WHERE folder = ?1 AND state = 1",
				e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	*n = journal_finish(j, st, e);
	return *n < 0 ? -1 : 0;
}

int journal_turn_back(struct journal *j, struct err *e)
{
	HELD(j);
	static const char steps[] =
		"UPDATE folder SET settled = 0, old_modseq = 0, new_modseq = 0"
		" WHERE id IN (SELECT folder FROM msg WHERE state = 3);"
		"DELETE FROM msg WHERE state = 3 AND (new_uid IS NOT NULL OR old_uid IS NULL);"
		"UPDATE msg SET state = 1, reason = '' WHERE state = 3;";

	if (journal_begin(j, e) < 0)
		return -1;
	if (journal_lost_turn(j, e) < 0 || journal_exec(j, steps, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/* Names are there once: the former one steps aside until it goes. */
static int step_aside(struct journal *j, int64_t id, struct err *e)
{
	sqlite3_stmt *st = journal_prepare(
		j,
		"UPDATE folder SET old_name = char(10) || id, new_name = char(10) || id"
		" WHERE id = ?1",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, id);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_folder_renew(struct journal *j, struct journal_folder *f, enum side s,
			 struct err *e)
{
	HELD(j);
	const char *names[SIDES] = { f->name[SIDE_OLD], f->name[SIDE_NEW] };
	const int64_t former = f->id;

	if (step_aside(j, former, e) < 0 || journal_folder_add(j, names, &f->id, e) < 0 ||
	    journal_lost_pass(j, former, f->id, s, e) < 0)
		return -1;
	return journal_folder_drop(j, former, e);
}

int journal_folder_drop(struct journal *j, int64_t id, struct err *e)
{
	HELD(j);
	if (journal_with_id(j, FOLDER_DROP_MSGS, id, e) < 0 ||
	    journal_with_id(j, FOLDER_DROP_BATCHES, id, e) < 0)
		return -1;
	return journal_with_id(j, FOLDER_DROP, id, e);
}

int journal_subscriptions(struct journal *j, journal_name_fn *fn, void *arg, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, SUBSCRIPTIONS, e);
	int rc;

	if (!st)
		return -1;
	while ((rc = journal_row(j, st, e)) > 0) {
		rc = fn((const char *)sqlite3_column_text(st, 0), arg);
		if (rc) {
			sqlite3_reset(st);
			return rc;
		}
	}
	return rc;
}

int journal_subscribed(struct journal *j, const char *name, bool yes, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_get(j, yes ? SUBSCRIBE : UNSUBSCRIBE, e);

	if (!st)
		return -1;
	journal_bind_text(st, 1, name);
	return journal_done(j, st, e);
}
