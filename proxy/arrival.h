/*
 * Connections whose PROXY header has not come yet.
 *
 * A listener with proxy_protocol = yes takes connections of load balancers only. What they send
 * first says whose connection it is; no session exists, and nobody is counted, before that is
 * known. A listener without it never looks for a header: who may send one is a setting, not a
 * guess.
 */
#ifndef PROXY_ARRIVAL_H
#define PROXY_ARRIVAL_H

#include "common/wire/endpoint.h"
#include "proxy/proxy.h"

struct arrivals;

struct arrivals *arrivals_new(struct proxy *p);
/* Ends those that still wait. */
void arrivals_free(struct arrivals **a);
size_t arrivals_count(const struct arrivals *a);
/*
 * Takes the socket: to session_new() once the header has come, else it is closed: not from
 * listener.trusted, no header, or none within limits.header_s.
 */
void arrival_new(struct arrivals *a, const struct listener_conf *l, int fd,
		 const struct endpoint *peer);

#endif
