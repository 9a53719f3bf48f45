/*
 * TLS (OpenSSL), 1.2 or newer, without renegotiation. Here: towards backends, verified by the
 * configured name against a CA file (or the system's), or by a pin of the public key; sessions
 * are resumed, and there is no unverified mode. And what both ways share; towards clients is
 * server.h.
 */
#ifndef CERTS_TLS_H
#define CERTS_TLS_H

#include <openssl/ssl.h>

#include "common/err.h"

/* Whom a client context expects. */
struct tls_peer {
	const char *name;    /* host name or address its certificate must carry */
	const char *ca_file; /* NULL: the system's store */
	const char *pin;     /* "sha256:HEX" of the SPKI: then the chain and name do not count;
				NULL: none */
};

/* A way to one server: context, expected peer and the last session for resumption. Not shared
 * by threads. */
struct tls_client;
int tls_client_new(const struct tls_peer *peer, struct tls_client **out,
		   struct err *e) MUST_CHECK;
void tls_client_free(struct tls_client **c);
#define TLS_VERIFY_MS \
	3600000 /* a session goes back to a verified handshake no older than this */
/*
 * A connection object on fd, with SNI and verification set and the last session offered. Owned
 * by the caller. Connections at the same time offer the same session: a server that takes a
 * ticket but once (RFC 8446 8.1) answers the others with a full handshake. A resumed session
 * stands for the certificate that was verified when it began; after TLS_VERIFY_MS that is asked
 * for again.
 */
SSL *tls_client_start(struct tls_client *c, int fd);
/*
 * After a handshake that failed, of either side and before any other OpenSSL call: the reason
 * in words
 * ("certificate is for mail.example.net, not for …"). ERR_TEMP if the connection broke, else
 * ERR_TLS. The client's kept session is dropped: the next handshake is a full one.
 */
void tls_explain(const SSL *ssl, struct err *e);
bool tls_pin_valid(const char *pin);
/* A context with what holds both ways. The caller frees it with SSL_CTX_free(). */
SSL_CTX *tls_context_new(const SSL_METHOD *method);
/* Empties OpenSSL's queue of errors and says the one that tells most. Borrowed, static. */
const char *tls_reason(void);
/* "sha256:HEX" of a certificate's public key, for `check backends`. */
void tls_pin_of(X509 *cert, char out[72]);

#endif
