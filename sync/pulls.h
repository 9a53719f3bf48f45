/*
 * Users whose mail OpenSRS's own tool is to pull (`mailferry pull`): who waits, the batch under
 * way, how each one ended. All of it is in the store, so an engine that is started anew goes on
 * with the same batch.
 *
 * One batch is under way at a time, of at most JOB_PULL_MAX users. Whoever waits or is in it is
 * left alone by our own passes, and not moved: two copiers at the same time would make
 * duplicates. Who failed is put into another batch, PULLS_TRIES times.
 *
 * Nobody can stop a job at OpenSRS. So who may be in one stays in it, whatever trouble there is
 * here, until OpenSRS says that it is over. A batch that stands still is followed on, and holds
 * up all others until a person has said of its users that they are no longer waited for.
 */
#ifndef SYNC_PULLS_H
#define SYNC_PULLS_H

#include <jansson.h>

#include "common/store_pull.h"
#include "config/settings.h"
#include "sync/depot.h"
#include "sync/learned.h"
#include "sync/worker.h"

#define PULLS_TRIES 3

struct pulls_opts {
	struct store *store; /* borrowed, as is all here */
	const struct settings *settings;
	const struct learned *learned;
	const struct workshop *shop;
	struct depot *depot; /* may be NULL */
	/* Is a worker at this user? */
	bool (*busy)(const char *user, void *arg);
	/* It has ended for this user: our own passes may go on. */
	void (*ended)(const char *user, void *arg);
	void *arg;
};

struct pulls;
struct pulls *pulls_new(const struct pulls_opts *o);
void pulls_free(struct pulls **p); /* only when idle */

/* To be called often, by the engine at work only. */
void pulls_tick(struct pulls *p);
void pulls_stop(struct pulls *p); /* the job itself goes on at OpenSRS */
bool pulls_idle(const struct pulls *p);

/* May no pass and no cutover of the user begin? Asked by the engine at work only. */
bool pulls_hold(struct pulls *p, const char *user);

enum pulls_ask { PULLS_TRY, PULLS_ASK, PULLS_UNDO };
/* Of each user: {user, result: "would wait" | "waits" | "open" | "refused" | "undone" | "none",
 * text}; of the caller. NULL: *e. */
json_t *pulls_ask(struct pulls *p, char *const *users, size_t n, enum pulls_ask what,
		  struct err *e) MUST_CHECK;

/* How it stands with the user, of the caller; NULL: nothing was asked. */
json_t *pulls_show(const struct pulls *p, const char *user);
/* The same for people; false: nothing was asked. */
bool pulls_text(const struct pulls *p, const char *user, char *out, size_t size);

#endif
