/*
 * A line with a delay: every byte from one end comes out at the other half a round trip later,
 * and a connection takes one whole round trip to come about. Nothing is lost, and the line is
 *as fast as the machine.
 *
 *	relay ROUND_TRIP_MS LISTEN_PORT TO_PORT [LISTEN_PORT TO_PORT …]
 *
 * Says "up" when it listens; ends when its standard input does.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"

#define CHUNK_MAX  (64 * 1024)
#define LINE_BYTES (16 * 1024 * 1024) /* on their way at once: more than any real line holds \
				       */

struct chunk {
	struct chunk *next;
	int64_t due_us;
	size_t at, n;
	char bytes[];
};

/* One direction of a connection. */
struct way {
	struct pair *pair;
	int from, to; /* not owned */
	struct event *readable, *writable, *timer;
	struct chunk *first, **last;
	size_t held;
	bool read_all, shut; /* an end came in; it has been passed on */
};

struct pair {
	int fd[2];
	struct way way[2];
	struct event *begin;
	int to_port;
};

static struct event_base *base;
static int64_t half_us;

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void pair_free(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct way *w = &p->way[i];

		while (w->first) {
			struct chunk *c = w->first;

			w->first = c->next;
			free(c);
		}
		if (w->readable)
			event_free(w->readable);
		if (w->writable)
			event_free(w->writable);
		if (w->timer)
			event_free(w->timer);
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	}
	if (p->begin)
		event_free(p->begin);
	free(p);
}

static void wait_until(struct event *timer, int64_t due_us)
{
	int64_t left = MAX(due_us - now_us(), (int64_t)0);
	struct timeval t = { left / 1000000, left % 1000000 };

	event_add(timer, &t);
}

/* All that is due goes out. -1: the other end is gone. */
static int deliver(struct way *w)
{
	while (w->first) {
		struct chunk *c = w->first;
		ssize_t n;

		if (c->due_us > now_us()) {
			wait_until(w->timer, c->due_us);
			return 0;
		}
		if (c->n == 0) { /* the end of what there is */
			shutdown(w->to, SHUT_WR);
			w->shut = true;
		} else {
			n = write(w->to, c->bytes + c->at, c->n - c->at);
			if (n < 0 && errno == EAGAIN) {
				event_add(w->writable, NULL);
				return 0;
			}
			if (n < 0)
				return -1;
			c->at += (size_t)n;
			if (c->at < c->n)
				continue;
		}
		w->held -= c->n;
		w->first = c->next;
		if (!w->first)
			w->last = &w->first;
		free(c);
	}
	if (!w->read_all)
		event_add(w->readable, NULL);
	return 0;
}

static void on_due(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct way *w = arg;
	struct pair *p = w->pair;

	if (deliver(w) < 0 || (p->way[0].shut && p->way[1].shut))
		pair_free(p);
}

static void on_readable(evutil_socket_t fd, short what UNUSED, void *arg)
{
	static char bytes[CHUNK_MAX];
	struct way *w = arg;
	struct chunk *c;
	ssize_t n = read(fd, bytes, sizeof bytes);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c = mem_new(sizeof *c + (size_t)MAX(n, (ssize_t)0));
	c->n = (size_t)MAX(n, (ssize_t)0);
	memcpy(c->bytes, bytes, c->n);
	c->due_us = now_us() + half_us;
	w->read_all = n <= 0;
	w->held += c->n;
	*w->last = c;
	w->last = &c->next;
	if (w->read_all || w->held >= LINE_BYTES)
		event_del(w->readable);
	if (w->first == c)
		on_due(-1, 0, w);
}

/* The handshake's round trip has passed. */
static void on_begin(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct pair *p = arg;
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)p->to_port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	p->fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd[1] < 0 || connect(p->fd[1], (struct sockaddr *)&to, sizeof to) < 0) {
		pair_free(p);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct way *w = &p->way[i];

		setsockopt(p->fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		evutil_make_socket_nonblocking(p->fd[i]);
		w->pair = p;
		w->from = p->fd[i];
		w->to = p->fd[!i];
		w->last = &w->first;
		w->readable = event_new(base, w->from, EV_READ | EV_PERSIST, on_readable, w);
		w->writable = event_new(base, w->to, EV_WRITE, on_due, w);
		w->timer = event_new(base, -1, 0, on_due, w);
		event_add(w->readable, NULL);
	}
}

static void on_accept(struct evconnlistener *l UNUSED, evutil_socket_t fd,
		      struct sockaddr *a UNUSED, int n UNUSED, void *to_port)
{
	struct pair *p = mem_new(sizeof *p);

	p->fd[0] = fd;
	p->fd[1] = -1;
	p->to_port = (int)(intptr_t)to_port;
	p->begin = event_new(base, -1, 0, on_begin, p);
	wait_until(p->begin, now_us() + 2 * half_us);
}

static void on_stdin(evutil_socket_t fd, short what UNUSED, void *arg UNUSED)
{
	char c;

	if (read((int)fd, &c, 1) <= 0)
		event_base_loopbreak(base);
}

static int64_t number_of(const char *text, uint64_t max)
{
	uint64_t n;

	if (slice_u64(slice_of(text), max, &n) < 0) {
		fprintf(stderr, "relay: %s is no number up to %llu\n", text,
			(unsigned long long)max);
		exit(2);
	}
	return (int64_t)n;
}

static void listen_on(int port, int to_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (!evconnlistener_new_bind(base, on_accept, (void *)(intptr_t)to_port,
				     LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 1024,
				     (struct sockaddr *)&at, sizeof at)) {
		fprintf(stderr, "relay: port %d: %s\n", port, strerror(errno));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct event *in;

	if (argc < 4 || argc % 2) {
		fprintf(stderr, "usage: relay ROUND_TRIP_MS LISTEN_PORT TO_PORT …\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	half_us = number_of(argv[1], 60000) * 500;
	for (int i = 2; i + 1 < argc; i += 2)
		listen_on((int)number_of(argv[i], 65535), (int)number_of(argv[i + 1], 65535));
	in = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, NULL);
	event_add(in, NULL);
	printf("up\n");
	fflush(stdout);
	event_base_dispatch(base);
	return 0;
}
