/*
 * What a request's header says about who asks, and through which page: the token, the host that
 * was meant, the page's origin.
 */
#ifndef COMMON_WIRE_HTTP_HEAD_H
#define COMMON_WIRE_HTTP_HEAD_H

#include "common/wire/wire.h"

#define HTTP_TOKEN_PREFIX "mf_"
#define HTTP_TOKEN_DIGITS 64 /* hex, of 256 random bits */
#define HTTP_TOKEN_LEN	  (sizeof HTTP_TOKEN_PREFIX - 1 + HTTP_TOKEN_DIGITS)

/* The token in an Authorization header, "Bearer mf_0123…" (RFC 6750 2.1); empty: another
 * scheme, or no token of ours. */
struct slice http_bearer(struct slice value);

/*
 * Is the Host one by which this server may be called: an address, localhost, or one of the
 * names (a list, NULL: none)? A page of somebody else can make his own name lead to us (DNS
 * rebinding), but not an address.
 */
bool http_host_is_ours(struct slice host, const char *names);

/* Does the Origin (RFC 6454 7) name a page that came from us? Where we speak without TLS a
 * proxy in front of us may speak with it. */
bool http_origin_is_ours(struct slice origin, struct slice host, bool tls);

/* Words between commas and blanks that can be a host's name; else *bad is the first that
 * cannot, or empty where there is none. */
int http_names_check(const char *names, struct slice *bad) MUST_CHECK;

#endif
