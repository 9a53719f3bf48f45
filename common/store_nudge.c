/* Hides: the datagram sockets by which writers wake followers. */
#include "common/store_driver.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

static int make_address(struct sockaddr_un *a, const char *dir, const char *name)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(a->sun_path, sizeof a->sun_path, "%s/%s", dir, name) <
			       (int)sizeof a->sun_path
		       ? 0
		       : -1;
}

/* A follower that is gone, or whose queue is full and so is awake already, is no trouble. */
static void nudge_one(int fd, const char *dir, const char *name)
{
	struct sockaddr_un a;

	if (make_address(&a, dir, name) == 0)
		(void)!sendto(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a,
			      sizeof a);
}

void store_nudge_name(const char *dir, const char *name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	nudge_one(fd, dir, name);
	close(fd);
}

void store_nudge(struct store *st)
{
	const struct dirent *entry;
	DIR *dir;

	db_nudge(st->db);
	if (!st->nudge_dir)
		return;
	if (st->nudge_fd < 0)
		st->nudge_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (st->nudge_fd < 0)
		return;
	dir = opendir(st->nudge_dir);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_SOCK || entry->d_type == DT_UNKNOWN)
			nudge_one(st->nudge_fd, st->nudge_dir, entry->d_name);
	closedir(dir);
}

static int bind_socket(const char *nudge_dir, const char *name, int *out, struct err *e)
{
	struct sockaddr_un a;
	int fd;

	if (!*name || *name == '.' || strchr(name, '/'))
		return err_set(e, ERR_STORE, "nudge socket: \"%s\" is no usable name", name);
	if (make_address(&a, nudge_dir, name) < 0)
		return err_set(e, ERR_STORE,
			       "nudge socket %s/%s: longer than the %zu bytes of a path",
			       nudge_dir, name, sizeof a.sun_path - 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_STORE, "nudge socket: %s", strerror(errno));
	/* What is left of the follower before us. */
	unlink(a.sun_path);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		err_set(e, ERR_STORE, "nudge socket %s: %s", a.sun_path, strerror(errno));
		close(fd);
		return -1;
	}
	*out = fd;
	return 0;
}

int store_nudge_listen(const struct store_opts *o, const char *name, int *fd, struct err *e)
{
	if (bind_socket(o->nudge_dir, name, fd, e) < 0)
		return -1;
	if (!o->url || store_pg_listen(o->url, o->nudge_dir, name, e) == 0)
		return 0;
	close(*fd);
	return -1;
}

void store_nudge_drain(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT) >= 0)
		;
}
