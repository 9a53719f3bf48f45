/* Hides: the Unix socket, and the question who is at its other end. */
#include "admin/http_parts.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define HTTP_BACKLOG	 64
#define HTTP_PEER_GROUPS 1024 /* supplementary groups of a peer that are looked at */

/* ---- who asks */

static bool in_our_group(int fd)
{
	gid_t groups[HTTP_PEER_GROUPS];
	socklen_t n = sizeof groups;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return false;
	for (size_t i = 0; i < n / sizeof *groups; i++)
		if (groups[i] == getegid())
			return true;
	return false;
}

static bool peer_may(int fd, struct http_request *r)
{
	struct ucred who;
	socklen_t n = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
		return false;
	snprintf(r->who, sizeof r->who, "uid %u", (unsigned)who.uid);
	return who.uid == 0 || who.uid == geteuid() || who.gid == getegid() || in_our_group(fd);
}

int http_unix_admit(struct evhttp_request *ev, struct http_request *r, json_t **body,
		    void *arg UNUSED)
{
	int fd = bufferevent_getfd(
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)));

	if (peer_may(fd, r)) {
		r->role = ROLE_OPERATE;
		return 0;
	}
	*body = http_error("run this as root or as the user or group of mailferry",
			   "you may not use this socket");
	return 403;
}

/* ---- the socket */

static int address_of(const char *path, struct sockaddr_un *a, struct err *e)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof a->sun_path)
		return err_set(e, ERR_INPUT,
			       "%s: longer than the %zu bytes that a socket's name may have; "
			       "choose a shorter run.dir",
			       path, sizeof a->sun_path - 1);
	memcpy(a->sun_path, path, strlen(path));
	return 0;
}

static bool somebody_listens(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes = fd >= 0 &&
		   (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return yes;
}

int http_unix_listen(const char *path, int *out, struct err *e)
{
	struct sockaddr_un a;
	mode_t before;
	int fd, rc;

	if (address_of(path, &a, e) < 0)
		return -1;
	if (somebody_listens(&a))
		return err_set(e, ERR_INPUT,
			       "%s: somebody listens there; is another engine running?", path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_TEMP, "socket: %s", strerror(errno));
	before = umask(0117); /* 0660 from its first moment on */
	rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	umask(before);
	if (rc < 0 || listen(fd, HTTP_BACKLOG) < 0) {
		err_set(e, ERR_TEMP, "%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	*out = fd;
	return 0;
}
