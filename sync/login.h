/* What logins by IMAP and by POP3 share. */
#ifndef SYNC_LOGIN_H
#define SYNC_LOGIN_H

#include "sync/job.h"

/* Can they be part of a command? ERR_INPUT: empty, or with a line end or NUL in them. */
int login_check(const struct job_side *side, struct err *e) MUST_CHECK;
/* The one message of SASL PLAIN, or of the side's mechanism with a token (Google's XOAUTH2, RFC
 * 7628), in base64. Secret: wipe out. */
void login_write(const struct job_side *side, struct buf *out);

#endif
