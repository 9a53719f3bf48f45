/*
 * Between the files that make up a stream: stream.c (its events), stream_io.c (bytes in and
 * out), stream_tls.c (connect and handshake), stream_end.c, and loop.c (what is called after a
 * turn). For no one else.
 */
#ifndef PROXY_STREAM_IMPL_H
#define PROXY_STREAM_IMPL_H

#include <event2/event_struct.h>

#include "proxy/stream.h"

enum phase { CONNECTING, WAIT_TLS, HANDSHAKE, UP, LINGER, DEAD };

struct stream {
	struct loop *loop;
	union {
		LIST_ENTRY(stream) lingers; /* LINGER */
		struct stream *next_dead;   /* DEAD */
	};
	TAILQ_ENTRY(stream) poke; /* in the loop's list, while poked */
	struct event readable;	  /* inside: it is always there */
	struct event *writable;	  /* only while it is waited for */
	struct event *timer;	  /* LINGER: its end; WAIT_TLS: the handshake's start */
	stream_fn *on_event;
	void *arg;
	stream_may_fn *may_send; /* NULL: always; not in LINGER */
	SSL *ssl;
	union { /* the end comes after the beginning */
		struct {
			stream_ssl_fn *ssl_of;
			void *ssl_arg;
		};
		struct {
			stream_gone_fn *on_gone; /* once retired */
			void *gone_arg;
		};
	};
	char *error; /* NULL: none */
	int fd;
	enum phase phase : 8;
	enum stream_spoke spoke : 8;
	bool server, paused, poked, eof, was_high, finished, awaits, retired;
	bool relays; /* no password passes any more */
	bool read_wants_write, write_wants_read;
	bool reading; /* the readable event is waited for */
	bool dry;     /* OpenSSL has asked for bytes of the socket and not been called since */
	struct buf in, out;
	const struct stream_watch *watch; /* NULL: nobody watches */
	int64_t moved_ms;
};

/* stream.c */
void stream_tell(struct stream *st, enum stream_event ev);
/* Gives memory back, and wipes it first as long as a password may have been in it. */
void stream_forget(struct stream *st, struct buf *b);
void stream_set_error(struct stream *st, const char *fmt, ...) PRINTF_LIKE(2, 3);
void stream_want_read(struct stream *st, bool on);
void stream_want_write(struct stream *st, bool on);
/* Waits for the events that follow from the state. */
void stream_arm(struct stream *st);
void stream_fail(struct stream *st, const char *why);
/* From inside a call of the owner's: the event comes after this turn. */
void stream_fail_later(struct stream *st, const char *why);
void stream_on_call(struct stream *st); /* its turn, if stream_call_later() asked for one */

/* loop.c */
void stream_call_later(struct stream *st);
void stream_uncall(struct stream *st);

/* stream_io.c */
/* Bytes may lie inside OpenSSL, for which no readable event comes. */
bool stream_has_pending(const struct stream *st);
bool stream_may_read(const struct stream *st);
void stream_read_turn(struct stream *st);
void stream_discard(struct stream *st); /* what a lingering stream's peer still says */
/* Bytes sent, perhaps not all; -1: the connection is lost. */
ssize_t stream_send(struct stream *st, const char *p, size_t n);
void stream_flush(struct stream *st);

/* stream_tls.c */
void stream_take_ssl(struct stream *st, SSL *ssl);
void stream_step_handshake(struct stream *st);
void stream_connected(struct stream *st); /* or not: the socket says */

/* stream_end.c */
void stream_die(struct stream *st);
/* The last word has left: half-close. */
void stream_finish(struct stream *st);
void stream_set_timer(struct stream *st, int ms);

#endif
