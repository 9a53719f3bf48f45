/*
 * One side of a session: a non-blocking socket, TLS on it if wanted, and what could not be sent
 * yet.
 *
 * All streams of a loop read into one shared buffer; a stream owns memory only while its owner
 * has not taken what came, or its peer has not taken what we sent: an idle TLS session then
 * costs little more than OpenSSL's own state. Events come through one callback, never from
 * inside a call of the owner's, and none comes after stream_free() or stream_retire().
 */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/err.h"

#define STREAM_READ_MAX (64 * 1024) /* bytes read at once: the loop's shared buffer */
#define STREAM_HIGH                                                                           \
	(256 * 1024)	       /* queued towards a slow peer: stop reading the other side … \
				*/
#define STREAM_LOW (64 * 1024) /* … until no more than this is left */

/* What the streams of one event loop share. */
struct loop {
	struct event_base *base;
	struct event *reaper, *poker;
	struct stream *dead;
	LIST_HEAD(lingering, stream) lingering; /* retired, but not closed yet */
	TAILQ_HEAD(poke_list, stream) poked;	/* to be called again, after this turn */
	size_t poked_count;
	struct stream *viewer; /* whose callback runs on bytes in scratch … */
	struct slice view;     /* … of which these are left */
	size_t live;	       /* streams not yet closed, lingering ones included */
	char scratch[STREAM_READ_MAX];
};

int loop_init(struct loop *l, struct err *e) MUST_CHECK;
/* Closes what still lingers; those who wait for that are told. */
void loop_release(struct loop *l);

struct stream;

enum stream_event {
	STREAM_UP,	/* connected, and the TLS handshake (if any) is done */
	STREAM_DATA,	/* stream_input() has something that was not consumed */
	STREAM_DRAINED, /* what was queued has gone, or has fallen from above STREAM_HIGH below
			   STREAM_LOW */
	STREAM_EOF,	/* the peer has finished sending; what came before was handed over */
	STREAM_FAILED	/* the connection is gone; stream_error() says why */
};
typedef void stream_fn(struct stream *st, enum stream_event ev, void *arg);

/* Takes over an accepted socket, and ssl: handshake first (UP follows); NULL: plain, up at
 * once, no UP. */
struct stream *stream_accept(struct loop *l, int fd, SSL *ssl, stream_fn *on_event, void *arg);
/*
 * Connects; UP or FAILED follows. With ssl_of TLS follows at once: it makes the SSL for the
 * connected socket. NULL: out of descriptors.
 */
typedef SSL *stream_ssl_fn(void *arg, int fd);
struct stream *stream_connect(struct loop *l, const struct sockaddr *to, socklen_t len,
			      stream_ssl_fn *ssl_of, void *ssl_arg, stream_fn *on_event,
			      void *arg);
/* What goes out first of all, in front of TLS: to be said right after stream_connect(). */
void stream_preface(struct stream *st, struct slice header);
/*
 * TLS on a plain stream (STARTTLS), behind what was written. Takes ssl. The caller has made
 * sure that there is no input (RFC 9051 6.2.1). UP or FAILED follows.
 */
void stream_start_tls(struct stream *st, SSL *ssl, bool server);

/* What has come and was not consumed. Borrowed: valid until the next event or consume. */
struct slice stream_input(struct stream *st);
void stream_consume(struct stream *st, size_t n);
/* The same, and nothing of the bytes stays in memory: for what held a password. */
void stream_consume_secret(struct stream *st, size_t n);
/* Sends, or queues what cannot be sent now. A failure comes as an event. */
void stream_write(struct stream *st, const void *p, size_t n);
void stream_printf(struct stream *st, const char *fmt, ...) PRINTF_LIKE(2, 3);
size_t stream_queued(const struct stream *st);
/*
 * `may` is asked, with on_event's arg, before what had to wait is sent. False: it stays, and the
 * owner may have ended the stream.
 */
typedef bool stream_may_fn(void *arg);
void stream_ask_first(struct stream *st, stream_may_fn *may);
/* What could not be sent yet never will be. */
void stream_drop_queued(struct stream *st);
/* Stops and restarts reading. After a restart DATA comes if there is input that was not
 * consumed. */
void stream_pause(struct stream *st);
void stream_resume(struct stream *st);
/* Brings DATA again for input that was left, after this turn of the loop. */
void stream_poke(struct stream *st);

/* What passes from now on is mail: memory goes back without being wiped first. */
void stream_relays(struct stream *st);

/*
 * Who wants to see what is written, before it is sent (proxy/trace.h). Borrowed until it is
 * replaced by NULL, or the stream is retired or freed.
 */
struct stream_watch {
	void (*written)(void *arg, const char *p, size_t n);
	void *arg;
};
void stream_watch(struct stream *st, const struct stream_watch *w);

bool stream_secure(const struct stream *st);
/* A TLS handshake goes on, or was the last that happened. */
bool stream_handshaking(const struct stream *st);
bool stream_resumed(const struct stream *st); /* its TLS session is an earlier one's */
/* What a client said where TLS was to come. */
enum stream_spoke { STREAM_SPOKE_TLS, STREAM_SPOKE_HTTP, STREAM_SPOKE_PLAIN };
enum stream_spoke stream_spoke(const struct stream *st);
int stream_fd(const struct stream *st);
const char *stream_error(const struct stream *st);
/* When bytes last moved, in either direction, by the monotonic clock. */
int64_t stream_moved_ms(const struct stream *st);

/* Closes at once. NULL in *st is fine. */
void stream_free(struct stream **st);
/*
 * Ends politely and lets go: what is queued is sent, then close_notify and a half-close, then
 * what the peer still sends is read and thrown away until its EOF: closing with unread input
 * makes the kernel send RST, which would destroy our last words. Ends after linger_ms at the
 * latest. on_gone (may be NULL) is called once, when the connection is really over; possibly
 * before this returns. by_peer: all that was queued went out, and the peer closed its side in
 * its turn.
 */
#define STREAM_UNTIL_GONE -1 /* linger_ms: without end, but a peer that is dead is noticed */
typedef void stream_gone_fn(void *arg, bool by_peer);
void stream_retire(struct stream **st, int linger_ms, stream_gone_fn *on_gone, void *arg);
/*
 * Lets go of a server that was asked in words to end the connection, and waits until it has. No
 * half-close before patience_ms are over: a server of two processes (Dovecot's login and mail
 * process, with TLS) drops the connection at that while it still does what it was told before.
 */
void stream_await(struct stream **st, int patience_ms, stream_gone_fn *on_gone, void *arg);

#endif
