/*
 * A fresh access token for a login (XOAUTH2, OAUTHBEARER) from a program of the operator's, run
 * before each job: what expires in the middle of one is replaced at the next, seconds later.
 */
#ifndef SYNC_TOKEN_H
#define SYNC_TOKEN_H

#include "common/secret.h"

#define TOKEN_WORDS_MAX 32 /* of the command */

/*
 * Runs the command: words divided by spaces, no shell; %u in a word is the login. The first
 * line that it prints is the token. Its errors go where ours go. Before the worker is confined.
 */
int token_get(const char *command, const char *login, int wait_ms, struct secret *out,
	      struct err *e) MUST_CHECK;

#endif
