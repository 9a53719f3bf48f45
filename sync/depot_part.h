/*
 * A journal's file in parts, as the store keeps them: each known by the SHA-256 of its bytes,
 * and written down compressed, in base64. So what a small pass has left alone is not written
 * again. Pure.
 */
#ifndef SYNC_DEPOT_PART_H
#define SYNC_DEPOT_PART_H

#include "common/buf.h"
#include "common/err.h"
#include "common/store.h"
#include "common/store_journal.h"

/* In hex; no NUL. */
void depot_digest(struct slice bytes, char out[static STORE_PART_DIGEST]);
/* Adds its text to out, with a NUL. At most STORE_JOURNAL_PART bytes. */
void depot_pack(struct slice bytes, struct buf *out);
/* Adds the bytes to out. ERR_STORE: it is none, or not this one. */
int depot_unpack(const char *text, const char digest[static STORE_PART_DIGEST], struct buf *out,
		 struct err *e) MUST_CHECK;

#endif
