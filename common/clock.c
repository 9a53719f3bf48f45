/* Hides: which clock it is, and that tests may have stopped it. */
#include "common/clock.h"
#include "common/mem.h"

#include <stdbool.h>
#include <time.h>

static struct {
	bool frozen;
	int64_t mono_ms, real_ms;
} test;

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return test.frozen ? test.mono_ms : read_ms(CLOCK_MONOTONIC);
}

int64_t clock_real_ms(void)
{
	return test.frozen ? test.real_ms : read_ms(CLOCK_REALTIME);
}

void clock_test_freeze(void)
{
	test.mono_ms = clock_mono_ms();
	test.real_ms = clock_real_ms();
	test.frozen = true;
}

void clock_test_advance(int64_t ms)
{
	test.mono_ms += ms;
	test.real_ms += ms;
}

bool clock_test_is_frozen(void)
{
	return test.frozen;
}

const char *clock_utc_text(int64_t at_ms, char out[CLOCK_TEXT_MAX])
{
	time_t at = (time_t)(at_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    !strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(out, CLOCK_TEXT_MAX, "?");
	return out;
}
