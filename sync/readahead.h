/*
 * New mail of one folder, read while what was read before is being sent: by a thread of its own
 * that keeps one batch ready. Memory is bounded: whoever is not asked for the next batch stops
 * reading.
 */
#ifndef SYNC_READAHEAD_H
#define SYNC_READAHEAD_H

#include "sync/pipeline.h"

struct readahead;

/* Begins to read uids[0..n), ascending, from the selected folder of `from`, which nobody else
 * may use until readahead_stop(). Borrows all of it. */
struct readahead *readahead_start(struct mailbox *from, const uint32_t *uids, size_t n,
				  const struct flow_limits *limits);
/* The next batch, the caller's from now on. 1, 0: that was all, or -1. */
int readahead_next(struct readahead *r, struct batch *out, struct err *e) MUST_CHECK;
/* Ends it, wherever it is; before its end that breaks the connection. */
void readahead_stop(struct readahead **r);

#endif
