/* What a worker is told about OpenSRS, from the settings. */
#ifndef SYNC_ORDER_OPENSRS_H
#define SYNC_ORDER_OPENSRS_H

#include "config/settings.h"
#include "sync/job.h"
#include "sync/learned.h"

/* Does nothing where new is something else. ERR_INPUT names the setting that is wrong. */
int order_opensrs(struct job_opensrs *out, const struct settings *s, struct err *e) MUST_CHECK;

/* A user of the job: his login on new, and what he was learned to log in with (copied only where
 * OpenSRS could take it). There is room for him. */
void order_opensrs_user(struct job_opensrs *o, const char *login, const struct secret *learned);

/* JOB_PROVISION for these users, at most PROVISION_MAX of them, by their logins on new. */
int order_provision(struct job *out, const struct settings *s, const struct learned *l,
		    char *const *users, char *const *logins, size_t n, bool dry_run,
		    struct err *e) MUST_CHECK;

#endif
