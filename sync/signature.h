/*
 * Our own signature under a report: Ed25519 (RFC 8032) over its exact bytes, with a key that is
 * made at its first use and kept in one file, for its owner alone.
 */
#ifndef SYNC_SIGNATURE_H
#define SYNC_SIGNATURE_H

#include "common/buf.h"
#include "common/err.h"

#define SIGNATURE_HEX  128 /* characters of a signature */
#define PUBLIC_KEY_HEX 64  /* and of a public key */

struct signer;

/* Reads the key, or makes one if there is no such file. ERR_STORE names the file. */
int signer_open(const char *path, struct signer **out, struct err *e) MUST_CHECK;
void signer_free(struct signer **s);
void signer_sign(const struct signer *s, struct slice bytes, char hex[SIGNATURE_HEX + 1]);
const char *signer_public_key(const struct signer *s); /* hex; lives as long as s */

/* Does the signature belong to these bytes and this key (both hex)? */
bool signature_holds(struct slice bytes, const char *key_hex, const char *signature_hex);

#endif
