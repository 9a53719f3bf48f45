/* Hides: OpenSSL's wishes (it may have to write in order to read), short writes, and who frees
 * when. */
#include "proxy/stream.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "certs/tls.h"
#include "common/clock.h"

#define TLS_RECORD_MAX 16384 /* bytes of one write, and of one read behind kept input */
#define READS_PER_TURN 4     /* then others have their turn */

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

/* ---- loop */

static void on_poke(evutil_socket_t fd, short what, void *arg);

static void reap(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop *l = arg;

	while (l->dead) {
		struct stream *st = l->dead;

		l->dead = st->next_dead;
		free(st->error);
		free(st);
	}
}

/* Changes of one turn reach the kernel together, and those that cancel out not at all. */
static struct event_base *base_new(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	if (c && event_config_set_flag(c, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(c);
	if (c)
		event_config_free(c);
	return base;
}

int loop_init(struct loop *l, struct err *e)
{
	memset(l, 0, offsetof(struct loop, scratch));
	TAILQ_INIT(&l->poked);
	l->base = base_new();
	if (!l->base)
		return err_set(e, ERR_LIMIT, "cannot make an event loop");
	l->reaper = event_new(l->base, -1, 0, reap, l);
	l->poker = evtimer_new(l->base, on_poke, l);
	if (!l->reaper || !l->poker)
		return err_set(e, ERR_LIMIT, "cannot make an event");
	return 0;
}

/* ---- small things */

static void tell(struct stream *st, enum stream_event ev)
{
	if (st->phase != DEAD && st->on_event)
		st->on_event(st, ev, st->arg);
}

/* Gives memory back, and wipes it first as long as a password may have been in it. */
static void forget(struct stream *st, struct buf *b)
{
	if (st->relays)
		buf_release(b);
	else
		buf_wipe(b);
}

static void set_error(struct stream *st, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void set_error(struct stream *st, const char *fmt, ...)
{
	va_list ap;

	if (st->error)
		return; /* the first one is the reason of all others */
	va_start(ap, fmt);
	if (vasprintf(&st->error, fmt, ap) < 0)
		BUG("no memory for an error");
	va_end(ap);
}

/* A timer and no active event: sockets of others have their turn in between. */
static const struct timeval at_once;

static void poke(struct stream *st)
{
	if (st->poked)
		return;
	st->poked = true;
	if (st->loop->poked_count++ == 0)
		evtimer_add(st->loop->poker, &at_once);
	TAILQ_INSERT_TAIL(&st->loop->poked, st, poke);
}

static void unpoke(struct stream *st)
{
	if (!st->poked)
		return;
	st->poked = false;
	st->loop->poked_count--;
	TAILQ_REMOVE(&st->loop->poked, st, poke);
}

static void die(struct stream *st)
{
	if (st->phase == DEAD)
		return;
	if (st->phase == LINGER)
		LIST_REMOVE(st, lingers);
	st->phase = DEAD;
	unpoke(st);
	event_del(&st->readable);
	if (st->writable)
		event_free(st->writable);
	if (st->timer)
		event_free(st->timer);
	if (st->ssl)
		SSL_free(st->ssl);
	close(st->fd);
	forget(st, &st->in); /* a login may have waited in either */
	forget(st, &st->out);
	st->loop->live--;
	st->next_dead = st->loop->dead;
	st->loop->dead = st;
	event_active(st->loop->reaper, 0, 0);
	if (st->retired && st->on_gone)
		st->on_gone(st->gone_arg);
}

void loop_release(struct loop *l)
{
	struct stream *st;

	while ((st = LIST_FIRST(&l->lingering)))
		die(st);
	reap(-1, 0, l);
	if (l->reaper)
		event_free(l->reaper);
	if (l->poker)
		event_free(l->poker);
	if (l->base)
		event_base_free(l->base);
	l->reaper = l->poker = NULL;
	l->base = NULL;
}

static void want_read(struct stream *st, bool on)
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
static void want_write(struct stream *st, bool on)
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
static void arm(struct stream *st)
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
	case HANDSHAKE: /* step_handshake() has said what it waits for */
	case DEAD:
		return;
	}
	want_read(st, read);
	want_write(st, write);
}

static void fail(struct stream *st, const char *why)
{
	if (st->phase == LINGER) {
		die(st);
		return;
	}
	set_error(st, "%s", why);
	st->eof = true;
	want_read(st, false);
	want_write(st, false);
	forget(st, &st->out);
	tell(st, STREAM_FAILED);
}

/* From inside a call of the owner's: the event comes after this turn. */
static void fail_later(struct stream *st, const char *why)
{
	if (st->phase == LINGER) {
		die(st);
		return;
	}
	forget(st, &st->out);
	set_error(st, "%s", why);
	poke(st);
}

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
		set_error(st, "read: %s", strerror(errno));
	else
		set_error(st, "TLS: %s", ERR_reason_error_string(ERR_peek_error()));
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
		set_error(st, "read: %s", strerror(errno));
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
static bool has_pending(const struct stream *st)
{
	return st->ssl && !st->dry && SSL_has_pending(st->ssl);
}

/* The owner sees the bytes where they are; what he leaves becomes ours to keep. */
static void hand_over(struct stream *st, size_t n)
{
	struct loop *l = st->loop;

	l->viewer = st;
	l->view = (struct slice){ l->scratch, n };
	tell(st, STREAM_DATA);
	l->viewer = NULL;
	if (st->phase == UP)
		buf_add(&st->in, l->view.p, l->view.n);
}

static void read_over(struct stream *st)
{
	if (st->phase == LINGER)
		die(st);
	else if (st->eof)
		tell(st, STREAM_EOF);
	else
		fail(st, st->error);
}

/* What was read, or <= 0; *more: the socket may have more right now. */
static ssize_t read_once(struct stream *st, bool *more)
{
	size_t max = buf_len(&st->in) ? TLS_RECORD_MAX : STREAM_READ_MAX;
	bool kept = buf_len(&st->in) > 0;
	ssize_t n = read_some(st, kept ? buf_room(&st->in, max) : st->loop->scratch, max);

	/* A short read has emptied the socket: asking again would only hear EAGAIN. */
	*more = n > 0 && (st->ssl ? has_pending(st) || n >= TLS_RECORD_MAX : (size_t)n == max);
	if (n > 0 && !kept) {
		hand_over(st, (size_t)n);
	} else if (n > 0) {
		buf_wrote(&st->in, (size_t)n);
		tell(st, STREAM_DATA);
	}
	return n;
}

static bool may_read(const struct stream *st)
{
	return st->phase == UP && !st->paused && !st->eof && !st->error;
}

static void read_turn(struct stream *st)
{
	bool more = true;

	for (int i = 0; i < READS_PER_TURN && more && may_read(st); i++) {
		ssize_t n = read_once(st, &more);

		if (n < 0)
			read_over(st);
		if (n <= 0)
			return;
	}
	if (may_read(st) && has_pending(st))
		poke(st);
}

static void discard(struct stream *st)
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

static ssize_t send_all(struct stream *st, const char *p, size_t n)
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
		sent = send_all(st, p, n);
		if (sent < 0) {
			fail_later(st, "write: connection lost");
			return;
		}
	}
	if ((size_t)sent < n) {
		buf_add(&st->out, (const char *)p + sent, n - (size_t)sent);
		if (buf_len(&st->out) > STREAM_HIGH)
			st->was_high = true;
		arm(st);
	}
}

void stream_printf(struct stream *st, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0 && (size_t)n < sizeof text);
	stream_write(st, text, (size_t)n);
}

static void finish(struct stream *st)
{
	if (st->finished || st->awaits)
		return;
	st->finished = true;
	if (st->ssl) {
		ERR_clear_error();
		SSL_shutdown(st->ssl);
		ERR_clear_error();
	}
	shutdown(st->fd, SHUT_WR);
	if (st->eof)
		die(st);
}

static void flush_out(struct stream *st)
{
	struct slice left = buf_slice(&st->out);
	ssize_t sent = left.n ? send_all(st, left.p, left.n) : 0;
	bool empty;

	if (sent < 0) {
		fail_later(st, "write: connection lost");
		return;
	}
	buf_drain(&st->out, (size_t)sent);
	empty = buf_len(&st->out) == 0;
	if (empty)
		forget(st, &st->out);
	if (st->phase == LINGER && empty) {
		finish(st);
	} else if (st->phase == UP &&
		   (empty || (st->was_high && buf_len(&st->out) <= STREAM_LOW))) {
		st->was_high = false;
		tell(st, STREAM_DRAINED);
	}
}

/* ---- handshakes */

static void up(struct stream *st)
{
	st->phase = UP;
	if (buf_len(&st->out))
		flush_out(st);
	arm(st);
	tell(st, STREAM_UP);
	if (may_read(st) && has_pending(st))
		poke(st);
}

/* One read of the socket brings whole records, header and all, as many as there are. */
static void take_ssl(struct stream *st, SSL *ssl)
{
	if (!ssl || !SSL_set_fd(ssl, st->fd))
		BUG("OpenSSL takes no socket");
	SSL_set_read_ahead(ssl, 1);
	st->ssl = ssl;
}

/* OpenSSL knows HTTP when it sees it; any other first bytes are a record of no TLS version. */
static enum stream_spoke spoken(const struct stream *st)
{
	switch (st->server ? ERR_GET_REASON(ERR_peek_error()) : 0) {
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return STREAM_SPOKE_HTTP;
	case SSL_R_WRONG_VERSION_NUMBER:
		return STREAM_SPOKE_PLAIN;
	default:
		return STREAM_SPOKE_TLS;
	}
}

static void fail_handshake(struct stream *st)
{
	struct err e = { 0 };

	st->spoke = spoken(st);
	tls_explain(st->ssl, &e);
	ERR_clear_error();
	fail(st, e.text);
}

static void step_handshake(struct stream *st)
{
	int rc, why;

	ERR_clear_error();
	rc = st->server ? SSL_accept(st->ssl) : SSL_connect(st->ssl);
	if (rc == 1) {
		up(st);
		return;
	}
	why = SSL_get_error(st->ssl, rc);
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
		fail_handshake(st);
		return;
	}
	want_read(st, why == SSL_ERROR_WANT_READ);
	want_write(st, why == SSL_ERROR_WANT_WRITE);
}

/* A socket that was empty takes a header whole. Without TLS, up() sends it. */
static int send_preface(struct stream *st)
{
	struct slice header = buf_slice(&st->out);

	if (header.n && send_all(st, header.p, header.n) != (ssize_t)header.n)
		return -1;
	buf_release(&st->out);
	return 0;
}

static void connected(struct stream *st)
{
	int why = 0;
	socklen_t len = sizeof why;
	char text[160];

	getsockopt(st->fd, SOL_SOCKET, SO_ERROR, &why, &len);
	if (why) {
		snprintf(text, sizeof text, "connect: %s", strerror(why));
		fail(st, text);
	} else if (st->ssl_of && send_preface(st) < 0) {
		fail(st, "write: the PROXY header does not leave");
	} else if (st->ssl_of) {
		take_ssl(st, st->ssl_of(st->ssl_arg, st->fd));
		st->phase = HANDSHAKE;
		step_handshake(st);
	} else {
		up(st);
	}
}

/* ---- events */

/* Input that the owner left, or a failure of his write, is told from here: never inside his own
 * call. */
static void tell_poked(struct stream *st)
{
	if (st->error)
		fail(st, st->error);
	else if (st->phase == UP && !st->paused && buf_len(&st->in))
		tell(st, STREAM_DATA);
	if (st->phase == LINGER && has_pending(st))
		discard(st);
	else if (may_read(st) && has_pending(st))
		read_turn(st);
	if (!st->error)
		arm(st);
}

/* Who is poked meanwhile has to wait for the next turn. */
static void on_poke(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop *l = arg;
	struct stream *st;

	for (size_t n = l->poked_count; n && (st = TAILQ_FIRST(&l->poked)); n--) {
		unpoke(st);
		tell_poked(st);
	}
	if (l->poked_count)
		evtimer_add(l->poker, &at_once);
}

static void on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	st->dry = false;
	if (st->phase == HANDSHAKE) {
		step_handshake(st);
		return;
	}
	if (st->phase == UP && st->write_wants_read)
		flush_out(st);
	if (st->phase == UP && st->paused)
		want_read(st, st->write_wants_read);
	else if (st->phase == UP)
		read_turn(st);
	else if (st->phase == LINGER)
		discard(st);
	if (!st->error)
		arm(st);
}

static void on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	if (st->phase == CONNECTING) {
		connected(st);
		return;
	}
	if (st->phase == HANDSHAKE) {
		step_handshake(st);
		return;
	}
	if (st->phase == UP && st->read_wants_write)
		read_turn(st);
	if ((st->phase == UP || st->phase == LINGER) && buf_len(&st->out))
		flush_out(st);
	if (!st->error)
		arm(st);
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
		arm(st);
		return st;
	}
	take_ssl(st, ssl);
	st->server = true;
	st->phase = HANDSHAKE;
	want_read(st, true); /* the client speaks first */
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
		fail_later(st, text);
		return st;
	}
	st->phase = CONNECTING;
	arm(st);
	return st;
}

void stream_preface(struct stream *st, struct slice header)
{
	if (st->phase == CONNECTING)
		buf_add(&st->out, header.p, header.n);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	if (st->phase == WAIT_TLS) {
		st->phase = HANDSHAKE;
		step_handshake(st);
	} else if (st->awaits) {
		st->awaits = false; /* the server has been asked long enough to end it */
		if (buf_len(&st->out) == 0)
			finish(st);
	} else {
		die(st); /* it has lingered long enough */
	}
}

static void set_timer(struct stream *st, int ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (!st->timer)
		st->timer = evtimer_new(st->loop->base, on_timer, st);
	if (!st->timer)
		BUG("libevent makes no timer");
	evtimer_add(st->timer, &tv);
}

void stream_start_tls(struct stream *st, SSL *ssl, bool server)
{
	ASSERT(st->phase == UP && !st->ssl);
	if (buf_len(&st->out)) { /* one line on an empty socket did not leave: no mail client or
				    server */
		SSL_free(ssl);
		fail_later(st, "STARTTLS: the peer does not read");
		return;
	}
	take_ssl(st, ssl);
	st->server = server;
	st->phase = WAIT_TLS;
	arm(st);
	set_timer(st, 0);
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
		forget(st, &st->in);
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

void stream_pause(struct stream *st)
{
	if (st->paused)
		return;
	st->paused = true;
	arm(st);
}

void stream_resume(struct stream *st)
{
	if (!st->paused)
		return;
	st->paused = false;
	arm(st);
	if (buf_len(&st->in) || has_pending(st))
		stream_poke(st);
}

void stream_poke(struct stream *st)
{
	if (st->phase == UP)
		poke(st);
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

void stream_free(struct stream **st)
{
	if (*st)
		die(*st);
	*st = NULL;
}

/* A host that has vanished would be waited for in vain: ask it now and then (RFC 9293 3.8.4).
 */
static void watch_for_death(struct stream *st)
{
	int idle_s = 30, every_s = 10, tries = 3;

	setsockopt(st->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
	setsockopt(st->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(st->fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
	setsockopt(st->fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

static void linger(struct stream **stp, int ms, stream_gone_fn *on_gone, void *arg, bool awaits)
{
	struct stream *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	st->on_event = NULL;
	st->watch = NULL;
	st->retired = true;
	st->on_gone = on_gone;
	st->gone_arg = arg;
	if (st->phase != UP || st->error || (awaits && st->eof)) {
		die(st);
		return;
	}
	st->phase = LINGER;
	LIST_INSERT_HEAD(&st->loop->lingering, st, lingers);
	st->paused = false;
	st->awaits = awaits;
	forget(st, &st->in);
	if (awaits || ms == STREAM_UNTIL_GONE)
		watch_for_death(st);
	if (ms != STREAM_UNTIL_GONE)
		set_timer(st, ms);
	if (buf_len(&st->out) == 0)
		finish(st);
	arm(st);
	if (st->phase == LINGER && has_pending(st))
		poke(st);
}

void stream_retire(struct stream **st, int linger_ms, stream_gone_fn *on_gone, void *arg)
{
	linger(st, linger_ms, on_gone, arg, false);
}

void stream_await(struct stream **st, int patience_ms, stream_gone_fn *on_gone, void *arg)
{
	linger(st, patience_ms, on_gone, arg, true);
}
