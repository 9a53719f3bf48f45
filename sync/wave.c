/* Hides: nothing; one function for each question. */
#include "sync/wave.h"

#include "common/when.h"

#define MINUTE_MS 60000

/* ---- when */

static int64_t seconds(int64_t ms)
{
	return (ms + 999) / 1000;
}

static const char *whose(const struct timetable *t)
{
	return t->is_wave ? "wave " : "";
}

bool wave_wants_quiet(int64_t now, const struct wave_facts *f)
{
	return f->t.quiet_s > 0 && (!f->t.latest || now < f->t.latest);
}

static bool is_quiet(int64_t now, const struct wave_facts *f, char *why, size_t size)
{
	char latest[WHEN_TEXT_MAX] = "as long as that takes";

	if (!f->quiet_known || !wave_wants_quiet(now, f) ||
	    (f->quiet_since && now - f->quiet_since >= (int64_t)f->t.quiet_s * 1000))
		return true;
	if (f->t.latest)
		when_text(f->t.latest, latest);
	if (f->quiet_since)
		snprintf(why, size, "no command open for %d s, so far %lld s; %s%s",
			 f->t.quiet_s, (long long)(now - f->quiet_since) / 1000,
			 f->t.latest ? "at the latest at " : "", latest);
	else
		snprintf(why, size, "a command is open, it must be quiet for %d s; %s%s",
			 f->t.quiet_s, f->t.latest ? "at the latest at " : "", latest);
	return false;
}

static bool has_place(int64_t now, const struct wave_facts *f, char *why, size_t size)
{
	const struct timetable *t = &f->t;

	if (!t->first_hour || f->fresh < t->first_hour)
		return true;
	if (f->fresh_ends > now)
		snprintf(why, size,
			 "%lld users of wave %s are in their first hour on new, of at "
			 "most %d; the next may begin in %lld s",
			 (long long)f->fresh, t->name, t->first_hour,
			 (long long)seconds(f->fresh_ends - now));
	else
		snprintf(why, size,
			 "%lld users of wave %s are on their way or in their first "
			 "hour on new, of at most %d",
			 (long long)f->fresh, t->name, t->first_hour);
	return false;
}

bool wave_may_start(int64_t now, const struct wave_facts *f, char *why, size_t size)
{
	const struct timetable *t = &f->t;
	char at[WHEN_TEXT_MAX];

	if (t->paused) {
		snprintf(why, size, "wave %s is paused by %s: %s", t->name, t->actor,
			 *t->why ? t->why : "no reason was given");
		return false;
	}
	if (now < t->starts) {
		when_text(t->starts, at);
		snprintf(why, size, "%s%s begins at %s", whose(t), t->name, at);
		return false;
	}
	if (!has_place(now, f, why, size))
		return false;
	if (t->rate && now < f->next) {
		snprintf(why, size, "wave %s lets %d users a minute begin: the next in %lld s",
			 t->name, t->rate, (long long)seconds(f->next - now));
		return false;
	}
	if (!is_quiet(now, f, why, size))
		return false;
	snprintf(why, size, "may begin now");
	return true;
}

int64_t wave_next(int64_t now, int64_t before, int rate)
{
	if (!rate)
		return 0;
	return (before < now - WAVE_CREDIT_MS ? now : before) + MINUTE_MS / rate;
}

void wave_timetable_text(const struct timetable *t, char *out, size_t size)
{
	char at[WHEN_TEXT_MAX];
	struct buf b = { 0 };

	if (t->starts) {
		when_text(t->starts, at);
		buf_printf(&b, "from %s", at);
	} else {
		buf_printf(&b, "as soon as each is in step");
	}
	if (t->rate)
		buf_printf(&b, ", %d a minute", t->rate);
	if (t->first_hour)
		buf_printf(&b, ", at most %d in their first hour on new", t->first_hour);
	if (t->quiet_s)
		buf_printf(&b, ", when no command was open for %d s", t->quiet_s);
	if (t->latest) {
		when_text(t->latest, at);
		buf_printf(&b, ", at the latest at %s", at);
	}
	snprintf(out, size, "%.*s", (int)buf_len(&b), buf_slice(&b).p);
	buf_release(&b);
}

void wave_schedule(const struct timetable *t, int64_t now, int64_t first, int64_t fresh,
		   int64_t fresh_ends, int64_t *due, size_t n)
{
	int64_t gap = t->rate ? MINUTE_MS / t->rate : 0;
	size_t most = (size_t)t->first_hour, taken = MIN((size_t)fresh, most);

	for (size_t i = 0; i < n; i++) {
		due[i] = i ? due[i - 1] + gap : MAX(MAX(now, t->starts), t->rate ? first : 0);
		if (most && i >= most)
			due[i] = MAX(due[i], due[i - most] + WAVE_HOUR_MS);
		else if (most && i + taken >= most)
			due[i] = MAX(due[i], fresh_ends);
	}
}

/* ---- how it goes */

/* Fewer users than this may be at fault themselves; where there are fewer, one is enough. */
#define FAILED_USERS_MIN 2

static bool many_fail(const struct wave_logins *n, int64_t least, int percent, int64_t on_new)
{
	return percent > 0 && n->total >= MAX(least, 1) &&
	       n->users >= MIN(MAX(on_new, 1), FAILED_USERS_MIN) &&
	       n->failed * 100 > n->total * percent;
}

static int share(const struct wave_logins *n)
{
	return n->total ? (int)(n->failed * 100 / n->total) : 0;
}

bool wave_is_ill(const struct settings *s, const struct wave_health *h, char *why, size_t size)
{
	if (many_fail(&h->logins, s->waves.least, s->waves.failed_percent, h->on_new)) {
		snprintf(why, size,
			 "%lld of %lld logins to new failed (%d %%, of %lld users; more than "
			 "waves.failed_percent = %d)",
			 (long long)h->logins.failed, (long long)h->logins.total,
			 share(&h->logins), (long long)h->logins.users,
			 s->waves.failed_percent);
		return true;
	}
	if (s->waves.hold_ms && h->holds.count >= s->waves.least &&
	    h->holds.p95 > s->waves.hold_ms) {
		snprintf(
			why, size,
			"of %lld logins that waited one in twenty waited %lld ms or longer (more "
			"than waves.hold_ms = %d)",
			(long long)h->holds.count, (long long)h->holds.p95, s->waves.hold_ms);
		return true;
	}
	if (s->waves.slow_times && h->quiet_us &&
	    h->typical_us > h->quiet_us * s->waves.slow_times &&
	    h->typical_us > h->quiet_us + (int64_t)s->waves.slow_ms * 1000) {
		snprintf(
			why, size,
			"the new server answers live users in %lld ms, %lld ms when it is quiet "
			"(more than waves.slow_times = %d times and waves.slow_ms = %d)",
			(long long)h->typical_us / 1000, (long long)h->quiet_us / 1000,
			s->waves.slow_times, s->waves.slow_ms);
		return true;
	}
	return false;
}

bool wave_must_return(const struct settings *s, const struct wave_logins *early,
		      const struct wave_logins *late, int64_t on_new, char *why, size_t size)
{
	int percent = s->waves.rollback_percent;
	int64_t half = (s->waves.least + 1) / 2;

	if (!many_fail(early, half, percent, on_new) || !many_fail(late, half, percent, on_new))
		return false;
	snprintf(why, size,
		 "%lld of %lld logins to new failed for %d s (more than "
		 "waves.rollback_percent = %d)",
		 (long long)(early->failed + late->failed),
		 (long long)(early->total + late->total), s->waves.rollback_s, percent);
	return true;
}
