/*
 * What the name servers of a domain and some resolvers say, all asked at once: who serves the
 * zone is asked of a resolver, then its own servers (and those that the zone moves to) and
 * every resolver are asked for each wanted record. Without blocking; nothing is concluded here.
 */
#ifndef SYNC_DNS_SURVEY_H
#define SYNC_DNS_SURVEY_H

#include "sync/dns_client.h"
#include "sync/dns_want.h"

#define DNS_SERVERS_MAX                                                       \
	8 /* name servers of a zone that are asked; the same of the next ones \
	   */
#define DNS_ADDRESSES_MAX 4 /* of one name */

/* One server's answer to one question. */
struct dns_said {
	enum dns_outcome outcome;
	bool authoritative;
	/* The records of the name itself, "10 a.test.|20 b.test.", sorted; of an alias "CNAME
	   b.test."; "" if there are none. */
	char *value;
	uint32_t ttl_s; /* the least of them */
	char *why;	/* DNS_SILENT, DNS_BROKEN; else "" */
};

enum dns_party {
	DNS_OWN,      /* serves the zone now */
	DNS_NEXT,     /* shall serve it */
	DNS_RESOLVER, /* has it from others, and keeps it for a while */
};

struct dns_server {
	enum dns_party party;
	char name[DNS_HOST_MAX]; /* of a name server; of a resolver its address */
	struct endpoint at;	 /* not known: it has no address */
	struct dns_said *said;	 /* to each of the wants, in their order */
};

/* Where a client's name will lead to: for a look at the certificate there. */
struct dns_place {
	char host[DNS_HOST_MAX];
	size_t count;
	struct endpoint at[DNS_ADDRESSES_MAX]; /* the ports are 0 */
};

struct dns_view {
	const struct dns_wants *wants; /* borrowed */
	char zone[DNS_HOST_MAX];       /* that the domain lies in; "" with trouble */
	char trouble[ERR_TEXT_MAX];    /* why nobody could be asked */
	bool absent;		       /* trouble is that there is no such domain */
	struct dns_server *servers;
	size_t count;
	struct dns_place *places; /* one for each other value of DNS_ROLE_HOST */
	size_t place_count;
};
void dns_view_release(struct dns_view *v);

struct dns_survey_opts {
	struct event_base *base;	 /* borrowed */
	const struct settings *settings; /* until the start has returned */
	const struct dns_wants *wants;	 /* until the view is released */
	bool mx_only; /* only the MX, of the zone's own servers: what the engine looks at */
};
struct dns_survey;
/* v is the receiver's to release. The survey ends itself then. Never from within the start. */
typedef void dns_survey_fn(struct dns_view *v, void *arg);
int dns_survey_start(struct dns_survey **out, const struct dns_survey_opts *o,
		     dns_survey_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* Gives it up: fn is not called. NULL in *s is fine. */
void dns_survey_free(struct dns_survey **s);

#endif
