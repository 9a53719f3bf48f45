/* Hides: how HTTP and TLS begin. */
#include "common/wire/alien.h"

#include "common/wire/wire.h"

/* A handshake record (RFC 8446 5.1) of any version. */
static bool is_tls(const char *p, size_t n)
{
	return n >= 2 && p[0] == 0x16 && p[1] == 0x03;
}

/*
 * A method and what may follow it (RFC 9112 3.2). IMAP allows a tag "GET", but no command
 * begins with any of these characters; CONNECT's host has no such mark, so its tag is given up.
 */
static bool is_http(const char *p, size_t n)
{
	static const char *const methods[] = { "GET ", "POST ",	   "HEAD ",  "PUT ",
					       "PRI ", "OPTIONS ", "PATCH ", "DELETE " };
	struct slice s = { p, n };

	for (size_t i = 0; i < COUNT(methods); i++) {
		size_t len = strlen(methods[i]);

		if (slice_starts_nocase(s, methods[i]) && n > len && strchr("/*", p[len]) &&
		    p[len])
			return true;
		if (slice_starts_nocase(s, methods[i]) &&
		    slice_starts_nocase((struct slice){ p + len, n - len }, "http"))
			return true;
	}
	return slice_starts_nocase(s, "CONNECT ");
}

enum alien alien_of(const char *p, size_t n)
{
	if (is_tls(p, n))
		return ALIEN_TLS;
	return is_http(p, n) ? ALIEN_HTTP : ALIEN_NONE;
}
