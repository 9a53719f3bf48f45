/*
 * What is shown for one name: its certificate, and where there are two (ECDSA and RSA) both, so
 * that each client gets what it understands. Follows its files: a good new one takes over, a
 * bad one is complained about once and the one before stays.
 */
#ifndef CERTS_SET_H
#define CERTS_SET_H

#include "certs/pair.h"

#define CERT_SOURCES_MAX 3 /* NAME.pem, NAME.ecdsa.pem, NAME.rsa.pem */
#define CERT_LOOK_MS \
	10000 /* files are looked at for a change at most this often, and when used */

struct cert_set;

struct cert_set *cert_set_new(void);
void cert_set_free(struct cert_set **s);
/* Copies the names; key as in cert_pair_load(). For a set that was not looked at yet. */
void cert_set_add(struct cert_set *s, const char *file, const char *key);

/*
 * Looks at the files if it is time: a stat() each, and a read of a few KiB where one has
 * changed; that much blocking is meant. true: something was loaded anew. Complaints go to the
 * log.
 */
bool cert_set_look(struct cert_set *s);
/* Are both of the same files? */
bool cert_set_same_files(const struct cert_set *a, const struct cert_set *b);
/* The next look comes at once. */
void cert_set_hurry(struct cert_set *s);
/* Loads all or says what is wrong with the first that is not good; for a start. */
int cert_set_load(struct cert_set *s, struct err *e) MUST_CHECK;

/* Is there any certificate to show? */
bool cert_set_usable(const struct cert_set *s);
/* Does its first certificate name the host? */
bool cert_set_covers(const struct cert_set *s, const char *host);
/* The first that ends; 0: none is loaded. */
int64_t cert_set_not_after(const struct cert_set *s);
/* Gives all of them to a connection or a context. 0 or -1 (OpenSSL refuses one). */
int cert_set_show(const struct cert_set *s, SSL *ssl, struct err *e) MUST_CHECK;
int cert_set_give(const struct cert_set *s, SSL_CTX *ctx, struct err *e) MUST_CHECK;

#endif
