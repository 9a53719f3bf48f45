/* The store, its rows of what name servers said. */
#ifndef COMMON_STORE_DNS_H
#define COMMON_STORE_DNS_H

#include "common/store.h"

#define STORE_DNS_NOTES 32 /* of one record, the newest, are kept */

/* A record as its domain's own name servers had it, from its first look to its last. */
struct dns_note {
	const char *record; /* "MX", "mail A" */
	const char *value;  /* as in a zone file, sorted; many are separated by | */
	int64_t ttl_s, first_seen, last_seen;
};
/* It was seen now: a new row if value or TTL are others than last time. Of n the times do not
 * count. */
int store_dns_note(struct store *st, const char *domain, const struct dns_note *n,
		   struct err *e) MUST_CHECK;
typedef int store_dns_fn(const struct dns_note *n, void *arg);
/* All of a domain, by record, the oldest first; record NULL: of all records. */
int store_dns_each(struct store *st, const char *domain, const char *record, store_dns_fn *fn,
		   void *arg, struct err *e) MUST_CHECK;

#endif
