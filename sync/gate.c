/* Hides: nothing; the questions and their words, in the order in which they are asked. */
#include "sync/gate_impl.h"

#define RECENT_SLACK_MS 60000 /* a pass may have waited for its slot */

static const struct {
	const char *name;
	bool waivable;
	bool at_flip; /* asked again of what the last delta found */
} rows[] = {
	[GATE_GO] = { .name = "go" },
	[GATE_WHEN] = { .name = "when" },
	[GATE_LOGINS] = { .name = "logins" },
	[GATE_STUCK] = { .name = "stuck" },
	[GATE_BACKOFF] = { .name = "back-off" },
	[GATE_PASS] = { .name = "pass" },
	[GATE_RECENT] = { .name = "recent" },
	[GATE_VERIFIED] = { .name = "verified" },
	[GATE_EXCEPTIONS] = { .name = "exceptions" },
	[GATE_DOUBT] = { .name = "doubt", .at_flip = true },
	[GATE_UIDVALIDITY] = { "uidvalidity", true, true },
	[GATE_UIDS] = { "uids", true, true },
	[GATE_STRANGERS] = { "strangers", true, true },
	[GATE_SUBSCRIPTIONS] = { "subscriptions", true, true },
	[GATE_SPECIAL_USE] = { "special-use", true, true },
	[GATE_NAMES] = { "names", true, true },
	[GATE_UNSEEN] = { .name = "unseen", .waivable = true },
	[GATE_POP3_IDS] = { "pop3-ids", true, true },
	[GATE_PASSWORD] = { .name = "password", .waivable = true },
	[GATE_SERVER] = { .name = "server", .waivable = true },
	[GATE_QUOTA] = { .name = "quota", .waivable = true },
	[GATE_SERVERS] = { .name = "servers" },
	[GATE_SHORT] = { .name = "short", .waivable = true },
	[GATE_PHASES] = { .name = "phases", .waivable = true },
	[GATE_NODES] = { .name = "nodes" },
	[GATE_SLOT] = { .name = "slot" },
};
_Static_assert(COUNT(rows) == GATE_ITEMS, "a row for every item");

static const char *const states[] = { [GATE_OK] = "ok",
				      [GATE_WARNS] = "warns",
				      [GATE_WAIVED] = "waived",
				      [GATE_WAITS] = "waits" };
_Static_assert(COUNT(states) == GATE_STATES, "a name for every state");

const char *gate_state_name(enum gate_state s)
{
	return states[s];
}

int gate_waivable(const char *name)
{
	for (int i = 0; i < GATE_ITEMS; i++)
		if (rows[i].waivable && strcmp(rows[i].name, name) == 0)
			return i;
	return -1;
}

const char *gate_waivable_names(void)
{
	static char list[256];
	size_t n = 0;

	for (int i = 0; i < GATE_ITEMS; i++)
		if (rows[i].waivable)
			n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
					      rows[i].name);
	return list;
}

static void say_as(struct gate_item *i, enum gate_state state, const char *remedy,
		   const char *fmt, va_list ap)
{
	i->state = state;
	i->ok = state != GATE_WAITS;
	i->remedy = state == GATE_OK ? NULL : remedy;
	vsnprintf(i->text, sizeof i->text, fmt, ap);
}

void gate_say(struct gate_item *i, bool ok, const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_as(i, ok ? GATE_OK : GATE_WAITS, remedy, fmt, ap);
	va_end(ap);
}

void gate_rule(struct gate_item *i, enum gate_rule rule, bool ok, const char *remedy,
	       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_as(i, ok ? GATE_OK : rule == RULE_WARN ? GATE_WARNS : GATE_WAITS, remedy, fmt, ap);
	va_end(ap);
}

static bool can_log_in(const struct user *u, const struct settings *s, bool learned,
		       enum side side)
{
	return u->login[side] && *u->login[side] &&
	       (u->password_file[side] || s->backend[side].master_user ||
		s->backend[side].token_command || learned ||
		(side == SIDE_NEW && s->opensrs.cluster && s->opensrs.session_tokens));
}

static void check_logins(const struct user *u, const struct gate_view *v, struct gate_item *i)
{
	/* Not looked yet: the engine looks when all else is open. */
	bool learned = v->known ? v->known->learned : v->s->learn.domains != NULL;
	bool ok[SIDES];

	for (int side = 0; side < SIDES; side++)
		ok[side] = can_log_in(u, v->s, learned, (enum side)side);

	if (ok[SIDE_OLD] && ok[SIDE_NEW])
		gate_say(i, true, NULL, "logins for both servers are known");
	else
		gate_say(
			i, false,
			"import a password file, or set master_user or token_command for this backend",
			"no login for the %s server", ok[SIDE_OLD] ? "new" : "old");
}

static void check_stuck(const struct user *u, const struct settings *s, struct gate_item *i)
{
	const char *reason = u->stuck_reason ? u->stuck_reason : "";

	if (*reason)
		gate_say(i, false, "mend it, then `mailferry retry`", "stuck: %s", reason);
	else if (u->undos >= s->cutover.tries)
		gate_say(i, false, "`mailferry retry`", "%d cutovers in a row were undone",
			 u->undos);
	else
		gate_say(i, true, NULL, "not stuck");
}

static void check_backoff(const struct user *u, int64_t now, struct gate_item *i)
{
	if (u->next_try > now)
		gate_say(i, false, "`mailferry retry` tries at once", "next try in %lld s",
			 (long long)(u->next_try - now + 999) / 1000);
	else
		gate_say(i, true, NULL, "may be tried now");
}

/* The last one led him there: new's side is as it was days ago, and so is what is known of it. */
static bool is_back_since(const struct user *u)
{
	return u->state == USER_READY && u->progress.pass_ended < u->flipped_at;
}

static void check_pass(const struct user *u, const struct gate_known *k, struct gate_item *i)
{
	const struct progress *p = &u->progress;
	const char *error = p->pass_error ? p->pass_error : "";

	if (p->passes == 0)
		gate_say(i, false, NULL, "a first pass");
	else if (is_back_since(u))
		gate_say(i, false, NULL, "a pass since the user came back to old");
	else if (!p->pass_clean)
		gate_say(i, false, NULL, "a clean pass%s%s", *error ? "; the last one: " : "",
			 error);
	else if (k && !k->facts.known)
		gate_say(i, false, NULL, "a pass that looks at all that the gate asks");
	else
		gate_say(i, true, NULL, "the last pass was clean");
}

static void check_recent(const struct progress *p, const struct gate_view *v,
			 struct gate_item *i)
{
	int64_t age_ms = v->now - p->pass_ended;

	if (p->passes == 0)
		gate_say(i, false, NULL, "no pass yet");
	else
		gate_say(i, age_ms <= gate_recent_ms(v->s), NULL,
			 "the last pass ended %lld s ago", (long long)age_ms / 1000);
}

static void check_verified(const struct progress *p, struct gate_item *i)
{
	gate_say(i, p->passes > 0 && p->verified == p->messages, NULL,
		 "%lld of %lld messages compared", (long long)p->verified,
		 (long long)p->messages);
}

static void check_exceptions(const struct progress *p, struct gate_item *i)
{
	if (p->exceptions)
		gate_say(i, false, "`mailferry exceptions`, then retry or waive them",
			 "%lld messages could not be copied", (long long)p->exceptions);
	else
		gate_say(i, true, NULL, "no exceptions");
}

static void check_quota(const struct progress *p, struct gate_item *i)
{
	const char *quota = p->quota ? p->quota : "";

	if (*quota)
		gate_say(i, false, "give the new mailbox more room, then `mailferry sync`",
			 "%s", quota);
	else
		gate_say(i, true, NULL, "the new mailbox has room");
}

static void check_servers(const struct user *u, const struct gate_view *v, struct gate_item *i)
{
	int64_t not_before = u->progress.not_before;
	char trouble[TROUBLE_TEXT_MAX];

	if (trouble_holds(&v->trouble, u->name, user_freeze_direction(u->state), v->now,
			  trouble))
		gate_say(i, false, TROUBLE_REMEDY, "%s", trouble);
	else if (not_before > v->now)
		gate_say(i, false, NULL, "a server wants to be left alone for %lld s more",
			 (long long)(not_before - v->now + 999) / 1000);
	else
		gate_say(i, true, NULL, "no server asks us to wait, and none is in trouble");
}

static void check_short(const struct progress *p, const struct settings *s, struct gate_item *i)
{
	int64_t most_ms = (int64_t)s->cutover.budget_s * 1000 / 2;

	gate_say(i, p->pass_took < most_ms, "a longer cutover budget_s, or a quieter hour",
		 "the last pass took %lld ms, at most %lld fit into the pause",
		 (long long)p->pass_took, (long long)most_ms);
}

/* Who does not follow the plan hears nothing of it, unless it is required. */
static void check_phases(const struct user *u, const struct gate_view *v, struct gate_item *i)
{
	const struct phase_words *plan = &v->known->plan;
	const char *domain = phases_domain(u->name);
	char names[160];
	int n = phases_blocking(plan, names, sizeof names);

	if (!*domain)
		gate_say(i, true, NULL, "the user is of no domain, so of no plan");
	else if (n == 0)
		gate_say(i, true, NULL, "nothing in the plan of %s blocks", domain);
	else if (v->s->gate.phases == RULE_WARN && !plan->followed)
		gate_say(i, true, NULL, "nobody follows the plan of %s", domain);
	else
		gate_rule(i, v->s->gate.phases, false,
			  "see to it, then `mailferry phases DOMAIN --done ITEM --note TEXT`",
			  "the plan of %s is open at %s", domain, names);
}

/* One that is cut off may serve on whom it knows to live on new. */
static void check_nodes(const struct user *u, const struct gate_view *v, struct gate_item *i)
{
	if (v->lapsed[0])
		gate_say(i, false, "see whether that proxy hangs", "node %s, which is silent",
			 v->lapsed);
	else if (v->gone[0] && u->state == USER_RETURNING)
		gate_say(i, false, "`mailferry forget NODE` when it is off for good",
			 "node %s, which has gone, and may have users on new", v->gone);
	else
		gate_say(i, true, NULL, "no node is silent");
}

static void check_slot(const struct gate_view *v, struct gate_item *i)
{
	if (v->cutovers_running >= v->s->cutover.parallel)
		gate_say(i, false, NULL, "%d other cutovers under way", v->cutovers_running);
	else
		gate_say(i, v->worker_free, NULL, "%s",
			 v->worker_free ? "a worker is free" : "a free worker");
}

static void check_when(const struct gate_view *v, struct gate_item *i)
{
	bool may = wave_may_start(v->now, v->when, i->text, sizeof i->text);

	i->ok = may;
	i->state = may ? GATE_OK : GATE_WAITS;
	i->remedy = v->when->t.paused ? "mend it, then `mailferry resume --wave`" : NULL;
}

/* What v->known says nothing about: nobody asks. */
static void start_items(struct gate_item out[GATE_ITEMS])
{
	memset(out, 0, GATE_ITEMS * sizeof *out);
	for (int i = 0; i < GATE_ITEMS; i++) {
		out[i].name = rows[i].name;
		out[i].waivable = rows[i].waivable;
		gate_say(&out[i], true, NULL, "not looked at yet");
	}
}

static void apply_waiver(const struct gate_waiver *w, struct gate_item *i)
{
	size_t n = strlen(i->text);

	if (!w->on || i->state == GATE_OK)
		return;
	i->state = GATE_WAIVED;
	i->of_wave = w->of_wave;
	i->ok = true;
	i->remedy = NULL;
	snprintf(i->text + n, sizeof i->text - n, "; waived %s", w->text);
}

bool gate_check(const struct user *u, const struct gate_view *v,
		struct gate_item out[GATE_ITEMS])
{
	const struct progress *p = &u->progress;
	const struct gate_known *to_new = u->state == USER_RETURNING ? NULL : v->known;
	bool open = true;

	start_items(out);
	gate_say(&out[GATE_GO], u->go, "`mailferry cutover` gives it", "%s",
		 u->go ? "go is given" : "the go");
	if (v->when)
		check_when(v, &out[GATE_WHEN]);
	check_logins(u, v, &out[GATE_LOGINS]);
	check_stuck(u, v->s, &out[GATE_STUCK]);
	check_backoff(u, v->now, &out[GATE_BACKOFF]);
	check_pass(u, to_new, &out[GATE_PASS]);
	check_recent(p, v, &out[GATE_RECENT]);
	check_verified(p, &out[GATE_VERIFIED]);
	check_exceptions(p, &out[GATE_EXCEPTIONS]);
	check_quota(p, &out[GATE_QUOTA]);
	check_servers(u, v, &out[GATE_SERVERS]);
	check_short(p, v->s, &out[GATE_SHORT]);
	if (to_new)
		check_phases(u, v, &out[GATE_PHASES]);
	check_nodes(u, v, &out[GATE_NODES]);
	check_slot(v, &out[GATE_SLOT]);
	if (to_new && to_new->facts.known)
		gate_check_known(u, v, out);
	for (int i = 0; i < GATE_ITEMS; i++) {
		if (v->known && rows[i].waivable)
			apply_waiver(&v->known->waived[i], &out[i]);
		open = open && (out[i].ok || (!v->known && rows[i].waivable));
	}
	return open;
}

bool gate_may_flip(const struct user *u, const struct gate_view *v, char *why, size_t size)
{
	struct gate_item items[GATE_ITEMS];

	if (!v->known->facts.known) {
		snprintf(why, size, "gate: the last delta did not say what it found");
		return false;
	}
	(void)gate_check(u, v, items);
	for (int i = 0; i < GATE_ITEMS; i++)
		if (rows[i].at_flip && !items[i].ok) {
			snprintf(why, size, "gate: %s: %.200s", items[i].name, items[i].text);
			return false;
		}
	return true;
}

/* Who made the changes that were found is known by then, and a pass says it. */
static bool is_to_judge(const struct gate_item *i, const struct gate_view *v)
{
	return !i->ok && v->known && v->known->facts.found &&
	       v->now >= v->known->facts.found_at + FACTS_TOLD_MS;
}

bool gate_wants_pass(const struct gate_item items[GATE_ITEMS], const struct gate_view *v)
{
	static const enum gate_name by_pass[] = { GATE_PASS, GATE_RECENT, GATE_VERIFIED,
						  GATE_EXCEPTIONS, GATE_SHORT };

	for (size_t i = 0; i < COUNT(by_pass); i++)
		if (!items[by_pass[i]].ok)
			return true;
	return is_to_judge(&items[GATE_UNSEEN], v);
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
