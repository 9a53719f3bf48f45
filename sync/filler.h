/*
 * Fillers: small messages that use up the UIDs which the other side shall not give to mail. All
 * have the same bytes, which say what they are, and are \Deleted from the beginning; they are
 * taken away at the end of the folder's work, each only after its bytes were looked at.
 */
#ifndef SYNC_FILLER_H
#define SYNC_FILLER_H

#include "sync/pass.h"

#define FILLER_SIZE_MAX 512  /* bytes of one, about, as a server keeps it */
#define FILLER_COPIES	1000 /* of one COPY */
#define FILLER_SEED	8    /* sent, where none can be copied yet */

/* Its bytes, put into a batch's spool: *at, for filler_describe(). */
int filler_put(struct batch *b, uint64_t *at, struct err *e) MUST_CHECK;
/* One message of that batch, to be sent, which shall get this UID. */
void filler_describe(struct batch_message *m, uint32_t uid, uint64_t at);

/*
 * Uses up the UIDs of the other side's folder from first on, `count` of them up to
 * first + count, from what is free above first. With nothing else under way on that connection. exact: they have to be these;
 * 1: they are. 0: others came, or the server would not (*why says it): nothing is lost by that.
 */
int filler_burn(struct work *w, uint32_t first, uint32_t count, bool exact,
		char why[static UIDS_WHY_MAX], struct err *e) MUST_CHECK;

/* Takes all away that stand in the folder from this UID on and are in no row. */
int filler_remove(struct work *w, uint32_t from, struct err *e) MUST_CHECK;

#endif
