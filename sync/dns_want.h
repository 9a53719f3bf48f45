/*
 * The records that a domain shall have once its users are on new: of OpenSRS's clusters by
 * their rules, else as the settings name them. Pure.
 */
#ifndef SYNC_DNS_WANT_H
#define SYNC_DNS_WANT_H

#include "common/wire/dns.h"
#include "config/dns_words.h"
#include "config/settings.h"

#define DNS_NAMES_MAX	  16  /* of clients, in one domain */
#define DNS_LABEL_MAX	  64  /* "_submissions._tcp SRV" */
#define DNS_TTL_ADVISED_S 300 /* before a record changes */
#define DNS_TTL_MOST_S	  3600

enum dns_role {
	DNS_ROLE_MX,   /* moves with the users */
	DNS_ROLE_HOST, /* the same; value is what it is a CNAME of */
	DNS_ROLE_SRV,  /* the same, and may be left out */
	DNS_ROLE_SPF,  /* value is a term that the one SPF record must hold; "": any will do */
	DNS_ROLE_DKIM, /* may be left out */
	DNS_ROLE_NS,   /* value "": the zone stays where it is */
	DNS_ROLE_SOA,  /* nothing is wanted; it shows whether the servers agree */
};

struct dns_want {
	enum dns_role role;
	char label[DNS_LABEL_MAX]; /* "MX", "mail", "_imaps._tcp SRV": short for people */
	char name[DNS_HOST_MAX];   /* asked for, with its final dot */
	unsigned type;		   /* of a host A: a CNAME shows there too */
	char *value;		   /* as dns_said has them; "": nothing is wanted */
};

struct dns_wants {
	char domain[DNS_HOST_MAX]; /* with its final dot */
	char shown[DNS_HOST_MAX];  /* without */
	char cluster;		   /* 'a', 'b', or 0: new is not OpenSRS */
	struct dns_want *at;
	size_t count;
};

/* ERR_INPUT: no domain's name, or nothing says what new is. Released by the caller in any case.
 */
int dns_wants_make(struct dns_wants *w, const char *domain, const struct dns_target *t,
		   struct err *e) MUST_CHECK;
void dns_wants_release(struct dns_wants *w);
/* Borrowed; the MX is always there. */
const struct dns_want *dns_wants_mx(const struct dns_wants *w);

/* Does every mail exchanger of this value belong to new? Preferences do not matter. */
bool dns_mx_is_new(const struct dns_wants *w, const char *value);
/* Does this value lead to where it is wanted? */
bool dns_is_wanted(const struct dns_wants *w, const struct dns_want *want, const char *value);
/* "imap CNAME mail.a.test.": the want that it goes with, if both shall lead to the same host;
 * or NULL. */
const struct dns_want *dns_leader(const struct dns_wants *w, const struct dns_want *want,
				  const char *value);
/* "b" if the value leads to a cluster of OpenSRS that is not ours, "" where it leads elsewhere
 * or names no cluster. */
const char *dns_other_cluster(const struct dns_wants *w, const char *value);

/* Calls line for each line of a zone file that is wanted for this record; none if nothing is.
 */
typedef void dns_line_fn(const char *line, void *arg);
void dns_want_lines(const struct dns_want *want, dns_line_fn *line, void *arg);

/* The next record of a value (see sync/dns_said.h); false: there is none. *value moves on. */
bool dns_value_next(const char **value, struct slice *record);

#endif
