/* Hides: the words between the commas. */
#include "config/rate_times.h"

#define DAY_MINUTES 1440

struct window {
	int from, to; /* minutes of the day */
	struct rate rate;
	bool has_bytes, has_messages, has_connections;
};

static struct slice cut(struct slice *s, char at)
{
	const char *p = s->n ? memchr(s->p, at, s->n) : NULL;
	struct slice head = { s->p, p ? (size_t)(p - s->p) : s->n };
	size_t skip = MIN(head.n + 1, s->n);

	s->p += skip;
	s->n -= skip;
	return head;
}

static struct slice trim(struct slice s)
{
	while (s.n && s.p[0] == ' ')
		s = (struct slice){ s.p + 1, s.n - 1 };
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

/* "08:00"; -1: no time. "24:00" is the end of the day. */
static int minute_of(struct slice s)
{
	struct slice hours = cut(&s, ':');
	uint64_t h, m;

	if (hours.n != 2 || s.n != 2 || slice_u64(hours, 24, &h) < 0 ||
	    slice_u64(s, 59, &m) < 0 || (h == 24 && m > 0))
		return -1;
	return (int)(h * 60 + m);
}

static int number(struct slice s, int64_t max, int64_t *out)
{
	int64_t factor = 1;
	uint64_t v;

	if (s.n > 1 && memchr("KMG", s.p[s.n - 1], 3)) {
		factor = s.p[s.n - 1] == 'K'   ? 1LL << 10
			 : s.p[s.n - 1] == 'M' ? 1LL << 20
					       : 1LL << 30;
		s.n--;
	}
	if (slice_u64(s, (uint64_t)(max / factor), &v) < 0)
		return -1;
	*out = (int64_t)v * factor;
	return 0;
}

static int take_word(struct slice word, struct window *w)
{
	struct slice name = cut(&word, '=');
	int64_t v;

	if (slice_is(name, "bytes") && number(word, RATE_BYTES_MAX, &v) == 0) {
		w->rate.bytes = v;
		w->has_bytes = true;
	} else if (slice_is(name, "messages") && number(word, RATE_MESSAGES_MAX, &v) == 0) {
		w->rate.messages = (int)v;
		w->has_messages = true;
	} else if (slice_is(name, "connections") && number(word, 1000, &v) == 0 && v > 0) {
		w->rate.connections = (int)v;
		w->has_connections = true;
	} else {
		return -1;
	}
	return 0;
}

static int take_window(struct slice text, struct window *w)
{
	struct slice times, from;

	*w = (struct window){ 0 };
	times = cut(&text, ' ');
	from = cut(&times, '-');
	w->from = minute_of(from);
	w->to = minute_of(times);
	if (w->from < 0 || w->to < 0 || w->from == w->to || w->from == DAY_MINUTES)
		return -1;
	for (text = trim(text); text.n; text = trim(text))
		if (take_word(cut(&text, ' '), w) < 0)
			return -1;
	return w->has_bytes || w->has_messages || w->has_connections ? 0 : -1;
}

int rate_times_check(const char *text, char *why, size_t size)
{
	struct slice all = slice_of(text ? text : "");
	int count = 0;

	while (trim(all).n) {
		struct slice one = trim(cut(&all, ','));
		struct window w;

		if (++count > RATE_WINDOWS_MAX) {
			snprintf(why, size, "more than %d windows", RATE_WINDOWS_MAX);
			return -1;
		}
		if (take_window(one, &w) < 0) {
			snprintf(
				why, size,
				"\"%.*s\" is no window: write \"08:00-18:00 bytes=2M messages=5 "
				"connections=4\"",
				(int)one.n, one.p);
			return -1;
		}
	}
	return 0;
}

/* "22:00-06:00" goes over midnight. */
static bool holds(const struct window *w, int minute)
{
	if (w->from < w->to)
		return minute >= w->from && minute < w->to;
	return minute >= w->from || minute < w->to;
}

struct rate rate_at(struct rate plain, const char *text, int minute)
{
	struct slice all = slice_of(text ? text : "");

	while (trim(all).n) {
		struct window w;

		if (take_window(trim(cut(&all, ',')), &w) < 0 || !holds(&w, minute))
			continue;
		if (w.has_bytes)
			plain.bytes = w.rate.bytes;
		if (w.has_messages)
			plain.messages = w.rate.messages;
		if (w.has_connections)
			plain.connections = w.rate.connections;
		break;
	}
	return plain;
}
