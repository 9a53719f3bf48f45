/*
 * The engine's side of a worker's unique ids: parts of the map come one by one, and all of it
 * goes into the store when the worker has said how many there are.
 */
#ifndef SYNC_UIDL_INBOX_H
#define SYNC_UIDL_INBOX_H

#include "common/store.h"
#include "config/settings.h"
#include "sync/job.h"

/* Zeroed it is empty. */
struct uidl_inbox {
	struct slice *parts; /* their bytes are owned */
	size_t count;
	int64_t bytes;
};
void uidl_inbox_release(struct uidl_inbox *b);

/* An event of kind UIDL_PART or UIDL. -1: it could not be kept. */
int uidl_inbox_take(struct uidl_inbox *b, struct store *st, const char *user,
		    const struct job_event *ev, struct err *e) MUST_CHECK;

/*
 * Shall a job for this user look for unique ids? Users who are not known to read by POP3 are
 * looked at once an hour: any of them may have a client that asks once a month.
 */
int uidl_wanted(struct store *st, const struct settings *s, const char *user,
		const struct job *j, bool *out, struct err *e) MUST_CHECK;
/*
 * May the user be flipped to new, as far as POP3 is concerned? since: when the last delta was
 * begun; a map from before it may lack a message. *why says what is missing.
 */
bool uidl_may_flip(struct store *st, const struct settings *s, const char *user, int64_t since,
		   char *why, size_t size);
/*
 * The same for one whom a waiver or gate.pop3_ids lets pass: nodes are to serve the map as it
 * is, or they would refuse UIDL on new. 1: the store says so now; 0: it needs not be said; -1.
 */
int uidl_let_pass(struct store *st, const struct settings *s, const char *user,
		  struct err *e) MUST_CHECK;

#endif
