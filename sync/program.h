/*
 * The engine's process: what main.c makes and ends, and hooks.c answers the API from. Private to
 * these two.
 */
#ifndef SYNC_PROGRAM_H
#define SYNC_PROGRAM_H

#include "admin/api.h"
#include "common/flips.h"
#include "sync/audits.h"
#include "sync/engine.h"
#include "sync/lease.h"
#include "sync/provisions.h"

struct program {
	struct settings settings;
	struct event_base *base;
	struct store *store;
	struct engine *engine;
	struct audits *audits;
	struct provisions *provisions;
	struct workshop shop;
	struct api *api;
	struct http_server *http;
	struct event *signals[3], *nudged, *ending, *beat, *renewal;
	struct place place;
	struct lease lease;
	struct flips *flips;
	char distrust[ERR_TEXT_MAX]; /* of the store, and why; "" none */
	int lock, nudge, key_fd;
	struct learned *learned;
	struct depot *depot;
	bool lent; /* by it, to the call of the API that is being answered */
	bool stood_by;
	int64_t seen; /* the store's highest change so far */
	int64_t started;
};

/* main.c. fresh is in force, and taken; told hears of each setting that differs. */
void program_take_settings(struct program *p, struct settings *fresh, settings_told_fn *told,
			   void *to);

/* hooks.c. Their arg is a struct program. */
extern const struct api_hooks program_hooks;

#endif
