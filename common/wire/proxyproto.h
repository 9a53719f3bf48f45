/*
 * The PROXY protocol, versions 1 and 2: what a load balancer sends in front of everything else
 * on a connection to say whose it is (haproxy's doc/proxy-protocol.txt; there is no RFC).
 *
 * Only a receiver that was told to expect a header may look for one, and only from addresses it
 * trusts: anybody else could claim any address.
 */
#ifndef COMMON_WIRE_PROXYPROTO_H
#define COMMON_WIRE_PROXYPROTO_H

#include "common/wire/endpoint.h"

#define PROXYPROTO_V1_MAX 107  /* bytes of the line with its CRLF (2.1) */
#define PROXYPROTO_V2_MAX 4096 /* bytes of a binary header, its TLVs included */

struct proxyproto {
	int version; /* 1 or 2 */
	/* LOCAL (the sender's own connection, a health check) or UNKNOWN, UNSPEC: no addresses
	 * are told, those of the connection itself count */
	bool local;
	struct endpoint from, to;
};

/*
 * Reads a header off the front of p[0..n); *len says how long it is. As long as it says
 * WIRE_MORE, all n bytes belong to the header. WIRE_BAD: no header, a length above its maximum,
 * addresses that are none, or a family that is not TCP over IP (AF_UNIX, datagrams). TLVs are
 * passed over.
 */
enum wire proxyproto_read(const char *p, size_t n, struct proxyproto *out, size_t *len);

/*
 * Writes a header of h->version. Addresses of two families go out as IPv6, the IPv4 one mapped;
 * an address that is not known makes it local.
 */
void proxyproto_write(const struct proxyproto *h, struct buf *out);

#endif
