/* What the files of the journal share (journal.c, journal_exception.c,
 * journal_place.c). Private to them. */
#ifndef SYNC_JOURNAL_IMPL_H
#define SYNC_JOURNAL_IMPL_H

#include <sqlite3.h>

#include "sync/journal.h"

/* First in every call that others make: the journal is this thread's until the call returns. */
#define HELD(j) \
	struct journal *held __attribute__((cleanup(journal_let_go), unused)) = journal_hold(j)
struct journal *journal_hold(struct journal *j);
void journal_let_go(struct journal **j);

/* A statement of one's own, to be finalized by the caller; NULL with *e set. */
sqlite3_stmt *journal_prepare(struct journal *j, const char *sql, struct err *e);
/* Runs one that gives no rows, and finalizes it; how many rows it changed, or -1. */
int journal_finish(struct journal *j, sqlite3_stmt *st, struct err *e) MUST_CHECK;
/* 1: a row, 0: no more, -1: error. */
int journal_row(struct journal *j, sqlite3_stmt *st, struct err *e) MUST_CHECK;
void journal_bind_text(sqlite3_stmt *st, int at, const char *s); /* NULL is "" */

#endif
