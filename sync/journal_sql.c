/* Hides: what is asked of the journal's tables. */
#include "sync/journal_impl.h"

#define MSG_COLUMNS                                                                         \
	"id, old_uid, new_uid, state, size, date, flags, kept, old_verified, new_verified," \
	" raw_sha IS NOT NULL, adopted, batch, pos"

const char *const journal_sql[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[BEGIN_READ] = "BEGIN",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FOLDERS] =
		"SELECT id, old_name, new_name, old_uidvalidity, new_uidvalidity, old_uidnext,"
		" new_uidnext, old_messages, new_messages, old_modseq, new_modseq, settled,"
		" trailed FROM folder ORDER BY id",
	[FOLDER_ADD] = "INSERT INTO folder(old_name, new_name) VALUES(?1, ?2)",
	[FOLDER_WRITE] =
		"UPDATE folder SET old_uidvalidity = ?2, new_uidvalidity = ?3,"
		" old_uidnext = ?4, new_uidnext = ?5, old_messages = ?6, new_messages = ?7,"
		" old_modseq = ?8, new_modseq = ?9, settled = ?10 WHERE id = ?1",
	[FORGET_ONE_SIDED_OLD] = "DELETE FROM msg WHERE folder = ?1 AND (state NOT IN (0, 1) OR"
				 " (state = 1 AND new_uid IS NULL))",
	[FORGET_ONE_SIDED_NEW] = "DELETE FROM msg WHERE folder = ?1 AND (state NOT IN (0, 1) OR"
				 " (state = 1 AND old_uid IS NULL))",
	[RENUMBER_OLD] = "UPDATE msg SET old_uid = NULL, old_verified = 0 WHERE folder = ?1",
	[RENUMBER_NEW] = "UPDATE msg SET new_uid = NULL, new_verified = 0 WHERE folder = ?1",
	[LOSE_OLD] = "UPDATE msg SET old_uid = NULL WHERE folder = ?1",
	[LOSE_NEW] = "UPDATE msg SET new_uid = NULL WHERE folder = ?1",
	[FORGET_UNFIT_OLD] =
		"DELETE FROM msg WHERE folder = ?1 AND state = 2 AND new_uid IS NULL",
	[FORGET_UNFIT_NEW] =
		"DELETE FROM msg WHERE folder = ?1 AND state = 2 AND old_uid IS NULL",
	/* Of what is in doubt the reason says whether it was taken. */
	[LEAVE_OLD] =
		"UPDATE msg SET old_uid = NULL, state = CASE state WHEN 0 THEN 0 ELSE 3 END,"
		" reason = CASE state WHEN 0 THEN reason ELSE 'UIDVALIDITY changed' END"
		" WHERE folder = ?1",
	[LEAVE_NEW] =
		"UPDATE msg SET new_uid = NULL, state = CASE state WHEN 0 THEN 0 ELSE 3 END,"
		" reason = CASE state WHEN 0 THEN reason ELSE 'UIDVALIDITY changed' END"
		" WHERE folder = ?1",
	/* Its UIDs may begin again below where they stood. */
	[BATCHES_FROM_FIRST] =
		"UPDATE batch SET uidnext = 1 WHERE folder = ?1 AND side = ?2 AND open = 1",
	[FOLDER_DROP_MSGS] = "DELETE FROM msg WHERE folder = ?1",
	[FOLDER_DROP_BATCHES] = "DELETE FROM batch WHERE folder = ?1",
	[FOLDER_DROP] = "DELETE FROM folder WHERE id = ?1",
	[SUBSCRIPTIONS] = "SELECT name FROM subscription",
	[SUBSCRIBE] = "INSERT OR IGNORE INTO subscription(name) VALUES(?1)",
	[UNSUBSCRIBE] = "DELETE FROM subscription WHERE name = ?1",
	[MSGS_BY_OLD] =
		"SELECT " MSG_COLUMNS " FROM msg WHERE folder = ?1 ORDER BY old_uid, id",
	[MSGS_BY_NEW] =
		"SELECT " MSG_COLUMNS " FROM msg WHERE folder = ?1 ORDER BY new_uid, id",
	[MSGS_BETWEEN_OLD] =
		"SELECT " MSG_COLUMNS " FROM msg"
		" WHERE folder = ?1 AND old_uid BETWEEN ?2 AND ?3 ORDER BY old_uid",
	[MSGS_BETWEEN_NEW] =
		"SELECT " MSG_COLUMNS " FROM msg"
		" WHERE folder = ?1 AND new_uid BETWEEN ?2 AND ?3 ORDER BY new_uid",
	[MSGS_WITHOUT_OLD] = "SELECT " MSG_COLUMNS " FROM msg"
			     " WHERE folder = ?1 AND old_uid IS NULL AND id > ?2"
			     " ORDER BY id LIMIT ?3",
	[MSGS_WITHOUT_NEW] = "SELECT " MSG_COLUMNS " FROM msg"
			     " WHERE folder = ?1 AND new_uid IS NULL AND id > ?2"
			     " ORDER BY id LIMIT ?3",
	[MSG_OF_ID] = "SELECT " MSG_COLUMNS " FROM msg WHERE folder = ?1 AND id = ?2",
	[MSGS_OF_BATCH] = "SELECT " MSG_COLUMNS " FROM msg"
			  " WHERE folder = ?1 AND batch = ?2 AND state = 0 ORDER BY pos",
	/* What is GONE has left old, whatever its UID there was. */
	[UIDS_OLD] = "SELECT old_uid FROM msg"
		     " WHERE folder = ?1 AND old_uid > 0 AND state <> 3 ORDER BY old_uid",
	[UIDS_NEW] =
		"SELECT new_uid FROM msg WHERE folder = ?1 AND new_uid > 0 ORDER BY new_uid",
	[UIDS_BETWEEN_OLD] =
		"SELECT old_uid FROM msg WHERE folder = ?1 AND old_uid BETWEEN ?2 AND ?3"
		" ORDER BY old_uid",
	[UIDS_BETWEEN_NEW] =
		"SELECT new_uid FROM msg WHERE folder = ?1 AND new_uid BETWEEN ?2 AND ?3"
		" ORDER BY new_uid",
	[KNOWS_INDEX] = "CREATE INDEX IF NOT EXISTS msg_canon ON msg(folder, canon_sha)",
	[KNOWS] = "SELECT 1 FROM msg WHERE folder = ?1 AND canon_sha = ?2 AND id <> ?3 LIMIT 1",
	[NOT_AFTER] = "SELECT count(*) FROM msg WHERE folder = ?1 AND state = 1 AND date <= ?2",
	[REASON] = "SELECT reason FROM msg WHERE id = ?1",
	[NOT_KEPT] = "SELECT flags, kept, count(*) FROM msg WHERE state = 1 AND flags <> kept"
		     " GROUP BY flags, kept",
	[TRAILED] = "UPDATE folder SET trailed = ?1 WHERE trailed <> ?1",
	[COUNT_MSGS] =
		"SELECT count(*),"
		" count(*) FILTER (WHERE state = 1 AND (old_verified <> ?2 OR new_verified <> ?3)),"
		" count(*) FILTER (WHERE state = 0),"
		" count(old_uid) FILTER (WHERE state <> 3), count(new_uid),"
		" count(*) FILTER (WHERE state <> 3 AND old_uid < ?4),"
		" count(*) FILTER (WHERE new_uid < ?5),"
		" count(*) - count(old_uid), count(*) - count(new_uid),"
		" count(old_uid) FILTER (WHERE state = 3)"
		" FROM msg WHERE folder = ?1",
	[MSG_ADD] =
		"INSERT INTO msg(old_uid, new_uid, state, size, date, flags, kept,"
		" old_verified, new_verified, adopted, batch, pos, reason, folder,"
		" raw_sha, canon_sha, header_sha)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
	[MSG_WRITE] =
		"UPDATE msg SET old_uid = ?1, new_uid = ?2, state = ?3, size = ?4, date = ?5,"
		" flags = ?6, kept = ?7, old_verified = ?8, new_verified = ?9, adopted = ?10,"
		" batch = ?11, pos = ?12, reason = ?13, folder = ?14 WHERE id = ?15",
	/* SQLite renews the index entries of every column that is named. */
	[MSG_PLACED_OLD] = "UPDATE msg SET old_uid = ?2, state = ?3, batch = ?4 WHERE id = ?1",
	[MSG_PLACED_NEW] = "UPDATE msg SET new_uid = ?2, state = ?3, batch = ?4 WHERE id = ?1",
	[MSG_VERIFIED] = "UPDATE msg SET old_verified = ?2, new_verified = ?3 WHERE id = ?1",
	[MSG_FLAGGED] = "UPDATE msg SET flags = ?2, kept = ?3 WHERE id = ?1",
	[MSG_DIGEST] =
		"UPDATE msg SET raw_sha = ?2, canon_sha = ?3, header_sha = ?4 WHERE id = ?1",
	[MSG_DROP] = "DELETE FROM msg WHERE id = ?1",
	[DIGEST] = "SELECT raw_sha, canon_sha, header_sha FROM msg WHERE id = ?1",
	[GONE] = "SELECT id FROM msg WHERE state = 3 AND raw_sha = ?1"
		 " UNION ALL SELECT id FROM repair JOIN msg ON id = msg"
		 " WHERE state = 3 AND raw_before = ?1 LIMIT 1",
	[TOTALS] =
		"SELECT count(*) FILTER (WHERE msg.state = 1),"
		" coalesce(sum(size) FILTER (WHERE msg.state = 1), 0),"
		" count(*) FILTER (WHERE msg.state = 1 AND old_verified = old_uidvalidity"
		"  AND new_verified = new_uidvalidity AND old_verified > 0 AND new_verified > 0),"
		" count(*) FILTER (WHERE msg.state = 2 AND NOT coalesce(waived, 0) AND NOT"
		"  CASE ?1 WHEN 0 THEN old_uid IS NOT NULL AND new_uid IS NULL"
		"  ELSE new_uid IS NOT NULL AND old_uid IS NULL END),"
		" count(*) FILTER (WHERE msg.state = 0)"
		" FROM msg JOIN folder ON folder.id = msg.folder"
		" LEFT JOIN exception ON exception.msg = msg.id",
	[BATCH_OPEN] = "INSERT INTO batch(folder, side, uidvalidity, uidnext, fence)"
		       " VALUES(?1, ?2, ?3, ?4, ?5)",
	[BATCH_FENCE] = "UPDATE batch SET fence = ?2 WHERE id = ?1",
	[BATCH_CLOSE] = "UPDATE batch SET open = 0 WHERE id = ?1",
	[BATCHES] = "SELECT id, folder, side, uidvalidity, uidnext, fence FROM batch"
		    " WHERE open = 1 AND (folder = ?1 OR ?1 = 0) ORDER BY id",
	[FIRST_UID] =
		"SELECT min(uidnext) FROM batch WHERE folder = ?1 AND side = ?2 AND uidvalidity = ?3",
	[EXCEPTIONS] =
		"SELECT folder.old_name, msg.id, old_uid, new_uid, size, date, reason, kind,"
		" tried, subject, file, server, since, retry, waived, note"
		" FROM exception JOIN msg ON msg.id = exception.msg"
		" JOIN folder ON folder.id = msg.folder"
		" WHERE msg.state = 2 AND (?1 = 0 OR msg.folder = ?1)"
		" ORDER BY msg.folder, old_uid, msg.id",
	[LOST] = "SELECT DISTINCT side, surplus <> 0 FROM lost WHERE folder = ?1",
	[SUSPECTS] = "SELECT uid, side, times FROM suspect WHERE folder = ?1 ORDER BY uid",
	[MARK] = "SELECT edition, former, doubt, fence FROM mark",
	[MARK_WRITE] = "INSERT OR REPLACE INTO mark(one, edition, former, doubt, fence)"
		       " VALUES(1, ?1, ?2, ?3, ?4)",
};
_Static_assert(COUNT(journal_sql) == STATEMENTS, "a text for every statement");
_Static_assert(MSG_INTENT == 0 && MSG_DONE == 1 && MSG_EXCEPTION == 2,
	       "numbers inside the statements");
_Static_assert(MSG_GONE == 3, "another one");
