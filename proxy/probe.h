/*
 * Looks at the backends now and then, without logging in: what can they do. Caps keeps it, so
 * that clients are offered what both servers have before anybody has logged in.
 */
#ifndef PROXY_PROBE_H
#define PROXY_PROBE_H

#include "proxy/proxy.h"

#define PROBE_RETRY_MS 15000 /* behind one that failed */

struct probes;

/* The first look is at once. The backends' names must have been looked up. */
struct probes *probes_start(struct proxy *p);
/* The next look is now, for each that does not look already. */
void probes_hurry(struct probes *all);
void probes_stop(struct probes **all);

#endif
