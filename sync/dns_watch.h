/*
 * The engine's periodic look at where the MX of domains lead whose users have been moved: noted
 * in the store, and kept at hand for the planner. c-ares in the engine's own loop; one domain
 * at a time.
 */
#ifndef SYNC_DNS_WATCH_H
#define SYNC_DNS_WATCH_H

#include "sync/dns_notes.h"

#define DNS_WATCH_DOMAINS 10000 /* at most; users of more are as if nothing was known */
#define DNS_WATCH_READ_S  60	/* what others have noted is read at least this often */

struct dns_watch;
struct dns_watch *dns_watch_new(struct event_base *base, struct store *st,
				const struct settings *s); /* all borrowed */
void dns_watch_free(struct dns_watch **w);
/* Begins a round when it is time; to be called once a second or more often. */
void dns_watch_tick(struct dns_watch *w);

/*
 * Where mail for this user goes; borrowed until the next event. looked_at 0: nobody has looked
 * yet, or nobody could. NULL: nothing says what new is.
 */
const struct dns_past *dns_watch_mx(const struct dns_watch *w, const char *user);

#endif
