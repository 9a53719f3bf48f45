/* Hides: credentials, addresses and lines of a datagram. */
#include "admin/inbox.h"

#include <errno.h>
#include <sys/stat.h>

struct inbox {
	char *path;
	int fd;
	struct event *readable;
	inbox_fn *fn;
	void *arg;
};

static int bind_it(const char *path, const struct child_user *u, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, rc;
	mode_t before;

	if (fd < 0)
		return err_set(e, ERR_TEMP, "socket: %s", strerror(errno));
	memcpy(a.sun_path, path, strlen(path));
	unlink(path);
	before = umask(0177); /* 0600 from its first moment on */
	rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	umask(before);
	/* The folder belongs to run.user: root must follow no link that it finds there. */
	if (rc == 0 && u->name)
		rc = lchown(path, u->uid, u->gid);
	if (rc == 0)
		rc = setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	if (rc == 0)
		return fd;
	err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	close(fd);
	return -1;
}

int inbox_open(struct inbox **out, const char *dir, const struct child_user *u, int fd,
	       struct err *e)
{
	struct inbox *b = mem_new(sizeof *b);

	b->path = mem_printf("%s/" INBOX_SOCKET, dir);
	b->fd = fd;
	*out = b;
	if (strlen(b->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return err_set(
			e, ERR_INPUT,
			"%s: too long for the name of a socket; choose a shorter run.dir",
			b->path);
	if (fd < 0)
		b->fd = bind_it(b->path, u, e);
	return b->fd < 0 ? -1 : 0;
}

void inbox_close(struct inbox **bp)
{
	struct inbox *b = *bp;

	if (!b)
		return;
	if (b->readable)
		event_free(b->readable);
	if (b->fd >= 0) {
		unlink(b->path);
		close(b->fd);
	}
	mem_free(&b->path);
	mem_free(bp);
}

const char *inbox_path(const struct inbox *b)
{
	return b->path;
}

int inbox_fd(const struct inbox *b)
{
	return b->fd;
}

/* false: nothing (more) to read, or nobody the kernel vouches for. */
static bool take_letter(struct inbox *b, struct inbox_letter *l)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { l->text, sizeof l->text - 1 };
	struct msghdr m = { .msg_name = &l->from.address,
			    .msg_namelen = sizeof l->from.address,
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof control.room };
	ssize_t n = recvmsg(b->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct ucred who = { 0 };

	if (n < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof who);
	l->text[n] = '\0';
	l->pid = who.pid;
	l->uid = who.uid;
	l->from.size = m.msg_namelen > sizeof(sa_family_t) ? m.msg_namelen : 0;
	return true;
}

static void on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct inbox *b = arg;
	struct inbox_letter l;

	while (take_letter(b, &l))
		if (l.pid > 0)
			b->fn(&l, b->arg);
}

void inbox_listen(struct inbox *b, struct event_base *base, inbox_fn *fn, void *arg)
{
	b->fn = fn;
	b->arg = arg;
	b->readable = event_new(base, b->fd, EV_READ | EV_PERSIST, on_readable, b);
	ASSERT(b->readable && event_add(b->readable, NULL) == 0);
}

void inbox_answer(const struct inbox *b, const struct inbox_peer *to, const char *key,
		  const char *text)
{
	char *line;

	if (!to->size)
		return;
	line = mem_printf("%s%s", key, text);
	(void)!sendto(b->fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&to->address, to->size);
	mem_free(&line);
}

bool inbox_value(const struct inbox_letter *l, const char *key, char *out, size_t size)
{
	size_t n = strlen(key);

	for (const char *line = l->text; *line;) {
		size_t len = strcspn(line, "\n");

		if (len >= n && memcmp(line, key, n) == 0) {
			snprintf(out, size, "%.*s", (int)(len - n), line + n);
			return true;
		}
		line += len + (line[len] == '\n');
	}
	return false;
}
