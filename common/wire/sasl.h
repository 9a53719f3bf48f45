/*
 * SASL as mail protocols carry it: base64 (RFC 4648), PLAIN (RFC 4616), and the two mechanisms
 * that carry a bearer token: XOAUTH2 (Google's) and OAUTHBEARER (RFC 7628). LOGIN has no
 * message of its own: a name, then a password.
 */
#ifndef COMMON_WIRE_SASL_H
#define COMMON_WIRE_SASL_H

#include "common/wire/wire.h"

#define SASL_MESSAGE_MAX 6144 /* bytes, decoded: a token with many claims and its frame */

enum sasl_mech { SASL_PLAIN, SASL_LOGIN, SASL_XOAUTH2, SASL_OAUTHBEARER, SASL_MECHS };
/* SASL_MECHS: none of ours. ASCII case does not count. */
enum sasl_mech sasl_mech_find(struct slice name);
const char *sasl_mech_name(enum sasl_mech m);
/* Does its one message carry a token, to be passed on as it is? */
bool sasl_mech_is_token(enum sasl_mech m);

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

/*
 * A token's message, of which only the user's name concerns us: what stands before it, the name
 * as it is written there, and what stands behind it, the token among it.
 */
struct sasl_token {
	struct slice before, user, after;
};
/*
 * message: decoded; slices point into it. -1: not of this form, no name (nothing could be
 * routed), no token, a NUL, CR or LF, or channel binding (which ends at us).
 */
int sasl_token_parse(enum sasl_mech m, struct slice message, struct sasl_token *out) MUST_CHECK;
/* The name without its escapes (RFC 5801 4) in out[0..size); -1: a bad escape, or too long. */
int sasl_token_user(enum sasl_mech m, const struct sasl_token *t, char *out, size_t size,
		    size_t *n) MUST_CHECK;
/* Writes the message (not its base64) for another name; for the same name the same bytes. */
void sasl_token_write(enum sasl_mech m, const struct sasl_token *t, struct slice user,
		      struct buf *out);

#endif
