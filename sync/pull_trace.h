/* What OpenSRS's tool itself says of a user whom it failed with. */
#ifndef SYNC_PULL_TRACE_H
#define SYNC_PULL_TRACE_H

#include "sync/pull.h"

/* The end of it, for people: without the password; of the caller. "": there is none. */
char *pull_trace(const struct pull *p, const struct job_pull_user *u);

#endif
