/* Hides: what is told of servers, users and certificates, and in which order. */
#include "sync/dns_judge_impl.h"

#define DIFFERENCE_MAX 3 /* records named where servers differ */

static const char *const verdict_names[DNS_VERDICTS] = {
	[DNS_RIGHT] = "right",	       [DNS_NOTE] = "note",   [DNS_NOT_YET] = "not yet",
	[DNS_NOT_KNOWN] = "not known", [DNS_WRONG] = "wrong",
};

const char *dns_verdict_name(enum dns_verdict v)
{
	return verdict_names[v];
}

/* ---- sentences */

void judge_item(struct judge *j, const struct dns_item *i)
{
	j->worst = MAX(j->worst, i->verdict);
	j->fn(i, j->arg);
}

void judge_say(struct judge *j, const char *label, enum dns_verdict verdict,
	       const struct dns_want *lines, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	judge_item(j, &(struct dns_item){ label, verdict, text, lines, NULL });
}

/* "10 a.test., 20 b.test."; of a long one its beginning. */
const char *judge_shown(const char *value, char out[JUDGE_SHOWN_MAX])
{
	size_t n = 0;

	for (; *value && n + 6 < JUDGE_SHOWN_MAX; value++) {
		out[n++] = *value == '|' ? ',' : *value;
		if (*value == '|')
			out[n++] = ' ';
	}
	snprintf(out + n, JUDGE_SHOWN_MAX - n, "%s", *value ? "…" : "");
	return out;
}

const char *judge_said(const struct dns_said *s, char out[JUDGE_SHOWN_MAX])
{
	if (s->value[0])
		return judge_shown(s->value, out);
	snprintf(out, JUDGE_SHOWN_MAX, "%s%s%.60s", dns_outcome_text(s->outcome),
		 s->why[0] ? ": " : "", s->why);
	return out;
}

bool judge_all_on_new(const struct dns_case *c)
{
	return c->past && c->users > 0 && c->on_new == c->users;
}

/* ---- servers */

static bool is_zone_s_own(const struct dns_want *w)
{
	return w->role == DNS_ROLE_NS || w->role == DNS_ROLE_SOA;
}

/* The first question that it did not answer; NULL: it answered all. */
static const struct dns_said *trouble_of(const struct dns_server *s, size_t n, size_t *at)
{
	for (*at = 0; *at < n; ++*at) {
		const struct dns_said *said = &s->said[*at];

		if (said->outcome != DNS_FOUND && said->outcome != DNS_NODATA &&
		    said->outcome != DNS_NXDOMAIN)
			return said;
	}
	return NULL;
}

static void say_trouble(struct judge *j, const struct dns_server *s, const char *what,
			const struct dns_said *said, const struct dns_want *want)
{
	bool lame = said->outcome == DNS_REFUSED || said->outcome == DNS_SERVFAIL;
	char text[JUDGE_SHOWN_MAX];

	judge_say(j, s->name, lame && s->party != DNS_RESOLVER ? DNS_WRONG : DNS_NOT_KNOWN,
		  NULL, "%s cannot be asked for %s: %s%s", what, want->label,
		  judge_said(said, text),
		  lame && s->party != DNS_RESOLVER
			  ? ": let it serve the zone, or take it out of NS"
			  : "");
}

/* What it has otherwise than the zone's own servers: "MX: 10 old.test. (300 s)". How many. */
static int differences(const struct dns_case *c, const struct dns_server *s, char *out,
		       size_t size)
{
	const struct dns_said *own;
	char one[JUDGE_SHOWN_MAX];
	size_t at = 0;
	int n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < c->view->wants->count; i++) {
		const struct dns_want *w = &c->view->wants->at[i];

		if (is_zone_s_own(w) || dns_agreed(c->view, i, &own) <= 0 ||
		    strcmp(own->value, s->said[i].value) == 0)
			continue;
		if (n++ < DIFFERENCE_MAX && at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%s: %s, TTL %u s",
					       at ? "; " : "", w->label,
					       judge_said(&s->said[i], one), s->said[i].ttl_s);
	}
	if (n > DIFFERENCE_MAX && at < size)
		snprintf(out + at, size - at, " and %d more", n - DIFFERENCE_MAX);
	return n;
}

static void judge_server(struct judge *j, const struct dns_server *s)
{
	static const char *const who[] = { [DNS_OWN] = "this name server of the zone",
					   [DNS_NEXT] =
						   "this name server, which the zone moves to,",
					   [DNS_RESOLVER] = "this resolver" };
	const struct dns_wants *w = j->c->view->wants;
	char text[700];
	size_t at;
	const struct dns_said *bad = trouble_of(s, w->count, &at);

	if (bad) {
		say_trouble(j, s, who[s->party], bad, &w->at[at]);
		return;
	}
	if (s->party != DNS_RESOLVER && !s->said[0].authoritative) {
		judge_say(j, s->name, DNS_WRONG, NULL,
			  "%s does not know that it is one: let it serve the zone",
			  who[s->party]);
		return;
	}
	if (s->party == DNS_OWN)
		return;
	if (differences(j->c, s, text, sizeof text) == 0)
		judge_say(j, s->name, DNS_RIGHT, NULL, "%s has what the zone has",
			  who[s->party]);
	else if (s->party == DNS_NEXT)
		judge_say(j, s->name, DNS_WRONG, NULL, "%s has other records: %s",
			  who[s->party], text);
	else
		judge_say(j, s->name, DNS_NOT_YET, NULL, "%s still has %s", who[s->party],
			  text);
}

static void judge_zone(struct judge *j)
{
	const struct dns_view *v = j->c->view;
	char names[400] = "";
	size_t n = 0, answering = 0;

	for (size_t i = 0; i < v->count; i++) {
		size_t at;

		if (v->servers[i].party != DNS_OWN)
			continue;
		if (n < sizeof names)
			n += (size_t)snprintf(names + n, sizeof names - n, "%s%s",
					      n ? ", " : "", v->servers[i].name);
		answering += !trouble_of(&v->servers[i], v->wants->count, &at);
	}
	judge_say(j, "zone", answering ? DNS_RIGHT : DNS_NOT_KNOWN, NULL, "%s, served by %s%s",
		  v->zone, names, answering ? "" : ": none of them can be asked");
}

/* ---- users, certificates */

static void judge_users(struct judge *j)
{
	const struct dns_case *c = j->c;

	if (!c->past)
		judge_say(j, "users", DNS_NOT_KNOWN, NULL,
			  "it is not known who is on new, nor what TTLs were before: %s",
			  c->no_store);
	else if (c->users == 0)
		judge_say(j, "users", DNS_NOT_YET, NULL,
			  "nobody in %s was imported, so nothing is to be changed yet",
			  c->view->wants->shown);
	else
		judge_say(j, "users", judge_all_on_new(c) ? DNS_RIGHT : DNS_NOT_YET, NULL,
			  "%lld of %lld are on new", (long long)c->on_new, (long long)c->users);
}

static void judge_certificate(struct judge *j, const struct dns_certificate *k)
{
	char label[DNS_HOST_MAX];

	snprintf(label, sizeof label, "%.*s", (int)strlen(k->name) - 1, k->name);
	if (k->fits)
		judge_say(j, label, DNS_RIGHT, NULL, "new shows a certificate for this name");
	else
		judge_say(
			j, label, DNS_NOTE, NULL, "%s: %s",
			k->asked
				? "clients will be warned once it leads to new; keep the proxy in "
				  "front of it, or get a certificate there"
				: "new's certificate for this name could not be looked at",
			k->text);
}

enum dns_verdict dns_judge(const struct dns_case *c, dns_item_fn *fn, void *arg)
{
	struct judge j = { .c = c, .fn = fn, .arg = arg, .worst = DNS_RIGHT };
	const struct dns_view *v = c->view;

	if (v->trouble[0]) {
		judge_say(&j, "zone", v->absent ? DNS_WRONG : DNS_NOT_KNOWN, NULL, "%s",
			  v->trouble);
		return j.worst;
	}
	judge_zone(&j);
	judge_users(&j);
	for (size_t i = 0; i < v->wants->count; i++)
		judge_record(&j, i);
	for (size_t i = 0; i < c->certificate_count; i++)
		judge_certificate(&j, &c->certificates[i]);
	for (size_t i = 0; i < v->count; i++)
		judge_server(&j, &v->servers[i]);
	return j.worst;
}
