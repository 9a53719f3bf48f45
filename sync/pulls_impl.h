/* What pulls.c and pulls_ask.c share. Not for others. */
#ifndef SYNC_PULLS_IMPL_H
#define SYNC_PULLS_IMPL_H

#include "sync/pulls.h"

/* A user, as the store has it; and what only this engine knows. */
struct pulled {
	char *name, *job, *text;
	enum pull_state state;
	int tries;
	int64_t asked, migrated, skipped, failed, total, bytes;
	int64_t due;   /* clock_mono_ms(); not tried again before */
	int64_t moved; /* ms since 1970: when the figures last did; 0: not seen yet */
	int put_off;   /* times in a row that the user was left out of a batch */
	bool lent;     /* the journal is here for the worker */
	char *folder;
	json_t *folders; /* as the worker tells them; NULL: not yet */
};

struct pulls {
	struct pulls_opts o;
	bool read; /* all[] is what the store has */
	struct pulled **all;
	size_t count;
	void *by_name; /* tsearch() */
	struct worker *worker;
	char job[STORE_PULL_JOB_MAX]; /* that it is at, or was */
	bool fresh;		      /* no worker before this one has been at it */
	bool given;    /* the worker has said so: OpenSRS may have heard of the job */
	bool coming;   /* a journal is on its way */
	int64_t moved; /* clock_mono_ms(): when any figure of the batch last did */
	int failures;  /* of the batch, in a row */
	int64_t next_look, next_still, next_erase;
	size_t due;		  /* who could go when it was looked last */
	char error[ERR_TEXT_MAX]; /* why the batch does not go on; "" */
};

int pulls_read(struct pulls *p, struct err *e) MUST_CHECK;
struct pulled *pulls_find(const struct pulls *p, const char *name);
struct pulled *pulls_add(struct pulls *p, const char *name);
void pulls_drop(struct pulls *p, struct pulled *x);
void pulls_set_text(char **to, const char *text);
void pulls_write(struct pulls *p, const struct pulled *x);
/* Is anybody still in the batch under way? */
bool pulls_has_batch(const struct pulls *p);

#endif
