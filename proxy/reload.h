/* Settings that change while a node runs, and the certificates they name. */
#ifndef PROXY_RELOAD_H
#define PROXY_RELOAD_H

#include "proxy/proxy.h"

/* The TLS that the settings ask for; none is no error. */
int proxy_open_tls(struct proxy *p, struct err *e) MUST_CHECK;
/*
 * Reads the settings again and takes what may change. A file with mistakes changes nothing, a
 * bad certificate keeps the one before; -1 and *e say so, and it is logged.
 */
int proxy_reload(struct proxy *p, struct err *e) MUST_CHECK;

#endif
