/*
 * How a node ends. It serves; it leaves: takes no more connections, keeps its sessions, still
 * obeys freezes and flips, and ends with its last session; it stops: its sessions are ended at
 * their boundaries, and what is open then is cut when the time is over. The process ends when
 * nothing is left.
 */
#ifndef PROXY_LIFE_H
#define PROXY_LIFE_H

#include "proxy/proxy.h"

/* Does nothing if the node leaves or stops already. */
void life_leave(struct proxy *p);
/* within_s: from now; a second call can only shorten the time. */
void life_stop(struct proxy *p, int within_s);
/* A request of the store to this node: "leave", or "drain" with seconds in args. */
void life_obey(struct proxy *p, const char *verb, const char *args);
/* Once a tick: ends what is due, and the loop when nothing is left. */
void life_tick(struct proxy *p);

#endif
