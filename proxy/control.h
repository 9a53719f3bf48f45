/*
 * The node's local socket: DIR/NODE.control, for those who may read the node's files (mode
 * 0600). HTTP/1.0, one request a connection, GET only:
 *   /metrics  proxy/meters.h as Prometheus text
 *   /healthz  200: the event loop turns
 *   /readyz   200: send clients here; 503 and why not
 * A server of our own on a stream instead of evhttp: this is the process that must not fall,
 * and here every size, time and number of connections has a limit.
 */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

#include "proxy/proxy.h"

#define CONTROL_CONNECTIONS 8	 /* at once; more are closed */
#define CONTROL_REQUEST_MAX 4096 /* bytes, with headers */
#define CONTROL_SECONDS	    5	 /* for a request and its answer */

struct control;

/* Replaces the socket of a process before us: the caller holds the node's lock. */
int control_start(struct proxy *p, struct control **out, struct err *e) MUST_CHECK;
void control_stop(struct control **c);

#endif
