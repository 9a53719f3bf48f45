/* Hides: that several nodes tell of the same server. */
#include "sync/trouble.h"

static int on_latency(const struct latency_row *l, void *arg)
{
	struct trouble *t = arg;

	t->at[l->side] = MAX(t->at[l->side], l->failed_at);
	return 0;
}

int trouble_read(struct store *st, const struct settings *s, struct trouble *out, struct err *e)
{
	*out = (struct trouble){ 0 };
	if (store_latency_each(st, on_latency, out, e) < 0)
		return -1;
	for (int i = 0; i < SIDES; i++)
		out->until[i] = out->at[i] + (int64_t)s->sync.trouble_s * 1000;
	return 0;
}

bool trouble_is_on(const struct trouble *t, int64_t now, char *out, size_t size)
{
	out[0] = '\0';
	for (int s = 0; s < SIDES; s++) {
		int64_t left = t->until[s] - now;

		if (left <= 0)
			continue;
		snprintf(
			out, size,
			"the %s server answered a live user with an internal error %lld s ago: "
			"what it lists is not believed for %lld s more",
			side_name((enum side)s), (long long)(now - t->at[s]) / 1000,
			(long long)(left + 999) / 1000);
		return true;
	}
	return false;
}
