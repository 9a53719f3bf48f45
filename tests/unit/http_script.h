/* An HTTP server on loopback that keeps what it is asked and answers as it is told, in order. */
#ifndef TESTS_UNIT_HTTP_SCRIPT_H
#define TESTS_UNIT_HTTP_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "common/buf.h"

#define HTTP_SCRIPT_MAX 64

struct http_reply {
	int status; /* 0: the connection is closed instead */
	const char *body;
};

struct http_script {
	int listener, port;
	pthread_t thread;
	pthread_mutex_t lock;
	struct http_reply replies[HTTP_SCRIPT_MAX]; /* the last one goes on */
	int reply_count, asked, connections;
	char *paths[HTTP_SCRIPT_MAX], *bodies[HTTP_SCRIPT_MAX];
};

struct http_talk {
	struct http_script *of;
	int fd;
};

/* The whole request; false: the peer has gone. */
static inline bool http_read(int fd, struct buf *in, char **path, char **body)
{
	for (;;) {
		struct slice s = buf_slice(in);
		const char *end = s.n ? memmem(s.p, s.n, "\r\n\r\n", 4) : NULL;
		const char *length = end ? memmem(s.p, s.n, "Content-Length: ", 16) : NULL;
		size_t n = length ? strtoul(length + 16, NULL, 10) : 0;
		ssize_t got;

		if (end && s.n >= (size_t)(end + 4 - s.p) + n) {
			const char *from = memchr(s.p, ' ', s.n);

			*path = mem_strn(from + 1, strcspn(from + 1, " "));
			*body = mem_strn(end + 4, n);
			buf_drain(in, (size_t)(end + 4 - s.p) + n);
			return true;
		}
		got = read(fd, buf_room(in, 4096), 4096);
		if (got <= 0)
			return false;
		buf_wrote(in, (size_t)got);
	}
}

static inline void *http_serve(void *arg)
{
	struct http_talk t = *(struct http_talk *)arg;
	struct buf in = { 0 }, out = { 0 };
	char *path, *body;

	free(arg);
	while (http_read(t.fd, &in, &path, &body)) {
		struct http_reply r;

		pthread_mutex_lock(&t.of->lock);
		ASSERT(t.of->asked < HTTP_SCRIPT_MAX);
		r = t.of->replies[MIN(t.of->asked, t.of->reply_count - 1)];
		t.of->paths[t.of->asked] = path;
		t.of->bodies[t.of->asked++] = body;
		pthread_mutex_unlock(&t.of->lock);
		if (r.status == 0)
			break;
		buf_printf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", r.status,
			   strlen(r.body), r.body);
		ASSERT(send(t.fd, buf_slice(&out).p, buf_len(&out), MSG_NOSIGNAL) > 0);
		buf_drain(&out, buf_len(&out));
	}
	buf_release(&in);
	buf_release(&out);
	close(t.fd);
	return NULL;
}

static inline void *http_accept(void *arg)
{
	struct http_script *h = arg;
	pthread_t talk;
	int fd;

	while ((fd = accept(h->listener, NULL, NULL)) >= 0) {
		struct http_talk *t = mem_new(sizeof *t);

		*t = (struct http_talk){ h, fd };
		pthread_mutex_lock(&h->lock);
		h->connections++;
		pthread_mutex_unlock(&h->lock);
		ASSERT(pthread_create(&talk, NULL, http_serve, t) == 0);
		pthread_detach(talk);
	}
	return NULL;
}

static inline void http_start(struct http_script *h)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;

	*h = (struct http_script){ .listener = socket(AF_INET, SOCK_STREAM, 0) };
	pthread_mutex_init(&h->lock, NULL);
	ASSERT(bind(h->listener, (struct sockaddr *)&at, n) == 0 &&
	       listen(h->listener, 16) == 0 &&
	       getsockname(h->listener, (struct sockaddr *)&at, &n) == 0);
	h->port = ntohs(at.sin_port);
	ASSERT(pthread_create(&h->thread, NULL, http_accept, h) == 0);
}

/* What comes next; forgets what was asked. */
static inline void http_say(struct http_script *h, const struct http_reply *replies, int n)
{
	pthread_mutex_lock(&h->lock);
	for (int i = 0; i < h->asked; i++) {
		mem_free(&h->paths[i]);
		mem_free(&h->bodies[i]);
	}
	for (int i = 0; i < n; i++)
		h->replies[i] = replies[i];
	h->reply_count = n;
	h->asked = h->connections = 0;
	pthread_mutex_unlock(&h->lock);
}

static inline void http_stop(struct http_script *h)
{
	http_say(h, NULL, 0);
	shutdown(h->listener, SHUT_RDWR);
	pthread_join(h->thread, NULL);
	close(h->listener);
}

#endif
