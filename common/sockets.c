/* Hides: how the kernel is asked. */
#include "common/sockets.h"

typedef int name_fn(int fd, struct sockaddr *out, socklen_t *len);

static struct endpoint ask(name_fn *name, int fd)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof at;

	if (name(fd, (struct sockaddr *)&at, &len) < 0)
		at.ss_family = AF_UNSPEC;
	return endpoint_of((struct sockaddr *)&at);
}

struct endpoint socket_local(int fd)
{
	return ask(getsockname, fd);
}

struct endpoint socket_peer(int fd)
{
	return ask(getpeername, fd);
}

/* For an address of its own the kernel takes the same one as the source. */
bool socket_is_own_host(int fd)
{
	struct endpoint local = socket_local(fd), peer = socket_peer(fd);

	return endpoint_is_loopback(&peer) ||
	       (endpoint_known(&peer) && endpoint_same_ip(&local, &peer));
}

void socket_own_header(int fd, int version, struct buf *out)
{
	struct proxyproto h = { .version = version,
				.from = socket_local(fd),
				.to = socket_peer(fd) };

	proxyproto_write(&h, out);
}
