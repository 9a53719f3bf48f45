/* Hides: how evidence is weighed, and its sentences. */
#include "sync/trailing.h"

#include "common/clock.h"

#define DAY_MS ((int64_t)86400 * 1000)

/* No cache leads mail to old any more. */
static bool mail_has_left(const struct trailing *t)
{
	return t->mx && t->mx->is_new && t->now >= t->mx->copies_until;
}

/* A folder that did not open, or mail that new did not take, may wait on old for ever. */
static bool saw_all(const struct trailing *t)
{
	return t->user->progress.pass_clean;
}

/* Nothing came to old since; mail that could not come proves nothing. */
static int64_t quiet_since(const struct trailing *t)
{
	const struct progress *p = &t->user->progress;

	return MAX(MAX(p->last_arrival, p->last_stray),
		   mail_has_left(t) ? t->mx->copies_until : 0);
}

static int64_t quiet_wanted_ms(const struct trailing *t)
{
	return t->settings->sync.trailing_quiet_days * DAY_MS;
}

int64_t trailing_wait_ms(const struct trailing *t)
{
	int64_t wait_ms = (int64_t)t->settings->sync.trailing_s * 1000;
	int64_t rare_ms = (t->now - quiet_since(t)) / TRAILING_RARER;

	return mail_has_left(t) && saw_all(t) ? MAX(wait_ms, MIN(rare_ms, TRAILING_RARE_MS)) : wait_ms;
}

bool trailing_is_over(const struct trailing *t)
{
	if (!saw_all(t))
		return false;
	if (t->mx && (!mail_has_left(t) || t->now - t->mx->looked_at > TRAILING_MX_OLD_MS))
		return false;
	return t->user->progress.pass_ended >= quiet_since(t) + quiet_wanted_ms(t);
}

/* ---- for people */

static void mx_item(const struct trailing *t, struct gate_item *i)
{
	const struct dns_past *mx = t->mx;
	char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];

	*i = (struct gate_item){ .name = "mx", .ok = !mx || mail_has_left(t) };
	if (!mx) {
		i->state = GATE_WARNS;
		i->remedy = "set dns.new, so that the end is not left to quiet days alone";
		snprintf(i->text, sizeof i->text,
			 "where the domain's MX leads is not looked at");
	} else if (mx->looked_at == 0) {
		i->remedy = "mailferry check dns says why";
		snprintf(i->text, sizeof i->text, "nobody could look yet where the MX leads");
	} else if (mx->is_new) {
		snprintf(
			i->text, sizeof i->text,
			"the MX leads to new since %s; the last copy of the old one %s gone at %s",
			clock_utc_text(mx->since, since), mail_has_left(t) ? "was" : "is",
			clock_utc_text(mx->copies_until, until));
	} else {
		i->remedy = "let it lead to new when all users are there (mailferry check dns)";
		snprintf(i->text, sizeof i->text, "the MX still leads to old, seen at %s",
			 clock_utc_text(mx->looked_at, since));
	}
	if (!i->ok)
		i->state = GATE_WAITS;
}

static void arrivals_item(const struct trailing *t, struct gate_item *i)
{
	int64_t quiet_ms = MAX(0, t->now - quiet_since(t));
	char since[CLOCK_TEXT_MAX];

	*i = (struct gate_item){ .name = "arrivals", .ok = quiet_ms >= quiet_wanted_ms(t) };
	i->state = i->ok ? GATE_OK : GATE_WAITS;
	snprintf(i->text, sizeof i->text,
		 "quiet on old since %s, for %lld of %d days; the next look comes after %lld s",
		 clock_utc_text(quiet_since(t), since), (long long)(quiet_ms / DAY_MS),
		 t->settings->sync.trailing_quiet_days,
		 (long long)(trailing_wait_ms(t) / 1000));
}

static void pass_item(const struct trailing *t, struct gate_item *i)
{
	const char *error = t->user->progress.pass_error;

	*i = (struct gate_item){ .name = "pass",
				 .state = GATE_WAITS,
				 .remedy = "the engine's log says what, and `mailferry "
					   "exceptions` which messages" };
	snprintf(i->text, sizeof i->text,
		 "the last look at old did not see all, or could not bring all%s%s",
		 error && *error ? ": " : "", error ? error : "");
}

static void strays_item(const struct trailing *t, struct gate_item *i)
{
	const struct progress *p = &t->user->progress;
	char last[CLOCK_TEXT_MAX];

	*i = (struct gate_item){
		.name = "strays",
		.ok = true,
		.state = GATE_WARNS,
		.remedy = "find the client, webmail or program that still goes to "
			  "old, and lead it to the proxy"
	};
	snprintf(i->text, sizeof i->text,
		 "%lld changes on old after the move, past the proxy, the last seen at %s",
		 (long long)p->strays, clock_utc_text(p->last_stray, last));
}

int trailing_items(const struct trailing *t, struct gate_item out[TRAILING_ITEMS])
{
	int n = 0;

	mx_item(t, &out[n++]);
	arrivals_item(t, &out[n++]);
	if (!saw_all(t) && t->user->progress.pass_ended > t->user->state_since)
		pass_item(t, &out[n++]);
	if (t->user->progress.strays > 0)
		strays_item(t, &out[n++]);
	return n;
}
