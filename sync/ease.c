/* Hides: what is slow, and compared with what. */
#include "sync/ease.h"

#include "common/mem.h"

/* The baseline follows quiet times; in busy ones only downwards. */
static void learn(struct ease *x, int64_t us, bool quiet)
{
	if (x->quiet_us == 0 || us < x->quiet_us)
		x->quiet_us = us;
	else if (quiet)
		x->quiet_us += (us - x->quiet_us) / 4;
}

bool ease_is_slow(const struct ease *x)
{
	return x->quiet_us > 0 && x->typical_us > x->quiet_us * EASE_SLOWER &&
	       x->typical_us > x->quiet_us + EASE_SLOWER_US;
}

static void slow_down(struct ease *x, int64_t moved)
{
	int64_t now = x->limit ? MIN(x->limit, moved) : moved;

	x->most = MAX(x->most, moved);
	x->limit = MAX(now / 2, EASE_BYTES_MIN);
}

static void speed_up(struct ease *x)
{
	if (!x->limit)
		return;
	x->limit += x->limit / 4;
	if (x->limit >= 2 * x->most)
		x->limit = x->most = 0;
}

void ease_look(struct ease *x, int64_t commands, int64_t typical_us, int64_t moved_per_s)
{
	bool quiet = moved_per_s < EASE_QUIET_BYTES;

	if (commands < EASE_COMMANDS_MIN) { /* nobody is there to be slowed */
		x->typical_us = 0;
		speed_up(x);
		return;
	}
	x->typical_us = MAX(typical_us, EASE_US_MIN);
	learn(x, x->typical_us, quiet);
	if (!ease_is_slow(x))
		speed_up(x);
	else if (!quiet)
		slow_down(x, moved_per_s);
}
