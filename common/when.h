/*
 * Times as people say them, in this host's time zone. Pure but for the zone.
 */
#ifndef COMMON_WHEN_H
#define COMMON_WHEN_H

#include "common/buf.h"
#include "common/err.h"

#define WHEN_TEXT_MAX 64
#define WHEN_LAST_MS  ((int64_t)4102444800000) /* 2100: no plan reaches further */

/*
 * "22:00" (the next time it is that late), "2026-11-30 22:00", "2026-11-30T22:00:30", and the
 * latter with "Z" or "+01:00". -1: not one of these, a time that does not exist on that day
 * (the clocks are put forward), or one that is not after now.
 */
int when_parse(struct slice text, int64_t now, int64_t *out, struct err *e) MUST_CHECK;
/* "2026-11-30 22:00:00 CET" */
void when_text(int64_t ms, char out[WHEN_TEXT_MAX]);

#endif
