/* Hides: how a connection comes about: connect, what precedes TLS, the handshake. */
#include "proxy/stream_impl.h"

#include <openssl/err.h>

#include "certs/tls.h"

static void go_up(struct stream *st)
{
	st->phase = UP;
	if (buf_len(&st->out))
		stream_flush(st);
	stream_arm(st);
	stream_tell(st, STREAM_UP);
	if (stream_may_read(st) && stream_has_pending(st))
		stream_call_later(st);
}

/* One read of the socket brings whole records, header and all, as many as there are. */
void stream_take_ssl(struct stream *st, SSL *ssl)
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
	stream_fail(st, e.text);
}

void stream_step_handshake(struct stream *st)
{
	int rc, why;

	ERR_clear_error();
	rc = st->server ? SSL_accept(st->ssl) : SSL_connect(st->ssl);
	if (rc == 1) {
		go_up(st);
		return;
	}
	why = SSL_get_error(st->ssl, rc);
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
		fail_handshake(st);
		return;
	}
	stream_want_read(st, why == SSL_ERROR_WANT_READ);
	stream_want_write(st, why == SSL_ERROR_WANT_WRITE);
}

/* A socket that was empty takes a header whole. Without TLS, go_up() sends it. */
static int send_preface(struct stream *st)
{
	struct slice header = buf_slice(&st->out);

	if (header.n && stream_send(st, header.p, header.n) != (ssize_t)header.n)
		return -1;
	buf_release(&st->out);
	return 0;
}

void stream_connected(struct stream *st)
{
	int why = 0;
	socklen_t len = sizeof why;
	char text[160];

	getsockopt(st->fd, SOL_SOCKET, SO_ERROR, &why, &len);
	if (why) {
		snprintf(text, sizeof text, "connect: %s", strerror(why));
		stream_fail(st, text);
	} else if (st->ssl_of && send_preface(st) < 0) {
		stream_fail(st, "write: the PROXY header does not leave");
	} else if (st->ssl_of) {
		stream_take_ssl(st, st->ssl_of(st->ssl_arg, st->fd));
		st->phase = HANDSHAKE;
		stream_step_handshake(st);
	} else {
		go_up(st);
	}
}

void stream_start_tls(struct stream *st, SSL *ssl, bool server)
{
	ASSERT(st->phase == UP && !st->ssl);
	if (buf_len(&st->out)) { /* one line on an empty socket did not leave: no mail client or
				    server */
		SSL_free(ssl);
		stream_fail_later(st, "STARTTLS: the peer does not read");
		return;
	}
	stream_take_ssl(st, ssl);
	st->server = server;
	st->phase = WAIT_TLS;
	stream_arm(st);
	stream_set_timer(st, 0);
}
