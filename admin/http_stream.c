/* Hides: an answer that goes on, and who is too slow for it. */
#include "admin/http_parts.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "common/log.h"

#define CHATTER_MAX 4096 /* bytes from a reader that nobody reads */

struct http_stream {
	struct evhttp_request *request; /* evhttp's, as is the next */
	struct evhttp_connection *conn;
	http_stream_fn *closed;
	void *arg;
};

/* Whoever closes: evhttp tells it before it frees the connection. The request it has then taken
 * from it, if it was the reader, and left to us. */
static void on_closed(struct evhttp_connection *conn UNUSED, void *arg)
{
	struct http_stream *s = arg;

	s->closed(s, s->arg);
	if (!evhttp_request_get_connection(s->request))
		evhttp_request_free(s->request);
	mem_free(&s);
}

void http_stream_begin(struct evhttp_request *ev, const struct http_answer *a)
{
	const struct timeval patience = { .tv_sec = HTTP_TIMEOUT_S };
	struct http_stream *s = mem_new(sizeof *s);
	struct bufferevent *bev;

	s->request = ev;
	s->conn = evhttp_request_get_connection(ev);
	s->closed = a->closed;
	s->arg = a->stream_arg;
	bev = evhttp_connection_get_bufferevent(s->conn);
	/* It has nothing more to say; but what is sent must be taken. */
	bufferevent_set_timeouts(bev, NULL, &patience);
	bufferevent_setwatermark(bev, EV_READ, 0, CHATTER_MAX);
	evhttp_connection_set_closecb(s->conn, on_closed, s);
	evhttp_send_reply_start(ev, 200, NULL);
	a->opened(s, a->stream_arg);
}

int http_stream_send(struct http_stream *s, struct slice text)
{
	struct evbuffer *waiting =
		bufferevent_get_output(evhttp_connection_get_bufferevent(s->conn));
	struct evbuffer *piece;

	/* One piece may be longer than that: what counts is what was sent before it. */
	if (evbuffer_get_length(waiting) > HTTP_STREAM_MAX) {
		log_info(NULL, "api: a reader of events is too slow: closed");
		evhttp_connection_free(s->conn);
		return -1;
	}
	piece = evbuffer_new();
	ASSERT(piece);
	evbuffer_add(piece, text.p, text.n);
	evhttp_send_reply_chunk(s->request, piece);
	evbuffer_free(piece);
	return 0;
}
