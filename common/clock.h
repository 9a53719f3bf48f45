/*
 * Time. Deadlines use the monotonic clock, rows in the store the real one; tests move both by
 * hand.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_mono_ms(void); /* since an arbitrary start; never runs backwards */
int64_t clock_real_ms(void); /* since 1970, UTC */

/* "2026-11-24 05:12:01 UTC" */
#define CLOCK_TEXT_MAX 32
const char *clock_utc_text(int64_t at_ms, char out[CLOCK_TEXT_MAX]);

/* For tests: from now on both clocks stand still and move only by clock_test_advance(). */
void clock_test_freeze(void);
void clock_test_advance(int64_t ms);
bool clock_test_is_frozen(void);

#endif
