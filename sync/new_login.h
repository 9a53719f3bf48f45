/*
 * How a worker logs in on new where that is OpenSRS: with a session token that the
 * administrator gets for the user, so that no password is needed. One from before, if there is
 * one; else, or if the server refuses it, a fresh one; and if that is refused too, the user's
 * own password.
 */
#ifndef SYNC_NEW_LOGIN_H
#define SYNC_NEW_LOGIN_H

#include "sync/job.h"

struct new_login {
	struct job *job; /* its new side gets the token */
	struct opensrs *api;
	/* A fresh token, for the next workers of this user; NULL: there are none. */
	void (*told)(const struct secret *token, int64_t until, void *arg);
	void *arg;
	const struct log_about *about;

	/* its own */
	struct secret password; /* the user's, as the job brought it; empty: none */
	bool fresh;		/* the token was */
};

/* Zeroed but for the first part. Does nothing where no tokens are wanted. */
int new_login_begin(struct new_login *n, struct err *e) MUST_CHECK;
/* The server has refused what the new side has now, for *e: 0 if it has something else. */
int new_login_refused(struct new_login *n, struct err *e) MUST_CHECK;
void new_login_end(struct new_login *n);
/* All of that around lane_open(): each login that new refuses is followed by the next. */
struct lane;
int new_login_lane(struct new_login *n, struct lane *l, struct err *e) MUST_CHECK;

/* For who logs in only once: puts a fresh token, or else the password, into the new side. */
int new_login_once(struct job *j, struct err *e) MUST_CHECK;

#endif
