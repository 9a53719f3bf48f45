/*
 * How a node serves and ends. It serves; it is drained: takes no clients and ends those it has,
 * until it is told to serve again; it leaves: takes no more connections, keeps its sessions,
 * still obeys freezes and flips, and ends with its last session; it stops: its sessions are
 * ended at their boundaries, and what is open then is cut when the time is over. The process
 * ends when nothing is left.
 */
#ifndef PROXY_LIFE_H
#define PROXY_LIFE_H

#include "proxy/proxy.h"

/* Does nothing if the node leaves or stops already. */
void life_leave(struct proxy *p);
/* within_s: from now; a second call can only shorten the time. */
void life_stop(struct proxy *p, int within_s);
/* For maintenance; the request's answer tells what became of the sessions. See ending_drain().
 */
void life_drain(struct proxy *p, int64_t request, int64_t cut_at);
void life_serve(struct proxy *p, int64_t request);
/* Once a tick: ends what is due, and the loop when nothing is left. */
void life_tick(struct proxy *p);

#endif
