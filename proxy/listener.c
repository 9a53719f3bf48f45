/* Hides: where the sockets come from, and when we stop taking connections. */
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/resource.h>

#include "common/sockets.h"
#include "proxy/arrival.h"
#include "proxy/session.h"

struct listener {
	struct listeners *all;
	const struct listener_conf *conf;
	struct event *readable;
	int fd;
	bool own, paused; /* own: no other process listens on this very socket */
};

struct listeners {
	struct proxy *proxy;
	struct arrivals *arrivals; /* owned */
	struct listener *at;
	size_t count;
	size_t descriptors; /* that this process may have */
	bool started, full;
};

/* ---- inherited sockets */

struct inherited {
	char *name;
	int fd;
};

static size_t take_inherited(struct inherited *out)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"),
		   *names = getenv("LISTEN_FDNAMES");
	uint64_t want_pid, count = 0;
	size_t n = 0;

	if (pid && fds && names && slice_u64(slice_of(pid), INT32_MAX, &want_pid) == 0 &&
	    (pid_t)want_pid == getpid() &&
	    slice_u64(slice_of(fds), LISTENER_INHERIT_MAX, &count) == 0) {
		for (; n < count && *names; n++) {
			size_t len = strcspn(names, ":");

			out[n] = (struct inherited){ mem_strn(names, len),
						     LISTENER_FIRST_FD + (int)n };
			fcntl(out[n].fd, F_SETFD, FD_CLOEXEC);
			names += len + (names[len] == ':');
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

static int find_inherited(struct inherited *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].fd >= 0 && strcmp(list[i].name, name) == 0) {
			int fd = list[i].fd;

			list[i].fd = -1;
			return fd;
		}
	return -1;
}

static void close_rest(struct inherited *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].fd >= 0) {
			log_warn(
				NULL,
				"socket \"%s\" was handed to us, but no listener has this name",
				list[i].name);
			close(list[i].fd);
		}
		free(list[i].name);
	}
}

/* ---- own sockets */

static int bind_one(const struct listener_conf *c, const struct addrinfo *a, struct err *e)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return err_set(e, ERR_LIMIT, "listener \"%s\": socket: %s", c->name,
			       strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
		   sizeof one); /* several nodes, one port */
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, LISTENER_BACKLOG) == 0)
		return fd;
	err_set(e, ERR_INPUT, "listener \"%s\": %s port %d: %s", c->name, c->address, c->port,
		strerror(errno));
	close(fd);
	return -1;
}

static int open_own(const struct listener_conf *c, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV },
			*found;
	char port[16];
	int rc, fd;

	snprintf(port, sizeof port, "%d", c->port);
	rc = getaddrinfo(c->address, port, &hints, &found);
	if (rc)
		return err_set(e, ERR_INPUT, "listener \"%s\": address %s: %s", c->name,
			       c->address, gai_strerror(rc));
	fd = bind_one(c, found, e);
	freeaddrinfo(found);
	return fd;
}

/* ---- taking connections */

static bool is_crowded(const struct listeners *l)
{
	const struct proxy *p = l->proxy;

	return p->preauth_count + arrivals_count(l->arrivals) >=
	       (size_t)p->settings->limits.preauth_sessions;
}

/* What stands against one more session; LIMITS: nothing. */
static enum limit in_the_way(const struct listeners *l)
{
	const struct proxy *p = l->proxy;
	const struct settings *set = p->settings;
	size_t soon = arrivals_count(l->arrivals);
	/* Who is not logged in will want a second one, for the backend. */
	size_t used = p->own_descriptors + p->loop.live + p->preauth_count + 2 * soon + 2;

	if (used + (size_t)set->limits.spare_descriptors > l->descriptors)
		return LIMIT_SPARE_DESCRIPTORS;
	if (p->session_count + soon >= (size_t)set->limits.sessions)
		return LIMIT_SESSIONS;
	if (is_crowded(l) && !sessions_can_evict(p))
		return LIMIT_PREAUTH_SESSIONS;
	return LIMITS;
}

static void listen_to_all(struct listeners *l, bool on)
{
	for (size_t i = 0; i < l->count; i++) {
		if (on)
			event_add(l->at[i].readable, NULL);
		else
			event_del(l->at[i].readable);
	}
}

static void take(struct listener *l, int fd, const struct sockaddr *peer)
{
	struct origin origin = { .from = endpoint_of(peer) };

	if (l->conf->proxy_protocol)
		arrival_new(l->all->arrivals, l->conf, fd, &origin.from);
	else
		session_new(l->all->proxy, l->conf, fd, &origin);
}

/* A full backlog makes clients wait; taking and closing would make them complain. */
static void pause_all(struct listeners *l, enum limit because)
{
	log_warn(NULL,
		 "no room for more sessions: new connections wait (limits.%s; %zu, %zu not "
		 "logged in)",
		 limit_name(because), l->proxy->session_count, l->proxy->preauth_count);
	meter_limit(l->proxy, because);
	l->full = true;
	listen_to_all(l, false);
}

static bool out_of_descriptors(int why)
{
	return why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM;
}

static void on_connection(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct listener *l = arg;

	for (int i = 0; i < LISTENER_ACCEPTS; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		enum limit full = in_the_way(l->all);
		int client;

		if (full != LIMITS && i == 0) /* later on nobody may be waiting */
			pause_all(l->all, full);
		if (full != LIMITS)
			return;
		client = accept4(fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0 && out_of_descriptors(errno))
			pause_all(l->all, LIMIT_SPARE_DESCRIPTORS);
		if (client < 0)
			return;
		if (is_crowded(l->all))
			sessions_evict(l->all->proxy);
		take(l, client, (struct sockaddr *)&from);
	}
}

void listeners_start(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->at[i].paused && listen(l->at[i].fd, LISTENER_BACKLOG) < 0)
			log_error(NULL, "listener \"%s\": listen: %s", l->at[i].conf->name,
				  strerror(errno));
		l->at[i].paused = false;
	}
	l->started = true;
	listen_to_all(l, true);
}

bool listeners_started(const struct listeners *l)
{
	return l->started;
}

/* Takes what waits, then lets the kernel refuse: other nodes on this port get the rest. */
static void pause_own(struct listener *l, bool take)
{
	if (take)
		on_connection(l->fd, EV_READ, l);
	l->paused = true;
	if (shutdown(l->fd, SHUT_RD) < 0)
		log_warn(NULL, "listener \"%s\": shutdown: %s", l->conf->name, strerror(errno));
}

void listeners_pause(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].own && !l->at[i].paused)
			pause_own(&l->at[i], l->started);
	l->started = false;
	listen_to_all(l, false);
}

static void close_one(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void listeners_stop(struct listeners *l, bool take)
{
	for (size_t i = 0; take && l->started && i < l->count; i++)
		on_connection(l->at[i].fd, EV_READ, &l->at[i]);
	l->started = false;
	listen_to_all(l, false);
	for (size_t i = 0; i < l->count; i++)
		close_one(&l->at[i]);
}

void listeners_tick(struct listeners *l)
{
	if (l->started && l->full && in_the_way(l) == LIMITS) {
		l->full = false;
		listen_to_all(l, true);
	}
}

/* ---- opening */

static size_t raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return 256;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	return (size_t)r.rlim_max;
}

static int open_one(struct listeners *all, struct listener *l, int inherited, struct err *e)
{
	l->own = inherited < 0;
	l->fd = l->own ? open_own(l->conf, e) : inherited;
	if (l->fd < 0)
		return -1;
	evutil_make_socket_nonblocking(l->fd);
	l->all = all;
	l->readable =
		event_new(all->proxy->loop.base, l->fd, EV_READ | EV_PERSIST, on_connection, l);
	if (!l->readable)
		BUG("libevent makes no event");
	all->count++;
	return 0;
}

int listeners_open(struct proxy *p, struct listeners **out, struct err *e)
{
	const struct settings *set = p->settings;
	struct inherited inherited[LISTENER_INHERIT_MAX];
	size_t n = take_inherited(inherited);
	struct listeners *l = mem_new(sizeof *l);
	int rc = 0;

	l->proxy = p;
	l->arrivals = arrivals_new(p);
	l->at = mem_array(set->listener_count, sizeof *l->at);
	l->descriptors = raise_descriptors();
	for (size_t i = 0; i < set->listener_count && rc == 0; i++) {
		l->at[i].conf = &set->listeners[i];
		rc = open_one(l, &l->at[i],
			      find_inherited(inherited, n, set->listeners[i].name), e);
	}
	close_rest(inherited, n);
	*out = l;
	return rc;
}

size_t listeners_arriving(const struct listeners *l)
{
	return arrivals_count(l->arrivals);
}

static bool leads_to(const struct listener *l, const struct endpoint *peer)
{
	struct endpoint at = socket_local(l->fd);

	return at.port == peer->port && (endpoint_is_any(&at) || endpoint_same_ip(&at, peer));
}

const char *listeners_find(const struct listeners *l, int fd)
{
	struct endpoint peer = socket_peer(fd);

	for (size_t i = 0; i < l->count && socket_is_own_host(fd); i++)
		if (leads_to(&l->at[i], &peer))
			return l->at[i].conf->name;
	return NULL;
}

void listeners_free(struct listeners **lp)
{
	struct listeners *l = *lp;

	if (!l)
		return;
	*lp = NULL;
	for (size_t i = 0; i < l->count; i++) {
		event_free(l->at[i].readable);
		close_one(&l->at[i]);
	}
	arrivals_free(&l->arrivals);
	free(l->at);
	free(l);
}
