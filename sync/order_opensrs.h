/* What a worker is told about OpenSRS, from the settings. */
#ifndef SYNC_ORDER_OPENSRS_H
#define SYNC_ORDER_OPENSRS_H

#include "config/settings.h"
#include "sync/job.h"

/* Does nothing where new is something else. ERR_INPUT names the setting that is wrong. */
int order_opensrs(struct job_opensrs *out, const struct settings *s, struct err *e) MUST_CHECK;

/* JOB_PROVISION for these users, at most PROVISION_MAX of them. */
int order_provision(struct job *out, const struct settings *s, char *const *names, size_t n,
		    bool dry_run, struct err *e) MUST_CHECK;

#endif
