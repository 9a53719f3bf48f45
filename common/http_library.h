/* libcurl, as we use it: mailferry trusts one TLS library. */
#ifndef COMMON_HTTP_LIBRARY_H
#define COMMON_HTTP_LIBRARY_H

#include "common/err.h"

/* Is the libcurl at hand the OpenSSL flavour? ERR_INPUT names the package that brings it. */
int http_library_check(struct err *e) MUST_CHECK;

#endif
