/*
 * Hides: the way in from elsewhere: TLS, who is let in, and how long and how many may be there.
 *
 * evhttp tells nobody when a connection comes or goes. It asks for a bufferevent when one
 * comes; of that we keep a reference, and evhttp has given it up once its callbacks are gone.
 */
#include "admin/http_parts.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/listen.h"
#include "admin/strikes.h"
#include "certs/server.h"
#include "common/clock.h"
#include "common/log.h"

#define CONNECTIONS_MAX 1000 /* as api.connections may say */
#define CUT_MAX		100  /* that are on their way out, besides */
#define SWEEP_MS	1000

/*
 * One that came in; since: then, or when the last request with a right token was answered. Who
 * shows none has that one time for all he asks, and makes room when there are too many.
 */
struct visitor {
	struct bufferevent *bev; /* a reference */
	struct endpoint from;	 /* as strikes are counted: of ::1 nothing but zeros */
	bool placed;		 /* from is known */
	int64_t since;		 /* clock_mono_ms() */
	bool known;		 /* showed a right token */
	bool cut;		 /* is on its way out */
	bool follows;		 /* its answer goes on */
	unsigned edition;	 /* … and these were the tokens */
};

struct http_tcp {
	struct http_server *server; /* borrowed, as is the next */
	const struct settings *settings;
	struct evhttp *http;
	struct evconnlistener *listener; /* of http */
	struct tls_server *tls;		 /* NULL: plain */
	struct event *sweep, *newcomers;
	struct bearer_file tokens;
	struct strikes strikes;
	bool shown; /* the request at hand came with a right token */
	struct visitor visitors[CONNECTIONS_MAX + CUT_MAX];
	size_t visitor_count;
};

/* ---- who is there */

static bool is_given_up(struct bufferevent *bev)
{
	bufferevent_data_cb on_read, on_write;
	bufferevent_event_cb on_event;
	void *arg;

	bufferevent_getcb(bev, &on_read, &on_write, &on_event, &arg);
	return !on_read && !on_write && !on_event;
}

/* Who is not on the way out: all of them, or those alone that have shown a token. */
static size_t here(const struct http_tcp *t, bool only_known)
{
	size_t n = 0;

	for (size_t i = 0; i < t->visitor_count; i++)
		n += !t->visitors[i].cut && (t->visitors[i].known || !only_known);
	return n;
}

/* The next one is let in as long as somebody is there who would make room; what else it takes
 * is room in our table. */
static void let_in(struct http_tcp *t)
{
	if (here(t, true) < (size_t)t->settings->api.connections &&
	    t->visitor_count < COUNT(t->visitors))
		evconnlistener_enable(t->listener);
	else
		evconnlistener_disable(t->listener);
}

static void drop_the_gone(struct http_tcp *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->visitor_count; i++) {
		if (is_given_up(t->visitors[i].bev))
			bufferevent_decref(t->visitors[i].bev);
		else
			t->visitors[kept++] = t->visitors[i];
	}
	t->visitor_count = kept;
	let_in(t);
}

/* evhttp finds the end of the file, and closes. */
static void cut(struct visitor *v)
{
	v->cut = true;
	shutdown(bufferevent_getfd(v->bev), SHUT_RDWR);
}

/* evhttp's own time-out begins anew with each byte. */
static void cut_the_slow(struct http_tcp *t)
{
	int64_t due = clock_mono_ms() - HTTP_REQUEST_S * 1000;

	for (size_t i = 0; i < t->visitor_count; i++)
		if (!t->visitors[i].follows && t->visitors[i].since < due)
			cut(&t->visitors[i]);
}

/* Whose token was taken away is still hearing. All come back, and miss nothing; he does not. */
static void cut_followers(struct http_tcp *t)
{
	bearer_file_look(&t->tokens, t->settings->api.tokens);
	for (size_t i = 0; i < t->visitor_count; i++)
		if (t->visitors[i].follows && t->visitors[i].edition != t->tokens.edition)
			cut(&t->visitors[i]);
}

/* ---- who makes room */

/* Has shown no token, and is of this address; NULL: of any. */
static bool is_unknown(const struct visitor *v, const struct endpoint *from)
{
	return !v->known && !v->cut && (!from || (v->placed && endpoint_same_ip(&v->from, from)));
}

/* The oldest such one before the newcomer; NULL: there is none. They are in order. */
static struct visitor *oldest_unknown(struct http_tcp *t, const struct endpoint *from,
				      const struct visitor *newcomer)
{
	for (struct visitor *v = t->visitors; v < newcomer; v++)
		if (is_unknown(v, from))
			return v;
	return NULL;
}

static void make_room(struct http_tcp *t)
{
	const struct visitor *newcomer = &t->visitors[t->visitor_count - 1];
	struct visitor *v;

	while (here(t, false) > (size_t)t->settings->api.connections &&
	       (v = oldest_unknown(t, NULL, newcomer)))
		cut(v);
	let_in(t);
}

static int unknown_of(const struct http_tcp *t, const struct endpoint *from)
{
	int n = 0;

	for (size_t i = 0; i < t->visitor_count; i++)
		n += is_unknown(&t->visitors[i], from);
	return n;
}

/* Who waits there with open connections does not keep out others behind the same proxy. */
static void make_room_of_address(struct http_tcp *t, const struct visitor *newcomer)
{
	struct visitor *v;

	while (unknown_of(t, &newcomer->from) > t->settings->api.connections_per_address &&
	       (v = oldest_unknown(t, &newcomer->from, newcomer)))
		cut(v);
}

static void place(struct visitor *v)
{
	union {
		struct sockaddr any;
		struct sockaddr_storage room;
	} a;
	socklen_t n = sizeof a;
	struct endpoint at;

	if (getpeername(bufferevent_getfd(v->bev), &a.any, &n) < 0)
		return;
	at = endpoint_of(&a.any);
	v->from = strikes_key(&at);
	v->placed = true;
}

/* Once evhttp has told their bufferevents which sockets they have. */
static void on_newcomers(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct http_tcp *t = arg;

	for (size_t i = 0; i < t->visitor_count; i++) {
		struct visitor *v = &t->visitors[i];

		if (v->placed || v->cut || is_given_up(v->bev))
			continue;
		place(v);
		if (v->placed && !v->known)
			make_room_of_address(t, v);
	}
}

static void on_sweep(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	cut_the_slow(arg);
	cut_followers(arg);
	drop_the_gone(arg);
}

static struct bufferevent *on_visitor(struct event_base *base, void *arg)
{
	struct http_tcp *t = arg;
	struct bufferevent *bev;

	drop_the_gone(t);
	if (t->tls)
		bev = bufferevent_openssl_socket_new(
			base, -1, tls_server_start(t->tls, "http/1.1"),
			BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	else
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	/* With none evhttp would take a plain one of its own, in front of TLS too. */
	ASSERT(bev);
	if (t->tls)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	bufferevent_incref(bev);
	ASSERT(t->visitor_count < COUNT(t->visitors));
	t->visitors[t->visitor_count++] =
		(struct visitor){ .bev = bev, .since = clock_mono_ms() };
	make_room(t);
	event_active(t->newcomers, EV_TIMEOUT, 0);
	return bev;
}

/* A request with a right token was answered. */
static void note_answered(struct http_tcp *t, const struct bufferevent *bev, bool follows)
{
	for (size_t i = 0; i < t->visitor_count; i++) {
		if (t->visitors[i].bev != bev)
			continue;
		t->visitors[i].since = clock_mono_ms();
		t->visitors[i].known = true;
		t->visitors[i].follows = follows;
		t->visitors[i].edition = t->tokens.edition;
	}
	let_in(t);
}

/* ---- who may */

/* The header's value; empty if it is missing, or there more than once. */
static struct slice only_header(struct evhttp_request *ev, const char *name)
{
	struct evkeyvalq *all = evhttp_request_get_input_headers(ev);
	struct slice found = SLICE("");
	struct evkeyval *kv;

	TAILQ_FOREACH (kv, all, next) {
		if (strcasecmp(kv->key, name) != 0)
			continue;
		if (found.n)
			return SLICE("");
		found = slice_of(kv->value);
	}
	return found;
}

static bool has_header(struct evhttp_request *ev, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(ev), name) != NULL;
}

static int refuse_token(struct http_tcp *t, const struct endpoint *from, json_t **body)
{
	int count = strikes_add(&t->strikes, from, HTTP_STRIKE_S * 1000);
	char ip[ENDPOINT_IP_MAX];

	endpoint_ip_text(from, ip);
	if (count <= HTTP_STRIKES)
		log_warn(NULL, "api: wrong token from %s%s", ip,
			 count == HTTP_STRIKES ? ": more of them are not told for a while"
					       : "");
	if (count > HTTP_STRIKES) {
		*body = http_error(
			"wait a minute, then use a token that `mailferry token` made",
			"too many wrong tokens");
		return 429;
	}
	*body = http_error("`mailferry token add NAME` on the engine's host makes one",
			   "this token is not known");
	return 401;
}

static int admit_token(struct http_tcp *t, struct evhttp_request *ev,
		       const struct endpoint *from, struct http_request *r, json_t **body)
{
	struct slice text = http_bearer(only_header(ev, "Authorization"));
	const struct bearer *token;

	if (!has_header(ev, "Authorization"))
		return 0;
	bearer_file_look(&t->tokens, t->settings->api.tokens);
	token = text.n ? bearers_find(&t->tokens.tokens, text) : NULL;
	if (!token)
		return refuse_token(t, from, body);
	snprintf(r->who, sizeof r->who, "%s", token->name);
	r->role = token->role;
	t->shown = true;
	return 0;
}

static struct endpoint peer_of(struct evhttp_request *ev)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(ev);
	struct endpoint at = { 0 };
	char *ip = NULL;
	ev_uint16_t port;

	evhttp_connection_get_peer(conn, &ip, &port);
	if (!ip || endpoint_set_ip(&at, slice_of(ip)) < 0)
		return (struct endpoint){ 0 };
	return at;
}

static int admit(struct evhttp_request *ev, struct http_request *r, json_t **body, void *arg)
{
	struct http_tcp *t = arg;
	struct slice host = only_header(ev, "Host");
	struct endpoint from = peer_of(ev);

	if (!http_host_is_ours(host, t->settings->api.names)) {
		*body = http_error("name it in api.names if this server is called so",
				   "no server of this name here");
		return 403;
	}
	/* A browser names the page that sends a POST, wherever it came from. */
	if (r->method == HTTP_POST && has_header(ev, "Origin") &&
	    !http_origin_is_ours(only_header(ev, "Origin"), host, t->tls)) {
		*body = http_error("only this server's own page may do that",
				   "this comes from a page of another server");
		return 403;
	}
	endpoint_ip_text(&from, r->from);
	return admit_token(t, ev, &from, r, body);
}

static void on_request(struct evhttp_request *ev, void *arg)
{
	struct http_tcp *t = arg;
	struct bufferevent *bev =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev));

	bool follows;

	t->shown = false;
	follows = http_serve(t->server, ev, admit, t);
	if (t->shown)
		note_answered(t, bev, follows);
}

/* ---- the listener */

/*
 * libevent writes a long answer in pieces, and evhttp gives us no accepted socket before it
 * does. Linux hands the option of a listening socket on to those that it accepts.
 */
static void send_at_once(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int listen_at(const char *text, int *out, struct endpoint *at, struct err *e)
{
	union endpoint_sockaddr a;
	socklen_t n;

	if (endpoint_parse(at, slice_of(text)) < 0)
		return err_set(e, ERR_INPUT, "%s is no address with a port", text);
	n = endpoint_sockaddr(at, &a);
	*out = listen_bind(&a.any, n, false,
			   "the engine has no right to ports below 1024: choose a higher one", e);
	if (*out < 0)
		return err_wrap(e, "%s", text);
	send_at_once(*out);
	if (getsockname(*out, &a.any, &(socklen_t){ sizeof a }) == 0)
		*at = endpoint_of(&a.any);
	return 0;
}

/* Of section tls, or an own certificate. Tickets are not those of the mail ports. */
static struct tls_server_conf tls_conf(const struct settings *s)
{
	if (s->api.certificate)
		return (struct tls_server_conf){ .certificate = s->api.certificate,
						 .key = s->api.key,
						 .ticket_life_s = s->tls.ticket_life_s };
	return (struct tls_server_conf){ .certificate = s->tls.certificate,
					 .key = s->tls.key,
					 .second_certificate = s->tls.second_certificate,
					 .second_key = s->tls.second_key,
					 .folder = s->tls.folder,
					 .loaded_max = s->tls.loaded_max,
					 .ticket_life_s = s->tls.ticket_life_s };
}

static int open_tls(struct http_tcp *t, struct err *e)
{
	struct tls_server_conf conf = tls_conf(t->settings);

	return t->settings->api.tls ? tls_server_new(&conf, &t->tls, e) : 0;
}

static int open_socket(struct http_tcp *t, struct err *e)
{
	struct evhttp_bound_socket *bound;
	char text[ENDPOINT_TEXT_MAX];
	struct endpoint at;
	int fd = -1;

	if (listen_at(t->settings->api.listen, &fd, &at, e) < 0)
		return -1;
	t->http = http_evhttp_new(t->server->base, HTTP_TCP_BODY_MAX, on_request, t);
	evhttp_set_bevcb(t->http, on_visitor, t);
	bound = evhttp_accept_socket_with_handle(t->http, fd);
	if (!bound) {
		close(fd);
		return err_set(e, ERR_TEMP, "%s: cannot be listened on",
			       t->settings->api.listen);
	}
	t->listener = evhttp_bound_socket_get_listener(bound);
	endpoint_text(&at, text);
	log_info(NULL, "api: listens on %s://%s", t->tls ? "https" : "http", text);
	return 0;
}

int http_tcp_open(struct http_server *s, const struct settings *set, struct http_tcp **out,
		  struct err *e)
{
	struct timeval every = { .tv_sec = SWEEP_MS / 1000 };
	struct http_tcp *t = mem_new(sizeof *t);

	t->server = s;
	t->settings = set;
	if (open_tls(t, e) < 0 || open_socket(t, e) < 0) {
		http_tcp_close(&t);
		return -1;
	}
	bearer_file_look(&t->tokens, set->api.tokens);
	t->sweep = event_new(s->base, -1, EV_PERSIST, on_sweep, t);
	t->newcomers = event_new(s->base, -1, 0, on_newcomers, t);
	event_add(t->sweep, &every);
	*out = t;
	return 0;
}

void http_tcp_reload(struct http_tcp *t)
{
	struct tls_server_conf conf = tls_conf(t->settings);
	struct err e = { 0 };

	bearer_file_look(&t->tokens, t->settings->api.tokens);
	if (t->tls && tls_server_reload(t->tls, &conf, &e) < 0)
		log_warn(NULL, "api: %s", e.text);
}

void http_tcp_close(struct http_tcp **t)
{
	if (!*t)
		return;
	if ((*t)->http)
		evhttp_free((*t)->http);
	for (size_t i = 0; i < (*t)->visitor_count; i++)
		bufferevent_decref((*t)->visitors[i].bev);
	if ((*t)->sweep)
		event_free((*t)->sweep);
	if ((*t)->newcomers)
		event_free((*t)->newcomers);
	tls_server_free(&(*t)->tls);
	mem_free(t);
}
