/*
 * What the files of the journal share. Private to them.
 *
 *	journal.c	 the file, its lock, transactions, statements
 *	journal_schema.c the tables, and how older ones become ours
 *	journal_sql.c	 the statements' texts
 *	journal_folder.c, journal_msg.c, journal_batch.c, journal_exception.c, journal_place.c,
 *	journal_pop3.c, journal_suspect.c, journal_uidl.c, journal_lost.c	 rows
 *	journal_mark.c	 the file as a whole, as it is kept for other hosts
 */
#ifndef SYNC_JOURNAL_IMPL_H
#define SYNC_JOURNAL_IMPL_H

#include <pthread.h>
#include <sqlite3.h>

#include "sync/journal.h"

enum statement {
	BEGIN,
	BEGIN_READ,
	COMMIT,
	ROLLBACK,
	FOLDERS,
	FOLDER_ADD,
	FOLDER_WRITE,
	FORGET_ONE_SIDED_OLD,
	FORGET_ONE_SIDED_NEW,
	RENUMBER_OLD,
	RENUMBER_NEW,
	LOSE_OLD,
	LOSE_NEW,
	FORGET_UNFIT_OLD,
	FORGET_UNFIT_NEW,
	LEAVE_OLD,
	LEAVE_NEW,
	BATCHES_FROM_FIRST,
	FOLDER_DROP_MSGS,
	FOLDER_DROP_BATCHES,
	FOLDER_DROP,
	SUBSCRIPTIONS,
	SUBSCRIBE,
	UNSUBSCRIBE,
	MSGS_BY_OLD,
	MSGS_BY_NEW,
	MSGS_BETWEEN_OLD,
	MSGS_BETWEEN_NEW,
	MSGS_WITHOUT_OLD,
	MSGS_WITHOUT_NEW,
	MSGS_OF_BATCH,
	MSG_OF_ID,
	UIDS_OLD,
	UIDS_NEW,
	UIDS_BETWEEN_OLD,
	UIDS_BETWEEN_NEW,
	KNOWS_INDEX,
	KNOWS,
	NOT_AFTER,
	REASON,
	NOT_KEPT,
	TRAILED,
	COUNT_MSGS,
	MSG_ADD,
	MSG_WRITE,
	MSG_PLACED_OLD,
	MSG_PLACED_NEW,
	MSG_VERIFIED,
	MSG_FLAGGED,
	MSG_DIGEST,
	MSG_DROP,
	DIGEST,
	GONE,
	TOTALS,
	BATCH_OPEN,
	BATCH_FENCE,
	BATCH_CLOSE,
	BATCHES,
	FIRST_UID,
	EXCEPTIONS,
	LOST,
	SUSPECTS,
	MARK,
	MARK_WRITE,
	STATEMENTS
};
extern const char *const journal_sql[]; /* each one's text */

struct journal {
	pthread_mutex_t mutex; /* recursive: held by every call, and through a transaction */
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENTS];
	char *path;
	int lock;
	bool in_transaction;
	bool knows; /* the index of contents is there */
};

/* First in every call that others make: the journal is this thread's until the call returns. */
#define HELD(j) \
	struct journal *held __attribute__((cleanup(journal_let_go), unused)) = journal_hold(j)
struct journal *journal_hold(struct journal *j);
void journal_let_go(struct journal **j);

/* e says what the database did not like; -1. */
int journal_failed(struct journal *j, struct err *e);
/* Runs what gives no rows. */
int journal_exec(struct journal *j, const char *text, struct err *e) MUST_CHECK;

/* journal_schema.c. The version of the tables; 0: there are none yet. */
int journal_version(struct journal *j, int *out, struct err *e) MUST_CHECK;
int journal_upgrade(struct journal *j, struct err *e) MUST_CHECK;

/* The statement, prepared once, reset, without values; NULL with *e set. */
sqlite3_stmt *journal_get(struct journal *j, enum statement s, struct err *e);
/* Runs one that gives no rows. */
int journal_done(struct journal *j, sqlite3_stmt *st, struct err *e) MUST_CHECK;
/* The same for one whose only value is an id. */
int journal_with_id(struct journal *j, enum statement s, int64_t id, struct err *e) MUST_CHECK;
/* A statement of one's own, to be finalized by the caller; NULL with *e set. */
sqlite3_stmt *journal_prepare(struct journal *j, const char *sql, struct err *e);
/* Runs one that gives no rows, and finalizes it; how many rows it changed, or -1. */
int journal_finish(struct journal *j, sqlite3_stmt *st, struct err *e) MUST_CHECK;
/* 1: a row, 0: no more, -1: error. */
int journal_row(struct journal *j, sqlite3_stmt *st, struct err *e) MUST_CHECK;
void journal_bind_text(sqlite3_stmt *st, int at, const char *s); /* NULL is "" */
void journal_bind_id(sqlite3_stmt *st, int at, int64_t id);	 /* 0 is NULL */
char *journal_text(sqlite3_stmt *st, int at);			 /* allocated */

#endif
