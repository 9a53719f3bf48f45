/* Hides: evhttp, the Unix socket and the question who is at its other end. */
#include "admin/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"

#define HTTP_BACKLOG	 64
#define HTTP_PEER_GROUPS 1024 /* supplementary groups of a peer that are looked at */

#define EVERY_METHOD                                                                      \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |            \
	 EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | \
	 EVHTTP_REQ_PATCH)

struct http_server {
	struct evhttp *http;
	char *path;
	http_handler *handler;
	void *arg;
};

static const char *const method_names[] = {
	[HTTP_GET] = "GET",
	[HTTP_POST] = "POST",
};
_Static_assert(COUNT(method_names) == HTTP_METHODS, "a name for every method");

const char *http_method_name(enum http_method m)
{
	return method_names[m];
}

const char *http_param(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->query_count; i++)
		if (strcmp(r->query[i].name, name) == 0)
			return r->query[i].value;
	return NULL;
}

/* Text from outside may be no UTF-8; an error must not be lost over that. */
static json_t *json_text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_string("(not UTF-8)");
}

json_t *http_error(const char *remedy, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	json_t *j = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_object_set_new(j, "error", json_text(text));
	json_object_set_new(j, "remedy", json_text(remedy));
	return j;
}

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
	r->pid = who.pid;
	r->uid = who.uid;
	return who.uid == 0 || who.uid == geteuid() || who.gid == getegid() || in_our_group(fd);
}

/* ---- a request and its answer */

static int put_bytes(const char *p, size_t n, void *to)
{
	return evbuffer_add(to, p, n);
}

static void put_body(struct evbuffer *out, const json_t *body)
{
	if (json_is_string(body)) {
		evbuffer_add(out, json_string_value(body), json_string_length(body));
		return;
	}
	json_dump_callback(body, put_bytes, out, JSON_COMPACT);
	evbuffer_add(out, "\n", 1);
}

static void send_answer(struct evhttp_request *ev, int status, json_t *body)
{
	struct evkeyvalq *head = evhttp_request_get_output_headers(ev);
	struct evbuffer *out = evbuffer_new();

	ASSERT(out);
	if (!body)
		body = json_object();
	put_body(out, body);
	evhttp_add_header(head, "Content-Type",
			  json_is_string(body) ? HTTP_TEXT : "application/json");
	json_decref(body);
	evhttp_add_header(head, "Cache-Control", "no-store");
	evhttp_send_reply(ev, status, NULL, out);
	evbuffer_free(out);
}

static bool find_method(struct evhttp_request *ev, struct http_request *r)
{
	enum evhttp_cmd_type cmd = evhttp_request_get_command(ev);

	r->method = cmd == EVHTTP_REQ_POST ? HTTP_POST : HTTP_GET;
	return cmd == EVHTTP_REQ_POST || cmd == EVHTTP_REQ_GET;
}

static bool add_param(struct http_request *r, const struct evkeyval *kv)
{
	if (r->query_count == HTTP_QUERY_MAX)
		return false;
	r->query[r->query_count].name = mem_str(kv->key);
	r->query[r->query_count].value = mem_str(kv->value);
	r->query_count++;
	return true;
}

static bool parse_query(const char *text, struct http_request *r)
{
	struct evkeyvalq all;
	struct evkeyval *kv;
	bool ok;

	if (!text || !*text)
		return true;
	if (evhttp_parse_query_str(text, &all) < 0)
		return false;
	ok = true;
	TAILQ_FOREACH (kv, &all, next)
		ok = ok && add_param(r, kv);
	evhttp_clear_headers(&all);
	return ok;
}

static void request_release(struct http_request *r)
{
	for (size_t i = 0; i < r->query_count; i++) {
		mem_free(&r->query[i].name);
		mem_free(&r->query[i].value);
	}
}

/* Fills r; else returns the status and the error that the peer hears. */
static int request_read(struct evhttp_request *ev, struct http_request *r, json_t **body)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ev);
	struct evbuffer *in = evhttp_request_get_input_buffer(ev);
	int fd = bufferevent_getfd(
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)));

	if (!peer_may(fd, r)) {
		*body = http_error("run this as root or as the user or group of mailferry",
				   "you may not use this socket");
		return 403;
	}
	if (!find_method(ev, r)) {
		*body = http_error("use GET or POST", "no such method here");
		return 405;
	}
	r->path = uri ? evhttp_uri_get_path(uri) : NULL;
	if (!r->path || strlen(evhttp_request_get_uri(ev)) > HTTP_PATH_MAX ||
	    !parse_query(evhttp_uri_get_query(uri), r)) {
		*body = http_error("see the list of routes in README.md",
				   "the address of this request is no good");
		return 400;
	}
	r->body.n = evbuffer_get_length(in);
	r->body.p = r->body.n ? (const char *)evbuffer_pullup(in, -1) : "";
	return 0;
}

static void on_request(struct evhttp_request *ev, void *arg)
{
	struct http_server *s = arg;
	struct http_request r = { 0 };
	json_t *body = NULL;
	int status = request_read(ev, &r, &body);

	if (status == 0)
		status = s->handler(&r, &body, s->arg);
	send_answer(ev, status, body);
	request_release(&r);
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

static int listen_at(const char *path, int *out, struct err *e)
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

int http_server_start(struct http_server **out, struct event_base *base, const char *path,
		      http_handler *handler, void *arg, struct err *e)
{
	struct http_server *s;
	int fd = -1;

	if (listen_at(path, &fd, e) < 0)
		return err_wrap(e, "the API's socket");
	signal(SIGPIPE, SIG_IGN);
	s = mem_new(sizeof *s);
	s->path = mem_str(path);
	s->handler = handler;
	s->arg = arg;
	s->http = evhttp_new(base);
	ASSERT(s->http);
	evhttp_set_max_headers_size(s->http, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(s->http, HTTP_BODY_MAX);
	evhttp_set_timeout(s->http, HTTP_TIMEOUT_S);
	evhttp_set_allowed_methods(s->http, EVERY_METHOD);
	evhttp_set_gencb(s->http, on_request, s);
	if (!evhttp_accept_socket_with_handle(s->http, fd)) {
		close(fd);
		http_server_stop(&s);
		return err_set(e, ERR_TEMP, "%s: cannot be listened on", path);
	}
	*out = s;
	return 0;
}

void http_server_stop(struct http_server **s)
{
	if (!*s)
		return;
	evhttp_free((*s)->http);
	unlink((*s)->path);
	mem_free(&(*s)->path);
	mem_free(s);
}
