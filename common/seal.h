/*
 * What one process may write and only another one read: a node seals a password to the engine's
 * key and cannot open it again. libsodium's sealed boxes (X25519, XSalsa20-Poly1305).
 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include "common/secret.h"

#define SEAL_KEY_BYTES 32
#define SEAL_HEX_SIZE  (2 * SEAL_KEY_BYTES + 1)

/* Reads a public key, 64 hex digits. -1: it is none. */
int seal_key_parse(const char *hex, unsigned char key[SEAL_KEY_BYTES]) MUST_CHECK;
/* As base64, in one line; the caller frees it. No two are alike, whatever is in them. */
char *seal_write(const unsigned char key[SEAL_KEY_BYTES], struct slice secret);

/* Both keys: it can open. Its memory is locked and wiped. */
struct seal_opener;
/*
 * Reads the secret key, 64 hex digits, from the open file (name: for errors) and checks that
 * it belongs to the public one.
 */
int seal_opener_new(int fd, const char *name, const char *public_hex, struct seal_opener **out,
		    struct err *e) MUST_CHECK;
void seal_opener_free(struct seal_opener **o);
/* Fills *out. ERR_INPUT: sealed to another key, or damaged. */
int seal_open(const struct seal_opener *o, const char *sealed, struct secret *out,
	      struct err *e) MUST_CHECK;

/* Makes a pair: the secret key into a new file, for its owner only; the public one into hex. */
int seal_pair_make(const char *path, char hex[SEAL_HEX_SIZE], struct err *e) MUST_CHECK;

/*
 * A short fingerprint of a secret, keyed by this process: tells whether it is the same as last
 * time, and nothing to anybody else. Never 0.
 */
uint64_t seal_fingerprint(struct slice secret);

#endif
