/* Where the MTA's lookup listens: "unix:/path", "127.0.0.1:10023", "[::1]:10023". */
#ifndef CONFIG_LOOKUP_ADDRESS_H
#define CONFIG_LOOKUP_ADDRESS_H

#include <sys/un.h>

#include "common/wire/endpoint.h"

struct lookup_address {
	union {
		struct sockaddr sa;
		union endpoint_sockaddr ip;
		struct sockaddr_un un;
	} any;
	socklen_t len;
};

/* -1: none of the three forms, a path that is too long or relative, or no loopback address. */
int lookup_address_parse(const char *text, struct lookup_address *out) MUST_CHECK;

#endif
