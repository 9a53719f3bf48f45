/* The operator's rules about folders, as a member of a job. */
#ifndef SYNC_JOB_FOLDERS_H
#define SYNC_JOB_FOLDERS_H

#include <jansson.h>

#include "config/folder_rules.h"

/* Appends {"shared": bool, "map": [[OLD, NEW] …], "skip": [PATTERN …]}. */
void job_folders_write(const struct folder_rules *r, struct buf *out);
/* The other way; -1: it is something else. *out is to be released in both cases. */
int job_folders_read(const json_t *j, struct folder_rules *out) MUST_CHECK;

#endif
