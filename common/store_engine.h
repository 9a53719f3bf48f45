/* The store, its rows of engines: one at work, any number of stand-bys. */
#ifndef COMMON_STORE_ENGINE_H
#define COMMON_STORE_ENGINE_H

#include "common/store.h"

#define STORE_ENGINE_LEASE_MS 10000 /* of the one at work; renewed every STORE_RENEW_MS */

/*
 * To be called every STORE_RENEW_MS: writes that the engine of this handle's place is there,
 * and asks for the lease. *epoch is what it holds, 0: nothing, it stands by. Renews what it
 * holds (and leaves 0 in *epoch where another one has taken over); else takes it if it has run
 * out. The caller holds the lock file of its place: a lease of the same place is a dead
 * engine's.
 *
 * From the first lease on every move and every result of work through this handle is written
 * only while the lease holds, compared in the same transaction: an engine that was stopped and
 * wakes late writes nothing. From the first beat on what this handle writes of any user's journal
 * or unique ids needs that, or a lease of the user (common/store_lease.h).
 */
int store_engine_beat(struct store *st, int64_t *epoch, struct err *e) MUST_CHECK;
/* How many passes this engine makes at once for the one at work (common/store_lease.h); said with
 * the next beat. */
void store_engine_lend(struct store *st, int workers);
/* A clean end: the next one need not wait. */
int store_engine_leave(struct store *st, struct err *e) MUST_CHECK;

struct engine_row {
	const char *place, *host;
	int64_t started, seen;
	int pid;
	bool active; /* holds the lease */
	bool silent; /* not heard of for STORE_ENGINE_LEASE_MS */
	int workers; /* passes that it makes for the one at work, at once, … */
	int leases;  /* … and those that it has */
};
typedef int store_engine_fn(const struct engine_row *g, void *arg);
/* The one at work first. */
int store_engines_each(struct store *st, store_engine_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

#endif
