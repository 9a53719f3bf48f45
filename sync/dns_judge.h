/*
 * What a look at a domain's records means: for each record whether it is right, what is to be
 * changed now, and what has to wait until all users are on new. Pure.
 */
#ifndef SYNC_DNS_JUDGE_H
#define SYNC_DNS_JUDGE_H

#include "sync/dns_notes.h"

/* From good to bad, so that the worst decides. */
enum dns_verdict {
	DNS_RIGHT,
	DNS_NOTE,      /* right enough; something to know */
	DNS_NOT_YET,   /* nothing to do but to wait */
	DNS_NOT_KNOWN, /* it could not be asked */
	DNS_WRONG,     /* somebody has to change something now */
	DNS_VERDICTS
};
const char *dns_verdict_name(enum dns_verdict v); /* "right", "note", "not yet", … */

/* What a client finds behind one of its names once that leads to new. */
struct dns_certificate {
	char name[DNS_HOST_MAX]; /* "mail.a.test." */
	bool asked, fits;
	char text[256]; /* what is wrong with it, or why nobody could look */
};

struct dns_case {
	const struct dns_view *view;
	const struct dns_past
		*past;	       /* of each of the wants; NULL: there is no store to look in */
	const char *no_store;  /* why; else NULL */
	int64_t users, on_new; /* of the domain; on_new: trailing or done */
	const struct dns_certificate *certificates;
	size_t certificate_count;
	int64_t now; /* ms since 1970, as the past's times */
};

struct dns_item {
	const char *label; /* "MX", "mail", "users", a server */
	enum dns_verdict verdict;
	const char *text;
	const struct dns_want
		*lines;	  /* what belongs into the zone (dns_want_lines); NULL: nothing */
	const char *line; /* or this */
};
typedef void dns_item_fn(const struct dns_item *i, void *arg);
/* Calls fn for each item, in an order made for reading; returns the worst verdict. */
enum dns_verdict dns_judge(const struct dns_case *c, dns_item_fn *fn, void *arg);

#endif
