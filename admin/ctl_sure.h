/*
 * Before something that is not simply taken back: a person at a terminal is told what it will do,
 * to how many users and sessions, and asked; unless --yes was given, or the command line takes
 * something back itself. CTL_OK: go on; else the status to exit with: he said no.
 */
#ifndef ADMIN_CTL_SURE_H
#define ADMIN_CTL_SURE_H

#include "admin/ctl.h"

int ctl_sure_cutover(struct ctl *c) MUST_CHECK;
int ctl_sure_rollback(struct ctl *c) MUST_CHECK;
int ctl_sure_provision(struct ctl *c, int made, int changed) MUST_CHECK;
/* job: that stands still; NULL: not known, or not asked. */
int ctl_sure_pull(struct ctl *c, const char *job) MUST_CHECK;
int ctl_sure_drop(struct ctl *c, int64_t wait_s) MUST_CHECK;
int ctl_sure_drain(struct ctl *c, int64_t seconds) MUST_CHECK;
int ctl_sure_forget(struct ctl *c) MUST_CHECK;
int ctl_sure_rebuild(struct ctl *c) MUST_CHECK;

#endif
