/*
 * What the depot's own files share: journals on their way. Not for others.
 *
 *	depot.c		which file counts; who waits for what
 *	depot_bring.c	from the store to a file
 *	depot_leave.c	from a file to the store
 */
#ifndef SYNC_DEPOT_IMPL_H
#define SYNC_DEPOT_IMPL_H

#include "sync/depot.h"
#include "sync/names.h"

#define TURN_PARTS 16 /* in one turn of the loop */

/* One journal on its way. */
struct task {
	struct task *next;
	bool bring; /* from the store; else to it */
	bool doubt; /* what is brought is */
	char *user, *path;
	struct store_journal row; /* as it was when it began */
	size_t count, done;	  /* parts */
	int fd;			  /* of the file that is being made; -1 */
	struct journal *journal;  /* that is being copied */
	struct store_journal copy;
	struct buf there; /* digests that the store has, ascending */
};

struct depot {
	struct depot_opts o;
	struct place folder; /* sync.dir's own, wherever it is mounted */
	struct event *turn;
	struct task *first;
	struct names out;	/* at work here */
	struct names told;	/* of these it was said that they cannot be copied */
	struct names failed;	/* these could not be brought … */
	char why[ERR_TEXT_MAX]; /* … the last of them for this */
	int64_t heal_at;
	bool at_work, healed_last;
};

/* How many parts a file of so many bytes has. */
size_t depot_parts(int64_t size);
const char *depot_part(const char *parts, size_t at);
/* Is it this copy, or (former) the one that came from this one? */
bool depot_is(const struct journal_mark *here, const char *edition, bool or_former);

/* A turn: 1, there is nothing more to do; 0; -1. */
int depot_bring(struct depot *d, struct task *t, struct err *e) MUST_CHECK;
int depot_leave(struct depot *d, struct task *t, struct err *e) MUST_CHECK;

/* depot_bring.c. Where workers become somebody else, what root makes for them is theirs. */
void depot_give(const struct depot *d, const char *path);
/* The file is this edition, and in doubt; made if it is not there. */
int depot_doubt(const struct depot *d, const char *path, const char *edition,
		struct err *e) MUST_CHECK;

#endif
