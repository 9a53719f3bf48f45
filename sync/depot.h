/*
 * Journals of users whose store is shared by several hosts. A worker has its journal in a file
 * of its own host, as ever; between passes the store has a copy of it, so that the engine of
 * another host can go on from it.
 *
 * Before a worker starts, the store's row says in which folder the journal is at work; after it
 * has ended, what it has changed is copied, and the row says so. A journal whose folder's
 * engine has gone is taken over as it was copied last, and is in doubt (sync/journal_mark.h).
 * Every such word is compared with the engine's lease: who was deposed brings nothing back.
 *
 * A large journal takes more than one turn of the loop, either way.
 */
#ifndef SYNC_DEPOT_H
#define SYNC_DEPOT_H

#include <event2/event.h>

#include "config/settings.h"
#include "common/store_journal.h"
#include "sync/journal_mark.h"

struct depot;

struct depot_opts {
	struct event_base *base;
	struct store *store; /* borrowed, as is all here */
	const struct settings *settings;
};
/* *out is NULL where the store is a file: all that follows takes that, and does nothing. */
int depot_new(struct depot **out, const struct depot_opts *o, struct err *e) MUST_CHECK;
void depot_free(struct depot **d);

/*
 * 1: the user's journal is at work here until depot_return(); *doubt: nobody may be moved by it
 * before a pass has ended. 0: it is on its way, or another engine has the user on lease; ask
 * again. -1.
 */
int depot_take(struct depot *d, const char *user, bool *doubt, struct err *e) MUST_CHECK;
#define DEPOT_PATIENCE_MS 2000 /* of people */
/* For who reads it, or writes little, within this turn of the loop: waits for so long (0: not at
 * all, for who can ask again); ERR_TEMP: it is on its way still. *lent: it was not at work here,
 * and is to be returned. */
int depot_lend(struct depot *d, const char *user, int patience_ms, bool *lent,
	       struct err *e) MUST_CHECK;
/* How many are on their way from the store: each will want a worker. */
int depot_coming(const struct depot *d);
/* Nobody writes to it any more. Of one that was not taken: nothing. */
void depot_return(struct depot *d, const char *user);
/* Is it on its way, either way? */
bool depot_is_busy(const struct depot *d, const char *user);
/* 1: it is where every host finds it, or never will be (too large); 0: not yet, it is on its way
 * now; -1. */
int depot_left(struct depot *d, const char *user, struct err *e) MUST_CHECK;
/* The id of the folder here, as in struct store_journal. */
const char *depot_folder(const struct depot *d);
/* While this engine is at work, now and then: what an engine that died here left is returned.
 */
void depot_tick(struct depot *d);
/* Nothing is taken any more: is all returned that can be? */
bool depot_end(struct depot *d);

/* ---- the pure part */

enum depot_choice {
	DEPOT_HERE,    /* the file here is the journal, or will be */
	DEPOT_STRANGE, /* so it is, but of another store: in doubt */
	DEPOT_NEWER,   /* so it is, and the store is older than that: in doubt */
	DEPOT_COPY,    /* the store's copy is */
	DEPOT_STALE,   /* so it is, in doubt */
	DEPOT_LOST     /* there is none: a new one, in doubt */
};
/* row: the store's, here: the mark of the file in this folder; NULL: none. */
enum depot_choice depot_choose(const struct store_journal *row, const struct journal_mark *here,
			       const char *folder);

/* Each copy is of a later generation than the one that it came from, and differs from all others. */
int depot_new_edition(const char *former, char out[static STORE_EDITION_MAX],
		      struct err *e) MUST_CHECK;

#endif
