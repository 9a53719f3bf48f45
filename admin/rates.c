/* Hides: the ring. */
#include "admin/rates.h"

#include "common/mem.h"

static const struct rate_sample *sample(const struct rates *r, size_t i)
{
	return &r->at[(r->first + i) % RATES_MAX];
}

static const struct rate_sample *last(const struct rates *r)
{
	return sample(r, r->count - 1);
}

void rates_release(struct rates *r)
{
	mem_free(&r->at);
	*r = (struct rates){ 0 };
}

void rates_add(struct rates *r, const struct rate_sample *s)
{
	if (!r->at)
		r->at = mem_array(RATES_MAX, sizeof *r->at);
	if (r->count && s->at <= last(r)->at)
		r->count = 0;
	if (r->count == RATES_MAX)
		r->first = (r->first + 1) % RATES_MAX;
	else
		r->count++;
	r->at[(r->first + r->count - 1) % RATES_MAX] = *s;
}

/* The first sample that is no older than span_ms before the last. */
static size_t since(const struct rates *r, int64_t span_ms)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sample(r, middle)->at < last(r)->at - span_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void rates_each(const struct rates *r, int64_t span_ms, size_t most, rates_fn *fn, void *arg)
{
	size_t from, n, step;

	if (!r->count)
		return;
	from = since(r, span_ms);
	n = r->count - from;
	step = (n + most - 1) / most;
	/* Counted from the last, so that it is among them. */
	for (size_t i = (n - 1) % step; i < n; i += step)
		fn(sample(r, from + i), arg);
}

struct pace rates_pace(const struct rates *r, int64_t left)
{
	const struct rate_sample *from, *to;
	struct pace p = { 0 };

	if (r->count < 2)
		return p;
	from = sample(r, since(r, RATES_PACE_MS));
	to = last(r);
	if (to->at <= from->at || to->verified <= from->verified)
		return p;
	p.compared_per_minute =
		(double)(to->verified - from->verified) * 60000 / (double)(to->at - from->at);
	p.eta_ms = left > 0 ? (int64_t)((double)left / p.compared_per_minute * 60000) : 0;
	return p;
}
