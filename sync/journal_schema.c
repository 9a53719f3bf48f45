/* Hides: the tables, and how those of an older program become ours. */
#include "sync/journal_impl.h"

static const char schema[] =
	"CREATE TABLE folder(id INTEGER PRIMARY KEY,"
	" old_name TEXT NOT NULL UNIQUE, new_name TEXT NOT NULL UNIQUE,"
	" old_uidvalidity INTEGER NOT NULL DEFAULT 0, new_uidvalidity INTEGER NOT NULL DEFAULT 0,"
	" old_uidnext INTEGER NOT NULL DEFAULT 0, new_uidnext INTEGER NOT NULL DEFAULT 0,"
	" old_messages INTEGER NOT NULL DEFAULT 0, new_messages INTEGER NOT NULL DEFAULT 0,"
	" old_modseq INTEGER NOT NULL DEFAULT 0, new_modseq INTEGER NOT NULL DEFAULT 0,"
	" settled INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE batch(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folder(id),"
	" side INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,"
	" fence INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 1);"
	"CREATE INDEX batch_folder ON batch(folder, open);"
	"CREATE TABLE msg(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folder(id),"
	" old_uid INTEGER, new_uid INTEGER, state INTEGER NOT NULL, size INTEGER NOT NULL,"
	" date INTEGER NOT NULL, flags TEXT NOT NULL, kept TEXT NOT NULL,"
	" raw_sha BLOB, canon_sha BLOB, header_sha BLOB,"
	/* the UIDVALIDITY under which each side's bytes were compared */
	" old_verified INTEGER NOT NULL DEFAULT 0, new_verified INTEGER NOT NULL DEFAULT 0,"
	" adopted INTEGER NOT NULL DEFAULT 0, batch INTEGER REFERENCES batch(id),"
	" pos INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '');"
	"CREATE UNIQUE INDEX msg_old ON msg(folder, old_uid);"
	"CREATE UNIQUE INDEX msg_new ON msg(folder, new_uid);"
	"CREATE INDEX msg_gone ON msg(raw_sha) WHERE state = 3;"
	"CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;";
_Static_assert(MSG_GONE == 3, "numbers inside the schema");

/* What came later: steps[n] leads from version n to n + 1. A new journal goes through all of
 * them. */
static const char *const steps[] = {
	[0] = schema,
	/* what could not be copied, and what was changed before a server took it */
	[1] = "CREATE TABLE exception(msg INTEGER PRIMARY KEY REFERENCES msg(id) ON DELETE CASCADE,"
	      " kind INTEGER NOT NULL, tried TEXT NOT NULL, subject TEXT NOT NULL,"
	      " file TEXT NOT NULL, server TEXT NOT NULL, since INTEGER NOT NULL,"
	      " retry INTEGER NOT NULL DEFAULT 0, waived INTEGER NOT NULL DEFAULT 0,"
	      " note TEXT NOT NULL DEFAULT '');"
	      "INSERT INTO exception(msg, kind, tried, subject, file, server, since, retry)"
	      " SELECT id, 0, '', '', '', '', 0, 1 FROM msg WHERE state = 2;"
	      "CREATE TABLE repair(msg INTEGER PRIMARY KEY REFERENCES msg(id) ON DELETE CASCADE,"
	      " receipt TEXT NOT NULL, refusal TEXT NOT NULL, at INTEGER NOT NULL,"
	      " size_before INTEGER NOT NULL, size_after INTEGER NOT NULL,"
	      " raw_before BLOB NOT NULL, raw_after BLOB NOT NULL);"
	      "CREATE INDEX repair_before ON repair(raw_before);"
	      "CREATE TABLE difference(msg INTEGER PRIMARY KEY REFERENCES msg(id) ON DELETE CASCADE,"
	      " what TEXT NOT NULL);",
	/* The canonical form is most messages' own now (sync/digest.h). Of others, a comparison
	 * or batch that was not finished then finds a difference, and says so. */
	[2] = "UPDATE msg SET canon_sha = raw_sha WHERE raw_sha IS NOT NULL",
	/* is a stranger's message one of ours? And: which folders had their first trailing pass
	 */
	[3] = "CREATE INDEX msg_canon ON msg(folder, canon_sha);"
	      "ALTER TABLE folder ADD COLUMN trailed INTEGER NOT NULL DEFAULT 0;",
	/* mail read by POP3: what stands for its UIDs (sync/journal_pop3.h); never given twice
	 */
	[4] = "CREATE TABLE pop3(uid INTEGER PRIMARY KEY AUTOINCREMENT, uidl TEXT NOT NULL,"
	      " ordinal INTEGER NOT NULL, size INTEGER NOT NULL);"
	      "CREATE INDEX pop3_uidl ON pop3(uidl, ordinal);",
	/* what folders are known by when they are renamed, and renames under way */
	[5] = "CREATE TABLE place(folder INTEGER PRIMARY KEY REFERENCES folder(id) ON DELETE"
	      " CASCADE, old_id TEXT NOT NULL DEFAULT '', new_id TEXT NOT NULL DEFAULT '',"
	      " want TEXT NOT NULL DEFAULT '', step TEXT NOT NULL DEFAULT '');",
	/* Where digests fall is chance: each message touched a page of its own. Few journals
	 * are ever asked by content, and those get it back (journal_knows()). */
	[6] = "DROP INDEX msg_canon;",
	/* messages at which connections were lost (sync/journal_suspect.h) */
	[7] = "CREATE TABLE suspect(folder INTEGER NOT NULL REFERENCES folder(id) ON DELETE"
	      " CASCADE, uid INTEGER NOT NULL, side INTEGER NOT NULL, times INTEGER NOT NULL,"
	      " PRIMARY KEY(folder, uid)) WITHOUT ROWID;",
	/* by which unique ids POP3 servers show INBOX (sync/journal_uidl.h) */
	[8] = "CREATE TABLE uidl(side INTEGER NOT NULL, uidvalidity INTEGER NOT NULL,"
	      " uid INTEGER NOT NULL, uidl TEXT NOT NULL,"
	      " PRIMARY KEY(side, uidvalidity, uid)) WITHOUT ROWID;",
	/* how each folder's UIDs stand, and fillers that may be there (sync/uids.h) */
	[9] = "CREATE TABLE uids(folder INTEGER PRIMARY KEY REFERENCES folder(id) ON DELETE"
	      " CASCADE, mode INTEGER NOT NULL, why TEXT NOT NULL, filler INTEGER NOT NULL,"
	      " fence INTEGER NOT NULL);",
	/* which copy of it the store has, and whether it may be behind (sync/journal_mark.h) */
	[10] = "CREATE TABLE mark(one INTEGER PRIMARY KEY CHECK(one = 1),"
	       " edition TEXT NOT NULL, former TEXT NOT NULL, doubt INTEGER NOT NULL,"
	       " fence INTEGER NOT NULL);",
	/* what was missed on a side and sent again (sync/journal_lost.h). And settled is told
	 * of each side by now: what was settled before is looked at as a whole, once. */
	[11] = "CREATE TABLE lost(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES"
	       " folder(id) ON DELETE CASCADE, side INTEGER NOT NULL, uid INTEGER NOT NULL,"
	       " canon BLOB NOT NULL, surplus INTEGER NOT NULL DEFAULT 0);"
	       "CREATE INDEX lost_canon ON lost(folder, side, canon);"
	       "UPDATE folder SET settled = 0;",
	/* and since when, for that lapses */
	[12] = "ALTER TABLE lost ADD COLUMN at INTEGER NOT NULL DEFAULT 0;"
	       "UPDATE lost SET at = CAST(strftime('%s', 'now') AS INTEGER);",
};
_Static_assert(COUNT(steps) == JOURNAL_SCHEMA, "a step to every version");
_Static_assert(MSG_EXCEPTION == 2, "numbers inside the steps");

int journal_version(struct journal *j, int *out, struct err *e)
{
	sqlite3_stmt *st;
	int rc = -1;

	if (sqlite3_prepare_v2(j->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
		return journal_failed(j, e);
	if (sqlite3_step(st) == SQLITE_ROW) {
		*out = sqlite3_column_int(st, 0);
		rc = 0;
	}
	sqlite3_finalize(st);
	return rc < 0 ? journal_failed(j, e) : 0;
}

int journal_upgrade(struct journal *j, struct err *e)
{
	int version = 0;
	char number[64];

	if (journal_version(j, &version, e) < 0)
		return -1;
	if (version == JOURNAL_SCHEMA)
		return 0;
	if (version < 0 || version > JOURNAL_SCHEMA)
		return err_set(e, ERR_STORE, "journal %s: schema %d, this program knows %d",
			       j->path, version, JOURNAL_SCHEMA);
	if (journal_exec(j, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	for (; version < JOURNAL_SCHEMA; version++)
		if (journal_exec(j, steps[version], e) < 0)
			return -1;
	snprintf(number, sizeof number, "PRAGMA user_version = %d; COMMIT", JOURNAL_SCHEMA);
	return journal_exec(j, number, e);
}
