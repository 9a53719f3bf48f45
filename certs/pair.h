/*
 * A certificate as the server shows it: with its chain and its key, from PEM files. What is
 * wrong with the files is said with their names and what to do about it.
 */
#ifndef CERTS_PAIR_H
#define CERTS_PAIR_H

#include <openssl/ssl.h>

#include "common/err.h"

#define CERT_FILE_MAX (256 * 1024) /* bytes of a PEM file */

/* Owned by whoever loaded it; connections that show it hold references of their own. */
struct cert_pair {
	X509 *cert; /* NULL: nothing loaded */
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	int64_t not_after_s; /* since 1970 */
};

/*
 * The certificate comes first in its file, then the chain. key NULL: the key is in the same
 * file, else in NAME.key beside NAME.pem. An expired certificate loads: what to do with it is
 * for others to decide. On -1 (ERR_INPUT) *out holds nothing.
 */
int cert_pair_load(const char *file, const char *key, struct cert_pair *out,
		   struct err *e) MUST_CHECK;
void cert_pair_release(struct cert_pair *p);
/* NAME.key beside NAME.pem; NULL: the file is not called so. */
char *cert_key_beside(const char *file);

/* Only until when the certificate is good; the key is not looked at. */
int cert_expiry(const char *file, int64_t *not_after_s, struct err *e) MUST_CHECK;
/* "2026-11-24" */
void cert_day(int64_t at_s, char out[16]);

#endif
