/*
 * One run of `mailferry provision` at a time: a worker makes and changes the accounts, and what
 * it said stays until the next run, for whoever asks.
 */
#ifndef SYNC_PROVISIONS_H
#define SYNC_PROVISIONS_H

#include <jansson.h>

#include "config/settings.h"
#include "sync/learned.h"
#include "sync/worker.h"

struct provisions_opts {
	const struct settings *settings; /* borrowed, as is all here */
	const struct learned *learned;	 /* NULL: nothing is */
	const struct workshop *shop;
};

struct provisions;
struct provisions *provisions_new(const struct provisions_opts *o);
void provisions_free(struct provisions **p); /* only when idle */

/* Begins a run for users, by their logins on new; *id tells it from others. ERR_LIMIT: one is under way. ERR_INPUT: a setting is
 * missing, or there are too many users. */
int provisions_ask(struct provisions *p, char *const *users, char *const *logins, size_t n,
		   bool dry_run, int64_t *id, struct err *e) MUST_CHECK;

/* The last run: {"run", "running", "error", "items": [{name, line, what, text}]}; of the
 * caller. */
json_t *provisions_show(const struct provisions *p);

/* At the end of the engine: the worker is stopped. Killed between two calls, a run leaves every
 * account whole. */
void provisions_stop(struct provisions *p);
bool provisions_idle(const struct provisions *p);

#endif
