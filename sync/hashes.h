/*
 * Passwords as OpenSRS takes them: hashes of other systems under its own tags, and clear text.
 * All is checked here, before anything is sent.
 */
#ifndef SYNC_HASHES_H
#define SYNC_HASHES_H

#include "common/secret.h"

#define HASH_MAX       150 /* characters behind the tag */
#define CLEAR_TEXT_MAX 54
#define HASHES_WAY_OUT                                                          \
	"give the user a clear-text password instead (column password or "      \
	"password_file), a temporary one if need be, or what the user logs in " \
	"with (hash: learned)"

/*
 * A hash as it was found: crypt(3) in its forms, LDAP's or Dovecot's {SCHEME}. *out becomes
 * what to send, "{BCRYPT}$2b$…". ERR_INPUT names the kind and the way out, never the hash.
 */
int hash_translate(struct slice found, struct secret *out, struct err *e) MUST_CHECK;

/* Will OpenSRS take this as the password of that user (an address)? ERR_INPUT says why not. */
int clear_text_check(struct slice password, const char *user, struct err *e) MUST_CHECK;

#endif
