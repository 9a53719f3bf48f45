/*
 * A login name has one form for routing, freezing, dropping and logging: an alias that stayed
 * unnormalised would be a session that a cutover does not find.
 */
#ifndef COMMON_LOGIN_NAME_H
#define COMMON_LOGIN_NAME_H

#include "common/buf.h"

/* glibc has one of its own, included first so that it cannot win later. */
#include <limits.h>
#undef LOGIN_NAME_MAX
#define LOGIN_NAME_MAX 320 /* bytes: 64 @ 255 (RFC 5321 4.5.3.1) */

struct login_name_rules {
	const char *default_domain; /* appended to a name without '@'; NULL or "": none */
	bool fold_local;	    /* case of the local part does not count either (ASCII) */
};

/*
 * Writes the normalised name with a NUL to out[0..size). The domain's case never counts.
 * Returns -1 for an empty or too long name, or one with control characters (CR, LF, NUL among
 * them), blanks at an end, nothing in front of or behind its last '@', or bytes that are not
 * UTF-8.
 */
int login_name_normalise(struct slice raw, const struct login_name_rules *rules, char *out,
			 size_t size) MUST_CHECK;

#endif
