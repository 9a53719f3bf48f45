/*
 * What is peculiar about a server, one row for each kind: chosen by what it says at its
 * greeting, among its capabilities, or of itself (ID, RFC 2971). Pure. A server that no row
 * knows is trusted with nothing.
 */
#ifndef SYNC_QUIRKS_H
#define SYNC_QUIRKS_H

#include <stdbool.h>

#include "common/buf.h"

struct quirks {
	const char *name;
	bool appends_seen; /* an APPEND to the selected folder shows without a NOOP */
	bool views;	   /* \Flagged and \Important are views of mail that is elsewhere */
	bool no_mailboxid; /* what its STATUS says of MAILBOXID is not to be used */
	int page;	   /* messages of one FETCH, told or not; 0: any number */
	int connections;   /* of one user at once that it surely takes; 0: not known */
	const char *note;  /* for people; NULL: nothing */
};

/* Capabilities and ID may be empty. Never NULL: the last row is "unknown". */
const struct quirks *quirks_find(struct slice greeting, struct slice capabilities,
				 struct slice id);
bool quirks_known(const struct quirks *q);

#endif
