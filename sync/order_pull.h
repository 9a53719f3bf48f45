/* A batch for OpenSRS's migration tool, from the settings and the users. */
#ifndef SYNC_ORDER_PULL_H
#define SYNC_ORDER_PULL_H

#include "config/settings.h"
#include "sync/job.h"
#include "sync/learned.h"

/*
 * JOB_PULL without users yet; `first` is one of those to come. ERR_INPUT names the setting that is
 * wrong.
 */
int order_pull(struct job *out, const char *name, const struct user *first,
	       const struct settings *s, const struct learned *l, struct err *e) MUST_CHECK;
/*
 * 1: the user is in it now. 0: there is no room, or another one has the same login on old. -1: the
 * tool cannot pull this user's mail, and *e says why and what to do.
 */
int order_pull_user(struct job *j, const struct user *u, const struct settings *s,
		    const struct learned *l, struct err *e) MUST_CHECK;
/* The same question without a job: 0 or -1. */
int order_pull_check(const struct user *u, const struct settings *s, const struct learned *l,
		     struct err *e) MUST_CHECK;

#endif
