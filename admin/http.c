/* Hides: evhttp: how a request is read and its answer sent. */
#include "admin/http_parts.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <signal.h>
#include <sys/queue.h>
#include <unistd.h>

#define EVERY_METHOD                                                                      \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |            \
	 EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | \
	 EVHTTP_REQ_PATCH)

/* Of our own page, and of whatever else an answer might be taken for: nothing from elsewhere,
 * no frames, no guessing of types. */
static const struct {
	const char *name, *value;
} safe_headers[] = {
	{ "Content-Security-Policy",
	  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
	  "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
	  "frame-ancestors 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
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

/* ---- a request and its answer */

static void free_text(const void *text, size_t n UNUSED, void *arg UNUSED)
{
	free((void *)(uintptr_t)text);
}

/* In one piece: an answer has very many small ones, and the buffer looks at each. */
static void put_json(struct evbuffer *out, const json_t *body)
{
	char *text;

	if (json_is_string(body)) {
		evbuffer_add(out, json_string_value(body), json_string_length(body));
		return;
	}
	text = json_dumps(body, JSON_COMPACT);
	ASSERT(text);
	evbuffer_add_reference(out, text, strlen(text), free_text, NULL);
	evbuffer_add(out, "\n", 1);
}

static const char *put_body(struct evbuffer *out, struct http_answer *a)
{
	if (a->type) {
		evbuffer_add_reference(out, a->bytes.p, a->bytes.n, NULL, NULL);
		return a->type;
	}
	if (!a->body)
		a->body = json_object();
	put_json(out, a->body);
	return json_is_string(a->body) ? HTTP_TEXT : "application/json";
}

static void put_headers(struct evkeyvalq *head, int status, const struct http_answer *a)
{
	for (size_t i = 0; i < COUNT(safe_headers); i++)
		evhttp_add_header(head, safe_headers[i].name, safe_headers[i].value);
	/* Our files are asked for again after an upgrade; answers are kept by nobody. */
	evhttp_add_header(head, "Cache-Control",
			  a->type && !a->opened ? "no-cache" : "no-store");
	if (status == 401)
		evhttp_add_header(head, "WWW-Authenticate", "Bearer realm=\"mailferry\"");
	if (status == 429)
		evhttp_add_header(head, "Retry-After", "60");
}

static void begin_stream(struct evhttp_request *ev, struct http_answer *a)
{
	struct evkeyvalq *head = evhttp_request_get_output_headers(ev);

	evhttp_add_header(head, "Content-Type", a->type);
	evhttp_add_header(head, "X-Accel-Buffering", "no"); /* of nginx in front of us */
	put_headers(head, 200, a);
	http_stream_begin(ev, a);
}

static void send_answer(struct evhttp_request *ev, int status, struct http_answer *a)
{
	struct evkeyvalq *head = evhttp_request_get_output_headers(ev);
	struct evbuffer *out = evbuffer_new();

	ASSERT(out);
	evhttp_add_header(head, "Content-Type", put_body(out, a));
	put_headers(head, status, a);
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

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/* RFC 9110 5.6.2: a blank before the colon makes it another name for us than for others. */
static bool is_field_name(const char *name)
{
	return name[strcspn(name, " \t")] == '\0';
}

/*
 * Does everybody see the same end of this request? evhttp passes over lengths that it does not
 * understand or expect, and takes what follows for the next request: which, behind a proxy,
 * would go on with the next person's headers, and token (RFC 9112 11.2).
 */
static bool is_well_framed(struct evhttp_request *ev)
{
	struct evkeyvalq *all = evhttp_request_get_input_headers(ev);
	enum evhttp_cmd_type cmd = evhttp_request_get_command(ev);
	bool has_body = cmd != EVHTTP_REQ_HEAD && cmd != EVHTTP_REQ_TRACE, ok = true;
	const struct evkeyval *kv;
	int count = 0;

	TAILQ_FOREACH (kv, all, next) {
		ok = ok && is_field_name(kv->key);
		if (strcasecmp(kv->key, "Content-Length") == 0) {
			count++;
			ok = ok && is_number(kv->value) &&
			     (has_body || strcmp(kv->value, "0") == 0);
		} else if (strcasecmp(kv->key, "Transfer-Encoding") == 0) {
			count++;
			ok = ok && has_body && strcasecmp(kv->value, "chunked") == 0;
		}
	}
	return ok && count <= 1;
}

/* Fills r; else returns the status and the error that the peer hears. */
static int request_read(struct evhttp_request *ev, struct http_request *r, json_t **body)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ev);
	struct evbuffer *in = evhttp_request_get_input_buffer(ev);
	const char *last =
		evhttp_find_header(evhttp_request_get_input_headers(ev), "Last-Event-ID");

	r->last_event = last ? last : "";
	if (!is_well_framed(ev)) {
		evhttp_add_header(evhttp_request_get_output_headers(ev), "Connection", "close");
		*body = http_error("send one Content-Length, and no body with HEAD",
				   "where this request ends is not sure");
		return 400;
	}
	if (!find_method(ev, r)) {
		*body = http_error("use GET or POST", "no such method here");
		return 405;
	}
	r->path = uri ? evhttp_uri_get_path(uri) : NULL;
	/* RFC 9112 3.2.2: a whole URL would bring its own host, past the check of Host. */
	if (!r->path || evhttp_uri_get_host(uri) ||
	    strlen(evhttp_request_get_uri(ev)) > HTTP_PATH_MAX ||
	    !parse_query(evhttp_uri_get_query(uri), r)) {
		*body = http_error("GET /v1 lists the routes",
				   "the address of this request is no good");
		return 400;
	}
	r->body.n = evbuffer_get_length(in);
	r->body.p = r->body.n ? (const char *)evbuffer_pullup(in, -1) : "";
	return 0;
}

bool http_serve(struct http_server *s, struct evhttp_request *ev, http_admit *admit, void *arg)
{
	struct http_request r = { .who = "nobody" };
	struct http_answer a = { 0 };
	int status = request_read(ev, &r, &a.body);

	if (status == 0)
		status = admit(ev, &r, &a.body, arg);
	if (status == 0)
		status = s->handler(&r, &a, s->arg);
	if (a.opened)
		begin_stream(ev, &a);
	else
		send_answer(ev, status, &a);
	json_decref(a.body);
	request_release(&r);
	return a.opened != NULL;
}

static void on_request(struct evhttp_request *ev, void *arg)
{
	http_serve(arg, ev, http_unix_admit, NULL);
}

/* ---- life */

struct evhttp *http_evhttp_new(struct event_base *base, size_t body_max,
			       void (*answer)(struct evhttp_request *, void *), void *arg)
{
	struct evhttp *http = evhttp_new(base);

	ASSERT(http);
	evhttp_set_max_headers_size(http, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(http, (ev_ssize_t)body_max);
	evhttp_set_timeout(http, HTTP_TIMEOUT_S);
	evhttp_set_allowed_methods(http, EVERY_METHOD);
	evhttp_set_gencb(http, answer, arg);
	return http;
}

int http_server_start(struct http_server **out, struct event_base *base, const char *path,
		      http_handler *handler, void *arg, struct err *e)
{
	struct http_server *s;
	int fd = -1;

	if (http_unix_listen(path, &fd, e) < 0)
		return err_wrap(e, "the API's socket");
	signal(SIGPIPE, SIG_IGN);
	s = mem_new(sizeof *s);
	s->base = base;
	s->path = mem_str(path);
	s->handler = handler;
	s->arg = arg;
	s->http = http_evhttp_new(base, HTTP_BODY_MAX, on_request, s);
	if (!evhttp_accept_socket_with_handle(s->http, fd)) {
		close(fd);
		http_server_stop(&s);
		return err_set(e, ERR_TEMP, "%s: cannot be listened on", path);
	}
	*out = s;
	return 0;
}

int http_server_open(struct http_server *s, const struct settings *set, struct err *e)
{
	return set->api.listen ? http_tcp_open(s, set, &s->tcp, e) : 0;
}

void http_server_reload(struct http_server *s)
{
	if (s->tcp)
		http_tcp_reload(s->tcp);
}

void http_server_stop(struct http_server **s)
{
	if (!*s)
		return;
	http_tcp_close(&(*s)->tcp);
	evhttp_free((*s)->http);
	unlink((*s)->path);
	mem_free(&(*s)->path);
	mem_free(s);
}
