/*
 * Room in a mailbox (RFC 2087, RFC 9208): asked before anything is copied, so that a user
 * learns of it then and not at 90 %.
 */
#ifndef SYNC_QUOTA_H
#define SYNC_QUOTA_H

#include "sync/mailbox.h"

#define QUOTA_SLACK_PERCENT 5 /* servers count what they keep in their own ways */

struct quota_resource {
	bool known;
	int64_t used, limit; /* bytes, or messages */
};
struct quota {
	struct quota_resource bytes, messages;
};

/* A line "QUOTA root (STORAGE 10 512 MESSAGE 5 100)": the tightest of several counts. Pure. */
void quota_take(struct quota *q, struct slice line);
/* Of INBOX's roots. A server without QUOTA, or that refuses: nothing is known, and 0. */
int mailbox_quota(struct mailbox *m, struct quota *out, struct err *e) MUST_CHECK;
/* "480 of 500 MiB, 12 of 1000 messages"; "" if nothing is known. */
void quota_text(const struct quota *q, char *out, size_t size);

/* Do so many more fit? ERR_FULL with both numbers if not. */
int quota_fits(const struct quota *q, int64_t bytes, int64_t messages,
	       struct err *e) MUST_CHECK;

#endif
