/*
 * OpenSRS's own migration tool as the copier: a batch of users is given to it, and followed
 * until it is through with each of them. Afterwards our own passes take over what it brought.
 *
 * A job that is there under its name already is followed, and not begun again: whoever was
 * killed goes on. Nothing can stop a job there, so a worker that ends leaves it at work, and
 * from when OpenSRS may have heard of it a trouble of ours ends nobody: only what OpenSRS says
 * of the user does, or, a few times in a row, that it has no such job, or not the user in it
 * though it is through with all others, also with those whom nobody here follows any more. A
 * job that stands still is followed on.
 */
#ifndef SYNC_PULL_H
#define SYNC_PULL_H

#include "sync/job.h"
#include "sync/opensrs.h"

/*
 * Called when something has changed; ended users are told once more, and last. Before a job is
 * given to OpenSRS each of its users is told to be PULL_RUNNING: of a worker that has told
 * nobody so, OpenSRS has heard nothing. PULL_WAITING: was left out of it.
 */
typedef void pull_fn(const struct pull_item *i, void *arg);

struct pull {
	struct job *job; /* JOB_PULL */
	struct opensrs *api;
	const struct log_about *about;
	pull_fn *fn;
	void *arg;
};

/* The rules about folders of each user, before the worker is confined. */
int pull_read_rules(struct job_pull *p, struct err *e) MUST_CHECK;
/* ERR_INPUT: the address that OpenSRS is to be given leads to one of our listeners. */
int pull_check_address(const struct job_pull *p, struct err *e) MUST_CHECK;
/* 0: each user was told to be done, failed or left out. -1: it could not go on; where OpenSRS
 * has heard nothing and e is ERR_INPUT, another try is of no use. */
int pull_run(const struct pull *p, struct err *e) MUST_CHECK;

#endif
