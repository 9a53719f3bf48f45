/* Where the MTA's lookup listens: "unix:/path", "127.0.0.1:10023", "[::1]:10023". */
#ifndef CONFIG_LOOKUP_ADDRESS_H
#define CONFIG_LOOKUP_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/mem.h"

struct lookup_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} any;
	socklen_t len;
};

/* -1: none of the three forms, a path that is too long or relative, or no loopback address. */
int lookup_address_parse(const char *text, struct lookup_address *out) MUST_CHECK;

#endif
