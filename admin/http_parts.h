/* What the HTTP server's own files share: two ways in, and one way to answer. Not for others.
 */
#ifndef ADMIN_HTTP_PARTS_H
#define ADMIN_HTTP_PARTS_H

#include <event2/http.h>

#include "admin/http.h"

struct http_tcp;

struct http_server {
	struct event_base *base; /* borrowed */
	struct evhttp *http;
	char *path;
	struct http_tcp *tcp; /* NULL: only the Unix socket */
	http_handler *handler;
	void *arg;
};

/* An evhttp with our limits, whose requests on_request answers. */
struct evhttp *http_evhttp_new(struct event_base *base, size_t body_max,
			       void (*on_request)(struct evhttp_request *, void *), void *arg);

/* Says who asks: fills who and role. 0, or the status of a refusal, with its body. */
typedef int http_admit(struct evhttp_request *ev, struct http_request *r, json_t **body,
		       void *arg);
/* Reads the request, asks admit and the handler, and sends the answer; true: it goes on. */
bool http_serve(struct http_server *s, struct evhttp_request *ev, http_admit *admit, void *arg);

/* http_stream.c */
void http_stream_begin(struct evhttp_request *ev, const struct http_answer *a);

/* http_unix.c */
int http_unix_listen(const char *path, int *fd, struct err *e) MUST_CHECK;
http_admit http_unix_admit;

/* http_tcp.c */
int http_tcp_open(struct http_server *s, const struct settings *set, struct http_tcp **out,
		  struct err *e) MUST_CHECK;
void http_tcp_reload(struct http_tcp *t);
void http_tcp_close(struct http_tcp **t);

#endif
