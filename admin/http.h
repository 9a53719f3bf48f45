/*
 * The operator's HTTP server: evhttp on a Unix socket, mode 0660. Who may ask is decided by the
 * kernel's word on the peer (SO_PEERCRED): root, our own user, or our own group; anybody else
 * hears 403. One handler answers everything, at once and in the loop's thread.
 */
#ifndef ADMIN_HTTP_H
#define ADMIN_HTTP_H

#include <event2/event.h>
#include <jansson.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"

#define HTTP_BODY_MAX	 (64 * 1024 * 1024) /* bytes: a CSV of some 500,000 users */
#define HTTP_HEADERS_MAX (16 * 1024)	    /* bytes: request line and all headers */
#define HTTP_TIMEOUT_S	 30		    /* most that one read or write may wait */
#define HTTP_PATH_MAX	 2048		    /* bytes of path and query, as sent */
#define HTTP_QUERY_MAX	 16		    /* parameters */

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
	pid_t pid; /* who asks */
	uid_t uid;
};

/* The value of a query parameter; NULL if it was not given. */
const char *http_param(const struct http_request *r, const char *name);

#define HTTP_TEXT "text/plain; version=0.0.4; charset=utf-8" /* also what Prometheus reads */

/* Answers a request: returns the HTTP status; *body is handed over (NULL: an empty object). A
 * string is sent as it is, as HTTP_TEXT. */
typedef int http_handler(const struct http_request *r, json_t **body, void *arg);

struct http_server;

/*
 * Starts to listen on path; a socket there that nobody listens on any more is replaced, one
 * that somebody does is an ERR_INPUT ("is another engine running?"). Ignores SIGPIPE in this
 * process. The base is borrowed and must outlive the server.
 */
int http_server_start(struct http_server **out, struct event_base *base, const char *path,
		      http_handler *handler, void *arg, struct err *e) MUST_CHECK;
/* Closes all connections and removes the socket. */
void http_server_stop(struct http_server **s);

/* {"error": …, "remedy": …}; owned by the caller. */
json_t *http_error(const char *remedy, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
