/* Hides: additive increase, multiplicative decrease. */
#include "sync/hosts.h"

void hosts_hear(struct hosts *h, const struct later *l, const char *text, int open, int64_t now)
{
	struct host *host = &h->at[l->side];
	double by_open = open > 1 ? open / 2.0 : 1;

	if (l->whom == LATER_NOBODY)
		return;
	if (l->whom == LATER_HOST && l->wait_ms)
		host->paused_until = MAX(host->paused_until, now + l->wait_ms);
	if (l->whom == LATER_HOST || l->fewer)
		snprintf(host->said, sizeof host->said, "%s", text);
	if (!l->fewer)
		return;
	if (host->limit > 0 && now - host->lowered < HOSTS_LOWER_GAP_MS)
		return;
	host->limit = host->limit > 0 ? MAX(1, MIN(host->limit / 2, by_open)) : by_open;
	host->lowered = host->raised = now;
}

static void raise_slowly(struct host *host, int most, int64_t now)
{
	int64_t steps = (now - host->raised) / HOSTS_RAISE_MS;

	if (host->limit == 0 || steps <= 0)
		return;
	host->limit += (double)steps;
	host->raised += steps * HOSTS_RAISE_MS;
	if (host->limit >= most)
		host->limit = 0;
}

bool hosts_paused(const struct hosts *h, enum side side, int64_t now)
{
	return h->at[side].paused_until > now;
}

int hosts_limit(struct hosts *h, enum side side, int most, int64_t now)
{
	struct host *host = &h->at[side];

	raise_slowly(host, most, now);
	if (hosts_paused(h, side, now))
		return 0;
	return host->limit > 0 ? MIN(most, (int)host->limit) : most;
}

void hosts_text(struct hosts *h, enum side side, int most, int64_t now, char *out, size_t size)
{
	int limit = hosts_limit(h, side, most, now);
	const struct host *host = &h->at[side];

	out[0] = '\0';
	if (hosts_paused(h, side, now))
		snprintf(out, size, "the %s server wants to be left alone for %lld s more: %s",
			 side_name(side), (long long)(host->paused_until - now + 999) / 1000,
			 host->said);
	else if (limit < most)
		snprintf(out, size, "the %s server gets %d of %d connections for now: %s",
			 side_name(side), limit, most, host->said);
}
