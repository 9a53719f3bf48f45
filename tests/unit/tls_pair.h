/* TLS over a socket pair, both ends in this thread. */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <openssl/err.h>

#include "certs/server.h"

#define SHAKEN 101 /* beside the values of SSL_get_error() */

/* How the handshake went, at both ends. The client is the caller's to make on fd[1], or
 * odd_client(). */
struct pair {
	int fd[2];
	SSL_CTX *client_ctx; /* of an odd client */
	SSL *server, *client;
	int server_result, client_result; /* SHAKEN or SSL_get_error() */
};

static inline void pair_open(struct pair *p, struct tls_server *s, const char *alpn)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
	p->server = tls_server_start(s, alpn);
	SSL_set_fd(p->server, p->fd[0]);
}

/* A client of the test's own making, for what ours never does: it verifies nothing. */
static inline SSL *odd_client(struct pair *p)
{
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(p->client_ctx, 0);
	p->client = SSL_new(p->client_ctx);
	SSL_set_fd(p->client, p->fd[1]);
	SSL_set_connect_state(p->client);
	return p->client;
}

static inline bool waits(int result)
{
	return result == SSL_ERROR_WANT_READ || result == SSL_ERROR_WANT_WRITE;
}

static inline int step(SSL *ssl)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(ssl);
	return r == 1 ? SHAKEN : SSL_get_error(ssl, r);
}

/* The pair is memory: turns in order need no waiting. */
static inline void shake(struct pair *p)
{
	p->client_result = p->server_result = SSL_ERROR_WANT_READ;
	for (int turn = 0; turn < 20 && (waits(p->client_result) || waits(p->server_result));
	     turn++) {
		if (waits(p->client_result))
			p->client_result = step(p->client);
		if (!waits(p->client_result) && p->client_result != SHAKEN)
			return; /* its error queue stays for tls_explain() */
		if (waits(p->server_result))
			p->server_result = step(p->server);
	}
}

static inline bool shaken(struct pair *p)
{
	shake(p);
	return p->client_result == SHAKEN && p->server_result == SHAKEN;
}

/* The ticket comes after a TLS 1.3 handshake: it is read with the first application bytes. */
static inline void say_hello(struct pair *p)
{
	char in[8];

	assert_int_equal(SSL_write(p->server, "hi", 2), 2);
	assert_int_equal(SSL_read(p->client, in, sizeof in), 2);
}

static inline void pair_close(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
	SSL_CTX_free(p->client_ctx);
	close(p->fd[0]);
	close(p->fd[1]);
	*p = (struct pair){ 0 };
}

#endif
