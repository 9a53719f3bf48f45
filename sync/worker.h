/*
 * One worker process from the engine's side: start it, feed it its job, hear it, end it.
 *
 * A worker is our own program again, in a process group of its own, with the job on its
 * standard input and events on its standard output (sync/job.h). Whatever it does costs at most
 * one retry: a crash, silence, a line that is too long or means nothing all end in WORKER_ENDED
 * without a result.
 */
#ifndef SYNC_WORKER_H
#define SYNC_WORKER_H

#include <event2/event.h>

#include "sync/job.h"

#define WORKER_KILL_MS 5000  /* between SIGTERM and SIGKILL */
#define WORKER_BYE_MS  10000 /* after its result a worker may take this long to end */

struct worker;

enum worker_event_kind {
	WORKER_WAITING,
	WORKER_PROGRESS,
	WORKER_AUDIT,
	WORKER_UIDL,
	WORKER_ACCOUNT,
	WORKER_PULL,
	WORKER_TOKEN,
	WORKER_VALIDITY,
	WORKER_RESULT,
	WORKER_ENDED
};

struct worker_event {
	enum worker_event_kind kind;
	const struct job_event *job; /* all but WAITING, RESULT, ENDED */
	/* RESULT: what it said. ENDED: the same, or NULL if it crashed, was stopped or made no
	 * sense. */
	const struct job_result *result;
	const char *text; /* ENDED without a result: why, for people */
};

/* ENDED comes once and last, when the process is gone; the worker is freed after the call. */
typedef void worker_fn(struct worker *w, const struct worker_event *ev, void *arg);

/* How workers are made. The cutover and the engine use nothing else, so tests bring their own.
 */
struct workshop {
	int (*start)(struct worker **out, const struct job *j, worker_fn *fn, void *fn_arg,
		     const struct workshop *shop, struct err *e);
	void (*go)(struct worker *w);	/* the last delta may begin */
	void (*stop)(struct worker *w); /* SIGTERM, later SIGKILL; ENDED follows */

	struct event_base *base;
	const char *program;	 /* to execute */
	const char *const *argv; /* NULL-terminated */
	const int *pace_fds;	 /* of the pages that all workers share; NULL: none */
	int silence_ms;		 /* 0: by the job's own deadlines */
};

/* The real one: runs our own executable with --worker. */
struct workshop workshop_real(struct event_base *base);

#endif
