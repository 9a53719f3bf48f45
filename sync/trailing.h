/*
 * Users who were moved, while mail may still come to old: how often old is looked at, and by
 * what evidence that ends. Pure.
 *
 * While the MX leads to old, or a cache may still do, or nothing is known of that, old is
 * looked at every sync.trailing_s. Once mail has left, looks become rarer the longer nothing
 * came. A user is done when mail has left and sync.trailing_quiet_days have passed since, and
 * since the last arrival. Where nothing says what new is (dns.new), only arrivals count. A look
 * that did not see all, or could not bring all, is no evidence of anything.
 */
#ifndef SYNC_TRAILING_H
#define SYNC_TRAILING_H

#include "sync/dns_notes.h"
#include "sync/gate.h"

#define TRAILING_RARER	   24	    /* the next look after this part of the quiet so far … */
#define TRAILING_RARE_MS   3600000  /* … but at the latest after this */
#define TRAILING_MX_OLD_MS 86400000 /* what a look at the MX showed longer ago ends nothing */

/* mx: where the user's mail goes; NULL: nothing says what new is. */
struct trailing {
	const struct user *user;
	const struct settings *settings;
	const struct dns_past *mx;
	int64_t now;
};

/* Between two looks at old. */
int64_t trailing_wait_ms(const struct trailing *t);
/* After a look that found old as it was: is that the end? */
bool trailing_is_over(const struct trailing *t);

/* What the end waits for, for people: "mx", "arrivals", "pass" if the last one left something,
 * and "strays" if there were any. How many. */
enum { TRAILING_ITEMS = 4 };
int trailing_items(const struct trailing *t, struct gate_item out[TRAILING_ITEMS]);

#endif
