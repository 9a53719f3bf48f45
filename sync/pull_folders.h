/*
 * What OpenSRS's tool must be told about a user's folders, so that it puts mail where our own
 * passes would put it and leaves behind what they leave behind: both servers are asked for their
 * folders, and these are mapped as in sync/folders.h.
 */
#ifndef SYNC_PULL_FOLDERS_H
#define SYNC_PULL_FOLDERS_H

#include "sync/job.h"

struct pull_folders {
	json_t *skip;	   /* array of names, as old writes them */
	json_t *translate; /* object: old's name -> name on new, with dots between its parts */
	json_t *wanted;	   /* array of the names on old that are to be pulled */
};
void pull_folders_release(struct pull_folders *f);

/* Logs in on both sides as the job says. */
int pull_folders_look(struct job *j, struct opensrs *api, const struct log_about *about,
		      struct pull_folders *out, struct err *e) MUST_CHECK;

#endif
