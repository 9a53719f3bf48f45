/*
 * What the files of the pulls share. Not for others.
 *
 *	pulls.c		the rows of all users; when what is done
 *	pulls_ask.c	what people ask for and are told
 *	pulls_batch.c	who comes into a batch; its worker
 *	pulled.c	what becomes of one user
 */
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
	bool ready;    /* waits, and may have an account */
	bool lent;     /* the journal is here for the worker */
	bool coming;   /* it is on its way */
	char *missing; /* why who is in a job is not followed; "" */
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
/* Is the user in the batch under way? And anybody? */
bool pulls_in_batch(const struct pulls *p, const struct pulled *x);
bool pulls_has_batch(const struct pulls *p);

/* ---- a batch */

/* Accounts and free users come one after the other: a batch begins when no more do, or is full.
 */
bool pulls_are_gathered(struct pulls *p);
/* running: a job that is there, or may be. */
void pulls_begin(struct pulls *p, bool running);
void pulls_return_journals(struct pulls *p);
/* Of who is out of it: the next one to take it is not to lose it to the batch. */
void pulls_return_journal(struct pulls *p, struct pulled *x);

/* ---- a user */

struct pull_row pulled_row(const struct pulled *x);
/* Done or failed; who failed goes into another batch, as often as that is allowed. */
void pulled_settle(struct pulls *p, struct pulled *x, enum pull_state state, const char *text);
/* Nothing of the user was given to OpenSRS, and the trouble may go by. */
void pulled_put_off(struct pulls *p, struct pulled *x, const char *why);
/* What is missing does not come by itself. */
void pulled_give_up(struct pulls *p, struct pulled *x, const char *why);
/* As far as is known; that it is over, nobody can say. */
void pulled_stand_still(struct pulls *p, struct pulled *x);
/* sync.dir/NAME.trace: it is read by who looks for the reason. */
void pulled_keep_trace(const struct pulls *p, const struct pulled *x, const char *trace);

#endif
