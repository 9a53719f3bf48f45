/* Hides: that a header may come in pieces, and that not one byte behind it may be taken. */
#include "proxy/arrival.h"

#include <errno.h>

#include "common/clock.h"
#include "common/wire/proxyproto.h"
#include "proxy/meters.h"
#include "proxy/session.h"

struct arrival {
	TAILQ_ENTRY(arrival) link;
	struct arrivals *all;
	const struct listener_conf *listener;
	struct event *readable;
	int fd;
	int64_t until_ms; /* monotonic */
	struct buf got;	  /* the header so far */
	struct endpoint peer;
};

struct arrivals {
	struct proxy *proxy;
	TAILQ_HEAD(, arrival) list;
	size_t count;
};

struct arrivals *arrivals_new(struct proxy *p)
{
	struct arrivals *a = mem_new(sizeof *a);

	a->proxy = p;
	TAILQ_INIT(&a->list);
	return a;
}

size_t arrivals_count(const struct arrivals *a)
{
	return a->count;
}

/* The socket is somebody else's by then, or closed. */
static void arrival_free(struct arrival *a)
{
	TAILQ_REMOVE(&a->all->list, a, link);
	a->all->count--;
	event_free(a->readable);
	buf_release(&a->got);
	free(a);
}

static void drop(struct arrival *a)
{
	close(a->fd);
	arrival_free(a);
}

void arrivals_free(struct arrivals **all)
{
	struct arrival *a;

	if (!*all)
		return;
	while ((a = TAILQ_FIRST(&(*all)->list)))
		drop(a);
	mem_free(all);
}

static void turn_away(struct arrival *a, enum meter_no_header kind, const char *why)
{
	char peer[ENDPOINT_TEXT_MAX];

	endpoint_text(&a->peer, peer);
	metrics_add(a->all->proxy->metrics, METER_TURNED_AWAY, AT(a->listener->proto, kind), 1);
	log_warn(NULL, "listener \"%s\": connection from %s closed: %s", a->listener->name,
		 peer, why);
	drop(a);
}

static void hand_over(struct arrival *a, const struct proxyproto *header)
{
	struct origin from = { .from = a->peer };
	struct proxy *p = a->all->proxy;
	const struct listener_conf *l = a->listener;
	int fd = a->fd;

	if (!header->local)
		from = (struct origin){ header->from, header->to };
	arrival_free(a);
	session_new(p, l, fd, &from);
}

static void wait_for_more(struct arrival *a)
{
	int64_t left = MAX(a->until_ms - clock_mono_ms(), (int64_t)0);
	struct timeval tv = { left / 1000, (left % 1000) * 1000 };

	event_add(a->readable, &tv);
}

/* Looks at what is there and takes no more of it than the header. */
static void read_header(struct arrival *a)
{
	size_t have = buf_len(&a->got), max = PROXYPROTO_V2_MAX - have, len;
	char *room = buf_room(&a->got, max);
	ssize_t n = recv(a->fd, room, max, MSG_PEEK);
	struct proxyproto header;
	enum wire verdict;

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		wait_for_more(a);
		return;
	}
	if (n <= 0) { /* a health check that only connects: nothing bad */
		drop(a);
		return;
	}
	verdict = proxyproto_read(room - have, have + (size_t)n, &header, &len);
	if (verdict == WIRE_BAD) {
		turn_away(a, NO_HEADER_OTHER, "it does not begin with a PROXY header");
		return;
	}
	if (verdict == WIRE_DONE)
		n = (ssize_t)(len - have);
	if (recv(a->fd, room, (size_t)n, 0) != n) {
		drop(a);
	} else if (verdict == WIRE_DONE) {
		hand_over(a, &header);
	} else {
		buf_wrote(&a->got, (size_t)n);
		wait_for_more(a);
	}
}

static void on_readable(evutil_socket_t fd UNUSED, short what, void *arg)
{
	struct arrival *a = arg;

	if (!(what & EV_TIMEOUT)) {
		read_header(a);
		return;
	}
	meter_limit(a->all->proxy, LIMIT_HEADER_S);
	turn_away(a, NO_HEADER_LATE, "no PROXY header in time (limits.header_s)");
}

void arrival_new(struct arrivals *all, const struct listener_conf *l, int fd,
		 const struct endpoint *peer)
{
	struct arrival *a = mem_new(sizeof *a);

	a->all = all;
	a->listener = l;
	a->fd = fd;
	a->peer = *peer;
	a->until_ms = clock_mono_ms() + 1000LL * all->proxy->settings->limits.header_s;
	a->readable = event_new(all->proxy->loop.base, fd, EV_READ, on_readable, a);
	if (!a->readable)
		BUG("libevent makes no event");
	TAILQ_INSERT_TAIL(&all->list, a, link);
	all->count++;
	if (networks_have(l->trusted, &a->peer))
		wait_for_more(a);
	else
		turn_away(a, NO_HEADER_UNTRUSTED,
			  "only load balancers in listener.trusted may come here");
}
