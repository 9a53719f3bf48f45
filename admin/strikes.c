/* Hides: a small table, and which address gives way in it. */
#include "admin/strikes.h"

#include "common/clock.h"

struct endpoint strikes_key(const struct endpoint *from)
{
	struct endpoint key = *from;

	key.port = 0;
	if (!endpoint_is_v4(from))
		memset(key.ip + 8, 0, 8);
	return key;
}

int strikes_add(struct strikes *s, const struct endpoint *from, int64_t window_ms)
{
	struct endpoint key = strikes_key(from);
	int64_t now = clock_mono_ms();
	size_t found = 0;

	for (size_t i = 0; i < STRIKES_TRACKED; i++) {
		if (s->at[i].count && endpoint_same_ip(&s->at[i].from, &key)) {
			found = i;
			break;
		}
		if (s->at[i].since < s->at[found].since)
			found = i;
	}
	if (!endpoint_same_ip(&s->at[found].from, &key) ||
	    now - s->at[found].since >= window_ms) {
		s->at[found].from = key;
		s->at[found].since = now;
		s->at[found].count = 0;
	}
	return ++s->at[found].count;
}
