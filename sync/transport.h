/*
 * One connection to a server: resolved, connected, verified TLS (certs/tls.h), with deadlines
 * and byte counts.
 *
 * Blocking for the caller, on poll() only. The first error is final: it is kept, and every
 * later call answers with it, so nothing reads hostile input or repeats a command on a
 * connection that is out of step. An end of the stream is an error (ERR_TEMP), never "0 bytes".
 *
 * While a write is blocked, what the peer sends is read into the input buffer (at most
 * TRANSPORT_INPUT_MAX): a server that will not read before its answers are taken cannot
 * deadlock a pipeline.
 */
#ifndef SYNC_TRANSPORT_H
#define SYNC_TRANSPORT_H

#include "common/buf.h"
#include "common/err.h"
#include "sync/job.h"

#define TRANSPORT_INPUT_MAX (1024 * 1024) /* bytes read and not yet taken */
#define TRANSPORT_CHUNK                                                       \
	(64 * 1024) /* most bytes of one read; writes are gathered up to this \
		     */

#define TRANSPORT_CRAWL                                                          \
	64 /* bytes/s in the middle of a response: slower over io_ms is given up \
	    */

struct transport;

/*
 * Resolves, connects, sends a PROXY header of our own where the server wants one and, for
 * TLS_IMPLICIT, shakes hands, all within connect_ms. io_ms: longest wait for any progress of
 * one read or write later. Borrows side during the call only. Errors: ERR_TEMP (resolve,
 * connect, time-out), ERR_TLS (certificate, handshake), ERR_INPUT (CA file, pin).
 */
int transport_open(const struct job_side *side, int connect_ms, int io_ms,
		   struct transport **out, struct err *e) MUST_CHECK;
/* For tests: a plain transport on a connected socket, which it owns from now on. */
struct transport *transport_of_fd(int fd, int io_ms);
/* For tests: reads these bytes (copied), then the stream ends; writes go nowhere. */
struct transport *transport_of_bytes(struct slice bytes);
/* Sends what TLS needs for a clean end if the connection is whole; never waits. NULL in *t is
 * fine. */
void transport_free(struct transport **t);

/*
 * Upgrades after the server's OK to STARTTLS. Refused (ERR_PROTOCOL) when any byte was sent
 * behind that OK: it would be taken for an answer given under TLS (CVE-2020-15953).
 */
int transport_starttls(struct transport *t, struct err *e) MUST_CHECK;
bool transport_is_secure(const struct transport *t);
/* Until when the peer's certificate is good, s since 1970; 0 without TLS. */
int64_t transport_certificate_until(const struct transport *t);
const char *transport_tls_version(const struct transport *t); /* "TLSv1.3"; "none" */

/* What was read and not yet taken. Borrowed until the next call. */
struct slice transport_input(const struct transport *t);
void transport_take(struct transport *t, size_t n); /* n <= what transport_input() shows */
/* Sends what is gathered, then waits until at least one byte more is in the input. */
int transport_more(struct transport *t, struct err *e) MUST_CHECK;

/* From here to there a response is under way: less than TRANSPORT_CRAWL is no progress. */
void transport_inside(struct transport *t, bool inside);

/* Gathers, and sends when TRANSPORT_CHUNK is reached. */
int transport_write(struct transport *t, const void *p, size_t n, struct err *e) MUST_CHECK;
int transport_flush(struct transport *t, struct err *e) MUST_CHECK;

/* From now on, all reads and writes together must end within ms; 0: only io_ms counts again. */
void transport_deadline(struct transport *t, int ms);

/* Breaks the connection from above: the peer said what it must not. Keeps the first error;
 * returns -1. */
int transport_poison(struct transport *t, const struct err *e);
bool transport_is_broken(const struct transport *t);

/* A message begins to be read or written: waits for its turn (sync/pace.h). */
void transport_message(const struct transport *t);

int64_t transport_bytes_in(const struct transport *t); /* as the peer meant them: without TLS */
int64_t transport_bytes_out(const struct transport *t);

#endif
