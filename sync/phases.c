/* Hides: nothing; the plan's items and their words, in the order in which they are done. */
#include "sync/phases.h"

#include <inttypes.h>

#include "common/when.h"

#define DAY_MS ((int64_t)86400000)

static const struct {
	const char *id;
	int phase;
	enum { ADVISED, REQUIRED, BLOCKING } weight;
	bool by_person;
	const char *what, *remedy;
} rows[] = {
	[PHASE_INVENTORY] = { "inventory", 1, REQUIRED, false,
			      "Everybody of the domain is imported",
			      "`mailferry strangers` lists them; import them" },
	[PHASE_CLIENTS] = { "clients", 1, ADVISED, false,
			    "It is known who reads by IMAP and POP3",
			    "`mailferry inventory` says who was never seen; ask them" },
	[PHASE_TTL_NOTED] = { "ttl-noted", 1, REQUIRED, false,
			      "The records and their present TTLs are noted",
			      "`mailferry check dns` notes them" },
	[PHASE_TTL] = { "ttl", 1, REQUIRED, false,
			"Two weeks ahead the TTL of MX and mail names is below an hour",
			"set it to 300 s; `mailferry check dns` looks" },
	[PHASE_TOLD] = { "told", 1, ADVISED, true, "Users were told three weeks ahead", NULL },
	[PHASE_WEBMAIL_SETTINGS] = { "webmail-settings", 1, ADVISED, true,
				     "Users know that they set webmail signatures, auto-replies, "
				     "forwards and filters anew",
				     NULL },
	[PHASE_ADDRESS_BOOKS] = { "address-books", 1, ADVISED, true,
				  "Users have saved address books (vCard) and calendars (.ics)",
				  NULL },
	[PHASE_BRAND] = { "brand", 1, BLOCKING, true,
			  "Branding, limits, language and time zone are set on new", NULL },
	[PHASE_ACCOUNTS_FROZEN] = { "accounts-frozen", 2, BLOCKING, true,
				    "Provisioning is stopped: no new accounts on old", NULL },
	[PHASE_PASSWORDS_FROZEN] = { "passwords-frozen", 2, BLOCKING, true,
				     "Password changes are blocked on old", NULL },
	[PHASE_WEBMAIL_CLOSED] = { "webmail-closed", 2, BLOCKING, true,
				   "Webmail and local clients on old go through the proxy, or "
				   "are closed for the wave",
				   NULL },
	[PHASE_BOOKS_MAILED] = { "books-mailed", 2, ADVISED, true,
				 "vCard and .ics files were extracted and sent to users",
				 NULL },
	[PHASE_ACCOUNTS] = { "accounts", 2, REQUIRED, false, "Every user has an account on new",
			     "`mailferry provision`, or make them on new; `mailferry why` of "
			     "one says more" },
	[PHASE_CERTIFICATE] = { "certificate", 2, REQUIRED, false,
				"The certificate that clients see lasts",
				"renew it, then `mailferry reload`" },
	[PHASE_MOVED] = { "moved", 3, REQUIRED, false,
			  "Every user's mail is copied, and he is moved",
			  "`mailferry waves` and `mailferry cutover`" },
	[PHASE_SESSIONS] = { "sessions", 3, REQUIRED, false,
			     "No moved user has a session on old any more",
			     "`mailferry drop USER`" },
	[PHASE_WAIVERS] = { "waivers", 3, ADVISED, false, "No check of the gate is waived",
			    "`mailferry why` of a user shows what was let pass" },
	[PHASE_MX] = { "mx", 3, REQUIRED, false, "The MX leads to new",
		       "change it, then `mailferry check dns`" },
	[PHASE_MAIL_NAMES] = { "mail-names", 3, ADVISED, false, "Mail names lead to new",
			       "change them, then `mailferry check dns`" },
	[PHASE_PROPAGATION] = { "propagation", 3, REQUIRED, false,
				"No cache holds the old MX any more", NULL },
	[PHASE_PROVISIONING_ON] = { "provisioning-on", 3, REQUIRED, true,
				    "Provisioning goes to new", NULL },
	[PHASE_SRV] = { "srv", 3, ADVISED, false,
			"RFC 6186 records let clients find new by themselves",
			"`mailferry check dns` prints their lines" },
	[PHASE_NAME_SERVERS] = { "name-servers", 4, ADVISED, false,
				 "The zone is served by the name servers that it moves to",
				 "compare both with `mailferry check dns`, then change them" },
	[PHASE_TRAILING] = { "trailing", 4, REQUIRED, false,
			     "Nothing comes to old any more, and every user is done", NULL },
	[PHASE_TOLD_AFTER] = { "told-after", 4, ADVISED, true,
			       "Users were reminded of address books and calendars", NULL },
};
_Static_assert(COUNT(rows) == PHASE_ITEMS, "a row for every item");

static const char *const states[] = { [PHASE_DONE] = "done",
				      [PHASE_WARNS] = "warns",
				      [PHASE_BLOCKS] = "blocks",
				      [PHASE_NOT_YET] = "not yet" };
_Static_assert(COUNT(states) == PHASE_STATES, "a name for every state");

static const char *const titles[] = { "Prepare", "Pre-migrate", "Migrate", "Finish" };
_Static_assert(COUNT(titles) == PHASES, "a title for every phase");

const char *phase_state_name(enum phase_state s)
{
	return states[s];
}

const char *phase_title(int phase)
{
	return titles[phase - 1];
}

int phase_find(const char *id)
{
	for (int i = 0; i < PHASE_ITEMS; i++)
		if (strcmp(rows[i].id, id) == 0)
			return i;
	return -1;
}

bool phase_by_person(int item)
{
	return rows[item].by_person;
}

const char *phases_by_person(void)
{
	static char list[400];
	size_t n = 0;

	for (int i = 0; i < PHASE_ITEMS && n < sizeof list; i++)
		if (rows[i].by_person)
			n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
					      rows[i].id);
	return list;
}

const char *phases_domain(const char *user)
{
	const char *at = strrchr(user, '@');

	return at ? at + 1 : "";
}

int phases_blocking(const struct phase_words *w, char *names, size_t size)
{
	size_t n = 0;
	int count = 0;

	names[0] = '\0';
	for (int i = 0; i < PHASE_ITEMS; i++) {
		if (rows[i].weight != BLOCKING || w->of[i].done)
			continue;
		count++;
		if (n < size)
			n += (size_t)snprintf(names + n, size - n, "%s%s", n ? ", " : "",
					      rows[i].id);
	}
	return count;
}

/* ---- what is so */

static void PRINTF_LIKE(3, 4)
	say(struct phase_item *i, enum phase_state state, const char *fmt, ...)
{
	va_list ap;

	i->state = state;
	va_start(ap, fmt);
	vsnprintf(i->text, sizeof i->text, fmt, ap);
	va_end(ap);
}

static enum phase_state so(bool done)
{
	return done ? PHASE_DONE : PHASE_WARNS;
}

static int64_t users(const struct phase_facts *f, enum user_state from, enum user_state to)
{
	int64_t n = 0;

	for (int s = (int)from; s <= (int)to; s++)
		n += f->n.state[s];
	return n;
}

static int64_t all(const struct phase_facts *f)
{
	return users(f, 0, USER_STATES - 1);
}

/* Mail may go to new; a user on his way back is none of these. */
static bool all_moved(const struct phase_facts *f)
{
	return all(f) > 0 && users(f, USER_TRAILING, USER_DONE) == all(f);
}

static void check_people(const struct phase_facts *f, struct phase_item out[PHASE_ITEMS])
{
	int64_t n = all(f);

	say(&out[PHASE_INVENTORY], so(n > 0 && f->n.strangers == 0),
	    "%" PRId64 " users, and %" PRId64 " names that logged in and nobody imported", n,
	    f->n.strangers);
	say(&out[PHASE_CLIENTS], so(n > 0 && f->n.seen == n),
	    "of %" PRId64 " users %" PRId64 " were seen, %" PRId64 " by IMAP, %" PRId64
	    " by POP3",
	    n, f->n.seen, f->n.imap, f->n.pop3);
	say(&out[PHASE_ACCOUNTS], so(n > 0 && f->n.state[USER_PENDING] == 0),
	    "%" PRId64 " of %" PRId64 " users have no account on new that answers",
	    f->n.state[USER_PENDING], n);
	say(&out[PHASE_MOVED], so(all_moved(f)), "%" PRId64 " of %" PRId64 " users are on new",
	    users(f, USER_TRAILING, USER_DONE), n);
	if (users(f, USER_TRAILING, USER_DONE) == 0)
		say(&out[PHASE_SESSIONS], PHASE_NOT_YET, "nobody is moved");
	else
		say(&out[PHASE_SESSIONS], so(f->n.left_on_old == 0),
		    "%" PRId64 " sessions of moved users on old", f->n.left_on_old);
	say(&out[PHASE_WAIVERS], so(f->n.waived == 0), "waivers for %" PRId64 " users",
	    f->n.waived);
	if (!all_moved(f))
		say(&out[PHASE_TRAILING], PHASE_NOT_YET, "not all users are on new");
	else
		say(&out[PHASE_TRAILING], so(f->n.state[USER_DONE] == n),
		    "%" PRId64 " of %" PRId64 " users are done", f->n.state[USER_DONE], n);
}

static void check_certificate(const struct phase_facts *f, struct phase_item *i)
{
	int64_t days = (f->certificate_end - f->now) / DAY_MS;

	if (f->certificate_end == 0)
		say(i, PHASE_WARNS, "no proxy has told of its certificates");
	else
		say(i, so(days >= f->certificate_days),
		    "the first one ends in %" PRId64 " days", days);
}

static void check_ttl(const struct phase_facts *f, struct phase_item *i)
{
	char until[WHEN_TEXT_MAX] = "";
	bool lasts = !f->mx.is_new && f->mx.copies_until > f->now &&
		     f->mx.ttl_before_s >= DNS_TTL_MOST_S;

	when_text(f->mx.copies_until, until);
	if (!f->mx.looked_at)
		say(i, PHASE_WARNS, "nobody has looked");
	else if (f->ttl_s < DNS_TTL_MOST_S && lasts)
		say(i, PHASE_NOT_YET, "it is short, but copies with %" PRId64 " s last until %s",
		    f->mx.ttl_before_s, until);
	else if (f->ttl_s == 0)
		say(i, PHASE_DONE, "%s",
		    f->mx.is_new ? "all lead to new" : "none that leads to old is kept in caches");
	else
		say(i, so(f->ttl_s < DNS_TTL_MOST_S), "the longest is %" PRId64 " s, of %s",
		    f->ttl_s, f->ttl_record);
}

/* Records that change once everybody is moved. */
static void check_records(const struct phase_facts *f, const struct phase_records *r,
			  const char *none, struct phase_item *i)
{
	if (r->wanted == 0)
		say(i, PHASE_DONE, "%s", none);
	else if (r->on_new == r->wanted)
		say(i, PHASE_DONE, "all %d", r->wanted);
	else if (!all_moved(f))
		say(i, PHASE_NOT_YET, "not all users are on new");
	else
		say(i, PHASE_WARNS, "%d of %d, by the last look", r->on_new, r->wanted);
}

static void check_mx(const struct phase_facts *f, struct phase_item out[PHASE_ITEMS])
{
	char at[WHEN_TEXT_MAX] = "";

	if (!f->mx.is_new && !all_moved(f)) {
		say(&out[PHASE_MX], PHASE_NOT_YET, "not all users are on new");
	} else if (all(f) > 0 && !all_moved(f)) {
		say(&out[PHASE_MX], PHASE_WARNS, "it does already, and not all users are on new");
		out[PHASE_MX].remedy = "lead it back to old until they are";
	} else {
		say(&out[PHASE_MX], so(f->mx.is_new), "%s",
		    f->mx.is_new      ? "it does"
		    : f->mx.looked_at ? "it leads elsewhere, by the last look"
				      : "nobody has looked");
	}
	when_text(f->mx.copies_until, at);
	if (!f->mx.is_new)
		say(&out[PHASE_PROPAGATION], PHASE_NOT_YET, "the MX does not lead to new");
	else
		say(&out[PHASE_PROPAGATION], so(f->mx.copies_until <= f->now),
		    "the last copy of the old one ends %s", at);
}

static void check_dns(const struct phase_facts *f, struct phase_item out[PHASE_ITEMS])
{
	static const enum phase_name of_dns[] = { PHASE_TTL,	    PHASE_MX,
						  PHASE_MAIL_NAMES, PHASE_PROPAGATION,
						  PHASE_SRV,	    PHASE_NAME_SERVERS,
						  PHASE_TTL_NOTED };
	char at[WHEN_TEXT_MAX] = "";

	if (!f->target) {
		for (size_t i = 0; i < COUNT(of_dns); i++) {
			say(&out[of_dns[i]], PHASE_WARNS,
			    "nothing says what records new wants");
			out[of_dns[i]].remedy = "set dns.new, then `mailferry check dns`";
		}
		return;
	}
	if (f->noted_since)
		when_text(f->noted_since, at);
	say(&out[PHASE_TTL_NOTED], so(f->noted_since > 0), "%s%s",
	    f->noted_since ? "since " : "nobody has looked", at);
	check_ttl(f, &out[PHASE_TTL]);
	check_mx(f, out);
	check_records(f, &f->names, "none is there, so no client uses one", &out[PHASE_MAIL_NAMES]);
	check_records(f, &f->srv, "none are wanted", &out[PHASE_SRV]);
	check_records(f, &f->servers, "the zone stays where it is", &out[PHASE_NAME_SERVERS]);
}

/* NULL, or why it is too early for what is done after a move. */
static const char *too_early(const struct phase_facts *f, int phase)
{
	if (phase == 3 && users(f, USER_TRAILING, USER_DONE) == 0)
		return "nobody is moved";
	if (phase == 4 && !all_moved(f))
		return "not all users are on new";
	return NULL;
}

static void ask_person(const struct phase_word *w, bool blocks, const char *early,
		       struct phase_item *i)
{
	char at[WHEN_TEXT_MAX] = "";

	i->word = w->at ? w : NULL;
	when_text(w->at, at);
	if (w->done)
		say(i, PHASE_DONE, "%s, %s: %s", at, w->actor, w->note);
	else if (early)
		say(i, PHASE_NOT_YET, "%s", early);
	else
		say(i, blocks ? PHASE_BLOCKS : PHASE_WARNS, "%s",
		    w->at ? "taken back" : "nobody has said so");
	i->remedy = "see to it, then `mailferry phases DOMAIN --done ITEM --note TEXT`";
}

void phases_check(const struct phase_facts *f, struct phase_item out[PHASE_ITEMS])
{
	for (int i = 0; i < PHASE_ITEMS; i++) {
		out[i] = (struct phase_item){ .id = rows[i].id,
					      .phase = rows[i].phase,
					      .what = rows[i].what,
					      .by_person = rows[i].by_person,
					      .required = rows[i].weight != ADVISED,
					      .remedy = rows[i].remedy };
		if (rows[i].by_person)
			ask_person(&f->words.of[i], rows[i].weight == BLOCKING,
				   too_early(f, rows[i].phase), &out[i]);
	}
	check_people(f, out);
	check_certificate(f, &out[PHASE_CERTIFICATE]);
	check_dns(f, out);
	for (int i = 0; i < PHASE_ITEMS; i++)
		if (out[i].state == PHASE_DONE || out[i].state == PHASE_NOT_YET)
			out[i].remedy = NULL;
}
