/* Hides: the little of HTTP that is needed for three pages. */
#include "proxy/control.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG	  16
#define LINGER_MS 1000

struct control {
	struct proxy *proxy;
	char *path;
	int fd;
	struct event *readable;
	TAILQ_HEAD(visit_list, visit) visits;
	size_t count;
};

/* One connection. */
struct visit {
	TAILQ_ENTRY(visit) link;
	struct control *control;
	struct stream *stream;
	struct event *timer;
};

/* ---- pages */

struct page {
	int status;
	const char *type;
	struct buf body;
};

static void show_metrics(struct proxy *p, struct page *page)
{
	page->type = "text/plain; version=0.0.4";
	meters_collect(p);
	metrics_write(p->metrics, &page->body);
}

static void show_health(struct proxy *p UNUSED, struct page *page)
{
	buf_add_str(&page->body, "ok\n");
}

static void show_readiness(struct proxy *p, struct page *page)
{
	const char *why = proxy_not_ready(p);

	page->status = why ? 503 : 200;
	buf_printf(&page->body, "%s\n", why ? why : "ok");
}

static const struct {
	const char *path;
	void (*show)(struct proxy *p, struct page *page);
} pages[] = {
	{ "/metrics", show_metrics },
	{ "/healthz", show_health },
	{ "/readyz", show_readiness },
};

/* ---- a visit */

static void visit_end(struct visit *v)
{
	TAILQ_REMOVE(&v->control->visits, v, link);
	v->control->count--;
	stream_retire(&v->stream, LINGER_MS, NULL, NULL);
	event_free(v->timer);
	free(v);
}

static const char *status_words(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

static void answer(struct visit *v, const struct page *page, bool with_body)
{
	struct slice body = buf_slice(&page->body);

	stream_printf(v->stream,
		      "HTTP/1.0 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		      "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
		      page->status, status_words(page->status), page->type, body.n);
	if (with_body)
		stream_write(v->stream, body.p, body.n);
	visit_end(v);
}

static void refuse(struct visit *v, int status)
{
	struct page page = { .status = status, .type = "text/plain" };

	buf_printf(&page.body, "%s\n", status_words(status));
	answer(v, &page, true);
	buf_release(&page.body);
}

static void show(struct visit *v, struct slice path, bool with_body)
{
	struct page page = { .status = 200, .type = "text/plain" };

	for (size_t i = 0; i < COUNT(pages); i++) {
		if (!slice_is(path, pages[i].path))
			continue;
		pages[i].show(v->control->proxy, &page);
		answer(v, &page, with_body);
		buf_release(&page.body);
		return;
	}
	refuse(v, 404);
}

/* "GET /path HTTP/1.1" */
static void obey(struct visit *v, struct slice in)
{
	const char *end = memchr(in.p, '\n', in.n),
		   *first = memchr(in.p, ' ', (size_t)(end - in.p));
	const char *second;
	struct slice method, path;

	if (!first) {
		refuse(v, 400);
		return;
	}
	second = memchr(first + 1, ' ', (size_t)(end - first - 1));
	if (!second) {
		refuse(v, 400);
		return;
	}
	method = (struct slice){ in.p, (size_t)(first - in.p) };
	path = (struct slice){ first + 1, (size_t)(second - first - 1) };
	if (slice_is(method, "GET") || slice_is(method, "HEAD"))
		show(v, path, slice_is(method, "GET"));
	else
		refuse(v, 405);
}

static void on_visit(struct stream *st, enum stream_event ev, void *arg)
{
	struct visit *v = arg;
	struct slice in;

	switch (ev) {
	case STREAM_DATA:
		in = stream_input(st);
		if (memmem(in.p, in.n, "\r\n\r\n", 4) || memmem(in.p, in.n, "\n\n", 2))
			obey(v, in);
		else if (in.n > CONTROL_REQUEST_MAX)
			refuse(v, 431);
		break;
	case STREAM_EOF:
	case STREAM_FAILED:
		visit_end(v);
		break;
	case STREAM_UP:
	case STREAM_DRAINED:
		break;
	}
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	visit_end(arg);
}

static void on_connection(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct control *c = arg;
	struct timeval limit = { CONTROL_SECONDS, 0 };
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct visit *v;

	if (client < 0)
		return;
	if (c->count >= CONTROL_CONNECTIONS) {
		close(client);
		return;
	}
	v = mem_new(sizeof *v);
	v->control = c;
	v->timer = evtimer_new(c->proxy->loop.base, on_timer, v);
	if (!v->timer)
		BUG("libevent makes no timer");
	evtimer_add(v->timer, &limit);
	TAILQ_INSERT_TAIL(&c->visits, v, link);
	c->count++;
	v->stream = stream_accept(&c->proxy->loop, client, NULL, on_visit, v);
}

/* ---- the socket */

static int listen_at(const char *path, int *out, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t before;
	int fd, rc;

	if (strlen(path) >= sizeof a.sun_path)
		return err_set(e, ERR_INPUT,
			       "%s: longer than the %zu bytes that a socket's name may have; "
			       "choose a shorter run.dir",
			       path, sizeof a.sun_path - 1);
	memcpy(a.sun_path, path, strlen(path));
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_LIMIT, "socket: %s", strerror(errno));
	before = umask(0177); /* 0600 from its first moment on */
	rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	umask(before);
	if (rc == 0 && listen(fd, BACKLOG) == 0) {
		*out = fd;
		return 0;
	}
	err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	close(fd);
	return -1;
}

int control_start(struct proxy *p, struct control **out, struct err *e)
{
	struct control *c = mem_new(sizeof *c);

	c->proxy = p;
	c->fd = -1;
	TAILQ_INIT(&c->visits);
	c->path = mem_printf("%s/%s.control", p->settings->run.dir, p->node);
	*out = c;
	if (listen_at(c->path, &c->fd, e) < 0)
		return err_wrap(e, "control socket");
	c->readable = event_new(p->loop.base, c->fd, EV_READ | EV_PERSIST, on_connection, c);
	if (!c->readable)
		BUG("libevent makes no event");
	event_add(c->readable, NULL);
	return 0;
}

void control_stop(struct control **cp)
{
	struct control *c = *cp;
	struct visit *v;

	if (!c)
		return;
	*cp = NULL;
	while ((v = TAILQ_FIRST(&c->visits)))
		visit_end(v);
	if (c->readable) {
		event_free(c->readable);
		unlink(c->path);
	}
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c);
}
