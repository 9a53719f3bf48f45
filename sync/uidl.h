/*
 * The unique ids (UIDL) by which POP3 clients know a user's mail on old, and those that new
 * gives to the same messages: both servers are asked by POP3, and each entry of their maildrops
 * is matched to a message of the journal's INBOX. The result is the map that nodes serve after
 * the flip (common/uidl_map.h).
 */
#ifndef SYNC_UIDL_H
#define SYNC_UIDL_H

#include "common/store.h"
#include "sync/pass.h"

#define UIDL_BYTES_MAX 1000 /* messages read whole in one pass, because headers are the same \
			     */

struct uidl_found {
	struct uidl_state state; /* complete, entries, missing and why */
	struct buf map;		 /* lines "NEW OLD" */
};
void uidl_found_release(struct uidl_found *f);

/* After a pass over INBOX. Never fails: what went wrong is in state.why, and state not
 * complete. */
void uidl_capture(struct pass *p, struct uidl_found *out);

#endif
