/* Hides: c-ares, its sockets and its clock. */
#include "sync/dns_client.h"

#include <ares.h>
#include <netdb.h>

#define UDP_BYTES 1232 /* that pass every path unbroken (DNS flag day 2020) */
#define TRIES	  2    /* the second waits twice as long: three parts of timeout_ms in all */
#define PARTS	  3

struct watch {
	struct watch *next;
	evutil_socket_t fd;
	struct event *event;
};

struct question {
	struct dns_client *client;
	char name[DNS_HOST_MAX];
	unsigned type;
	dns_client_fn *fn;
	void *arg;
};

struct dns_client {
	ares_channel channel;
	struct event_base *base;
	struct event *timer;
	struct watch *watches;
	struct dns_answer *answer; /* room for one */
	bool ending;
};

/* ---- sockets and time */

static void set_timer(struct dns_client *c)
{
	struct timeval room, *left = ares_timeout(c->channel, NULL, &room);

	if (left)
		evtimer_add(c->timer, left);
	else
		evtimer_del(c->timer);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct dns_client *c = arg;

	ares_process_fd(c->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(c);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct dns_client *c = arg;

	ares_process_fd(c->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer(c);
}

static void unwatch(struct dns_client *c, evutil_socket_t fd)
{
	for (struct watch **p = &c->watches; *p; p = &(*p)->next) {
		struct watch *w = *p;

		if (w->fd != fd)
			continue;
		*p = w->next;
		event_free(w->event);
		mem_free(&w);
		return;
	}
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_client *c = arg;
	struct watch *w;

	unwatch(c, fd);
	if (!readable && !writable)
		return;
	w = mem_new(sizeof *w);
	w->fd = fd;
	w->event = event_new(
		c->base, fd,
		(short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0)),
		on_ready, c);
	event_add(w->event, NULL);
	w->next = c->watches;
	c->watches = w;
}

/* ---- questions */

/* However c-ares calls it, the answer itself says what it is. */
static void on_answer(void *arg, int status, int timeouts UNUSED, unsigned char *p, int n)
{
	struct question *q = arg;
	struct dns_client *c = q->client;

	if (c->ending) {
		mem_free(&q);
		return;
	}
	if (p && n > 0) {
		dns_answer_parse((struct slice){ (char *)p, (size_t)n }, q->name, q->type,
				 c->answer);
	} else {
		*c->answer = (struct dns_answer){ .outcome = DNS_SILENT };
		snprintf(c->answer->why, sizeof c->answer->why, "%s",
			 status == ARES_ETIMEOUT       ? "timed out"
			 : status == ARES_ECONNREFUSED ? "nobody listens there"
						       : ares_strerror(status));
	}
	q->fn(c->answer, q->arg);
	mem_free(&q);
}

void dns_client_ask(struct dns_client *c, const char *name, unsigned type, dns_client_fn *fn,
		    void *arg)
{
	struct question *q = mem_new(sizeof *q);

	*q = (struct question){ .client = c, .type = type, .fn = fn, .arg = arg };
	snprintf(q->name, sizeof q->name, "%s", name);
	ares_query(c->channel, q->name, ns_c_in, (int)type, on_answer, q);
	set_timer(c);
}

/* ---- a server */

static int set_server(struct dns_client *c, const struct endpoint *at)
{
	struct ares_addr_port_node one = { .family = AF_INET6,
					   .udp_port = at->port,
					   .tcp_port = at->port };

	_Static_assert(sizeof one.addr.addr6 == sizeof at->ip, "an address of 16 bytes");
	memcpy(&one.addr.addr6, at->ip, sizeof at->ip);
	if (endpoint_is_v4(at)) {
		one.family = AF_INET;
		memcpy(&one.addr.addr4, at->ip + 12, sizeof one.addr.addr4);
	}
	return ares_set_servers_ports(c->channel, &one);
}

static int start_library(struct err *e)
{
	int rc = ares_library_init(ARES_LIB_INIT_ALL);

	return rc == ARES_SUCCESS ? 0 : err_set(e, ERR_TEMP, "c-ares: %s", ares_strerror(rc));
}

int dns_client_new(struct dns_client **out, const struct dns_client_opts *o, struct err *e)
{
	struct dns_client *c;
	/* All answers are ours to judge, those with an error code too. */
	struct ares_options ao = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP |
			 ARES_FLAG_EDNS | (o->recursive ? 0 : ARES_FLAG_NORECURSE),
		.timeout = MAX(o->timeout_ms / PARTS, 1),
		.tries = TRIES,
		.ednspsz = UDP_BYTES,
		.sock_state_cb = on_socket,
	};
	int rc;

	if (start_library(e) < 0)
		return -1;
	c = mem_new(sizeof *c);
	c->base = o->base;
	ao.sock_state_cb_data = c;
	rc = ares_init_options(&c->channel, &ao,
			       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				       ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
	if (rc != ARES_SUCCESS) {
		mem_free(&c);
		ares_library_cleanup();
		return err_set(e, ERR_TEMP, "c-ares: %s", ares_strerror(rc));
	}
	c->timer = evtimer_new(o->base, on_timer, c);
	c->answer = mem_new(sizeof *c->answer);
	*out = c;
	rc = set_server(c, &o->at);
	if (rc == ARES_SUCCESS)
		return 0;
	dns_client_free(out);
	return err_set(e, ERR_TEMP, "c-ares: %s", ares_strerror(rc));
}

void dns_client_free(struct dns_client **at)
{
	struct dns_client *c = *at;

	if (!c)
		return;
	c->ending = true;
	ares_destroy(c->channel);
	ares_library_cleanup();
	event_free(c->timer);
	while (c->watches)
		unwatch(c, c->watches->fd);
	mem_free(&c->answer);
	mem_free(at);
}

static struct endpoint endpoint_of_node(const struct ares_addr_port_node *n)
{
	struct endpoint at = { .port = (uint16_t)(n->udp_port ? n->udp_port : DNS_PORT) };

	if (n->family == AF_INET) {
		at.ip[10] = at.ip[11] = 0xff;
		memcpy(at.ip + 12, &n->addr.addr4, sizeof n->addr.addr4);
	} else {
		memcpy(at.ip, &n->addr.addr6, sizeof at.ip);
	}
	return at;
}

int dns_client_system(struct endpoint out[DNS_RESOLVERS_MAX], size_t *n, struct err *e)
{
	struct ares_addr_port_node *list = NULL;
	ares_channel channel;
	int rc;

	*n = 0;
	if (start_library(e) < 0)
		return -1;
	rc = ares_init(&channel);
	if (rc == ARES_SUCCESS) {
		rc = ares_get_servers_ports(channel, &list);
		ares_destroy(channel);
	}
	for (const struct ares_addr_port_node *one = list; one && *n < DNS_RESOLVERS_MAX;
	     one = one->next)
		out[(*n)++] = endpoint_of_node(one);
	ares_free_data(list);
	ares_library_cleanup();
	return rc == ARES_SUCCESS ? 0
				  : err_set(e, ERR_TEMP, "the resolvers of this host: %s",
					    ares_strerror(rc));
}
