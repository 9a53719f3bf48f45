/* Hides: the shape of a log line and its escaping. Lines leave in one write, so processes may
 * share the stream. */
#include "common/log.h"

#include <time.h>
#include <errno.h>

#include "common/clock.h"

#define LOG_LINE_MAX  2048
#define LOG_VALUE_MAX 160

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};
_Static_assert(COUNT(level_names) == LOG_LEVELS, "a name for every level");

static char process_name[64] = "-";
static volatile int current_level = LOG_INFO; /* read by the follower's thread as well */

struct line {
	char at[LOG_LINE_MAX];
	size_t n;
};

void log_open(const char *name, enum log_level level)
{
	snprintf(process_name, sizeof process_name, "%s", name);
	current_level = level;
}

void log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level log_get_level(void)
{
	return (enum log_level)current_level;
}

int log_level_find(const char *name)
{
	for (int i = 0; i < LOG_LEVELS; i++)
		if (strcmp(level_names[i], name) == 0)
			return i;
	return -1;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

static void put(struct line *l, char c)
{
	if (l->n < sizeof l->at - 1)
		l->at[l->n++] = c;
}

static void put_text(struct line *l, const char *s)
{
	while (*s)
		put(l, *s++);
}

/* Control characters become \xNN; in a value blanks do too, so that key=value stays one word.
 */
static void put_escaped(struct line *l, const char *s, size_t max, bool value)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; s[i] && i < max; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f || c == '\\' || (value && c == ' ')) {
			put(l, '\\');
			put(l, 'x');
			put(l, hex[c >> 4]);
			put(l, hex[c & 15]);
		} else {
			put(l, (char)c);
		}
	}
}

static void put_pair(struct line *l, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	put(l, ' ');
	put_text(l, key);
	put(l, '=');
	put_escaped(l, value, LOG_VALUE_MAX, true);
}

static void put_time(struct line *l)
{
	int64_t ms = clock_real_ms();
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char text[40];

	gmtime_r(&s, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	put_text(l, text);
	snprintf(text, sizeof text, ".%03dZ ", (int)(ms % 1000));
	put_text(l, text);
}

static void put_about(struct line *l, const struct log_about *a)
{
	put(l, ' ');
	put_text(l, a && a->what ? a->what : "process");
	put_pair(l, "node", process_name);
	if (!a)
		return;
	put_pair(l, "id", a->id);
	put_pair(l, "proto", a->proto);
	put_pair(l, "peer", a->peer);
	put_pair(l, "user", a->user);
	put_pair(l, "side", a->side);
	put_pair(l, "state", a->state);
	put_pair(l, "doing", a->doing);
}

void log_line(enum log_level level, const struct log_about *a, const char *fmt, ...)
{
	struct line l = { .n = 0 };
	char text[1024];
	va_list ap;

	if ((int)level > current_level && !(a && a->traced))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put_time(&l);
	put_text(&l, level_names[level]);
	put_about(&l, a);
	put_text(&l, " : ");
	put_escaped(&l, text, sizeof text, false);
	if (l.n > sizeof l.at - 2)
		l.n = sizeof l.at - 2;
	l.at[l.n++] = '\n';
	while (write(STDERR_FILENO, l.at, l.n) < 0 && errno == EINTR)
		;
}
