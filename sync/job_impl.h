/* Between job.c, job_write.c and job_event.c: what is written is what is read. For no one else. */
#ifndef SYNC_JOB_IMPL_H
#define SYNC_JOB_IMPL_H

#include "sync/job.h"
#include "sync/object.h"

#define JOB_COUNTERS 14

/* Counters of a result, in the order of the header. */
extern const struct job_counter_row {
	const char *key;
	size_t at;
} job_counters[JOB_COUNTERS];
int64_t *job_counter(struct job_result *r, size_t i);

#endif
