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
/*
 * Behind the last that is asked of the other side for w, while that answer is on its way, the
 * next folder's look is taken, its new mail is being read, and the other side is opened for it;
 * at the latest now. May wait for the look.
 */
void ahead_go_on(struct work *w);
void ahead_go_on_now(struct work *w);
/* Before `from` is looked at for the first time: is it to be listed in the same breath? */
void ahead_ask_list(struct work *w);
void ahead_listed(struct work *w); /* that has been taken; is it whole? */
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
