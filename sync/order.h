/* What a worker is told: one job for one user, from his row and the settings. */
#ifndef SYNC_ORDER_H
#define SYNC_ORDER_H

#include "common/store.h"
#include "config/settings.h"
#include "sync/job.h"
#include "sync/learned.h"

/*
 * l: looked into for a side with neither a password file nor a master user.
 *
 * Fills *out (job_release() frees it, and with it the passwords). An ERR_INPUT names the side
 * and what is missing: a login, a password file, a master user.
 */
int order_fill(struct job *out, enum job_kind kind, const struct user *u,
	       const struct settings *s, const struct learned *l,
	       struct err *e) MUST_CHECK;

#define ORDER_DIGEST_MAX 33 /* hex and a NUL */
/* Of what the settings say about what is copied, where and how, for this user: two hosts with the same
 * make the same pass. */
int order_digest(enum job_kind kind, const struct user *u, const struct settings *s,
		 char out[static ORDER_DIGEST_MAX], struct err *e) MUST_CHECK;

/* The user's journal below sync.dir: the name with all unusual bytes as %XX; the caller frees
 * it. */
char *order_journal_path(const char *dir, const char *user);
/* The user's folder for messages that could not be copied; the caller frees it. */
char *order_exceptions_path(const struct settings *s, const char *user);

#endif
