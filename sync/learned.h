/*
 * Passwords that nodes have learned: sealed by them (proxy/learned.h), opened here, for those
 * users whose login has no password file and no master user. Gone when the user is done, and
 * learn.days after the last login.
 *
 * With an empty section learn nothing is learned and nothing opened, but what is there from before
 * is erased as it would have been. NULL is a vault too, of nobody's.
 */
#ifndef SYNC_LEARNED_H
#define SYNC_LEARNED_H

#include "common/secret.h"
#include "common/store.h"
#include "config/settings.h"

struct learned;

/* key_fd: learn.key_file, opened by who started us, or -1: we open it. */
int learned_new(const struct settings *s, struct store *st, int key_fd, struct learned **out,
		struct err *e) MUST_CHECK;
void learned_free(struct learned **l);
/* Fills *out, or leaves it as it is when none is known. */
int learned_find(const struct learned *l, const char *user, struct secret *out,
		 struct err *e) MUST_CHECK;
/* The user is done. */
void learned_forget(struct learned *l, const char *user);
/* To be called often; erases at most once a minute. */
void learned_tick(struct learned *l);

#endif
