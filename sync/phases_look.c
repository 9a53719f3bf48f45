/* Hides: in which rows of the store a domain's plan stands. */
#include "sync/phases.h"
#include "common/store_node.h"

/* ---- what persons said */

static int add_word(const struct phase_note *n, void *arg)
{
	struct phase_words *words = arg;
	int i = phase_find(n->item);
	struct phase_word *w;

	words->followed = true;
	if (i < 0) /* of another version */
		return 0;
	w = &words->of[i];
	w->done = n->done;
	w->at = n->at;
	snprintf(w->actor, sizeof w->actor, "%s", n->actor);
	snprintf(w->note, sizeof w->note, "%s", n->note);
	return 0;
}

int phases_read_words(struct store *st, const char *domain, struct phase_words *out,
		      struct err *e)
{
	*out = (struct phase_words){ 0 };
	return store_phases_each(st, domain, add_word, out, e);
}

/* ---- what name servers said last */

struct records {
	const struct dns_wants *wants;
	struct phase_facts *out;
	/* by want: what the newest note says */
	struct {
		bool seen, absent, on_new;
		int64_t ttl_s;
		const struct dns_want *leader; /* it goes with that one */
	} * last;
};

static int add_note(const struct dns_note *n, void *arg)
{
	struct records *r = arg;
	int64_t *since = &r->out->noted_since;

	if (*since == 0 || n->first_seen < *since)
		*since = n->first_seen;
	for (size_t i = 0; i < r->wants->count; i++) {
		const struct dns_want *want = &r->wants->at[i];

		if (strcmp(want->label, n->record) != 0)
			continue;
		r->last[i].seen = true;
		r->last[i].absent = !*n->value;
		r->last[i].on_new = dns_is_wanted(r->wants, want, n->value);
		r->last[i].ttl_s = n->ttl_s;
		r->last[i].leader = dns_leader(r->wants, want, n->value);
	}
	return 0;
}

static struct phase_records *records_of(struct phase_facts *f, enum dns_role role)
{
	switch (role) {
	case DNS_ROLE_HOST:
		return &f->names;
	case DNS_ROLE_SRV:
		return &f->srv;
	case DNS_ROLE_NS:
		return &f->servers;
	case DNS_ROLE_MX:
	case DNS_ROLE_SPF:
	case DNS_ROLE_DKIM:
	case DNS_ROLE_SOA:
		break;
	}
	return NULL;
}

static void count_record(struct records *r, size_t i)
{
	const struct dns_want *want = &r->wants->at[i];
	struct phase_records *to = records_of(r->out, want->role);
	const struct dns_want *leader = r->last[i].leader;
	bool moves = !leader && (want->role == DNS_ROLE_MX || want->role == DNS_ROLE_HOST);

	if (want->role == DNS_ROLE_HOST && r->last[i].absent)
		return; /* no client uses it */
	if (to && *want->value) {
		to->wanted++;
		to->on_new += r->last[leader ? (size_t)(leader - r->wants->at) : i].on_new;
	}
	if (moves && r->last[i].seen && !r->last[i].on_new &&
	    r->last[i].ttl_s > r->out->ttl_s) {
		r->out->ttl_s = r->last[i].ttl_s;
		snprintf(r->out->ttl_record, sizeof r->out->ttl_record, "%s", want->label);
	}
}

static int look_at_records(struct store *st, const struct dns_wants *w, struct phase_facts *out,
			   struct err *e)
{
	struct records r = { .wants = w, .out = out };
	int rc;

	r.last = mem_new(w->count * sizeof *r.last);
	rc = store_dns_each(st, w->shown, NULL, add_note, &r, e);
	for (size_t i = 0; i < w->count && rc == 0; i++)
		count_record(&r, i);
	mem_free(&r.last);
	return rc ? rc : dns_past_read(st, w, dns_wants_mx(w), &out->mx, e);
}

static int look_at_dns(struct store *st, const struct settings *s, const char *domain,
		       struct phase_facts *out, struct err *e)
{
	const struct dns_target target = settings_dns_target(s, domain);
	struct dns_wants w;
	int rc = 0;

	if (dns_wants_make(&w, domain, &target, e) < 0) {
		err_clear(e); /* the item says so */
	} else {
		out->target = true;
		rc = look_at_records(st, &w, out, e);
	}
	dns_wants_release(&w);
	return rc;
}

/* ---- all of it */

static int first_certificate(const struct certificate_row *c, void *arg)
{
	*(int64_t *)arg = c->not_after;
	return 1; /* the first to end comes first */
}

int phases_look(struct store *st, const struct settings *s, const char *domain,
		struct phase_facts *out, struct err *e)
{
	*out = (struct phase_facts){ .now = store_now_ms(st),
				     .certificate_days = s->gate.certificate_days };
	if (store_phase_counts(st, domain, &out->n, e) < 0 ||
	    phases_read_words(st, domain, &out->words, e) < 0 ||
	    store_certificates_each(st, first_certificate, &out->certificate_end, e) < 0 ||
	    look_at_dns(st, s, domain, out, e) < 0)
		return err_wrap(e, "the plan of %.*s", DNS_HOST_MAX, domain);
	return 0;
}
