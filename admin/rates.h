/*
 * How fast it goes: a day of samples of what a status sums up, kept in memory only, and what
 * they say of the rest. Pure.
 */
#ifndef ADMIN_RATES_H
#define ADMIN_RATES_H

#include <stddef.h>
#include <stdint.h>

#define RATES_EVERY_MS 15000
#define RATES_SPAN_MS  86400000
#define RATES_MAX      (RATES_SPAN_MS / RATES_EVERY_MS) /* samples kept; the oldest go */
#define RATES_PACE_MS  600000 /* a pace is that of the last ten minutes */

struct rate_sample {
	int64_t at;		  /* ms since 1970 */
	int64_t copied, verified; /* messages, ever */
	int64_t on_new, sessions;
};

struct rates {
	struct rate_sample *at; /* a ring */
	size_t first, count;
	int64_t due; /* the next sample, by the monotonic clock */
};

void rates_release(struct rates *r);
/* Takes s; one that is older than the last begins anew. */
void rates_add(struct rates *r, const struct rate_sample *s);
typedef void rates_fn(const struct rate_sample *s, void *arg);
/* Of the last span_ms, oldest first, thinned out to at most so many; the last is always told.
 */
void rates_each(const struct rates *r, int64_t span_ms, size_t most, rates_fn *fn, void *arg);

struct pace {
	double compared_per_minute; /* of messages */
	int64_t eta_ms;		    /* until those that are left are compared; 0: not known */
};
struct pace rates_pace(const struct rates *r, int64_t left);

#endif
