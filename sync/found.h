/*
 * Mail that was missed on the side that is written to, was sent again, and has come back
 * (sync/journal_lost.h). Private to the copier.
 */
#ifndef SYNC_FOUND_H
#define SYNC_FOUND_H

#include "sync/pass.h"

/*
 * Before the folder is gathered: of what came back on `to` one of two equal ones is removed: one
 * that has a row, and so was put there, or found there, by us.
 */
int found_there(struct work *w, struct err *e) MUST_CHECK;
/*
 * The direction has turned meanwhile, and it came back on `from`, where it looks like new mail:
 * *yes, and it is in the journal (after the flip also if it was not sent again: new
 * had it). Within a transaction.
 */
int found_here(struct work *w, const struct batch_message *m, bool *yes,
	       struct err *e) MUST_CHECK;
/*
 * Before deletes are planned: a message has left `from`, and the second copy of it stands there
 * still. That one counts from now on: its user has thrown away one of two.
 */
int found_left(struct work *w, struct err *e) MUST_CHECK;
/* A message that was in the listing of `to` without a row has one now. Within a transaction. */
int found_adopted(struct work *w, const struct digest *d, struct err *e) MUST_CHECK;

#endif
