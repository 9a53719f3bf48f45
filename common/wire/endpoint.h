/*
 * One end of a TCP connection as bytes: an IP address with its port. And networks, to say whom
 * we trust.
 *
 * IPv4 is kept in its IPv6 form (::ffff:192.0.2.1, RFC 4291 2.5.5.2), so that a client has one
 * address, whichever socket it came through.
 */
#ifndef COMMON_WIRE_ENDPOINT_H
#define COMMON_WIRE_ENDPOINT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/wire/wire.h"

#define ENDPOINT_IP_MAX	  46 /* bytes of an address as text, its NUL included */
#define ENDPOINT_TEXT_MAX 64 /* with brackets and port */

struct endpoint {
	uint8_t ip[16]; /* all zero: not known */
	uint16_t port;
};

/* Of an AF_INET or AF_INET6 address; any other is not known. */
struct endpoint endpoint_of(const struct sockaddr *sa);
union endpoint_sockaddr {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};
/* For bind() and connect(); IPv4 as AF_INET. Returns its length. */
socklen_t endpoint_sockaddr(const struct endpoint *at, union endpoint_sockaddr *out);
bool endpoint_known(const struct endpoint *at);
bool endpoint_is_v4(const struct endpoint *at);
bool endpoint_is_any(const struct endpoint *at); /* 0.0.0.0 or ::, to listen on */
bool endpoint_is_loopback(const struct endpoint *at);
bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b);
/* Takes an address as people write it; the port stays. -1: it is none, *at is untouched. */
int endpoint_set_ip(struct endpoint *at, struct slice text) MUST_CHECK;
/* "192.0.2.1:993", "[2001:db8::1]:993". -1: it is neither. */
int endpoint_parse(struct endpoint *at, struct slice text) MUST_CHECK;
/* "192.0.2.1", "2001:db8::1" */
void endpoint_ip_text(const struct endpoint *at, char out[ENDPOINT_IP_MAX]);
/* "192.0.2.1:993", "[2001:db8::1]:993" */
void endpoint_text(const struct endpoint *at, char out[ENDPOINT_TEXT_MAX]);

/*
 * Networks as a setting has them: "10.0.0.0/8, ::1", an address alone meaning just itself.
 * networks_check: -1 and *bad is the first word that is no network; an empty list is none.
 * A network whose address has bits behind its length ("10.0.0.1/8") is a mistake too.
 */
int networks_check(const char *list, struct slice *bad) MUST_CHECK;
/* Is the address in one of them? list NULL: no. */
bool networks_have(const char *list, const struct endpoint *at);

#endif
