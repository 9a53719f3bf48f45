/* The two ends of a socket, as the kernel knows them. */
#ifndef COMMON_SOCKETS_H
#define COMMON_SOCKETS_H

#include "common/wire/proxyproto.h"

/* Not known where the socket is none, or has no address of IP. */
struct endpoint socket_local(int fd);
struct endpoint socket_peer(int fd);
/* Does the socket lead to this very host? */
bool socket_is_own_host(int fd);
/* For a connection that nobody else stands behind, to a server that wants a PROXY header: one
 * that tells the socket's own ends. */
void socket_own_header(int fd, int version, struct buf *out);

#endif
