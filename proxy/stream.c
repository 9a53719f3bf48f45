/* Hides: which events a stream waits for, and who frees when. */
#include "proxy/stream_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>

#include "common/clock.h"

/* ---- small things */

void stream_tell(struct stream *st, enum stream_event ev)
{
	if (st->phase != DEAD && st->on_event)
		st->on_event(st, ev, st->arg);
}

/* Gives memory back, and wipes it first as long as a password may have been in it. */
void stream_forget(struct stream *st, struct buf *b)
{
	if (st->relays)
		buf_release(b);
	else
		buf_wipe(b);
}

void stream_set_error(struct stream *st, const char *fmt, ...)
{
	va_list ap;

	if (st->error)
		return; /* the first one is the reason of all others */
	va_start(ap, fmt);
	if (vasprintf(&st->error, fmt, ap) < 0)
		BUG("no memory for an error");
	va_end(ap);
}

void stream_want_read(struct stream *st, bool on)
{
	if (on == st->reading)
		return;
	st->reading = on;
	if (on)
		event_add(&st->readable, NULL);
	else
		event_del(&st->readable);
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* Rarely needed: most writes leave at once. */
void stream_want_write(struct stream *st, bool on)
{
	if (on == (st->writable != NULL))
		return;
	if (!on) {
		event_free(st->writable);
		st->writable = NULL;
		return;
	}
	st->writable =
		event_new(st->loop->base, st->fd, EV_WRITE | EV_PERSIST, on_writable, st);
	if (!st->writable)
		BUG("libevent makes no event");
	event_add(st->writable, NULL);
}

/*
 * Which events we wait for follows from the state, in one place. A pause takes back nothing by
 * itself: it mostly ends before more comes, and on_readable() sees to the rest.
 */
void stream_arm(struct stream *st)
{
	bool read = false, write = buf_len(&st->out) > 0 && !st->write_wants_read;

	switch (st->phase) {
	case CONNECTING:
		write = true;
		break;
	case WAIT_TLS:
		write = false;
		break;
	case UP:
	case LINGER:
		read = (!st->eof && (!st->paused || st->reading)) || st->write_wants_read;
		write = write || st->read_wants_write;
		break;
	case HANDSHAKE: /* stream_step_handshake() has said what it waits for */
	case DEAD:
		return;
	}
	stream_want_read(st, read);
	stream_want_write(st, write);
}

void stream_fail(struct stream *st, const char *why)
{
	if (st->phase == LINGER) {
		stream_die(st);
		return;
	}
	stream_set_error(st, "%s", why);
	st->eof = true;
	stream_want_read(st, false);
	stream_want_write(st, false);
	stream_forget(st, &st->out);
	stream_tell(st, STREAM_FAILED);
}

/* From inside a call of the owner's: the event comes after this turn. */
void stream_fail_later(struct stream *st, const char *why)
{
	if (st->phase == LINGER) {
		stream_die(st);
		return;
	}
	stream_forget(st, &st->out);
	stream_set_error(st, "%s", why);
	stream_call_later(st);
}

/* ---- events */

/* Input that the owner left, or a failure of his write, is told from here: never inside his own
 * call. */
void stream_on_call(struct stream *st)
{
	if (st->error)
		stream_fail(st, st->error);
	else if (st->phase == UP && !st->paused && buf_len(&st->in))
		stream_tell(st, STREAM_DATA);
	if (st->phase == LINGER && stream_has_pending(st))
		stream_discard(st);
	else if (stream_may_read(st) && stream_has_pending(st))
		stream_read_turn(st);
	if (!st->error)
		stream_arm(st);
}

static void on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	st->dry = false;
	if (st->phase == HANDSHAKE) {
		stream_step_handshake(st);
		return;
	}
	if (st->phase == UP && st->write_wants_read)
		stream_flush(st);
	if (st->phase == UP && st->paused)
		stream_want_read(st, st->write_wants_read);
	else if (st->phase == UP)
		stream_read_turn(st);
	else if (st->phase == LINGER)
		stream_discard(st);
	if (!st->error)
		stream_arm(st);
}

static void on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	if (st->phase == CONNECTING) {
		stream_connected(st);
		return;
	}
	if (st->phase == HANDSHAKE) {
		stream_step_handshake(st);
		return;
	}
	if (st->phase == UP && st->read_wants_write)
		stream_read_turn(st);
	if ((st->phase == UP || st->phase == LINGER) && buf_len(&st->out))
		stream_flush(st);
	if (!st->error)
		stream_arm(st);
}

/* ---- public */

static struct stream *stream_new(struct loop *l, int fd, stream_fn *on_event, void *arg)
{
	struct stream *st = mem_new(sizeof *st);
	int one = 1;

	st->loop = l;
	st->fd = fd;
	st->on_event = on_event;
	st->arg = arg;
	st->moved_ms = clock_mono_ms();
	if (event_assign(&st->readable, l->base, fd, EV_READ | EV_PERSIST, on_readable, st) < 0)
		BUG("libevent makes no event");
	/* Without it every TLS 1.3 session waits for a delayed ACK. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	l->live++;
	return st;
}

struct stream *stream_accept(struct loop *l, int fd, SSL *ssl, stream_fn *on_event, void *arg)
{
	struct stream *st = stream_new(l, fd, on_event, arg);

	if (!ssl) {
		st->phase = UP;
		stream_arm(st);
		return st;
	}
	stream_take_ssl(st, ssl);
	st->server = true;
	st->phase = HANDSHAKE;
	stream_want_read(st, true); /* the client speaks first */
	return st;
}

struct stream *stream_connect(struct loop *l, const struct sockaddr *to, socklen_t len,
			      stream_ssl_fn *ssl_of, void *ssl_arg, stream_fn *on_event,
			      void *arg)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[160];
	struct stream *st;

	if (fd < 0)
		return NULL;
	st = stream_new(l, fd, on_event, arg);
	st->ssl_of = ssl_of;
	st->ssl_arg = ssl_arg;
	if (connect(fd, to, len) < 0 && errno != EINPROGRESS) {
		snprintf(text, sizeof text, "connect: %s", strerror(errno));
		st->phase = UP;
		stream_fail_later(st, text);
		return st;
	}
	st->phase = CONNECTING;
	stream_arm(st);
	return st;
}

void stream_preface(struct stream *st, struct slice header)
{
	if (st->phase == CONNECTING)
		buf_add(&st->out, header.p, header.n);
}

struct slice stream_input(struct stream *st)
{
	return st->loop->viewer == st ? st->loop->view : buf_slice(&st->in);
}

void stream_consume(struct stream *st, size_t n)
{
	struct slice *view = &st->loop->view;

	if (st->loop->viewer == st) {
		ASSERT(n <= view->n);
		*view = (struct slice){ view->p + n, view->n - n };
		return;
	}
	buf_drain(&st->in, n);
	if (buf_len(&st->in) == 0)
		stream_forget(st, &st->in);
}

void stream_consume_secret(struct stream *st, size_t n)
{
	struct slice in = stream_input(st);

	ASSERT(n <= in.n);
	OPENSSL_cleanse((char *)(uintptr_t)in.p, n);
	stream_consume(st, n);
}

size_t stream_queued(const struct stream *st)
{
	return buf_len(&st->out);
}

void stream_ask_first(struct stream *st, stream_may_fn *may)
{
	st->may_send = may;
}

void stream_drop_queued(struct stream *st)
{
	stream_forget(st, &st->out);
	stream_arm(st);
}

void stream_pause(struct stream *st)
{
	if (st->paused)
		return;
	st->paused = true;
	stream_arm(st);
}

void stream_resume(struct stream *st)
{
	if (!st->paused)
		return;
	st->paused = false;
	stream_arm(st);
	if (buf_len(&st->in) || stream_has_pending(st))
		stream_poke(st);
}

void stream_poke(struct stream *st)
{
	if (st->phase == UP)
		stream_call_later(st);
}

void stream_relays(struct stream *st)
{
	st->relays = true;
}

void stream_watch(struct stream *st, const struct stream_watch *w)
{
	st->watch = w;
}

bool stream_secure(const struct stream *st)
{
	return st->ssl != NULL;
}

bool stream_handshaking(const struct stream *st)
{
	return st->phase == HANDSHAKE;
}

bool stream_resumed(const struct stream *st)
{
	return st->ssl && SSL_session_reused(st->ssl);
}

enum stream_spoke stream_spoke(const struct stream *st)
{
	return st->spoke;
}

int stream_fd(const struct stream *st)
{
	return st->fd;
}

const char *stream_error(const struct stream *st)
{
	return st->error ? st->error : "closed by the peer";
}

int64_t stream_moved_ms(const struct stream *st)
{
	return st->moved_ms;
}
