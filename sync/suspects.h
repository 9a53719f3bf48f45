/*
 * What is done with messages at which a connection was lost (sync/journal_suspect.h). The
 * first loss may be chance. From then on the folder goes message by message, so that the next
 * loss names the right one; a suspect goes last and alone, so that it holds up nobody; and
 * after SUSPECT_LOSSES it is an exception. Never where the server asked for patience, or where
 * we ended the connection ourselves.
 */
#ifndef SYNC_SUSPECTS_H
#define SYNC_SUSPECTS_H

#include "sync/journal_suspect.h"
#include "sync/pass.h"

#define SUSPECT_LOSSES 4

struct suspects {
	struct journal_suspect *at; /* by uid */
	size_t count;
};

int suspects_load(const struct work *w, struct suspects *out, struct err *e) MUST_CHECK;
void suspects_release(struct suspects *s);
const struct journal_suspect *suspects_find(const struct suspects *s, uint32_t uid);

/* The pass ended with `why` while this message was on its way to or from that side. */
int suspects_blame(const struct work *w, uint32_t uid, enum side side, const struct err *why,
		   struct err *e) MUST_CHECK;
/* It was lost often enough: written down as an exception, and a suspect no more. */
int suspects_give_up(struct work *w, const struct journal_suspect *s, struct err *e) MUST_CHECK;
/* The folder was copied to the end. */
int suspects_clear(const struct work *w, struct suspects *s, struct err *e) MUST_CHECK;

#endif
