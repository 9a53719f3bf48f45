/*
 * One name server that is asked, without blocking: c-ares on libevent. By UDP with EDNS, by TCP
 * where the answer does not fit; twice, and then it counts as silent. What does not come from
 * that server with the question's id and words is not looked at.
 */
#ifndef SYNC_DNS_CLIENT_H
#define SYNC_DNS_CLIENT_H

#include <event2/event.h>

#include "common/err.h"
#include "common/wire/dns.h"
#include "common/wire/endpoint.h"
#include "config/dns_words.h"

struct dns_client;

struct dns_client_opts {
	struct event_base *base; /* borrowed */
	struct endpoint at;
	bool recursive; /* it shall find out what it does not know */
	int timeout_ms; /* until it counts as silent, second try included */
};
int dns_client_new(struct dns_client **out, const struct dns_client_opts *o,
		   struct err *e) MUST_CHECK;
/* Questions that are open are never answered then. Not from within an answer. */
void dns_client_free(struct dns_client **c);

/* a is borrowed until the return. DNS_SILENT: a->why says how we know. */
typedef void dns_client_fn(const struct dns_answer *a, void *arg);
/* fn is called exactly once, perhaps before the return. */
void dns_client_ask(struct dns_client *c, const char *name, unsigned type, dns_client_fn *fn,
		    void *arg);

/* The resolvers of this host, at most DNS_RESOLVERS_MAX. */
int dns_client_system(struct endpoint out[DNS_RESOLVERS_MAX], size_t *n,
		      struct err *e) MUST_CHECK;

#endif
