/* Hides: non-blocking sockets, OpenSSL's wishes, and which of two blocked directions to serve
 * first. */
#include "sync/transport.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <openssl/err.h>

#include "certs/tls.h"
#include "common/clock.h"
#include "common/sockets.h"
#include "sync/pace.h"
#include "sync/pulse.h"

struct transport {
	int fd; /* -1: from memory */
	enum side which;
	struct tls_client *tls; /* NULL: this server is spoken to in clear */
	SSL *ssl;		/* NULL: not yet, or never */
	int io_ms;
	int64_t deadline; /* clock_mono_ms(); 0: none */
	struct buf in, out;
	bool inside; /* of a response: a peer that crawls is given up */
	int64_t inside_waited, inside_bytes;
	int64_t bytes_in, bytes_out;
	bool is_broken;
	struct err broken; /* the first error */
};

int transport_poison(struct transport *t, const struct err *e)
{
	if (!t->is_broken) {
		t->is_broken = true;
		t->broken = *e;
	}
	return -1;
}

/* Keeps the error that the caller has just set in e. */
static int fail(struct transport *t, struct err *e)
{
	transport_poison(t, e);
	return -1;
}

static int fail_errno(struct transport *t, const char *doing, struct err *e)
{
	err_set(e, ERR_TEMP, "%s: %s", doing, strerror(errno));
	return fail(t, e);
}

static int answer_broken(const struct transport *t, struct err *e)
{
	*e = t->broken;
	return -1;
}

bool transport_is_broken(const struct transport *t)
{
	return t->is_broken;
}

bool transport_is_secure(const struct transport *t)
{
	return t->ssl != NULL;
}

void transport_message(const struct transport *t)
{
	pace_wait(t->which, PACE_MESSAGES, 1);
}

int64_t transport_bytes_in(const struct transport *t)
{
	return t->bytes_in;
}

const char *transport_tls_version(const struct transport *t)
{
	return t->ssl ? SSL_get_version(t->ssl) : "none";
}

int64_t transport_certificate_until(const struct transport *t)
{
	X509 *x = t->ssl ? SSL_get0_peer_certificate(t->ssl) : NULL;
	struct tm tm;

	return x && ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) ? (int64_t)timegm(&tm) : 0;
}

int64_t transport_bytes_out(const struct transport *t)
{
	return t->bytes_out;
}

void transport_deadline(struct transport *t, int ms)
{
	t->deadline = ms ? clock_mono_ms() + ms : 0;
}

static int64_t ends_at(const struct transport *t, int ms)
{
	int64_t end = clock_mono_ms() + ms;

	return t->deadline && t->deadline < end ? t->deadline : end;
}

static int fail_late(struct transport *t, struct err *e)
{
	err_set(e, ERR_TEMP, "timed out");
	return fail(t, e);
}

/* Waits for events until `end`; *got may be NULL. */
static int wait_for(struct transport *t, short events, int64_t end, short *got, struct err *e)
{
	struct pollfd p = { .fd = t->fd, .events = events };

	for (;;) {
		int64_t left = end - clock_mono_ms();
		int r;

		if (left <= 0)
			return fail_late(t, e);
		r = poll(&p, 1, (int)MIN(left, INT_MAX));
		if (r < 0 && errno != EINTR)
			return fail_errno(t, "poll", e);
		if (r > 0) {
			if (got)
				*got = p.revents;
			return 0;
		}
	}
}

void transport_inside(struct transport *t, bool inside)
{
	t->inside = inside;
	t->inside_waited = t->inside_bytes = 0;
}

/* A byte now and then keeps every deadline, and ends never. */
static int check_crawl(struct transport *t, int64_t waited_ms, struct err *e)
{
	if (!t->inside)
		return 0;
	t->inside_waited += waited_ms;
	if (t->inside_waited < t->io_ms)
		return 0;
	if (t->inside_bytes * 1000 < t->inside_waited * TRANSPORT_CRAWL) {
		err_set(e, ERR_TEMP, "the server crawls: %lld bytes in %lld s",
			(long long)t->inside_bytes, (long long)t->inside_waited / 1000);
		return fail(t, e);
	}
	t->inside_waited = t->inside_bytes = 0;
	return 0;
}

/* ---- one step of reading or writing, never waiting: > 0 bytes, 0 would wait for *want, -1
 * broken */

static ssize_t tls_stuck(struct transport *t, int r, const char *doing, short *want,
			 struct err *e)
{
	unsigned long why = ERR_peek_error();
	int kind = SSL_get_error(t->ssl, r), saved = errno;

	ERR_clear_error();
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		*want = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		return 0;
	}
	if (kind == SSL_ERROR_ZERO_RETURN)
		err_set(e, ERR_TEMP, "the server closed the connection");
	else if (kind == SSL_ERROR_SYSCALL)
		err_set(e, ERR_TEMP, "%s: %s", doing,
			saved ? strerror(saved) : "connection lost");
	else if (ERR_GET_REASON(why) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		err_set(e, ERR_TEMP, "the server cut the connection");
	else
		err_set(e, ERR_TLS, "%s: %s", doing,
			why ? ERR_reason_error_string(why) : "TLS failed");
	return fail(t, e);
}

static ssize_t read_step(struct transport *t, void *p, size_t n, short *want, struct err *e)
{
	ssize_t r;

	if (t->fd < 0)
		r = 0;
	else if (t->ssl) {
		ERR_clear_error();
		errno = 0;
		r = SSL_read(t->ssl, p, (int)n);
		return r > 0 ? r : tls_stuck(t, (int)r, "read", want, e);
	} else
		r = recv(t->fd, p, n, 0);
	if (r > 0)
		return r;
	if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
		*want = POLLIN;
		return 0;
	}
	if (r < 0)
		return fail_errno(t, "read", e);
	err_set(e, ERR_TEMP, "the server closed the connection");
	return fail(t, e);
}

static ssize_t write_step(struct transport *t, const void *p, size_t n, short *want,
			  struct err *e)
{
	ssize_t r;

	if (t->fd < 0)
		return (ssize_t)n;
	if (t->ssl) {
		ERR_clear_error();
		errno = 0;
		r = SSL_write(t->ssl, p, (int)MIN(n, (size_t)INT_MAX));
		return r > 0 ? r : tls_stuck(t, (int)r, "write", want, e);
	}
	r = send(t->fd, p, n, MSG_NOSIGNAL);
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == EINTR) {
		*want = POLLOUT;
		return 0;
	}
	return fail_errno(t, "write", e);
}

/* Bytes went either way: waits where that is too fast, and lets the process show it lives. */
static void moved(const struct transport *t, ssize_t n)
{
	pace_wait(t->which, PACE_BYTES, n);
	pulse_beat();
}

/* One read into the input; 1 something came, 0 would wait for *want, -1 broken. */
static int fill(struct transport *t, short *want, struct err *e)
{
	ssize_t r = read_step(t, buf_room(&t->in, TRANSPORT_CHUNK),
			      pace_chunk(t->which, TRANSPORT_CHUNK), want, e);

	if (r <= 0)
		return (int)r;
	buf_wrote(&t->in, (size_t)r);
	t->bytes_in += r;
	t->inside_bytes += r;
	moved(t, r);
	return 1;
}

/* A write is blocked: waits for what it wants, and takes in what the peer sends meanwhile. */
static int wait_writable(struct transport *t, short want, int64_t end, struct err *e)
{
	bool room = buf_len(&t->in) < TRANSPORT_INPUT_MAX;
	short got = 0, unused;

	if (wait_for(t, want | (room ? POLLIN : 0), end, &got, e) < 0)
		return -1;
	if (!room || !(got & POLLIN))
		return 0;
	return fill(t, &unused, e) < 0 ? -1 : 0;
}

static int send_all(struct transport *t, const char *p, size_t n, struct err *e)
{
	int64_t end = ends_at(t, t->io_ms);

	while (n > 0) {
		short want = 0;
		ssize_t r = pace_may_send(e) < 0
				    ? fail(t, e)
				    : write_step(t, p, pace_chunk(t->which, n), &want, e);

		if (r < 0)
			return -1;
		if (r == 0) {
			if (wait_writable(t, want, end, e) < 0)
				return err_wrap(e, "sending");
			continue;
		}
		p += r;
		n -= (size_t)r;
		t->bytes_out += r;
		moved(t, r);
		end = ends_at(t, t->io_ms);
	}
	return 0;
}

int transport_flush(struct transport *t, struct err *e)
{
	struct slice out = buf_slice(&t->out);

	if (t->is_broken)
		return answer_broken(t, e);
	if (out.n == 0)
		return 0;
	if (send_all(t, out.p, out.n, e) < 0)
		return -1;
	buf_drain(&t->out, out.n);
	return 0;
}

int transport_write(struct transport *t, const void *p, size_t n, struct err *e)
{
	if (t->is_broken)
		return answer_broken(t, e);
	if (buf_len(&t->out) + n < TRANSPORT_CHUNK) {
		buf_add(&t->out, p, n);
		return 0;
	}
	if (transport_flush(t, e) < 0)
		return -1;
	return send_all(t, p, n, e);
}

struct slice transport_input(const struct transport *t)
{
	return t->is_broken ? (struct slice){ "", 0 } : buf_slice(&t->in);
}

void transport_take(struct transport *t, size_t n)
{
	buf_drain(&t->in, n);
}

int transport_more(struct transport *t, struct err *e)
{
	int64_t end;

	if (transport_flush(t, e) < 0)
		return -1;
	if (buf_len(&t->in) >= TRANSPORT_INPUT_MAX) {
		err_set(e, ERR_LIMIT, "more than %d bytes of input", TRANSPORT_INPUT_MAX);
		return fail(t, e);
	}
	end = ends_at(t, t->io_ms);
	/* A peer that always has a byte more is never waited for. */
	if (t->deadline && t->deadline <= clock_mono_ms())
		return fail_late(t, e);
	for (;;) {
		short want = 0;
		int r = fill(t, &want, e);
		int64_t start;

		if (r != 0)
			return r < 0 ? -1 : 0;
		start = clock_mono_ms();
		if (wait_for(t, want, end, NULL, e) < 0)
			return err_wrap(e, "waiting for the server");
		if (check_crawl(t, clock_mono_ms() - start, e) < 0)
			return -1;
	}
}

/* ---- opening */

/* With a limit, what the kernel takes in advance must be little against it. */
static void limit_buffers(const struct transport *t)
{
	size_t most = pace_chunk(t->which, SIZE_MAX);
	int size = (int)MIN(MAX(most, (size_t)4096), (size_t)INT_MAX);

	if (most == SIZE_MAX)
		return;
	setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(t->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static int connect_one(struct transport *t, const struct addrinfo *a, int64_t end,
		       struct err *e)
{
	int one = 1, why = 0;
	socklen_t n = sizeof why;

	t->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return err_set(e, ERR_TEMP, "%s", strerror(errno));
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(t->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	limit_buffers(t);
	if (connect(t->fd, a->ai_addr, a->ai_addrlen) < 0) {
		why = errno;
		if (why == EINPROGRESS) {
			if (wait_for(t, POLLOUT, end, NULL, e) < 0)
				return -1;
			getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &why, &n);
		}
	}
	if (why == 0)
		return 0;
	close(t->fd);
	t->fd = -1;
	return err_set(e, ERR_TEMP, "%s", strerror(why));
}

static int connect_any(struct transport *t, const struct job_side *side, int64_t end,
		       struct err *e)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char port[16];
	int r;

	snprintf(port, sizeof port, "%d", side->port);
	r = getaddrinfo(side->host, port, &hint, &list);
	if (r != 0)
		return err_set(e, ERR_TEMP, "resolve: %s", gai_strerror(r));
	r = -1;
	for (const struct addrinfo *a = list; a && r < 0 && !t->is_broken; a = a->ai_next)
		r = connect_one(t, a, end, e);
	freeaddrinfo(list);
	return r < 0 ? err_wrap(e, "connect") : 0;
}

static int handshake_failed(struct transport *t, int r, short *want, struct err *e)
{
	int kind = SSL_get_error(t->ssl, r);

	if (kind == SSL_ERROR_SSL &&
	    ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		tls_explain(t->ssl, e);
		ERR_clear_error();
		return fail(t, e);
	}
	return (int)tls_stuck(t, r, "TLS handshake", want, e);
}

static int handshake(struct transport *t, int64_t end, struct err *e)
{
	t->ssl = tls_client_start(t->tls, t->fd);
	SSL_set_mode(t->ssl,
		     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (;;) {
		short want = 0;
		int r;

		ERR_clear_error();
		errno = 0;
		r = SSL_connect(t->ssl);
		if (r == 1)
			return 0;
		if (handshake_failed(t, r, &want, e) < 0)
			return -1;
		if (wait_for(t, want, end, NULL, e) < 0)
			return err_wrap(e, "TLS handshake");
	}
}

int transport_starttls(struct transport *t, struct err *e)
{
	if (t->is_broken)
		return answer_broken(t, e);
	ASSERT(t->tls && !t->ssl);
	if (buf_len(&t->in)) {
		err_set(e, ERR_PROTOCOL,
			"the server sent text between STARTTLS and the TLS handshake");
		return fail(t, e);
	}
	if (transport_flush(t, e) < 0)
		return -1;
	return handshake(t, ends_at(t, t->io_ms), e);
}

static struct transport *transport_new(int fd, int io_ms)
{
	struct transport *t = mem_new(sizeof *t);

	t->fd = fd;
	t->io_ms = io_ms;
	return t;
}

/* In front of TLS, as the server expects it from everybody. */
static int send_header(struct transport *t, const struct job_side *side, struct err *e)
{
	if (side->proxy_protocol == PROXY_NONE)
		return 0;
	socket_own_header(t->fd, (int)side->proxy_protocol, &t->out);
	return transport_flush(t, e) < 0 ? err_wrap(e, "PROXY header") : 0;
}

static int open_all(struct transport *t, const struct job_side *side, int connect_ms,
		    struct err *e)
{
	const struct tls_peer peer = { .name = side->tls_name ? side->tls_name : side->host,
				       .ca_file = side->tls_ca_file,
				       .pin = side->tls_pin };
	int64_t end = clock_mono_ms() + connect_ms;

	if (side->tls != TLS_NONE && tls_client_new(&peer, &t->tls, e) < 0)
		return -1;
	if (connect_any(t, side, end, e) < 0 || send_header(t, side, e) < 0)
		return -1;
	return side->tls == TLS_IMPLICIT ? handshake(t, end, e) : 0;
}

int transport_open(const struct job_side *side, int connect_ms, int io_ms,
		   struct transport **out, struct err *e)
{
	struct transport *t = transport_new(-1, io_ms);

	t->which = side->which;
	if (open_all(t, side, connect_ms, e) < 0) {
		transport_poison(t, e);
		transport_free(&t);
		return err_wrap(e, "%s:%d", side->host, side->port);
	}
	*out = t;
	return 0;
}

struct transport *transport_of_fd(int fd, int io_ms)
{
	return transport_new(fd, io_ms);
}

struct transport *transport_of_bytes(struct slice bytes)
{
	struct transport *t = transport_new(-1, 0);

	buf_add(&t->in, bytes.p, bytes.n);
	t->bytes_in = (int64_t)bytes.n;
	return t;
}

void transport_free(struct transport **at)
{
	struct transport *t = *at;

	if (!t)
		return;
	if (t->ssl && !t->is_broken)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	if (t->fd >= 0)
		close(t->fd);
	tls_client_free(&t->tls);
	/* May hold a login. */
	buf_wipe(&t->out);
	buf_release(&t->in);
	mem_free(at);
}
