/*
 * The sockets that clients connect to: own ones, or inherited by systemd's convention under the
 * listener's name, so that the death of a node loses no connection that waits in the backlog.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "proxy/proxy.h"

#define LISTENER_BACKLOG     1024
#define LISTENER_FIRST_FD    3 /* SD_LISTEN_FDS_START */
#define LISTENER_INHERIT_MAX 64
#define LISTENER_ACCEPTS     64 /* connections taken in one turn of the loop */

struct listeners;

/* To be called before anything else opens descriptors or reads the environment. */
int listeners_open(struct proxy *p, struct listeners **out, struct err *e) MUST_CHECK;
/*
 * From now on connections are taken, as long as the node has room: limits.sessions and
 * limits.spare_descriptors make new ones wait, limits.preauth_sessions ends the oldest that has
 * not logged in.
 */
void listeners_start(struct listeners *l);
/* Closes the sockets; other processes that have them go on listening. take: connections that
 * wait already are taken first. */
void listeners_stop(struct listeners *l, bool take);
/*
 * Until listeners_start(): takes no connections. What waits at a socket that we share stays for
 * the other nodes.
 */
void listeners_pause(struct listeners *l);
bool listeners_started(const struct listeners *l);
/* Looks whether there is room again: once a tick. */
void listeners_tick(struct listeners *l);
/* Connections taken that are no sessions yet: their PROXY headers have not come. */
size_t listeners_arriving(const struct listeners *l);
/* Which of them this connection of ours leads back to, as far as this host can tell; NULL:
 * none. */
const char *listeners_find(const struct listeners *l, int fd);
void listeners_free(struct listeners **l);

#endif
