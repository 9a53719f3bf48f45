/* Hides: addresses that another thread looks up, and TLS towards a server. */
#include "proxy/backend.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>

#include "common/sockets.h"

#define ADDRESSES_MAX 8 /* of one name; more are not tried */

struct address {
	struct sockaddr_storage at;
	socklen_t len;
};

struct backend {
	enum side side;
	const struct backend_conf *conf;
	struct tls_client *tls; /* NULL: both protocols in clear text */
	struct secret master;	/* password of proxy_master_user */
	pthread_mutex_t lock;	/* of what follows: the follower's thread writes it */
	struct address addresses[ADDRESSES_MAX];
	size_t count, next;
};

int backend_new(enum side side, const struct backend_conf *conf, struct backend **out,
		struct err *e)
{
	struct tls_peer peer = { conf->tls_name ? conf->tls_name : conf->host,
				 conf->tls_ca_file, conf->tls_pin };
	struct backend *b = mem_new(sizeof *b);

	b->side = side;
	b->conf = conf;
	pthread_mutex_init(&b->lock, NULL);
	*out = b;
	if (conf->proxy_master_user &&
	    secret_read_file(&b->master, conf->proxy_master_password_file, e) < 0) {
		backend_free(out);
		return err_wrap(e, "backend \"%s\"", side_name(side));
	}
	if (conf->tls[PROTO_IMAP] == TLS_NONE && conf->tls[PROTO_POP3] == TLS_NONE)
		return 0;
	if (tls_client_new(&peer, &b->tls, e) == 0)
		return 0;
	backend_free(out);
	return err_wrap(e, "backend \"%s\"", side_name(side));
}

void backend_free(struct backend **b)
{
	if (!*b)
		return;
	tls_client_free(&(*b)->tls);
	secret_release(&(*b)->master);
	pthread_mutex_destroy(&(*b)->lock);
	mem_free(b);
}

int backend_resolve(struct backend *b, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *a;
	int rc = getaddrinfo(b->conf->host, NULL, &hints, &found);

	if (rc)
		return err_set(e, ERR_TEMP, "backend \"%s\": resolve %s: %s",
			       side_name(b->side), b->conf->host, gai_strerror(rc));
	pthread_mutex_lock(&b->lock);
	b->count = b->next = 0;
	for (a = found; a && b->count < ADDRESSES_MAX; a = a->ai_next) {
		memcpy(&b->addresses[b->count].at, a->ai_addr, a->ai_addrlen);
		b->addresses[b->count++].len = a->ai_addrlen;
	}
	pthread_mutex_unlock(&b->lock);
	freeaddrinfo(found);
	return 0;
}

/* Takes turns among the addresses, so that one that is dead does not fail every login. */
static int pick(struct backend *b, int port, struct address *out)
{
	pthread_mutex_lock(&b->lock);
	if (b->count)
		*out = b->addresses[b->next++ % b->count];
	pthread_mutex_unlock(&b->lock);
	if (!b->count)
		return -1;
	if (out->at.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&out->at)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)&out->at)->sin_port = htons((uint16_t)port);
	return 0;
}

static SSL *start_ssl(void *arg, int fd)
{
	return backend_ssl(arg, fd);
}

/* The kernel has chosen our end by now. */
static void introduce(const struct backend *b, struct stream *st, const struct origin *client,
		      struct endpoint to)
{
	struct proxyproto h = { .version = (int)b->conf->proxy_protocol,
				.from = client ? client->from : socket_local(stream_fd(st)),
				.to = client ? client->to : to };
	struct buf out = { 0 };

	proxyproto_write(&h, &out);
	stream_preface(st, buf_slice(&out));
	buf_release(&out);
}

struct stream *backend_connect(struct backend *b, struct loop *l, enum protocol_kind proto,
			       const struct origin *client, stream_fn *on_event, void *arg,
			       struct err *e)
{
	bool tls = b->conf->tls[proto] == TLS_IMPLICIT;
	struct address to = { 0 };
	struct stream *st;

	if (pick(b, b->conf->port[proto], &to) < 0) {
		err_set(e, ERR_TEMP, "backend \"%s\": no address of %s is known",
			side_name(b->side), b->conf->host);
		return NULL;
	}
	st = stream_connect(l, (struct sockaddr *)&to.at, to.len, tls ? start_ssl : NULL, b,
			    on_event, arg);
	if (!st)
		err_set(e, ERR_LIMIT, "backend \"%s\": socket: %s", side_name(b->side),
			strerror(errno));
	else if (b->conf->proxy_protocol != PROXY_NONE)
		introduce(b, st, client, endpoint_of((struct sockaddr *)&to.at));
	return st;
}

SSL *backend_ssl(struct backend *b, int fd)
{
	return tls_client_start(b->tls, fd);
}

struct slice backend_master_password(const struct backend *b)
{
	return secret_slice(&b->master);
}

enum tls_mode backend_tls(const struct backend *b, enum protocol_kind proto)
{
	return b->conf->tls[proto];
}
