/*
 * The operator's HTTP server: evhttp on a Unix socket, mode 0660, and on the address that
 * section api of the settings names. Who may ask is decided here: on the Unix socket by the
 * kernel's word on the peer (SO_PEERCRED): root, our own user, or our own group; elsewhere by a
 * bearer token over TLS or loopback, whatever a page of somebody else makes a browser send.
 * What he may is the handler's to say. One handler answers everything, at once and in the
 * loop's thread.
 */
#ifndef ADMIN_HTTP_H
#define ADMIN_HTTP_H

#include <event2/event.h>
#include <jansson.h>

#include "admin/bearers.h"
#include "common/wire/endpoint.h"
#include "config/settings.h"

#define HTTP_BODY_MAX	  (64 * 1024 * 1024) /* bytes: a CSV of some 500,000 users */
#define HTTP_TCP_BODY_MAX (1024 * 1024)	     /* off the Unix socket: of some 8,000 */
#define HTTP_HEADERS_MAX  (16 * 1024)	     /* bytes: request line and all headers */
#define HTTP_TIMEOUT_S	  30		     /* most that one read or write may wait */
#define HTTP_PATH_MAX	  2048		     /* bytes of path and query, as sent */
#define HTTP_QUERY_MAX	  16		     /* parameters */
#define HTTP_REQUEST_S                                                                      \
	60		 /* off the Unix socket: then a request must be whole, and answered \
			  */
#define HTTP_STRIKES  10 /* wrong tokens of one address, in … */
#define HTTP_STRIKE_S 60 /* … this time; then it hears 429 */

enum http_method { HTTP_GET, HTTP_POST, HTTP_METHODS };

const char *http_method_name(enum http_method m);

/* One parameter of the query, decoded. */
struct http_param {
	char *name, *value;
};

/* A request, checked and decoded; borrowed, valid during the handler's call. */
struct http_request {
	enum http_method method;
	const char *path; /* as sent, still %-encoded, without the query */
	struct http_param query[HTTP_QUERY_MAX];
	size_t query_count;
	struct slice body;
	char who[BEARER_NAME_MAX + 8]; /* asks: "uid 0", the name of a token; "nobody" */
	char from[ENDPOINT_IP_MAX];    /* his address; "" on the Unix socket */
	enum role role;		       /* what he may */
	const char *last_event;	       /* Last-Event-ID of a follower who comes back; "" */
};

/* The value of a query parameter; NULL if it was not given. */
const char *http_param(const struct http_request *r, const char *name);

#define HTTP_TEXT "text/plain; version=0.0.4; charset=utf-8" /* also what Prometheus reads */

/* An answer that goes on, in pieces, for as long as the reader stays. */
struct http_stream;
typedef void http_stream_fn(struct http_stream *s, void *arg);
#define HTTP_STREAM_MAX (256 * 1024) /* bytes not yet taken; with more he is dropped */

struct http_answer {
	json_t *body; /* handed over; NULL: an empty object. A string is sent as HTTP_TEXT */
	const char *type; /* set: these bytes are sent instead of the body; static, both */
	struct slice bytes;
	/* Set: nothing is sent but a header of this type; opened gets the stream, closed takes
	 * it back, whoever closes it. The status is 200. */
	http_stream_fn *opened, *closed;
	void *stream_arg;
};
/* -1: he was too slow, and it is closed. */
int http_stream_send(struct http_stream *s, struct slice text) MUST_CHECK;

/* Answers a request: returns the HTTP status, and fills the answer, which is zeroed. */
typedef int http_handler(const struct http_request *r, struct http_answer *a, void *arg);

struct http_server;

/*
 * Starts to listen on path; a socket there that nobody listens on any more is replaced, one
 * that somebody does is an ERR_INPUT ("is another engine running?"). Ignores SIGPIPE in this
 * process. The base is borrowed and must outlive the server.
 */
int http_server_start(struct http_server **out, struct event_base *base, const char *path,
		      http_handler *handler, void *arg, struct err *e) MUST_CHECK;
/* Listens on api.listen too, if it is set. The settings are borrowed and may be reloaded. */
int http_server_open(struct http_server *s, const struct settings *set,
		     struct err *e) MUST_CHECK;
/* After a reload of the settings: certificates and tokens are looked at again. */
void http_server_reload(struct http_server *s);
/* Closes all connections and removes the socket. */
void http_server_stop(struct http_server **s);

/* {"error": …, "remedy": …}; owned by the caller. */
json_t *http_error(const char *remedy, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
