/* What a worker is told about OpenSRS, where that is the new side: a part of the line in
 * sync/job.h. */
#ifndef SYNC_JOB_OPENSRS_H
#define SYNC_JOB_OPENSRS_H

#include "sync/opensrs.h"

#define JOB_NAMES_BYTES (128 * 1024) /* of all names together; the line has to hold them */

struct job_opensrs {
	bool on; /* all else counts only then */
	struct opensrs_access access;
	char *accounts;	      /* file with the list (sync/accounts.h); NULL: none */
	char *default_domain; /* how names in it are read; NULL: none */
	bool fold_local;
	bool create;	     /* make the user's account, if there is none */
	bool dry_run;	     /* JOB_PROVISION: change nothing */
	int token_hours;     /* of session tokens; 0: log in with the password */
	struct secret token; /* one from before that is good for a while; empty: none */
	char **names;		/* JOB_PROVISION: of these users; else of the job's own, if create */
	struct secret *learned; /* for each of them what he has logged in with; may be empty */
	size_t count;
};

void job_opensrs_release(struct job_opensrs *o);
/* Room for n names, none of them there yet. */
void job_opensrs_make_room(struct job_opensrs *o, size_t n);
/* An object; secrets with it: wipe the buf. */
void job_opensrs_write(const struct job_opensrs *o, struct buf *out);
/* -1: it is not one that was written so, or breaks a limit. */
int job_opensrs_read(json_t *j, struct job_opensrs *out) MUST_CHECK;

#endif
