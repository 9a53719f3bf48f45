/*
 * What earlier looks at a domain's records saw, kept in the store: from it follows when the
 * last copy of an old record has left every cache. A copy that was fetched in the last moment
 * before a change lasts as long as the TTL was then; the change was at the latest when it was
 * first seen.
 */
#ifndef SYNC_DNS_NOTES_H
#define SYNC_DNS_NOTES_H

#include "common/store.h"
#include "common/store_dns.h"
#include "sync/dns_survey.h"

/* Of a record that nobody saw before it changed: resolvers cap what they keep at about a day.
 */
#define DNS_UNSEEN_TTL_S 86400

/* One record's history; times are ms since 1970 by the store's clock. Zeroed: no look at all.
 */
struct dns_past {
	int64_t looked_at;    /* the last look; 0: none */
	int64_t since;	      /* as it is now; once it leads to new: since it does */
	int64_t copies_until; /* the last copy of what it was, or with a longer TTL, is gone
				 then */
	int64_t ttl_before_s; /* that it had then; 0: not known */
	bool is_new;	      /* it leads to new */
	bool guessed;	      /* never seen before it led to new: DNS_UNSEEN_TTL_S it is */
};

/* notes of one record, the oldest first. Pure. */
void dns_past_of(const struct dns_wants *w, const struct dns_want *want,
		 const struct dns_note *notes, size_t n, struct dns_past *out);
/* From the store. */
int dns_past_read(struct store *st, const struct dns_wants *w, const struct dns_want *want,
		  struct dns_past *out, struct err *e) MUST_CHECK;

/* What all of the zone's own servers that answer agree on; 1 *out is one of their answers
 * (borrowed), 0 none answers, -1 they do not agree. */
int dns_agreed(const struct dns_view *v, size_t want, const struct dns_said **out);
/* Writes down all that the own servers agree on. */
int dns_notes_write(struct store *st, const struct dns_view *v, struct err *e) MUST_CHECK;

#endif
