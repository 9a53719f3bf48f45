/*
 * SASL as mail protocols carry it: base64 (RFC 4648) and PLAIN (RFC 4616).
 */
#ifndef COMMON_WIRE_SASL_H
#define COMMON_WIRE_SASL_H

#include "common/wire/wire.h"

/*
 * Strict: padding required, no blanks, no bits left over. *n bytes in out[0..size); -1 if not
 * so or too long, then *n is 0 (out may hold some bytes: wipe it all the same).
 */
int sasl_base64_decode(struct slice text, char *out, size_t size, size_t *n) MUST_CHECK;
void sasl_base64_encode(struct slice bytes, struct buf *out);

struct sasl_plain {
	struct slice authzid, authcid, password;
};
/*
 * message: decoded; slices point into it. -1: not three parts, or empty authcid or password.
 */
int sasl_plain_parse(struct slice message, struct sasl_plain *out) MUST_CHECK;
/* authzid may be empty. Writes the base64 of the message. */
void sasl_plain_write(const struct sasl_plain *p, struct buf *out);

#endif
