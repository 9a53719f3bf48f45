/* Hides: which thread gives the sign. */
#include "sync/pulse.h"

#include <stdatomic.h>

#include "common/clock.h"
#include "common/mem.h"

static void (*on_beat)(void);
static _Atomic int64_t last;

void pulse_start(void (*beat)(void))
{
	on_beat = beat;
	atomic_store(&last, clock_mono_ms());
}

void pulse_beat(void)
{
	int64_t now, before = atomic_load(&last);

	if (!on_beat)
		return;
	now = clock_mono_ms();
	if (now - before >= PULSE_MS && atomic_compare_exchange_strong(&last, &before, now))
		on_beat();
}
