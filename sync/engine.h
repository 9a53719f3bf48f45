/*
 * The engine at work: looks who is due, starts workers and cutovers, writes down how they
 * ended. It keeps nothing that matters: killed and started again it goes on from the store.
 */
#ifndef SYNC_ENGINE_H
#define SYNC_ENGINE_H

#include "sync/cutover.h"
#include "sync/depot.h"
#include "sync/learned.h"
#include "sync/planner.h"

struct engine;
struct pulls;

struct engine_opts {
	struct event_base *base;
	struct store *store; /* borrowed, as is all here */
	const struct settings *settings;
	struct workshop shop;
	struct learned *learned; /* NULL: nothing is */
	struct depot *depot;	 /* NULL: journals stay on this host */
	const struct place *place;
	/* Is the user's journal wanted on this host, so that his passes are not to be lent?
	   NULL: nobody's is. */
	bool (*stays_here)(const char *user, void *arg);
	void *stays_arg;
	/* Is the store the one it was? Asked before anybody is begun. NULL: it is. */
	bool (*trusts)(void *arg);
	void *trusts_arg;
};

struct engine *engine_new(const struct engine_opts *o);
/* Only when engine_idle(). */
void engine_free(struct engine **en);

/*
 * An engine begins as a stand-by, which starts nothing but errands (sync/errands.h). until:
 * its lease, or until when it counts as being there, by the monotonic clock; to be told again
 * with every renewal, for its workers send nothing after that.
 */
void engine_renewed(struct engine *en, bool at_work, int64_t until);
/* The store is not the one it was: a stand-by takes nothing from it until engine_renewed(). */
void engine_distrusts(struct engine *en);
/* Is it at something that would be another engine's, were it silent? */
bool engine_has_errands(const struct engine *en);
bool engine_stands_by(const struct engine *en);

/* Something may have changed in the store. */
void engine_nudge(struct engine *en);
/* Starts nothing more, undoes cutovers, ends all workers. */
void engine_stop(struct engine *en);
bool engine_idle(const struct engine *en); /* no worker and no cutover is left */

/* A pass (or probe) as soon as a slot is free, back-off or not. */
int engine_sync_now(struct engine *en, const struct user *u, struct err *e) MUST_CHECK;
/* It has not ended yet: it waits, or runs. One that ran before it was asked for is another. */
bool engine_awaited(const struct engine *en, const char *user);
/* What the user's next step waits for, as gate items. */
typedef void engine_item_fn(const struct gate_item *i, void *to);
void engine_why(struct engine *en, const struct user *u, engine_item_fn *fn, void *to);

/* What a worker does for a user right now; borrowed, NULL: none. */
struct engine_live {
	enum job_kind kind;
	int64_t started; /* ms since 1970 */
	struct job_event progress;
	char host[PLACE_HOST_MAX]; /* where the worker is; "": nowhere yet, it is offered */
};
const struct engine_live *engine_live(const struct engine *en, const char *user);
/* Calls fn for each user whom a worker is at. */
void engine_live_each(const struct engine *en, void (*fn)(const char *user, void *to),
		      void *to);
struct engine_count {
	int workers, workers_max; /* of all hosts */
	int queued, cutovers;
};
struct engine_count engine_count(struct engine *en);
/* Prometheus text; ready: what /readyz says. */
void engine_metrics(struct engine *en, bool ready, struct buf *out);
/* Whose mail another tool pulls. */
struct pulls *engine_pulls(struct engine *en);
/* Log all levels for this user. */
void engine_trace(struct engine *en, const char *user, bool on);

#endif
