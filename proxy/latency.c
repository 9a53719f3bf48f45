/* Hides: which moment counts as asked, and the median. */
#include "proxy/latency.h"

#include "common/clock.h"
#include "common/store.h"
#include "proxy/follower.h"
#include "proxy/session.h"

void latency_asked(struct session *s)
{
	s->asked_ms = clock_mono_ms();
}

void latency_answered(struct session *s)
{
	struct latency *l = &s->proxy->latency[s->side];

	if (!s->asked_ms)
		return; /* it speaks by itself, as in IDLE */
	l->ms[l->count++ % LATENCY_SAMPLES] = (uint32_t)(clock_mono_ms() - s->asked_ms);
	s->asked_ms = 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t latency_median(uint32_t *ms, size_t n)
{
	if (n == 0)
		return 0;
	qsort(ms, n, sizeof *ms, compare);
	return ms[n / 2];
}

void latency_tick(struct proxy *p, int64_t now_ms)
{
	if (now_ms - p->latency_ms < STORE_LATENCY_MS)
		return;
	p->latency_ms = now_ms;
	for (int i = 0; i < SIDES; i++) {
		struct latency *l = &p->latency[i];
		uint32_t n = MIN(l->count, (uint32_t)LATENCY_SAMPLES);

		if (n || l->told)
			follower_latency(p->follower, (enum side)i, l->count,
					 latency_median(l->ms, n) * (int64_t)1000);
		l->told = n > 0;
		l->count = 0;
	}
}
