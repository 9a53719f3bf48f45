/* Hides: addresses, inheritance, and what a child finds at which number. */
#include "admin/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/log.h"

/* ---- inherited ones */

struct inherited {
	char *names; /* by ':', or NULL */
	int count;
	bool used[LISTEN_MAX];
};

static bool env_number(const char *name, uint64_t max, uint64_t *out)
{
	const char *text = getenv(name);

	return text && slice_u64(slice_of(text), max, out) == 0;
}

static struct inherited inherited_find(void)
{
	struct inherited in = { 0 };
	uint64_t pid, count;

	if (env_number("LISTEN_PID", INT32_MAX, &pid) && (pid_t)pid == getpid() &&
	    env_number("LISTEN_FDS", LISTEN_MAX, &count)) {
		in.count = (int)count;
		in.names = mem_str(getenv("LISTEN_FDNAMES"));
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (int i = 0; i < in.count; i++)
		fcntl(LISTEN_FIRST_FD + i, F_SETFD, FD_CLOEXEC);
	return in;
}

/* The descriptor under this name; -1: none. */
static int inherited_take(struct inherited *in, const char *name)
{
	const char *p = in->names;

	for (int i = 0; p && i < in->count; i++) {
		size_t n = strcspn(p, ":");

		if (!in->used[i] && strlen(name) == n && memcmp(p, name, n) == 0) {
			in->used[i] = true;
			return LISTEN_FIRST_FD + i;
		}
		p = p[n] ? p + n + 1 : NULL;
	}
	return -1;
}

static void inherited_release(struct inherited *in)
{
	for (int i = 0; i < in->count; i++) {
		if (in->used[i])
			continue;
		log_warn(NULL, "inherited socket %d is named after no listener; closed",
			 LISTEN_FIRST_FD + i);
		close(LISTEN_FIRST_FD + i);
	}
	mem_free(&in->names);
}

/* ---- own ones */

/* What a person can do about it, where that is sure. */
static const char *remedy(int error, const char *forbidden)
{
	switch (error) {
	case EADDRINUSE:
		return "another program has it (`ss -ltnp` shows which)";
	case EACCES:
		return forbidden;
	case EADDRNOTAVAIL:
		return "this host does not have the address";
	default:
		return "";
	}
}

static int not_bound(int error, const char *forbidden, struct err *e)
{
	const char *what = remedy(error, forbidden);

	return err_set(e, ERR_INPUT, "%s%s%s", strerror(error), *what ? ": " : "", what);
}

int listen_bind(const struct sockaddr *at, socklen_t n, bool shared, const char *forbidden,
		struct err *e)
{
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return err_set(e, ERR_TEMP, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	/* "::" takes IPv4 as well, whatever the system's default is. */
	if (at->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, at, n) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	(void)not_bound(errno, forbidden, e);
	close(fd);
	return -1;
}

static int open_own(const struct listener_conf *c, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
	struct addrinfo *found = NULL;
	char port[16];
	int fd, rc;

	snprintf(port, sizeof port, "%d", c->port);
	rc = getaddrinfo(c->address, port, &hints, &found);
	if (rc)
		return err_set(e, ERR_INPUT, "address %s: %s", c->address, gai_strerror(rc));
	fd = listen_bind(found->ai_addr, found->ai_addrlen, true,
			 "ports below 1024 take root, or the systemd unit", e);
	freeaddrinfo(found);
	return fd < 0 ? err_wrap(e, "%s port %d", c->address, c->port) : fd;
}

static int ask_address(struct listen_socket *s, struct err *e)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t n = sizeof a;

	if (getsockname(s->fd, (struct sockaddr *)&a, &n) < 0)
		return err_set(e, ERR_INPUT, "is no listening socket: %s", strerror(errno));
	if (a.any.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &a.v6.sin6_addr, s->address, sizeof s->address);
		s->port = ntohs(a.v6.sin6_port);
		return 0;
	}
	if (a.any.ss_family != AF_INET)
		return err_set(e, ERR_INPUT, "is no Internet socket");
	inet_ntop(AF_INET, &a.v4.sin_addr, s->address, sizeof s->address);
	s->port = ntohs(a.v4.sin_port);
	return 0;
}

/* The socket that has been this listener's so far; -1: none, or the listener has moved. */
static int kept_take(struct listen_sockets *kept, const struct listener_conf *c,
		     bool *inherited)
{
	for (size_t i = 0; kept && i < kept->count; i++) {
		struct listen_socket *k = &kept->at[i];
		int fd = k->fd;

		if (fd < 0 || strcmp(k->name, c->name) != 0 || ask_address(k, NULL) < 0)
			continue;
		if (!k->inherited && c->port != 0 &&
		    (k->port != c->port || strcmp(k->address, c->address) != 0))
			continue;
		k->fd = -1;
		*inherited = k->inherited;
		return fd;
	}
	return -1;
}

static void kept_release(struct listen_sockets *kept)
{
	for (size_t i = 0; kept && i < kept->count; i++)
		if (kept->at[i].fd >= 0) {
			log_info(NULL, "listener \"%s\": its old socket is closed",
				 kept->at[i].name);
			close(kept->at[i].fd);
			kept->at[i].fd = -1;
		}
}

static int open_one(struct listen_socket *s, const struct listener_conf *c,
		    struct inherited *in, struct listen_sockets *kept, struct err *e)
{
	s->name = mem_str(c->name);
	s->fd = kept_take(kept, c, &s->inherited);
	if (s->fd < 0) {
		s->fd = inherited_take(in, c->name);
		s->inherited = s->fd >= 0;
	}
	if (s->fd < 0)
		s->fd = open_own(c, e);
	else
		fcntl(s->fd, F_SETFD, FD_CLOEXEC);
	if (s->fd < 0 || ask_address(s, e) < 0)
		return err_wrap(e, "listener \"%s\"", c->name);
	return 0;
}

int listen_open(struct listen_sockets *out, const struct settings *s,
		struct listen_sockets *kept, struct err *e)
{
	struct inherited in = inherited_find();
	int rc = 0;

	out->at = mem_array(s->listener_count + 1, sizeof *out->at);
	out->count = 0;
	while (rc == 0 && out->count < s->listener_count) {
		rc = open_one(&out->at[out->count], &s->listeners[out->count], &in, kept, e);
		out->count++;
	}
	inherited_release(&in);
	if (rc < 0)
		listen_close(out);
	else
		kept_release(kept);
	return rc;
}

void listen_close(struct listen_sockets *l)
{
	for (size_t i = 0; i < l->count; i++) {
		mem_free(&l->at[i].name);
		if (l->at[i].fd >= 0)
			close(l->at[i].fd);
	}
	mem_free(&l->at);
	l->count = 0;
}

/* ---- telling */

char *listen_describe(const struct listen_sockets *l)
{
	struct buf b = { 0 };
	char *text;

	for (size_t i = 0; i < l->count; i++) {
		bool v6 = strchr(l->at[i].address, ':') != NULL;

		buf_printf(&b, "%s%s %s%s%s:%d", i ? ", " : "", l->at[i].name, v6 ? "[" : "",
			   l->at[i].address, v6 ? "]" : "", l->at[i].port);
	}
	text = mem_strn(buf_len(&b) ? buf_slice(&b).p : "", buf_len(&b));
	buf_release(&b);
	return text;
}

static int write_lines(const struct listen_sockets *l, const char *path)
{
	FILE *f;

	/* The folder belongs to run.user: root must follow no link that it finds there. */
	unlink(path);
	f = fopen(path, "wxe");
	if (!f)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		fprintf(f, "%s %s %d\n", l->at[i].name, l->at[i].address, l->at[i].port);
	return fclose(f);
}

int listen_write_file(const struct listen_sockets *l, const char *dir, struct err *e)
{
	char *path = mem_printf("%s/listeners", dir), *fresh = mem_printf("%s.new", path);
	int rc = write_lines(l, fresh);

	if (rc == 0)
		rc = rename(fresh, path);
	if (rc != 0)
		rc = err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	mem_free(&fresh);
	mem_free(&path);
	return rc;
}

void listen_remove_file(const char *dir)
{
	char *path = mem_printf("%s/listeners", dir);

	unlink(path);
	mem_free(&path);
}

/* Their places may be taken by other descriptors, even by one another: first all move out of
 * the way. */
static void place(const struct listen_sockets *l)
{
	int count = (int)l->count;
	int *high = mem_array(l->count + 1, sizeof *high);

	for (int i = 0; i < count; i++)
		high[i] = fcntl(l->at[i].fd, F_DUPFD_CLOEXEC, LISTEN_FIRST_FD + count);
	for (int i = 0; i < count; i++)
		if (high[i] < 0 || dup2(high[i], LISTEN_FIRST_FD + i) < 0)
			_exit(127);
	mem_free(&high);
}

void listen_hand_on(const struct listen_sockets *l)
{
	struct buf names = { 0 };
	char number[24];

	place(l);
	for (size_t i = 0; i < l->count; i++)
		buf_printf(&names, "%s%s", i ? ":" : "", l->at[i].name);
	buf_add(&names, "", 1);
	setenv("LISTEN_FDNAMES", buf_slice(&names).p, 1);
	snprintf(number, sizeof number, "%zu", l->count);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	buf_release(&names);
}
