/* Hides: OpenSSL's wishes (it may have to write in order to read), short writes, and who frees
 * when. */
#include "proxy/stream.h"

#include <errno.h>
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
	struct stream *next_dead;
	LIST_ENTRY(stream) lingers;
	struct event *readable, *writable;
	struct event *timer; /* LINGER: its end; WAIT_TLS: the handshake's start */
	stream_fn *on_event;
	void *arg;
	SSL *ssl;
	stream_ssl_fn *ssl_of;
	void *ssl_arg;
	int fd;
	enum phase phase;
	bool server, paused, poked, eof, was_high, finished;
	bool read_wants_write, write_wants_read;
	enum stream_spoke spoke;
	struct buf in, out;
	struct slice view; /* bytes in the shared buffer, while the owner's callback runs */
	size_t viewed;
	int64_t moved_ms;
	stream_gone_fn *on_gone;
	void *gone_arg;
	char error[160];
};

/* ---- loop */

static void reap(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop *l = arg;

	while (l->dead) {
		struct stream *st = l->dead;

		l->dead = st->next_dead;
		free(st);
	}
}

int loop_init(struct loop *l, struct err *e)
{
	memset(l, 0, offsetof(struct loop, scratch));
	l->base = event_base_new();
	if (!l->base)
		return err_set(e, ERR_LIMIT, "cannot make an event loop");
	l->reaper = event_new(l->base, -1, 0, reap, l);
	if (!l->reaper)
		return err_set(e, ERR_LIMIT, "cannot make an event");
	return 0;
}

/* ---- small things */

static void tell(struct stream *st, enum stream_event ev)
{
	if (st->phase != DEAD && st->on_event)
		st->on_event(st, ev, st->arg);
}

static void die(struct stream *st)
{
	if (st->phase == DEAD)
		return;
	if (st->phase == LINGER)
		LIST_REMOVE(st, lingers);
	st->phase = DEAD;
	event_free(st->readable);
	event_free(st->writable);
	if (st->timer)
		event_free(st->timer);
	if (st->ssl)
		SSL_free(st->ssl);
	close(st->fd);
	buf_wipe(&st->in); /* a login may have waited in either */
	buf_wipe(&st->out);
	st->loop->live--;
	st->next_dead = st->loop->dead;
	st->loop->dead = st;
	event_active(st->loop->reaper, 0, 0);
	if (st->on_gone)
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
	if (l->base)
		event_base_free(l->base);
	l->reaper = NULL;
	l->base = NULL;
}

static void want(struct event *ev, bool on)
{
	if (on)
		event_add(ev, NULL);
	else
		event_del(ev);
}

/* Which events we wait for follows from the state, in one place. */
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
		read = (!st->paused && !st->eof) || st->write_wants_read;
		write = write || st->read_wants_write;
		break;
	case HANDSHAKE: /* step_handshake() has said what it waits for */
	case DEAD:
		return;
	}
	want(st->readable, read);
	want(st->writable, write);
}

static void fail(struct stream *st, const char *why)
{
	if (st->phase == LINGER) {
		die(st);
		return;
	}
	if (why != st->error)
		snprintf(st->error, sizeof st->error, "%s", why);
	st->eof = true;
	want(st->readable, false);
	want(st->writable, false);
	buf_wipe(&st->out);
	tell(st, STREAM_FAILED);
}

/* From inside a call of the owner's: the event comes after this turn. */
static void fail_later(struct stream *st, const char *why)
{
	if (st->phase == LINGER) {
		die(st);
		return;
	}
	buf_wipe(&st->out);
	snprintf(st->error, sizeof st->error, "%s", why);
	st->poked = true;
	event_active(st->writable, EV_WRITE, 0);
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
	if (n > 0)
		return n;
	why = SSL_get_error(st->ssl, n);
	if (why == SSL_ERROR_WANT_READ)
		return 0;
	if (why == SSL_ERROR_WANT_WRITE) {
		st->read_wants_write = true;
		return 0;
	}
	/* Many peers close without close_notify; our protocols end by words of their own. */
	if (why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && errno == 0) ||
	    ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		st->eof = true;
	else if (why == SSL_ERROR_SYSCALL)
		snprintf(st->error, sizeof st->error, "read: %s", strerror(errno));
	else
		snprintf(st->error, sizeof st->error, "TLS: %s",
			 ERR_reason_error_string(ERR_peek_error()));
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
		snprintf(st->error, sizeof st->error, "read: %s", strerror(errno));
	return -1;
}

static ssize_t read_some(struct stream *st, char *to, size_t max)
{
	ssize_t n = st->ssl ? read_tls(st, to, max) : read_plain(st, to, max);

	if (n > 0)
		st->moved_ms = clock_mono_ms();
	return n;
}

/* The owner sees the bytes where they are; what he leaves becomes ours to keep. */
static void hand_over(struct stream *st, size_t n)
{
	st->view = (struct slice){ st->loop->scratch, n };
	st->viewed = 0;
	tell(st, STREAM_DATA);
	if (st->phase == UP && st->viewed < n)
		buf_add(&st->in, st->loop->scratch + st->viewed, n - st->viewed);
	st->view = (struct slice){ NULL, 0 };
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

static ssize_t read_once(struct stream *st)
{
	ssize_t n;

	if (buf_len(&st->in) == 0) {
		n = read_some(st, st->loop->scratch, STREAM_READ_MAX);
		if (n > 0)
			hand_over(st, (size_t)n);
		return n;
	}
	n = read_some(st, buf_room(&st->in, TLS_RECORD_MAX), TLS_RECORD_MAX);
	if (n > 0) {
		buf_wrote(&st->in, (size_t)n);
		tell(st, STREAM_DATA);
	}
	return n;
}

/* Bytes may lie inside OpenSSL, for which no readable event comes. */
static void read_pending(struct stream *st)
{
	if (st->phase == UP && !st->paused && st->ssl && SSL_pending(st->ssl))
		event_active(st->readable, EV_READ, 0);
}

static void read_turn(struct stream *st)
{
	for (int i = 0; i < READS_PER_TURN && st->phase == UP && !st->paused && !st->eof; i++) {
		ssize_t n = read_once(st);

		if (n < 0)
			read_over(st);
		if (n <= 0)
			return;
	}
	read_pending(st);
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

	if (st->phase == DEAD || st->error[0] || n == 0)
		return;
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
	if (st->finished)
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
		buf_wipe(&st->out);
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
	read_pending(st);
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
	want(st->readable, why == SSL_ERROR_WANT_READ);
	want(st->writable, why == SSL_ERROR_WANT_WRITE);
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
	char text[sizeof st->error];

	getsockopt(st->fd, SOL_SOCKET, SO_ERROR, &why, &len);
	if (why) {
		snprintf(text, sizeof text, "connect: %s", strerror(why));
		fail(st, text);
	} else if (st->ssl_of && send_preface(st) < 0) {
		fail(st, "write: the PROXY header does not leave");
	} else if (st->ssl_of) {
		st->ssl = st->ssl_of(st->ssl_arg, st->fd);
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
	st->poked = false;
	if (st->error[0])
		fail(st, st->error);
	else if (!st->paused && buf_len(&st->in))
		tell(st, STREAM_DATA);
}

static void on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	if (st->phase == HANDSHAKE) {
		step_handshake(st);
		return;
	}
	if (st->phase == UP && st->write_wants_read)
		flush_out(st);
	if (st->phase == UP && !st->error[0])
		read_turn(st);
	else if (st->phase == LINGER)
		discard(st);
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
	if (st->phase == UP && st->poked)
		tell_poked(st);
	if (st->phase == UP && st->read_wants_write)
		read_turn(st);
	if ((st->phase == UP || st->phase == LINGER) && buf_len(&st->out))
		flush_out(st);
	if (!st->error[0])
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
	st->readable = event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, st);
	st->writable = event_new(l->base, fd, EV_WRITE | EV_PERSIST, on_writable, st);
	if (!st->readable || !st->writable)
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
	if (!SSL_set_fd(ssl, fd))
		BUG("OpenSSL takes no socket");
	st->ssl = ssl;
	st->server = true;
	st->phase = HANDSHAKE;
	want(st->readable, true); /* the client speaks first */
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
	if (!SSL_set_fd(ssl, st->fd))
		BUG("OpenSSL takes no socket");
	st->ssl = ssl;
	st->server = server;
	st->phase = WAIT_TLS;
	arm(st);
	set_timer(st, 0);
}

struct slice stream_input(struct stream *st)
{
	if (st->view.p)
		return (struct slice){ st->view.p + st->viewed, st->view.n - st->viewed };
	return buf_slice(&st->in);
}

void stream_consume(struct stream *st, size_t n)
{
	if (st->view.p) {
		ASSERT(n <= st->view.n - st->viewed);
		st->viewed += n;
		return;
	}
	buf_drain(&st->in, n);
	if (buf_len(&st->in) == 0)
		buf_wipe(&st->in);
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
	stream_poke(st);
	read_pending(st);
}

void stream_poke(struct stream *st)
{
	if (st->phase != UP || st->poked)
		return;
	st->poked = true;
	event_active(st->writable, EV_WRITE, 0);
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
	return st->error[0] ? st->error : "closed by the peer";
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

void stream_retire(struct stream **stp, int linger_ms, stream_gone_fn *on_gone, void *arg)
{
	struct stream *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	st->on_event = NULL;
	st->on_gone = on_gone;
	st->gone_arg = arg;
	if (st->phase != UP || st->error[0]) {
		die(st);
		return;
	}
	st->phase = LINGER;
	LIST_INSERT_HEAD(&st->loop->lingering, st, lingers);
	st->paused = false;
	buf_wipe(&st->in);
	set_timer(st, linger_ms);
	if (buf_len(&st->out) == 0)
		finish(st);
	arm(st);
	if (st->phase == LINGER && st->ssl && SSL_pending(st->ssl))
		event_active(st->readable, EV_READ, 0);
}
