/* Hides: nothing; the questions and their words, in the order in which they are asked. */
#include "sync/gate.h"

#define RECENT_SLACK_MS 60000 /* a pass may have waited for its slot */

static const char *const names[] = {
	[GATE_GO] = "go",
	[GATE_LOGINS] = "logins",
	[GATE_STUCK] = "stuck",
	[GATE_BACKOFF] = "back-off",
	[GATE_PASS] = "pass",
	[GATE_RECENT] = "recent",
	[GATE_VERIFIED] = "verified",
	[GATE_EXCEPTIONS] = "exceptions",
	[GATE_QUOTA] = "quota",
	[GATE_SERVERS] = "servers",
	[GATE_SHORT] = "short",
	[GATE_NODES] = "nodes",
	[GATE_SLOT] = "slot",
};
_Static_assert(COUNT(names) == GATE_ITEMS, "a name for every item");

static void PRINTF_LIKE(4, 5)
	say(struct gate_item *i, bool ok, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	i->ok = ok;
	i->remedy = ok ? NULL : remedy;
	va_start(ap, fmt);
	vsnprintf(i->text, sizeof i->text, fmt, ap);
	va_end(ap);
}

static bool can_log_in(const struct user *u, const struct settings *s, enum side side)
{
	return u->login[side] && *u->login[side] &&
	       (u->password_file[side] || s->backend[side].master_user ||
		s->backend[side].token_command);
}

static void check_logins(const struct user *u, const struct settings *s, struct gate_item *i)
{
	bool ok[SIDES] = { can_log_in(u, s, SIDE_OLD), can_log_in(u, s, SIDE_NEW) };

	if (ok[SIDE_OLD] && ok[SIDE_NEW])
		say(i, true, NULL, "logins for both servers are known");
	else
		say(i, false,
		    "import a password file, or set master_user or token_command for this backend",
		    "no login for the %s server", ok[SIDE_OLD] ? "new" : "old");
}

static void check_stuck(const struct user *u, const struct settings *s, struct gate_item *i)
{
	const char *reason = u->stuck_reason ? u->stuck_reason : "";

	if (*reason)
		say(i, false, "mend it, then `mailferry retry`", "stuck: %s", reason);
	else if (u->undos >= s->cutover.tries)
		say(i, false, "`mailferry retry`", "%d cutovers in a row were undone",
		    u->undos);
	else
		say(i, true, NULL, "not stuck");
}

static void check_backoff(const struct user *u, int64_t now, struct gate_item *i)
{
	if (u->next_try > now)
		say(i, false, "`mailferry retry` tries at once", "next try in %lld s",
		    (long long)(u->next_try - now + 999) / 1000);
	else
		say(i, true, NULL, "may be tried now");
}

static void check_pass(const struct progress *p, struct gate_item *i)
{
	const char *error = p->pass_error ? p->pass_error : "";

	if (p->passes == 0)
		say(i, false, NULL, "a first pass");
	else if (!p->pass_clean)
		say(i, false, NULL, "a clean pass%s%s", *error ? "; the last one: " : "",
		    error);
	else
		say(i, true, NULL, "the last pass was clean");
}

static void check_recent(const struct progress *p, const struct gate_view *v,
			 struct gate_item *i)
{
	int64_t age_ms = v->now - p->pass_ended;

	if (p->passes == 0)
		say(i, false, NULL, "no pass yet");
	else
		say(i, age_ms <= gate_recent_ms(v->s), NULL, "the last pass ended %lld s ago",
		    (long long)age_ms / 1000);
}

static void check_verified(const struct progress *p, struct gate_item *i)
{
	say(i, p->passes > 0 && p->verified == p->messages, NULL,
	    "%lld of %lld messages compared", (long long)p->verified, (long long)p->messages);
}

static void check_exceptions(const struct progress *p, struct gate_item *i)
{
	if (p->exceptions)
		say(i, false, "`mailferry exceptions`, then retry or waive them",
		    "%lld messages could not be copied", (long long)p->exceptions);
	else
		say(i, true, NULL, "no exceptions");
}

static void check_quota(const struct progress *p, struct gate_item *i)
{
	const char *quota = p->quota ? p->quota : "";

	if (*quota)
		say(i, false, "give the new mailbox more room, then `mailferry sync`", "%s",
		    quota);
	else
		say(i, true, NULL, "the new mailbox has room");
}

static void check_servers(const struct progress *p, int64_t now, struct gate_item *i)
{
	if (p->not_before > now)
		say(i, false, NULL, "a server wants to be left alone for %lld s more",
		    (long long)(p->not_before - now + 999) / 1000);
	else
		say(i, true, NULL, "no server asks us to wait");
}

static void check_short(const struct progress *p, const struct settings *s, struct gate_item *i)
{
	int64_t most_ms = (int64_t)s->cutover.budget_s * 1000 / 2;

	say(i, p->pass_took < most_ms, "a longer cutover budget_s, or a quieter hour",
	    "the last pass took %lld ms, at most %lld fit into the pause",
	    (long long)p->pass_took, (long long)most_ms);
}

static void check_nodes(const struct gate_view *v, struct gate_item *i)
{
	if (v->lapsed[0])
		say(i, false, "see whether that proxy hangs", "node %s, which is silent",
		    v->lapsed);
	else
		say(i, true, NULL, "no node is silent");
}

static void check_slot(const struct gate_view *v, struct gate_item *i)
{
	if (v->cutovers_running >= v->s->cutover.parallel)
		say(i, false, NULL, "%d other cutovers under way", v->cutovers_running);
	else
		say(i, v->worker_free, NULL, "%s",
		    v->worker_free ? "a worker is free" : "a free worker");
}

bool gate_check(const struct user *u, const struct gate_view *v,
		struct gate_item out[GATE_ITEMS])
{
	const struct progress *p = &u->progress;
	bool open = true;

	memset(out, 0, GATE_ITEMS * sizeof *out);
	say(&out[GATE_GO], u->go, "`mailferry cutover` gives it", "%s",
	    u->go ? "go is given" : "the go");
	check_logins(u, v->s, &out[GATE_LOGINS]);
	check_stuck(u, v->s, &out[GATE_STUCK]);
	check_backoff(u, v->now, &out[GATE_BACKOFF]);
	check_pass(p, &out[GATE_PASS]);
	check_recent(p, v, &out[GATE_RECENT]);
	check_verified(p, &out[GATE_VERIFIED]);
	check_exceptions(p, &out[GATE_EXCEPTIONS]);
	check_quota(p, &out[GATE_QUOTA]);
	check_servers(p, v->now, &out[GATE_SERVERS]);
	check_short(p, v->s, &out[GATE_SHORT]);
	check_nodes(v, &out[GATE_NODES]);
	check_slot(v, &out[GATE_SLOT]);
	for (int i = 0; i < GATE_ITEMS; i++) {
		out[i].name = names[i];
		open = open && out[i].ok;
	}
	return open;
}

bool gate_wants_pass(const struct gate_item items[GATE_ITEMS])
{
	static const enum gate_name by_pass[] = { GATE_PASS, GATE_RECENT, GATE_VERIFIED,
						  GATE_EXCEPTIONS, GATE_SHORT };

	for (size_t i = 0; i < COUNT(by_pass); i++)
		if (!items[by_pass[i]].ok)
			return true;
	return false;
}

int64_t gate_recent_ms(const struct settings *s)
{
	return (int64_t)s->sync.delta_s * 1000 + RECENT_SLACK_MS;
}

void gate_quiet_text(const struct user *u, const struct quiet *q, char *out, size_t size)
{
	if (q->acked == q->nodes && q->lapsed == 0)
		out[0] = '\0';
	else
		snprintf(out, size, "%s waits for: node %s", u->name, q->waiting);
}
