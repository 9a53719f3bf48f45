/*
 * What a message is known by: SHA-256 over its exact bytes, over a canonical form of them, and
 * over its canonical header.
 *
 * Servers alter what they store: Dovecot serves a bare LF as CRLF, CR CR LF as CRLF and a NUL
 * as 0x80, others add or hide header lines. The canonical form is what survives that: CRs with
 * an LF behind them, a CR and an LF are one newline (written as CRLF), NUL and 0x80 one symbol
 * (written as 0x80), the newlines at the end count as one; so most messages are their own
 * canonical form. The canonical header also drops lines that belong to a server (Status,
 * X-UID, …), lines that are no header fields and their continuations, and ends before the first
 * empty line.
 */
#ifndef SYNC_DIGEST_H
#define SYNC_DIGEST_H

#include "common/buf.h"

#define DIGEST_SIZE 32
/* Canonical bytes of a header that count; the rest of a longer one does not. Half of what of a
 * header is ever fetched by itself (MAILBOX_HEADER_MAX), since CRLF counts as one. */
#define DIGEST_HEADER_MAX (512 * 1024)

struct digest {
	uint64_t size;			   /* exact bytes */
	unsigned char raw[DIGEST_SIZE];	   /* of the exact bytes */
	unsigned char canon[DIGEST_SIZE];  /* of the canonical form */
	unsigned char header[DIGEST_SIZE]; /* of the canonical header */
};

/* Reckons one while the message streams by. */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_free(struct digest_stream **d);
void digest_stream_feed(struct digest_stream *d, struct slice bytes);
/* The digest of all bytes since new or the last end; then starts afresh. */
void digest_stream_end(struct digest_stream *d, struct digest *out);

/* The `header` of a digest from the answer to BODY[HEADER]; equal to that of the whole message.
 */
void digest_of_header(struct slice header, unsigned char out[DIGEST_SIZE]);

#endif
