/* Hides: the socket and who may serve it, its connections, and how an address finds a route. */
#include "proxy/lookup.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/clock.h"
#include "common/wire/netstring.h"
#include "config/lookup_address.h"
#include "proxy/route.h"

#define LOOKUP_BACKLOG	64
#define LOOKUP_RETRY_MS 10000	    /* a socket that cannot be had is tried again after this */
#define LOOKUP_IN_MAX	(16 * 1024) /* requests that may wait on one connection … */
#define LOOKUP_OUT_MAX	(16 * 1024) /* … while so much of our answers was not taken */

struct asker {
	TAILQ_ENTRY(asker) link;
	struct lookup *lookup;
	struct bufferevent *bev;
};
TAILQ_HEAD(asker_list, asker);

struct lookup {
	struct proxy *proxy;
	struct lookup_address address;
	int lock_fd, fd; /* -1: not ours */
	struct event *readable;
	struct asker_list askers;
	size_t count;
	int64_t retry_ms;
	struct log_about about;
};

/* ---- answers */

static void say(struct buf *out, const char *status, const char *text)
{
	buf_printf(out, "%s %s", status, text);
}

/* "anna+lists@example.com" is anna's, unless somebody is called just so. */
static struct route *find_without_extension(struct proxy *p, const char *name)
{
	const char *mark = p->settings->lookup.extension;
	const char *at = strrchr(name, '@');
	const char *cut = mark ? strchr(name, *mark) : NULL;
	struct route *r;
	char *plain;

	if (!at || !cut || cut == name || cut > at)
		return NULL;
	plain = mem_printf("%.*s%s", (int)(cut - name), name, at);
	r = routes_find(p->routes, plain);
	free(plain);
	return r;
}

static struct route *find_route(struct proxy *p, const char *name)
{
	struct route *r = routes_find(p->routes, name);

	if (!r || r->stranger)
		r = find_without_extension(p, name);
	return r && !r->stranger ? r : NULL;
}

static void answer_side(struct proxy *p, const struct route *r, struct buf *out)
{
	switch (user_route(r->state)) {
	case ROUTE_OLD:
		say(out, "OK", p->settings->lookup.old_transport);
		break;
	case ROUTE_NEW:
		say(out, "OK", p->settings->lookup.new_transport);
		break;
	case ROUTE_HOLD:
	case ROUTES:
		say(out, "TEMP", "the mailbox is being moved");
		break;
	}
}

static void answer_address(struct proxy *p, struct slice key, struct buf *out)
{
	struct login_name_rules rules = settings_login_rules(p->settings);
	char name[LOGIN_NAME_MAX + 1];
	const struct route *r;

	/* Postfix asks for domains and "*" too: those are nobody's. */
	if (!memchr(key.p, '@', key.n) ||
	    login_name_normalise(key, &rules, name, sizeof name) < 0) {
		say(out, "NOTFOUND", "");
		return;
	}
	r = find_route(p, name);
	if (r)
		answer_side(p, r, out);
	else if (p->settings->lookup.unknown_to_old)
		say(out, "OK", p->settings->lookup.old_transport);
	else
		say(out, "NOTFOUND", "");
}

void lookup_answer(struct proxy *p, struct slice request, struct buf *out)
{
	static const struct slice map = SLICE("route ");

	if (request.n < map.n || memcmp(request.p, map.p, map.n) != 0)
		say(out, "PERM", "the only map here is \"route\"");
	else if (!proxy_has_lease(p) || p->distrusts)
		say(out, "TEMP", "the store is lost");
	else
		answer_address(p, (struct slice){ request.p + map.n, request.n - map.n }, out);
}

/* ---- connections */

static bool has_room(const struct lookup *l)
{
	return l->count < (size_t)l->proxy->settings->lookup.connections;
}

static void asker_free(struct asker *a)
{
	struct lookup *l = a->lookup;

	TAILQ_REMOVE(&l->askers, a, link);
	l->count--;
	bufferevent_free(a->bev);
	free(a);
	if (l->fd >= 0 && has_room(l))
		event_add(l->readable, NULL);
}

/* The next request that is whole; -1: what came is none, end it. 0: none yet. */
static int answer_next(struct asker *a)
{
	struct evbuffer *in = bufferevent_get_input(a->bev);
	size_t n = evbuffer_get_length(in), len;
	const char *p = n ? (const char *)evbuffer_pullup(in, -1) : "";
	struct buf text = { 0 }, whole = { 0 };
	struct slice request;

	switch (netstring(p, n, LOOKUP_REQUEST_MAX, &request, &len)) {
	case WIRE_MORE:
		return 0;
	case WIRE_BAD:
		return -1;
	case WIRE_DONE:
		break;
	}
	lookup_answer(a->lookup->proxy, request, &text);
	netstring_write(&whole, buf_slice(&text));
	bufferevent_write(a->bev, buf_slice(&whole).p, buf_len(&whole));
	evbuffer_drain(in, len);
	buf_release(&text);
	buf_release(&whole);
	return 1;
}

static void on_asked(struct bufferevent *bev, void *arg)
{
	struct asker *a = arg;
	struct evbuffer *out = bufferevent_get_output(bev);
	int got = 1;

	while (got > 0 && evbuffer_get_length(out) < LOOKUP_OUT_MAX)
		got = answer_next(a);
	if (got > 0) { /* it asks, but does not listen */
		bufferevent_disable(bev, EV_READ);
	} else if (got < 0) {
		log_warn(&a->lookup->about,
			 "closed a connection: no netstring, or one that is too long");
		asker_free(a);
	}
}

static void on_listened(struct bufferevent *bev, void *arg)
{
	if (bufferevent_get_enabled(bev) & EV_READ)
		return;
	bufferevent_enable(bev, EV_READ);
	on_asked(bev, arg);
}

static void on_end(struct bufferevent *bev UNUSED, short what UNUSED, void *arg)
{
	asker_free(arg);
}

static void asker_new(struct lookup *l, int fd)
{
	struct timeval idle = { l->proxy->settings->lookup.idle_s, 0 };
	struct asker *a = mem_new(sizeof *a);

	a->lookup = l;
	a->bev = bufferevent_socket_new(l->proxy->loop.base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!a->bev)
		BUG("libevent makes no connection");
	TAILQ_INSERT_TAIL(&l->askers, a, link);
	l->count++;
	bufferevent_setwatermark(a->bev, EV_READ, 0, LOOKUP_IN_MAX);
	bufferevent_set_timeouts(a->bev, &idle, &idle);
	bufferevent_setcb(a->bev, on_asked, on_listened, on_end, a);
	bufferevent_enable(a->bev, EV_READ | EV_WRITE);
}

static void on_connection(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct lookup *l = arg;
	int asker;

	while (has_room(l)) {
		asker = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (asker < 0)
			return;
		asker_new(l, asker);
	}
	event_del(l->readable); /* the rest waits in the backlog */
}

/* ---- the socket */

static int open_lock(struct lookup *l)
{
	char *path = mem_printf("%s/lookup.lock", l->proxy->settings->run.dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		log_error(&l->about, "%s: %s", path, strerror(errno));
	free(path);
	return fd;
}

/* Who holds the lock is alone: a socket file that is there was left by somebody dead. */
static void remove_left(const struct lookup_address *a)
{
	struct stat st;

	if (a->any.sa.sa_family == AF_UNIX && lstat(a->any.un.sun_path, &st) == 0 &&
	    S_ISSOCK(st.st_mode))
		unlink(a->any.un.sun_path);
}

/* The folder of a Unix socket decides who may ask. */
static int bind_it(struct lookup *l)
{
	const struct lookup_address *a = &l->address;
	int fd = socket(a->any.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t before;
	int one = 1, rc;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	remove_left(a);
	before = umask(0111);
	rc = bind(fd, &a->any.sa, a->len);
	umask(before);
	if (rc == 0 && listen(fd, LOOKUP_BACKLOG) == 0)
		return fd;
	rc = errno;
	close(fd);
	errno = rc;
	return -1;
}

static void take_socket(struct lookup *l)
{
	const char *where = l->proxy->settings->lookup.listen;

	if (clock_mono_ms() < l->retry_ms || flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return;
	l->fd = bind_it(l);
	if (l->fd < 0) {
		log_error(&l->about, "lookup.listen %s: %s", where, strerror(errno));
		l->retry_ms = clock_mono_ms() + LOOKUP_RETRY_MS;
		flock(l->lock_fd, LOCK_UN);
		return;
	}
	l->readable =
		event_new(l->proxy->loop.base, l->fd, EV_READ | EV_PERSIST, on_connection, l);
	if (!l->readable)
		BUG("libevent makes no event");
	event_add(l->readable, NULL);
	log_info(&l->about, "answers at %s", where);
}

static void leave_socket(struct lookup *l)
{
	struct asker *a;

	if (l->fd < 0)
		return;
	remove_left(&l->address);
	event_free(l->readable);
	close(l->fd);
	l->fd = -1;
	while ((a = TAILQ_FIRST(&l->askers)))
		asker_free(a);
	flock(l->lock_fd, LOCK_UN);
}

void lookup_tick(struct lookup *l)
{
	if (!l)
		return;
	if (l->proxy->life >= LIFE_LEAVES)
		leave_socket(l);
	else if (l->fd < 0 && l->lock_fd >= 0)
		take_socket(l);
}

/* ---- life */

struct lookup *lookup_new(struct proxy *p)
{
	struct lookup *l;

	if (!p->settings->lookup.listen)
		return NULL;
	l = mem_new(sizeof *l);
	l->proxy = p;
	l->fd = -1;
	l->about = (struct log_about){ .what = "lookup" };
	TAILQ_INIT(&l->askers);
	if (lookup_address_parse(p->settings->lookup.listen, &l->address) < 0)
		BUG("lookup.listen was checked when the settings were read");
	l->lock_fd = open_lock(l);
	return l;
}

void lookup_free(struct lookup **l)
{
	if (!*l)
		return;
	leave_socket(*l);
	if ((*l)->lock_fd >= 0)
		close((*l)->lock_fd);
	mem_free(l);
}
