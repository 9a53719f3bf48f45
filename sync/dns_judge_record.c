/* Hides: the rules by which records are judged. */
#include <strings.h>

#include "common/clock.h"
#include "sync/dns_judge_impl.h"

#define SPF_VERSION "v=spf1"

/* ---- records that move with the users: MX, hosts, SRV */

struct record {
	const struct dns_want *want;
	const struct dns_said *said;
	struct dns_past past;
	char shown[JUDGE_SHOWN_MAX];
};

static void judge_new(struct judge *j, const struct record *r)
{
	char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];

	if (j->c->past && j->c->on_new < j->c->users)
		judge_say(
			j, r->want->label, DNS_WRONG, NULL,
			"leads to new already (%s) while %lld of %lld users are not there: lead it "
			"back to old until they are",
			r->shown, (long long)(j->c->users - j->c->on_new),
			(long long)j->c->users);
	else if (r->past.is_new && j->c->now < r->past.copies_until)
		judge_say(
			j, r->want->label, DNS_NOT_YET, NULL,
			"leads to new (%s), seen since %s; the last copy of the old one is gone at "
			"%s%s",
			r->shown, clock_utc_text(r->past.since, since),
			clock_utc_text(r->past.copies_until, until),
			r->past.guessed
				? " at the latest, as nobody noted its TTL before (a day "
				  "is assumed)"
				: "");
	else
		judge_say(j, r->want->label, DNS_RIGHT, NULL, "leads to new (%s)", r->shown);
}

static void judge_absent(struct judge *j, const struct record *r)
{
	switch (r->want->role) {
	case DNS_ROLE_HOST:
		judge_say(j, r->want->label, DNS_RIGHT, NULL,
			  "is not there, so no client uses it");
		break;
	case DNS_ROLE_SRV:
	case DNS_ROLE_DKIM:
		judge_say(j, r->want->label, DNS_NOTE, r->want,
			  "is not there; it is recommended, not required");
		break;
	case DNS_ROLE_MX:
	case DNS_ROLE_SPF:
	case DNS_ROLE_NS:
	case DNS_ROLE_SOA:
		judge_say(j, r->want->label, judge_all_on_new(j->c) ? DNS_WRONG : DNS_NOT_YET,
			  r->want, "there is none%s",
			  judge_all_on_new(j->c) ? ""
						 : "; publish it when all users are on new");
		break;
	}
}

/* A name that its users' programs would refuse on new does best to stay where it is. */
static const struct dns_certificate *refused_on_new(const struct dns_case *c,
						    const struct dns_want *want)
{
	for (size_t i = 0; i < c->certificate_count; i++) {
		const struct dns_certificate *k = &c->certificates[i];

		if (k->asked && !k->fits && strcmp(k->name, want->name) == 0)
			return k;
	}
	return NULL;
}

static void judge_late(struct judge *j, const struct record *r)
{
	if (r->want->role == DNS_ROLE_HOST && refused_on_new(j->c, r->want))
		judge_say(
			j, r->want->label, DNS_NOTE, r->want,
			"leads to %s; leave it at the proxy until new has a certificate for this "
			"name",
			r->shown);
	else
		judge_say(j, r->want->label, DNS_WRONG, r->want,
			  "leads to %s, though all %lld users are on new: change it now",
			  r->shown, (long long)j->c->users);
}

static void judge_before(struct judge *j, const struct record *r)
{
	char until[CLOCK_TEXT_MAX];

	if (r->said->ttl_s > DNS_TTL_MOST_S)
		judge_say(
			j, r->want->label, DNS_WRONG, NULL,
			"leads to %s with a TTL of %u s: lower it to %d s now, at least two weeks "
			"before it changes; nothing else is to be changed yet",
			r->shown, r->said->ttl_s, DNS_TTL_ADVISED_S);
	else if (j->c->now < r->past.copies_until)
		judge_say(
			j, r->want->label, DNS_NOT_YET, NULL,
			"leads to %s; its TTL is short (%u s), but copies with %lld s may last until "
			"%s",
			r->shown, r->said->ttl_s, (long long)r->past.ttl_before_s,
			clock_utc_text(r->past.copies_until, until));
	else
		judge_say(j, r->want->label, DNS_NOT_YET, NULL,
			  "leads to %s (TTL %u s%s); leave it until all users are on new",
			  r->shown, r->said->ttl_s,
			  r->said->ttl_s > DNS_TTL_ADVISED_S ? ", 300 s is advised" : "");
}

/* Mail exchangers of both: "10 mx.old.test." of them are not new's. */
static bool is_mixed(const struct dns_wants *w, const char *value, char old[JUDGE_SHOWN_MAX])
{
	struct buf left = { 0 };
	struct slice r;
	bool some = false;

	while (dns_value_next(&value, &r)) {
		char *one = mem_strn(r.p, r.n);

		if (dns_mx_is_new(w, one))
			some = true;
		else
			buf_printf(&left, "%s%s", buf_len(&left) ? "|" : "", one);
		mem_free(&one);
	}
	buf_add(&left, "", 1);
	judge_shown(buf_slice(&left).p, old);
	buf_release(&left);
	return some && old[0];
}

static void judge_moving(struct judge *j, const struct record *r)
{
	const struct dns_wants *w = j->c->view->wants;
	const char *other = dns_other_cluster(w, r->said->value);
	const struct dns_want *leader = dns_leader(w, r->want, r->said->value);
	char old[JUDGE_SHOWN_MAX];

	if (!r->said->value[0])
		judge_absent(j, r);
	else if (leader)
		judge_say(j, r->want->label, DNS_RIGHT, NULL,
			  "is an alias of %s and goes with it", leader->label);
	else if (*other)
		judge_say(j, r->want->label, DNS_WRONG, r->want,
			  "leads to cluster %s of OpenSRS (%s), but new is cluster %c", other,
			  r->shown, w->cluster);
	else if (dns_is_wanted(w, r->want, r->said->value))
		judge_new(j, r);
	else if (r->want->role == DNS_ROLE_MX && is_mixed(w, r->said->value, old))
		judge_say(
			j, r->want->label, DNS_WRONG, r->want,
			"mail goes to two places: besides new's there is %s left; take out one of "
			"them",
			old);
	else if (judge_all_on_new(j->c))
		judge_late(j, r);
	else
		judge_before(j, r);
}

/* ---- records that may be right at any time */

static bool is_spf(struct slice record)
{
	size_t n = sizeof SPF_VERSION - 1;

	return slice_starts_nocase(record, SPF_VERSION) &&
	       (record.n == n || record.p[n] == ' ');
}

/* The one SPF record among the texts; how many there are. */
static int find_spf(const char *value, struct slice *out)
{
	struct slice r;
	int n = 0;

	while (dns_value_next(&value, &r))
		if (is_spf(r)) {
			*out = r;
			n++;
		}
	return n;
}

static struct slice next_term(struct slice *rest)
{
	struct slice term;

	while (rest->n && *rest->p == ' ')
		*rest = (struct slice){ rest->p + 1, rest->n - 1 };
	term = (struct slice){ rest->p, 0 };
	while (term.n < rest->n && rest->p[term.n] != ' ')
		term.n++;
	*rest = (struct slice){ rest->p + term.n, rest->n - term.n };
	return term;
}

/* Who has not matched before it does not get further (RFC 7208 5.1). */
static bool ends_it(struct slice term)
{
	static const char *const ends[] = { "-all", "~all", "?all" };

	for (size_t i = 0; i < COUNT(ends); i++)
		if (slice_is_nocase(term, ends[i]))
			return true;
	return false;
}

/* Where it is looked at: behind "all" nothing is. */
static bool has_term(struct slice record, const char *wanted)
{
	struct slice term;

	while ((term = next_term(&record)).n && !ends_it(term))
		if (slice_is_nocase(term, wanted))
			return true;
	return false;
}

/* What there is, with the term that is missing in front of the others. */
static void say_spf(struct judge *j, const struct record *r, struct slice spf)
{
	size_t n = sizeof SPF_VERSION - 1;
	char *line =
		mem_printf("%s %d IN TXT \"%.*s %s%.*s\"", r->want->name, DNS_TTL_ADVISED_S,
			   (int)n, spf.p, r->want->value, (int)(spf.n - n), spf.p + n);

	judge_item(j, &(struct dns_item){
			      "SPF", DNS_WRONG,
			      "does not allow new's servers to send; add it now, the old "
			      "ones stay allowed until all users are on new",
			      NULL, line });
	mem_free(&line);
}

static void judge_spf(struct judge *j, const struct record *r)
{
	struct slice spf = { "", 0 };
	int n = find_spf(r->said->value, &spf);

	if (n > 1)
		judge_say(
			j, "SPF", DNS_WRONG, NULL,
			"there are %d of them, and then none counts (RFC 7208 4.5): make one of them",
			n);
	else if (n == 0)
		judge_say(
			j, "SPF", r->want->value[0] ? DNS_WRONG : DNS_NOTE, r->want,
			"there is none; publish one that allows old's servers too as long as users "
			"are there");
	else if (r->want->value[0] && !has_term(spf, r->want->value))
		say_spf(j, r, spf);
	else
		judge_say(j, "SPF", DNS_RIGHT, NULL, "allows new's servers");
}

static void judge_dkim(struct judge *j, const struct record *r)
{
	if (!r->said->value[0])
		judge_absent(j, r);
	else if (strcmp(r->said->value, r->want->value) == 0)
		judge_say(j, r->want->label, DNS_RIGHT, NULL, "leads to OpenSRS's key");
	else
		judge_say(j, r->want->label, DNS_NOTE, r->want, "leads to %s", r->shown);
}

static void judge_ns(struct judge *j, const struct record *r)
{
	char wanted[JUDGE_SHOWN_MAX];

	if (!r->want->value[0])
		judge_say(j, "NS", DNS_RIGHT, NULL, "%s", r->shown);
	else if (strcmp(r->said->value, r->want->value) == 0)
		judge_say(j, "NS", DNS_RIGHT, NULL, "the zone has moved to %s", r->shown);
	else
		judge_say(
			j, "NS", DNS_NOT_YET, r->want,
			"are %s; the zone is to move to %s, at any time once it is the same there",
			r->shown, judge_shown(r->want->value, wanted));
}

static void judge_soa(struct judge *j, const struct record *r)
{
	judge_say(j, "serial", DNS_RIGHT, NULL, "%s on all name servers", r->shown);
}

static void disagree(struct judge *j, size_t i)
{
	const struct dns_view *v = j->c->view;
	const struct dns_want *want = &v->wants->at[i];
	char text[900] = "", one[JUDGE_SHOWN_MAX];
	size_t n = 0;

	for (size_t k = 0; k < v->count && n < sizeof text - 1; k++)
		if (v->servers[k].party == DNS_OWN && v->servers[k].said[i].authoritative)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s says %s",
					      n ? "; " : "", v->servers[k].name,
					      judge_said(&v->servers[k].said[i], one));
	if (want->role == DNS_ROLE_SOA)
		judge_say(j, "serial", DNS_NOT_YET, NULL,
			  "the name servers do not have the same zone yet: %s", text);
	else
		judge_say(j, want->label, DNS_WRONG, NULL, "the name servers do not agree: %s",
			  text);
}

void judge_record(struct judge *j, size_t i)
{
	struct record r = { .want = &j->c->view->wants->at[i] };
	int agreed = dns_agreed(j->c->view, i, &r.said);

	if (agreed < 0)
		disagree(j, i);
	if (agreed <= 0) /* nobody says anything: that is told of the servers */
		return;
	if (j->c->past)
		r.past = j->c->past[i];
	judge_shown(r.said->value, r.shown);
	switch (r.want->role) {
	case DNS_ROLE_MX:
	case DNS_ROLE_HOST:
	case DNS_ROLE_SRV:
		judge_moving(j, &r);
		break;
	case DNS_ROLE_SPF:
		judge_spf(j, &r);
		break;
	case DNS_ROLE_DKIM:
		judge_dkim(j, &r);
		break;
	case DNS_ROLE_NS:
		judge_ns(j, &r);
		break;
	case DNS_ROLE_SOA:
		judge_soa(j, &r);
		break;
	}
}
