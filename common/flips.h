/*
 * The flip log: what this host remembers of moves, apart from the store. A node writes each
 *flip here, durably, before it routes anybody by it; so a store that was emptied, put back from
 * yesterday or swapped for another is found out, and nobody is sent back to old. One file for
 * all processes of a host (beside the store's, or store { flips }), only ever appended to:
 *
 *	store ID			the store that is followed from here on
 *	flip EPOCH CHANGE NAME		odd epochs live on new, even ones on old
 *
 * Logs of other hosts may be appended by hand: of a name the highest epoch counts. A line that
 * is cut off, by a lost machine, is none.
 *
 * A log belongs to one thread.
 */
#ifndef COMMON_FLIPS_H
#define COMMON_FLIPS_H

#include "common/store.h"
#include "common/store_trust.h"

struct flips;

/* Opens or makes the file and reads it. ERR_INPUT names file and line of what is no flip log.
 */
int flips_open(struct flips **out, const char *path, struct err *e) MUST_CHECK;
void flips_free(struct flips **f);

/* The store that was followed last; "" none. */
const char *flips_store(const struct flips *f);
int flips_follow(struct flips *f, const char *store, struct err *e) MUST_CHECK;
/* The highest epoch known of a user; 0: never flipped. */
int64_t flips_epoch(const struct flips *f, const char *name);
/* The highest change of a flip. */
int64_t flips_change(const struct flips *f);
/* Appends what is not known yet; flips_sync() makes it durable. */
int flips_add(struct flips *f, const char *name, int64_t epoch, int64_t change,
	      struct err *e) MUST_CHECK;
int flips_sync(struct flips *f, struct err *e) MUST_CHECK;
/* Takes in what other processes have appended. */
int flips_reread(struct flips *f, struct err *e) MUST_CHECK;

/* All that are known, by name. */
typedef void flips_fn(const struct flip_row *r, void *arg);
void flips_each(const struct flips *f, flips_fn *fn, void *arg);

/*
 * Is this the store that this host has followed, and not older than it was? seen: the highest
 * change that the caller knows. 1; 0: no, and why says what is wrong and what helps; -1: the
 * store does not answer. A log that follows none yet follows this one from now on.
 */
int flips_judge(struct flips *f, struct store *st, int64_t seen, char *why, size_t size,
		struct err *e) MUST_CHECK;
/* The same, user by user: has the store lost a move? Before it is relied on for the first time.
 */
int flips_compare(struct flips *f, struct store *st, char *why, size_t size,
		  struct err *e) MUST_CHECK;
/* Gives the store all moves it does not know (store_rebuild()), and follows it from now on.
 * seen as above. */
int flips_rebuild(struct flips *f, struct store *st, int64_t seen, int *moved,
		  struct err *e) MUST_CHECK;

#endif
