/*
 * TLS both ways (OpenSSL). Towards clients: our certificate, TLS 1.2 or newer, no
 * renegotiation. Towards backends: verified by the configured name against a CA file (or the
 * system's), or by a pin of the public key; sessions are resumed. There is no unverified mode.
 */
#ifndef CERTS_TLS_H
#define CERTS_TLS_H

#include <openssl/ssl.h>

#include "common/err.h"

/* Server context; the caller frees it with SSL_CTX_free(). Errors name the file. */
SSL_CTX *tls_server_new(const char *certificate, const char *key, struct err *e) MUST_CHECK;

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
/* A connection object on fd, with SNI and verification set and the last session offered. Owned
 * by the caller. */
SSL *tls_client_start(struct tls_client *c, int fd);
/*
 * After a handshake that failed, of either side and before any other OpenSSL call: the reason
 * in words
 * ("certificate is for mail.example.net, not for …"). ERR_TEMP if the connection broke, else
 * ERR_TLS. The client's kept session is dropped: the next handshake is a full one.
 */
void tls_explain(const SSL *ssl, struct err *e);
bool tls_pin_valid(const char *pin);
/* "sha256:HEX" of a certificate's public key, for `check backends`. */
void tls_pin_of(X509 *cert, char out[72]);

#endif
