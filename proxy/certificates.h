/*
 * How long the certificates that clients see are still good: looked at bit by bit, told to the
 * store for `mailferry status`, and shown in the metrics.
 */
#ifndef PROXY_CERTIFICATES_H
#define PROXY_CERTIFICATES_H

#include "proxy/proxy.h"

#define CERTIFICATES_TOLD    10	   /* the first to expire, besides the default */
#define CERTIFICATES_TELL_MS 10000 /* and only when they are others than before */

void certificates_tick(struct proxy *p);
void certificates_collect(struct proxy *p);
void certificates_release(struct proxy *p);

#endif
