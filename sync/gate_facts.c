/* Hides: nothing; what each fact means for people, and what helps. */
#include "sync/gate_impl.h"

#include <inttypes.h>

#define DAY_MS	  ((int64_t)86400 * 1000)
#define UNSEEN_MS DAY_MS /* a change past the nodes counts so long */
#define MIB	  (1024 * 1024)

#define POP3_REMEDY "`mailferry waive USER pop3-ids` if clients may load mail twice"
#define LOOK_AGAIN  ", then `mailferry sync`"

static void check_doubt(const struct facts *f, struct gate_item *i)
{
	gate_say(i, f->in_doubt == 0, "the next pass settles it",
		 "%" PRId64 " messages in doubt", f->in_doubt);
}

static void check_uidvalidity(const struct facts *f, const struct settings *s,
			      struct gate_item *i)
{
	const struct fact *x = &f->same_validity;

	if (f->by_pop3)
		gate_say(i, true, NULL, "old is read by POP3 and has none");
	else if (x->count == 0)
		gate_say(i, true, NULL, "no client can take new's UIDs for old's");
	else
		gate_rule(i, s->gate.uidvalidity, false,
			  s->opensrs.cluster
				  ? "delete the folder on new (for INBOX make the account anew), "
				    "before the user sees it, and sync again; or waive it"
				  : "rename the folder on new away and sync again, or waive it",
			  "%" PRId64 " folders have old's UIDVALIDITY and other UIDs, first %s",
			  x->count, x->where);
}

/* Why it is not what sync.uids wishes, if the pass has said so. */
static const char *because(const struct facts *f, char out[static FACT_TEXT_MAX + 8])
{
	snprintf(out, FACT_TEXT_MAX + 8, "%s%s", f->uids_why[0] ? ": " : "", f->uids_why);
	return out;
}

/* What sync/uid_mode.h says, as it has come to be. */
static void check_uids(const struct facts *f, const struct settings *s, struct gate_item *i)
{
	char why[FACT_TEXT_MAX + 8];

	if (f->by_pop3)
		gate_say(i, true, NULL, "old is read by POP3 and has none");
	else if (f->inexact.count == 0)
		gate_say(i, true, NULL,
			 "exact: %" PRId64 " of %" PRId64 " messages have old's UID", f->paired,
			 f->paired);
	else if (f->other_uids.count == 0)
		gate_rule(i, s->gate.uids, false,
			  "`mailferry sync` with sync.uids = exact, or waive it",
			  "%" PRId64 " of %" PRId64
			  " messages have old's UID, but in %" PRId64
			  " folders new will give UIDs that old has given before, first %s%s",
			  f->paired, f->paired, f->inexact.count, f->inexact.where,
			  because(f, why));
	else if (f->low_uids.count == 0)
		gate_say(i, true, NULL,
			 "floor: %" PRId64 " of %" PRId64
			 " messages have another UID than on old, all above old's UIDNEXT%s",
			 f->other_uids.count, f->paired, because(f, why));
	else
		gate_rule(i, s->gate.uids, false,
			  "`mailferry waive USER uids` if clients may load all of it anew",
			  "plain: %" PRId64 " of %" PRId64
			  " messages have another UID than on old, in %" PRId64
			  " folders below old's UIDNEXT, first %s%s",
			  f->other_uids.count, f->paired, f->low_uids.count, f->low_uids.where,
			  because(f, why));
}

/* Names a fact that must be zero. */
static void check_zero(const struct fact *x, enum gate_rule rule, const char *what,
		       const char *none, const char *remedy, struct gate_item *i)
{
	if (x->count == 0)
		gate_say(i, true, NULL, "%s", none);
	else
		gate_rule(i, rule, false, remedy, "%" PRId64 " %s %s", x->count, what,
			  x->where);
}

static const char *separator_text(const struct facts *f, enum side s)
{
	return f->separator[s][0] ? f->separator[s] : "none";
}

static void check_names(const struct facts *f, const struct settings *s, struct gate_item *i)
{
	bool same = strcmp(f->prefix[SIDE_OLD], f->prefix[SIDE_NEW]) == 0 &&
		    f->separator[SIDE_OLD][0] == f->separator[SIDE_NEW][0];

	if (same)
		gate_say(i, true, NULL, "prefix \"%s\" and separator %s on both sides",
			 f->prefix[SIDE_NEW], separator_text(f, SIDE_NEW));
	else
		gate_rule(i, s->gate.names, false,
			  "clients with a fixed prefix need another one; or waive it",
			  "prefix \"%s\" and separator %s on old, \"%s\" and %s on new",
			  f->prefix[SIDE_OLD], separator_text(f, SIDE_OLD), f->prefix[SIDE_NEW],
			  separator_text(f, SIDE_NEW));
}

static void check_unseen(const struct facts *f, const struct gate_view *v, struct gate_item *i)
{
	if (f->found)
		gate_rule(i, v->s->gate.unseen, false, "wait: that pass begins by itself",
			  "%" PRId64 " messages changed or deleted on old: a pass from %d s "
			  "after will know whether a node saw it",
			  f->found, FACTS_TOLD_MS / 1000);
	else if (f->unseen == 0 || v->now - f->unseen_at > UNSEEN_MS)
		gate_say(i, true, NULL, "no changes on old past the proxy in the last day");
	else
		gate_rule(i, v->s->gate.unseen, false,
			  "find the webmail or program that uses old itself, and stop it",
			  "%" PRId64 " messages changed or deleted on old %" PRId64
			  " s ago, while no node had a session",
			  f->unseen, (v->now - f->unseen_at) / 1000);
}

static void check_pop3_ids(const struct uidl_state *p, const struct settings *s,
			   struct gate_item *i)
{
	if (!p->seen)
		gate_say(i, true, NULL, "no node has seen the user read by POP3");
	else if (s->pop3.uidl && strcmp(s->pop3.uidl, "native") == 0)
		gate_say(i, true, NULL, "clients see new's own unique ids (pop3.uidl)");
	else if (store_uidl_serves(p))
		gate_say(i, true, NULL, "%" PRId64 " unique ids are mapped%s", p->entries,
			 p->accepted ? ", and that is taken as enough" : "");
	else if (p->entries == 0 && p->missing == 0) /* nothing was counted */
		gate_rule(i, s->gate.pop3_ids, false, POP3_REMEDY,
			  "POP3 clients know old's unique ids, and there is no map of them%s%s",
			  p->why[0] ? ": " : "", p->why);
	else
		gate_rule(i, s->gate.pop3_ids, false, POP3_REMEDY,
			  "POP3 clients know old's unique ids: %" PRId64 " mapped, %" PRId64
			  " missing%s%s",
			  p->entries, p->missing, p->why[0] ? ": " : "", p->why);
}

static void check_password(const struct gate_view *v, struct gate_item *i)
{
	const struct shadow_row *p = &v->known->password;
	int64_t age_s = (v->now - p->at) / 1000;

	if (!v->s->gate.shadow_login)
		gate_say(i, true, NULL, "nobody looks (gate.shadow_login)");
	else if (p->at == 0)
		gate_rule(i, v->s->gate.password_unknown, false,
			  "it is looked at when the user logs in the next time",
			  "not known whether new takes the user's password");
	else if (p->accepted)
		gate_say(i, true, NULL, "new took the user's password %" PRId64 " s ago",
			 age_s);
	else
		gate_rule(i, v->s->gate.password, false,
			  "set it on new, then `mailferry retry`: the next login is looked at",
			  "new refused the password that old took %" PRId64 " s ago", age_s);
}

static void check_server(const struct facts *f, const struct gate_view *v, struct gate_item *i)
{
	int64_t days = f->certificate ? (f->certificate * 1000 - v->now) / DAY_MS : 0;
	bool short_lived = f->certificate && days < v->s->gate.certificate_days;

	if (short_lived)
		gate_rule(i, v->s->gate.server, false, "renew it" LOOK_AGAIN,
			  "new's certificate ends in %" PRId64 " days%s%s", days,
			  f->lost[0] ? "; new has not: " : "", f->lost);
	else if (f->lost[0])
		gate_rule(i, v->s->gate.server, false,
			  "`mailferry check backends` says what that means for people",
			  "new has not: %s", f->lost);
	else if (f->certificate)
		gate_say(i, true, NULL,
			 "new can do what old can; certificate ends in %" PRId64 " days", days);
	else
		gate_say(i, true, NULL, "new can do what old can");
}

static void quota_short(struct gate_item *i, const char *what, int64_t room, int64_t needed)
{
	gate_say(i, false, "give the new mailbox more room" LOOK_AGAIN,
		 "new has room for %" PRId64 " %s more; %" PRId64 " are wanted"
		 " (gate.quota_margin)",
		 room, what, needed);
}

static void check_quota(const struct user *u, const struct gate_view *v, struct gate_item *i)
{
	const struct progress *p = &u->progress;
	const struct facts *f = &v->known->facts;
	int64_t to_come = MAX(p->messages - p->verified, (int64_t)0);
	int64_t messages = to_come + p->messages * v->s->gate.quota_margin / 100;
	int64_t bytes = p->bytes * v->s->gate.quota_margin / 100;

	/* What is still to come is of the size that the others are. */
	if (p->messages)
		bytes += p->bytes / p->messages * to_come;
	if (p->quota && *p->quota)
		return; /* said already */
	if (f->room_bytes != FACT_UNKNOWN && f->room_bytes < bytes)
		quota_short(i, "MiB", f->room_bytes / MIB, (bytes + MIB - 1) / MIB);
	else if (f->room_messages != FACT_UNKNOWN && f->room_messages < messages)
		quota_short(i, "messages", f->room_messages, messages);
	else if (f->room_bytes != FACT_UNKNOWN)
		gate_say(i, true, NULL, "room for %" PRId64 " MiB more on new",
			 f->room_bytes / MIB);
}

/* The first passes copy; what counts is how long those take that bring the rest. */
static void check_short(const struct user *u, const struct gate_view *v, struct gate_item *i)
{
	const struct facts *f = &v->known->facts;
	int64_t most_ms = (int64_t)v->s->cutover.budget_s * 1000 / 2, worst = 0;
	int n = 0;

	for (int k = 0; k < FACT_DELTAS; k++) {
		n += f->took_ms[k] > 0;
		worst = MAX(worst, f->took_ms[k]);
	}
	if (n == 0 || u->progress.pass_took > worst)
		return; /* the row says it */
	gate_say(i, worst < most_ms, "a longer cutover budget_s, or a quieter hour",
		 "the last %d passes took at most %" PRId64 " ms, %" PRId64
		 " fit into the pause",
		 n, worst, most_ms);
}

void gate_check_known(const struct user *u, const struct gate_view *v,
		      struct gate_item out[GATE_ITEMS])
{
	const struct facts *f = &v->known->facts;
	const struct settings *s = v->s;

	check_doubt(f, &out[GATE_DOUBT]);
	check_uidvalidity(f, s, &out[GATE_UIDVALIDITY]);
	check_uids(f, s, &out[GATE_UIDS]);
	check_zero(&f->strangers, s->gate.strangers,
		   "messages on new were not copied from old, first in",
		   "no mail on new but what was copied",
		   "remove or import them on new" LOOK_AGAIN ", or waive it",
		   &out[GATE_STRANGERS]);
	check_zero(&f->unsubscribed, s->gate.subscriptions,
		   "folders are subscribed on old and not on new, first",
		   "what is subscribed on old is so on new",
		   "subscribe them on new" LOOK_AGAIN ", or waive it",
		   &out[GATE_SUBSCRIPTIONS]);
	check_zero(&f->unused, s->gate.special_use,
		   "folders are marked on old for what new does not mark them for, first",
		   "new knows what folders are for",
		   "give new's folder its special use (RFC 6154)" LOOK_AGAIN ", or waive it",
		   &out[GATE_SPECIAL_USE]);
	check_names(f, s, &out[GATE_NAMES]);
	check_unseen(f, v, &out[GATE_UNSEEN]);
	check_pop3_ids(&v->known->pop3, s, &out[GATE_POP3_IDS]);
	check_password(v, &out[GATE_PASSWORD]);
	check_server(f, v, &out[GATE_SERVER]);
	check_quota(u, v, &out[GATE_QUOTA]);
	check_short(u, v, &out[GATE_SHORT]);
}
