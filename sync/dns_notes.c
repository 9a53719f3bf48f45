/* Hides: how looks at records become a history, and the history a time. */
#include "sync/dns_notes.h"

#define SECOND_MS 1000

/* ---- one record's history */

static bool same_kind(const struct dns_wants *w, const struct dns_want *want,
		      const struct dns_note *a, const struct dns_note *last)
{
	if (dns_is_wanted(w, want, last->value))
		return dns_is_wanted(w, want, a->value);
	return strcmp(a->value, last->value) == 0;
}

/* Would a copy of `a` still mislead those who hold it? */
static bool misleads(const struct dns_wants *w, const struct dns_want *want,
		     const struct dns_note *a, const struct dns_note *last)
{
	return !same_kind(w, want, a, last) ||
	       (a->ttl_s > last->ttl_s && !dns_is_wanted(w, want, last->value));
}

void dns_past_of(const struct dns_wants *w, const struct dns_want *want,
		 const struct dns_note *notes, size_t n, struct dns_past *out)
{
	const struct dns_note *last = n ? &notes[n - 1] : NULL;
	size_t first = n;

	*out = (struct dns_past){ 0 };
	if (!last)
		return;
	while (first > 0 && same_kind(w, want, &notes[first - 1], last))
		first--;
	out->looked_at = last->last_seen;
	out->since = notes[first].first_seen;
	out->is_new = dns_is_wanted(w, want, last->value);
	for (size_t i = 0; i + 1 < n; i++) {
		int64_t until = notes[i + 1].first_seen + notes[i].ttl_s * SECOND_MS;

		if (!misleads(w, want, &notes[i], last) || until <= out->copies_until)
			continue;
		out->copies_until = until;
		out->ttl_before_s = notes[i].ttl_s;
	}
	out->guessed = out->is_new && first == 0;
	if (out->guessed)
		out->copies_until = out->since + DNS_UNSEEN_TTL_S * SECOND_MS;
}

struct history {
	struct dns_note at[STORE_DNS_NOTES];
	size_t n;
};

static int keep(const struct dns_note *n, void *arg)
{
	struct history *h = arg;

	if (h->n == COUNT(h->at))
		return 0;
	h->at[h->n] = *n;
	h->at[h->n++].value = mem_str(n->value);
	return 0;
}

int dns_past_read(struct store *st, const struct dns_wants *w, const struct dns_want *want,
		  struct dns_past *out, struct err *e)
{
	struct history h = { 0 };
	int rc = store_dns_each(st, w->shown, want->label, keep, &h, e);

	if (rc == 0)
		dns_past_of(w, want, h.at, h.n, out);
	for (size_t i = 0; i < h.n; i++)
		free((char *)h.at[i].value);
	return rc;
}

/* ---- a look becomes notes */

static bool counts(const struct dns_said *s)
{
	return s->authoritative && (s->outcome == DNS_FOUND || s->outcome == DNS_NODATA ||
				    s->outcome == DNS_NXDOMAIN);
}

int dns_agreed(const struct dns_view *v, size_t want, const struct dns_said **out)
{
	*out = NULL;
	for (size_t i = 0; i < v->count; i++) {
		const struct dns_said *s = &v->servers[i].said[want];

		if (v->servers[i].party != DNS_OWN || !counts(s))
			continue;
		if (*out && strcmp((*out)->value, s->value) != 0)
			return -1;
		*out = s;
	}
	return *out != NULL;
}

/* Of those that do not agree the one that leads elsewhere counts: it still gives out copies. */
static const struct dns_said *to_note(const struct dns_view *v, size_t want)
{
	const struct dns_said *said;

	if (dns_agreed(v, want, &said) >= 0)
		return said;
	for (size_t i = 0; i < v->count; i++) {
		const struct dns_said *s = &v->servers[i].said[want];

		if (v->servers[i].party == DNS_OWN && counts(s) &&
		    !dns_is_wanted(v->wants, &v->wants->at[want], s->value))
			said = s;
	}
	return said;
}

/* Of the servers that give out what is noted: how long a copy elsewhere lasts says nothing of
 * it. */
static uint32_t longest_ttl(const struct dns_view *v, size_t want, const struct dns_said *noted)
{
	const struct dns_want *w = &v->wants->at[want];
	bool wanted = dns_is_wanted(v->wants, w, noted->value);
	uint32_t ttl_s = 0;

	for (size_t i = 0; i < v->count; i++) {
		const struct dns_said *s = &v->servers[i].said[want];

		if (v->servers[i].party == DNS_OWN && counts(s) &&
		    dns_is_wanted(v->wants, w, s->value) == wanted)
			ttl_s = MAX(ttl_s, s->ttl_s);
	}
	return ttl_s;
}

int dns_notes_write(struct store *st, const struct dns_view *v, struct err *e)
{
	for (size_t i = 0; i < v->wants->count; i++) {
		const struct dns_want *want = &v->wants->at[i];
		const struct dns_said *said = want->role == DNS_ROLE_SOA ? NULL : to_note(v, i);
		struct dns_note n;

		if (!said)
			continue;
		n = (struct dns_note){ .record = want->label,
				       .value = said->value,
				       .ttl_s = longest_ttl(v, i, said) };
		if (store_dns_note(st, v->wants->shown, &n, e) < 0)
			return -1;
	}
	return 0;
}
