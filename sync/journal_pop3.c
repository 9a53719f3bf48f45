/* Hides: the table of numbers that stand for UIDs. */
#include "sync/journal_pop3.h"

#include "sync/journal_impl.h"

#define OF_MESSAGES                                                   \
	" JOIN folder ON old_name = 'INBOX' AND old_uidvalidity = ?1" \
	" JOIN msg ON msg.folder = folder.id AND old_uid = uid"
#define KNOWN                                                                                       \
	"SELECT uid, uidl, ordinal, pop3.size, coalesce(raw_before, raw_sha) FROM pop3" OF_MESSAGES \
	" LEFT JOIN repair ON repair.msg = msg.id ORDER BY uid"

void journal_pop3_free(struct pop3_known **at, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		mem_free(&(*at)[i].uidl);
	mem_free(at);
	*n = 0;
}

static void read_known(sqlite3_stmt *st, struct pop3_known *k)
{
	const char *uidl = (const char *)sqlite3_column_text(st, 1);

	*k = (struct pop3_known){
		.uid = (uint32_t)sqlite3_column_int64(st, 0),
		.uidl = mem_str(uidl ? uidl : ""),
		.ordinal = (uint32_t)sqlite3_column_int64(st, 2),
		.size = (uint64_t)sqlite3_column_int64(st, 3),
		.hashed = sqlite3_column_bytes(st, 4) == DIGEST_SIZE,
	};
	if (k->hashed)
		memcpy(k->raw, sqlite3_column_blob(st, 4), DIGEST_SIZE);
}

int journal_pop3_known(struct journal *j, struct pop3_known **out, size_t *n, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(j, KNOWN, e);
	size_t room = 0;
	int rc;

	*out = NULL;
	*n = 0;
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, POP3_UIDVALIDITY);
	while ((rc = journal_row(j, st, e)) > 0) {
		if (*n == room) {
			room = room ? room * 2 : 64;
			*out = mem_grow(*out, room, sizeof **out);
		}
		read_known(st, &(*out)[(*n)++]);
	}
	sqlite3_finalize(st);
	if (rc < 0)
		journal_pop3_free(out, n);
	return rc;
}

int journal_pop3_write(struct journal *j, struct pop3_known *k, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j,
		k->uid ? "UPDATE pop3 SET uidl = ?1, ordinal = ?2, size = ?3 WHERE uid = ?4"
		       : "INSERT INTO pop3(uidl, ordinal, size) VALUES(?1, ?2, ?3) RETURNING uid",
		e);
	int rc;

	if (!st)
		return -1;
	journal_bind_text(st, 1, k->uidl);
	sqlite3_bind_int64(st, 2, k->ordinal);
	sqlite3_bind_int64(st, 3, (int64_t)k->size);
	if (k->uid) {
		sqlite3_bind_int64(st, 4, k->uid);
		return journal_finish(j, st, e) < 0 ? -1 : 0;
	}
	rc = journal_row(j, st, e);
	if (rc > 0)
		k->uid = (uint32_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc > 0 ? 0 : -1;
}

int journal_pop3_tidy(struct journal *j, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j, "DELETE FROM pop3 WHERE uid NOT IN (SELECT uid FROM pop3" OF_MESSAGES ")",
		e);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, POP3_UIDVALIDITY);
	return journal_finish(j, st, e) < 0 ? -1 : 0;
}

int journal_pop3_next(struct journal *j, uint32_t *out, struct err *e)
{
	HELD(j);
	sqlite3_stmt *st = journal_prepare(
		j, "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'pop3'", e);
	int rc;

	*out = 1;
	if (!st)
		return -1;
	rc = journal_row(j, st, e);
	if (rc > 0)
		*out = (uint32_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc < 0 ? -1 : 0;
}
