/*
 * Which engine is at work: the one that holds the lease in the store. All others stand by, and
 * one of them takes over when the lease runs out.
 *
 * The lease counts from before its renewal was sent. What it covers ends by itself: moves are
 * compared with it in the store, and workers, who see on a page they share with the engine how
 * long it holds, send no byte after that. So an engine that was stopped does no harm when it
 * wakes, nor do its workers while it sleeps.
 */
#ifndef SYNC_LEASE_H
#define SYNC_LEASE_H

#include "common/log.h"
#include "common/store.h"

struct lease {
	struct store *store; /* borrowed */
	int64_t epoch;	     /* 0: we stand by */
	int64_t until; /* it holds, or (standing by) we count as being there; monotonic */
	struct log_about about;
	bool trouble; /* the last beat failed */
};

enum lease_news {
	LEASE_SAME,
	LEASE_TAKEN, /* we are at work from now on */
	LEASE_LOST   /* another engine is: this one must end, at once and without a word */
};

/* To be called every STORE_RENEW_MS, and before anything else. */
enum lease_news lease_beat(struct lease *l);
/* A clean end: the next engine need not wait. */
void lease_leave(struct lease *l);
/* Who is at work, for people; "" nobody. */
void lease_holder(struct lease *l, char out[static PLACE_HOST_MAX]);

#endif
