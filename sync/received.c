/* Hides: folded fields, and whose date is looked at in which order. */
#include "sync/received.h"

#include <time.h>
#include <libetpan/libetpan.h>

/* The next field, its folded lines with it; false: the header is over. */
static bool take_field(struct slice *rest, struct slice *field)
{
	size_t n = 0;

	do {
		const char *lf = memchr(rest->p + n, '\n', rest->n - n);

		n = lf ? (size_t)(lf - rest->p) + 1 : rest->n;
	} while (n < rest->n && (rest->p[n] == ' ' || rest->p[n] == '\t'));
	*field = (struct slice){ rest->p, n };
	*rest = (struct slice){ rest->p + n, rest->n - n };
	return n && field->p[0] != '\n' && field->p[0] != '\r';
}

/* Zones are HHMM. What is no date of a clock is none. */
static int64_t seconds_of(const struct mailimf_date_time *d)
{
	struct tm tm = { .tm_year = d->dt_year - 1900,
			 .tm_mon = d->dt_month - 1,
			 .tm_mday = d->dt_day,
			 .tm_hour = d->dt_hour,
			 .tm_min = d->dt_min,
			 .tm_sec = d->dt_sec };
	int zone = d->dt_zone, minutes = zone / 100 * 60 + zone % 100;

	if (d->dt_year < 1970 || d->dt_year > 9999 || d->dt_month < 1 || d->dt_month > 12 ||
	    d->dt_day < 1 || d->dt_day > 31 || d->dt_hour < 0 || d->dt_hour > 23 ||
	    d->dt_min < 0 || d->dt_min > 59 || d->dt_sec < 0 || d->dt_sec > 60 ||
	    zone < -2400 || zone > 2400)
		return 0;
	return timegm(&tm) - minutes * 60;
}

/* libetpan wants a text that ends. */
static int64_t read_date(struct slice s)
{
	char *text = mem_strn(s.p, MIN(s.n, (size_t)RECEIVED_FIELD_MAX));
	struct mailimf_date_time *d = NULL;
	size_t at = 0, n = strlen(text);
	int64_t date = 0;

	for (size_t i = 0; i < n; i++) /* folded lines may end with LF alone here */
		if (text[i] == '\r' || text[i] == '\n' || text[i] == '\t')
			text[i] = ' ';
	if (mailimf_date_time_parse(text, n, &at, &d) == MAILIMF_NO_ERROR) {
		date = seconds_of(d);
		mailimf_date_time_free(d);
	}
	free(text);
	return date;
}

/* RFC 5321 4.4: the date stands behind the last semicolon. */
static struct slice behind_semicolon(struct slice field)
{
	const char *at = memrchr(field.p, ';', field.n);

	if (!at)
		return (struct slice){ field.p, 0 };
	return (struct slice){ at + 1, field.n - (size_t)(at + 1 - field.p) };
}

int64_t received_date(struct slice header, int64_t now)
{
	static const char received[] = "Received:", written[] = "Date:";
	struct slice rest = header, field;
	int64_t date = 0;

	while (rest.n && take_field(&rest, &field)) {
		int64_t found = 0;

		if (slice_starts_nocase(field, received)) {
			found = read_date(behind_semicolon(field));
			if (found > 0 && found <= now)
				return found;
		} else if (slice_starts_nocase(field, written) && !date) {
			size_t n = strlen(written);

			found = read_date((struct slice){ field.p + n, field.n - n });
			date = found > 0 && found <= now ? found : 0;
		}
	}
	return date;
}

void received_text(int64_t date, char out[static RECEIVED_TEXT_MAX])
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)date;
	struct tm tm;

	ASSERT(date >= 0 && gmtime_r(&at, &tm));
	snprintf(out, RECEIVED_TEXT_MAX, "%2d-%s-%04d %02d:%02d:%02d +0000", tm.tm_mday,
		 months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
