/* The journal's tables as the first program made them: a copy on purpose, for nothing here
 * follows what came later. */
#ifndef TESTS_UNIT_JOURNAL_1_H
#define TESTS_UNIT_JOURNAL_1_H

#define JOURNAL_1                                                                                   \
	"CREATE TABLE folder(id INTEGER PRIMARY KEY,"                                               \
	" old_name TEXT NOT NULL UNIQUE, new_name TEXT NOT NULL UNIQUE,"                            \
	" old_uidvalidity INTEGER NOT NULL DEFAULT 0, new_uidvalidity INTEGER NOT NULL DEFAULT 0,"  \
	" old_uidnext INTEGER NOT NULL DEFAULT 0, new_uidnext INTEGER NOT NULL DEFAULT 0,"          \
	" old_messages INTEGER NOT NULL DEFAULT 0, new_messages INTEGER NOT NULL DEFAULT 0,"        \
	" old_modseq INTEGER NOT NULL DEFAULT 0, new_modseq INTEGER NOT NULL DEFAULT 0,"            \
	" settled INTEGER NOT NULL DEFAULT 0);"                                                     \
	"CREATE TABLE batch(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folder(id)," \
	" side INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,"           \
	" fence INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 1);"                      \
	"CREATE INDEX batch_folder ON batch(folder, open);"                                         \
	"CREATE TABLE msg(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folder(id),"   \
	" old_uid INTEGER, new_uid INTEGER, state INTEGER NOT NULL, size INTEGER NOT NULL,"         \
	" date INTEGER NOT NULL, flags TEXT NOT NULL, kept TEXT NOT NULL,"                          \
	" raw_sha BLOB, canon_sha BLOB, header_sha BLOB,"                                           \
	" old_verified INTEGER NOT NULL DEFAULT 0, new_verified INTEGER NOT NULL DEFAULT 0,"        \
	" adopted INTEGER NOT NULL DEFAULT 0, batch INTEGER REFERENCES batch(id),"                  \
	" pos INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '');"                        \
	"CREATE UNIQUE INDEX msg_old ON msg(folder, old_uid);"                                      \
	"CREATE UNIQUE INDEX msg_new ON msg(folder, new_uid);"                                      \
	"CREATE INDEX msg_gone ON msg(raw_sha) WHERE state = 3;"                                    \
	"CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;"

#endif
