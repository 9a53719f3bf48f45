/* The store, its rows of what the gate looks at. */
#ifndef COMMON_STORE_GATE_H
#define COMMON_STORE_GATE_H

#include "common/store.h"

#define STORE_FACTS_MAX	 8192 /* bytes of what a pass found about a user */
#define STORE_WAIVER_MAX 1024 /* bytes of a waiver's note */

/* What the engine's last pass found, as its own JSON object (sync/facts.h). */
int store_facts_write(struct store *st, const char *name, const char *body,
		      struct err *e) MUST_CHECK;
/* 1: *body is it, the caller's to free; 0: no pass has written any; -1. */
int store_facts_read(struct store *st, const char *name, char **body, struct err *e) MUST_CHECK;

/* A person lets a check of the gate pass, for one user or for all of a wave. */
struct waiver_row {
	const char *name; /* of the user or the wave */
	bool is_wave;
	const char *item; /* "uids", … (sync/gate.h) */
	const char *note, *actor;
	int64_t at;
};
/*
 * Writes it, or takes it back (on false), and a row of history for each user it is about; *n
 * says how many these are, 0 where nothing was changed. Of w all but `at` counts. A user who
 * changes the wave later leaves the wave's waivers behind.
 */
int store_waive(struct store *st, const struct waiver_row *w, bool on, int *n,
		struct err *e) MUST_CHECK;
typedef int store_waiver_fn(const struct waiver_row *w, void *arg);
/* Those that hold for the user: his own, and his wave's ("": no wave); his own come first. */
int store_waivers_each(struct store *st, const char *name, const char *wave,
		       store_waiver_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* All there are, those of waves first. */
int store_waivers_all(struct store *st, store_waiver_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;

#endif
