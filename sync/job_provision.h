/* A worker's part in the accounts of OpenSRS. */
#ifndef SYNC_JOB_PROVISION_H
#define SYNC_JOB_PROVISION_H

#include "sync/job.h"
#include "sync/provision.h"

#define JOB_MISTAKES_MAX 100 /* of the list, told one by one */

/* Mistakes of the list become items without a name, and the first one *e. */
int job_accounts_read(const struct job *j, struct accounts *out, provision_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;
/* JOB_PROVISION: the accounts of all names; what fails is in the items. */
int job_provision(const struct job *j, const struct accounts *list, struct opensrs *api,
		  provision_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* Makes the account of the job's user, if he is in the list and has none. note: what the list
 * says otherwise than OpenSRS; "". */
int job_provision_user(const struct job *j, const struct accounts *list, struct opensrs *api,
		       char note[PROVISION_TEXT_MAX], struct err *e) MUST_CHECK;
/* The item as it crosses the border between worker and engine; and its check there. */
json_t *job_account_json(const struct provision_item *i);
bool job_account_is_sound(const json_t *item);

#endif
