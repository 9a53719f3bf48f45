/*
 * Users whose mail OpenSRS's migration tool is to pull: what was asked, under which job, and
 * how it ended. Only the engine writes it.
 */
#ifndef COMMON_STORE_PULL_H
#define COMMON_STORE_PULL_H

#include "common/store.h"

#define STORE_PULL_JOB_MAX 64 /* bytes of a job's name, with a NUL */

enum pull_state {
	PULL_WAITING, /* for a batch */
	PULL_RUNNING, /* in the batch `job`, or may be */
	PULL_DONE,
	PULL_FAILED,
	PULL_STUCK, /* the job stands still, and nobody can stop it there: a person decides */
	PULL_STATES
};
const char *pull_state_name(enum pull_state s); /* "waiting", … */
/* Does our own copier wait? Two that write at the same time would make duplicates. */
bool pull_state_holds(enum pull_state s);

struct pull_row {
	const char *name;
	enum pull_state state;
	const char *job; /* the last one; "": none yet */
	const char *text;
	int tries;     /* batches that failed for the user */
	int64_t asked; /* ms since 1970; the order */
	int64_t migrated, skipped, failed, total, bytes;
};

/* All or none. */
int store_pulls_write(struct store *st, const struct pull_row *rows, size_t n,
		      struct err *e) MUST_CHECK;
int store_pulls_drop(struct store *st, char *const *names, size_t n, struct err *e) MUST_CHECK;
/* Of users who are done, what was asked for longer ago and has ended; each is told to fn. */
typedef int store_pull_name_fn(const char *name, void *arg);
int store_pulls_erase(struct store *st, int64_t keep_ms, store_pull_name_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;
/* In the order in which they were asked for. */
typedef int store_pull_fn(const struct pull_row *r, void *arg);
int store_pulls_each(struct store *st, store_pull_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* Who waits, but for pending users: they have no account yet. */
int store_pulls_ready(struct store *st, store_pull_name_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;
/* How many of a wave (NULL: of all) are in each state. */
int store_pull_count(struct store *st, const char *wave, int64_t out[static PULL_STATES],
		     struct err *e) MUST_CHECK;

#endif
