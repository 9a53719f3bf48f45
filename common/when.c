/* Hides: digits, calendars, and days on which the clocks are changed. */
#include "common/when.h"

#include <time.h>

#define DAY_S 86400

/* n digits from *s on, as a number within the limits; -1: they are none. */
static int take(struct slice *s, size_t n, int least, int most, int *out)
{
	uint64_t v;

	if (s->n < n || slice_u64((struct slice){ s->p, n }, (uint64_t)most, &v) < 0 ||
	    (int)v < least)
		return -1;
	*s = (struct slice){ s->p + n, s->n - n };
	*out = (int)v;
	return 0;
}

static bool take_one(struct slice *s, const char *of)
{
	if (s->n == 0 || s->p[0] == '\0' || !strchr(of, s->p[0]))
		return false;
	*s = (struct slice){ s->p + 1, s->n - 1 };
	return true;
}

/* "22:00", "22:00:30" */
static int take_clock(struct slice *s, struct tm *tm)
{
	if (take(s, 2, 0, 23, &tm->tm_hour) < 0 || !take_one(s, ":") ||
	    take(s, 2, 0, 59, &tm->tm_min) < 0)
		return -1;
	return take_one(s, ":") ? take(s, 2, 0, 59, &tm->tm_sec) : 0;
}

/* "2026-11-30" and what parts it from the time. */
static int take_date(struct slice *s, struct tm *tm)
{
	if (take(s, 4, 1970, 2099, &tm->tm_year) < 0 || !take_one(s, "-") ||
	    take(s, 2, 1, 12, &tm->tm_mon) < 0 || !take_one(s, "-") ||
	    take(s, 2, 1, 31, &tm->tm_mday) < 0 || !take_one(s, " T"))
		return -1;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return 0;
}

/* "Z", "+01:00": seconds that the clock there is ahead of UTC. */
static int take_zone(struct slice *s, int *ahead_s)
{
	int sign = s->n && s->p[0] == '-' ? -1 : 1, hours, minutes;

	*ahead_s = 0;
	if (take_one(s, "Zz"))
		return 0;
	if (!take_one(s, "+-") || take(s, 2, 0, 14, &hours) < 0 || !take_one(s, ":") ||
	    take(s, 2, 0, 59, &minutes) < 0)
		return -1;
	*ahead_s = sign * (hours * 3600 + minutes * 60);
	return 0;
}

static bool same_clock(const struct tm *a, const struct tm *b)
{
	return a->tm_mday == b->tm_mday && a->tm_mon == b->tm_mon && a->tm_hour == b->tm_hour &&
	       a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* -1: there is no such day, or no such time on it. */
static int to_seconds(const struct tm *tm, bool utc, time_t *out)
{
	struct tm made = *tm;

	made.tm_isdst = -1;
	*out = utc ? timegm(&made) : mktime(&made);
	return same_clock(&made, tm) ? 0 : -1;
}

/* The next day on which it is that late. */
static int next_time(const struct tm *clock, time_t now, time_t *out)
{
	for (int day = 0; day <= 2; day++) {
		time_t noon = now + day * DAY_S;
		struct tm tm;

		localtime_r(&noon, &tm);
		tm.tm_hour = clock->tm_hour;
		tm.tm_min = clock->tm_min;
		tm.tm_sec = clock->tm_sec;
		if (to_seconds(&tm, false, out) == 0 && *out > now)
			return 0;
	}
	return -1;
}

static int no_time(struct slice text, struct err *e)
{
	return err_set(
		e, ERR_INPUT,
		"\"%.*s\" is no time: give 22:00, 2026-11-30 22:00 or 2026-11-30T22:00:00Z",
		(int)MIN(text.n, (size_t)40), text.p);
}

static int with_date(struct slice text, time_t *out, struct err *e)
{
	struct slice s = text;
	struct tm tm = { 0 };
	int ahead_s = 0;
	bool utc;

	if (take_date(&s, &tm) < 0 || take_clock(&s, &tm) < 0)
		return no_time(text, e);
	utc = s.n > 0;
	if (utc && (take_zone(&s, &ahead_s) < 0 || s.n > 0))
		return no_time(text, e);
	if (to_seconds(&tm, utc, out) < 0)
		return err_set(e, ERR_INPUT,
			       "\"%.*s\" does not exist: no such day, or the clocks "
			       "are put forward then",
			       (int)text.n, text.p);
	*out -= ahead_s;
	return 0;
}

int when_parse(struct slice text, int64_t now, int64_t *out, struct err *e)
{
	struct slice s = text;
	struct tm clock = { 0 };
	time_t at = 0;

	if (take_clock(&s, &clock) == 0 && s.n == 0) {
		if (next_time(&clock, (time_t)(now / 1000), &at) < 0)
			return err_set(e, ERR_INPUT, "\"%.*s\" does not exist in the next days",
				       (int)text.n, text.p);
	} else if (with_date(text, &at, e) < 0) {
		return -1;
	}
	*out = (int64_t)at * 1000;
	if (*out <= now || *out > WHEN_LAST_MS)
		return err_set(e, ERR_INPUT, "\"%.*s\" is in the past", (int)text.n, text.p);
	return 0;
}

void when_text(int64_t ms, char out[WHEN_TEXT_MAX])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	localtime_r(&s, &tm);
	if (strftime(out, WHEN_TEXT_MAX, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
		out[0] = '\0';
}
