/* Hides: OpenSSL's wishes (it may have to write in order to read), short reads and short
 * writes. */
#include "proxy/stream_impl.h"

#include <errno.h>
#include <openssl/err.h>

#include "common/clock.h"

#define TLS_RECORD_MAX 16384 /* bytes of one write, and of one read behind kept input */
#define READS_PER_TURN 4     /* then others have their turn */

/* ---- reading */

/* >0 bytes; 0 nothing now; -1 over: st->eof, or st->error says why. */
static ssize_t read_tls(struct stream *st, char *to, size_t max)
{
	int n, why;

	ERR_clear_error();
	errno = 0;
	n = SSL_read(st->ssl, to, (int)max);
	st->read_wants_write = false;
	st->dry = false;
	if (n > 0)
		return n;
	why = SSL_get_error(st->ssl, n);
	if (why == SSL_ERROR_WANT_READ) {
		st->dry = true;
		return 0;
	}
	if (why == SSL_ERROR_WANT_WRITE) {
		st->read_wants_write = true;
		return 0;
	}
	/* Many peers close without close_notify; our protocols end by words of their own. */
	if (why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && errno == 0) ||
	    ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		st->eof = true;
	else if (why == SSL_ERROR_SYSCALL)
		stream_set_error(st, "read: %s", strerror(errno));
	else
		stream_set_error(st, "TLS: %s", ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
	return -1;
}

static ssize_t read_plain(struct stream *st, char *to, size_t max)
{
	ssize_t n = recv(st->fd, to, max, 0);

	if (n > 0)
		return n;
	if (n == 0)
		st->eof = true;
	else if (errno == EAGAIN || errno == EINTR)
		return 0;
	else
		stream_set_error(st, "read: %s", strerror(errno));
	return -1;
}

static ssize_t read_some(struct stream *st, char *to, size_t max)
{
	ssize_t n = st->ssl ? read_tls(st, to, max) : read_plain(st, to, max);

	if (n > 0)
		st->moved_ms = clock_mono_ms();
	return n;
}

/* Bytes may lie inside OpenSSL, for which no readable event comes. */
bool stream_has_pending(const struct stream *st)
{
	return st->ssl && !st->dry && SSL_has_pending(st->ssl);
}

/* The owner sees the bytes where they are; what he leaves becomes ours to keep. */
static void hand_over(struct stream *st, size_t n)
{
	struct loop *l = st->loop;

	l->viewer = st;
	l->view = (struct slice){ l->scratch, n };
	stream_tell(st, STREAM_DATA);
	l->viewer = NULL;
	if (st->phase == UP)
		buf_add(&st->in, l->view.p, l->view.n);
}

static void read_over(struct stream *st)
{
	if (st->phase == LINGER)
		stream_die(st);
	else if (st->eof)
		stream_tell(st, STREAM_EOF);
	else
		stream_fail(st, st->error);
}

/* What was read, or <= 0; *more: the socket may have more right now. */
static ssize_t read_once(struct stream *st, bool *more)
{
	size_t max = buf_len(&st->in) ? TLS_RECORD_MAX : STREAM_READ_MAX;
	bool kept = buf_len(&st->in) > 0;
	ssize_t n = read_some(st, kept ? buf_room(&st->in, max) : st->loop->scratch, max);

	/* A short read has emptied the socket: asking again would only hear EAGAIN. */
	*more = n > 0 &&
		(st->ssl ? stream_has_pending(st) || n >= TLS_RECORD_MAX : (size_t)n == max);
	if (n > 0 && !kept) {
		hand_over(st, (size_t)n);
	} else if (n > 0) {
		buf_wrote(&st->in, (size_t)n);
		stream_tell(st, STREAM_DATA);
	}
	return n;
}

bool stream_may_read(const struct stream *st)
{
	return st->phase == UP && !st->paused && !st->eof && !st->error;
}

void stream_read_turn(struct stream *st)
{
	bool more = true;

	for (int i = 0; i < READS_PER_TURN && more && stream_may_read(st); i++) {
		ssize_t n = read_once(st, &more);

		if (n < 0)
			read_over(st);
		if (n <= 0)
			return;
	}
	if (stream_may_read(st) && stream_has_pending(st))
		stream_call_later(st);
}

void stream_discard(struct stream *st)
{
	for (;;) {
		ssize_t n = read_some(st, st->loop->scratch, STREAM_READ_MAX);

		if (n < 0)
			read_over(st);
		if (n <= 0)
			return;
	}
}

/* ---- writing */

/* Bytes sent (0: would block), or -1. */
static ssize_t send_some(struct stream *st, const char *p, size_t n)
{
	int done;
	ssize_t sent;

	if (!st->ssl) {
		sent = send(st->fd, p, n, MSG_NOSIGNAL);
		if (sent >= 0)
			return sent;
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	ERR_clear_error();
	done = SSL_write(st->ssl, p, (int)MIN(n, (size_t)TLS_RECORD_MAX));
	st->write_wants_read = false;
	if (done > 0)
		return done;
	switch (SSL_get_error(st->ssl, done)) {
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_WANT_READ:
		st->write_wants_read = true;
		return 0;
	default:
		ERR_clear_error();
		return -1;
	}
}

ssize_t stream_send(struct stream *st, const char *p, size_t n)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t k = send_some(st, p + sent, n - sent);

		if (k < 0)
			return -1;
		if (k == 0)
			break;
		sent += (size_t)k;
	}
	if (sent)
		st->moved_ms = clock_mono_ms();
	return (ssize_t)sent;
}

void stream_write(struct stream *st, const void *p, size_t n)
{
	ssize_t sent = 0;

	if (st->phase == DEAD || st->error || n == 0)
		return;
	if (st->watch)
		st->watch->written(st->watch->arg, p, n);
	if (st->phase == UP && buf_len(&st->out) == 0) {
		sent = stream_send(st, p, n);
		if (sent < 0) {
			stream_fail_later(st, "write: connection lost");
			return;
		}
	}
	if ((size_t)sent < n) {
		buf_add(&st->out, (const char *)p + sent, n - (size_t)sent);
		if (buf_len(&st->out) > STREAM_HIGH)
			st->was_high = true;
		stream_arm(st);
	}
}

void stream_printf(struct stream *st, const char *fmt, ...)
{
	char most[1024], *text = most;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(most, sizeof most, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof most) { /* cutover.bye, or a server's reason, may be that long */
		va_start(ap, fmt);
		n = vasprintf(&text, fmt, ap);
		va_end(ap);
	}
	if (n < 0)
		BUG("no memory for a line");
	stream_write(st, text, (size_t)n);
	if (text != most)
		free(text);
}

void stream_flush(struct stream *st)
{
	struct slice left = buf_slice(&st->out);
	ssize_t sent;
	bool empty;

	if (st->phase == UP && st->may_send && !st->may_send(st->arg))
		return;
	sent = left.n ? stream_send(st, left.p, left.n) : 0;
	if (sent < 0) {
		stream_fail_later(st, "write: connection lost");
		return;
	}
	buf_drain(&st->out, (size_t)sent);
	empty = buf_len(&st->out) == 0;
	if (empty)
		stream_forget(st, &st->out);
	if (st->phase == LINGER && empty) {
		stream_finish(st);
	} else if (st->phase == UP &&
		   (empty || (st->was_high && buf_len(&st->out) <= STREAM_LOW))) {
		st->was_high = false;
		stream_tell(st, STREAM_DRAINED);
	}
}
