/*
 * The next folder of a lane, begun on the side that counts while the present one ends on the
 * other. Private to copy*.c and those that use the lane's connection to `from` late or early:
 * they have to have it back first.
 */
#ifndef SYNC_AHEAD_H
#define SYNC_AHEAD_H

#include "sync/pass.h"

/* w needs `from` no more: the next folder, if there is one, is looked at. */
void ahead_begin(struct work *w);
/* That look's answer; then new mail is being read. May wait. */
void ahead_read(struct work *w);
/* The other side is opened behind the last that is asked of it for w; at the latest now. */
void ahead_open(struct work *w);
void ahead_open_now(struct work *w);
/* w needs `from` after all: what was begun is given up, and its folder is open again. */
int ahead_take_back(struct work *w, struct err *e) MUST_CHECK;

/* The lane's next folder, if it has been begun: the caller's from now on; else NULL. */
struct work *ahead_take(struct lane *l);
/* Its turn has come: the look that was begun is ended. */
int ahead_arrive(struct work *w, struct err *e) MUST_CHECK;
/* Before anything else is asked of `from` than to read on: what was read is dropped. */
int ahead_drop(struct work *w, struct err *e) MUST_CHECK;
/*
 * These are to be read: *out is where it is being done already, or NULL. planned: the list that
 * it has borrowed, the caller's to free when it has ended.
 */
struct readahead;
int ahead_reading(struct work *w, const uint32_t *uids, size_t n, uint32_t **planned,
		  struct readahead **out, struct err *e) MUST_CHECK;
void ahead_release(struct work *w); /* what was begun for it */

#endif
