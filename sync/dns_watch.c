/* Hides: which domains are looked at, one after the other, and what is known of each. */
#include "sync/dns_watch.h"

#include "common/clock.h"
#include "common/log.h"

struct domain {
	char *name;
	bool asked;	      /* in this round: somebody of it is trailing */
	bool is_told;	      /* the settings say what new is */
	struct dns_past past; /* looked_at 0: nobody has looked yet */
};

struct dns_watch {
	struct event_base *base;
	struct store *store;
	const struct settings *settings;
	struct domain *at; /* by name */
	size_t count;
	size_t next; /* of this round */
	bool in_round;
	int64_t round_at;	/* when the next begins; monotonic */
	struct dns_wants wants; /* of the domain that is asked about now */
	struct dns_survey *survey;
};

/* ---- the list */

static const char *domain_of(const char *user)
{
	const char *at = strrchr(user, '@');

	return at && at[1] ? at + 1 : NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct domain *)a)->name, ((const struct domain *)b)->name);
}

static struct domain *find(const struct dns_watch *w, const char *name)
{
	const struct domain key = { .name = (char *)name };

	return w->count ? bsearch(&key, w->at, w->count, sizeof key, by_name) : NULL;
}

static void insert(struct dns_watch *w, const char *name)
{
	size_t i = w->count;

	w->at = mem_grow(w->at, w->count + 1, sizeof *w->at);
	for (; i > 0 && strcmp(w->at[i - 1].name, name) > 0; i--)
		w->at[i] = w->at[i - 1];
	w->at[i] = (struct domain){ .name = mem_str(name), .asked = true, .is_told = true };
	w->count++;
}

static int add_domain(const struct user *u, void *arg)
{
	struct dns_watch *w = arg;
	const char *name = domain_of(u->name);
	struct domain *d = name ? find(w, name) : NULL;

	if (d)
		d->asked = true;
	else if (name && w->count < DNS_WATCH_DOMAINS)
		insert(w, name);
	return 0;
}

const struct dns_past *dns_watch_mx(const struct dns_watch *w, const char *user)
{
	const char *name = domain_of(user);
	const struct domain *d = name ? find(w, name) : NULL;
	static const struct dns_past not_yet;

	if (d)
		return d->is_told ? &d->past : NULL;
	/* Before the first round nothing may be concluded from silence. */
	return name && settings_dns_target(w->settings, name).kind ? &not_yet : NULL;
}

/* ---- one domain */

static void go_on(struct dns_watch *w);

static void log_change(const struct domain *d, const struct dns_past *before)
{
	if (!before->looked_at || before->is_new == d->past.is_new)
		return;
	if (d->past.is_new)
		log_info(
			NULL,
			"MX of %s: leads to new; the last copy of the old one is gone in %lld s",
			d->name,
			(long long)MAX(0, d->past.copies_until - d->past.since) / 1000);
	else
		log_warn(NULL, "MX of %s: leads away from new again", d->name);
}

static void read_past(struct dns_watch *w, struct domain *d)
{
	const struct dns_past before = d->past;
	struct err e = { 0 };

	if (dns_past_read(w->store, &w->wants, dns_wants_mx(&w->wants), &d->past, &e) < 0)
		log_error(NULL, "MX of %s: %s", d->name, e.text);
	log_change(d, &before);
}

static void on_view(struct dns_view *v, void *arg)
{
	struct dns_watch *w = arg;
	struct domain *d = &w->at[w->next - 1];
	struct err e = { 0 };

	w->survey = NULL;
	if (v->trouble[0])
		log_debug(NULL, "MX of %s: %s", d->name, v->trouble);
	else if (dns_notes_write(w->store, v, &e) < 0)
		log_error(NULL, "MX of %s: %s", d->name, e.text);
	dns_view_release(v);
	read_past(w, d);
	go_on(w);
}

/* True: the answers are to come. */
static bool begin_look(struct dns_watch *w, struct domain *d)
{
	const struct dns_target target = settings_dns_target(w->settings, d->name);
	struct dns_survey_opts o = {
		.base = w->base, .settings = w->settings, .wants = &w->wants, .mx_only = true
	};
	struct err e = { 0 };

	dns_wants_release(&w->wants);
	d->is_told = dns_wants_make(&w->wants, d->name, &target, &e) == 0;
	if (!d->is_told)
		return false;
	if (w->settings->dns.watch_s > 0) {
		if (dns_survey_start(&w->survey, &o, on_view, w, &e) == 0)
			return true;
		log_warn(NULL, "MX of %s: %s", d->name, e.text);
	}
	read_past(w, d);
	return false;
}

/* ---- rounds */

static void go_on(struct dns_watch *w)
{
	while (w->next < w->count) {
		struct domain *d = &w->at[w->next++];

		if (d->asked && begin_look(w, d))
			return;
	}
	w->in_round = false;
}

void dns_watch_tick(struct dns_watch *w)
{
	static const struct user_filter moved = { .has_state = true, .state = USER_TRAILING };
	int64_t now = clock_mono_ms();
	struct err e = { 0 };

	if (w->in_round || now < w->round_at)
		return;
	w->round_at =
		now + (w->settings->dns.watch_s ? w->settings->dns.watch_s : DNS_WATCH_READ_S) *
			      (int64_t)1000;
	for (size_t i = 0; i < w->count; i++)
		w->at[i].asked = false;
	if (store_users_each(w->store, &moved, add_domain, w, &e) < 0)
		log_error(NULL, "%s", e.text);
	w->next = 0;
	w->in_round = true;
	go_on(w);
}

/* ---- life */

struct dns_watch *dns_watch_new(struct event_base *base, struct store *st,
				const struct settings *s)
{
	struct dns_watch *w = mem_new(sizeof *w);

	w->base = base;
	w->store = st;
	w->settings = s;
	return w;
}

void dns_watch_free(struct dns_watch **at)
{
	struct dns_watch *w = *at;

	if (!w)
		return;
	dns_survey_free(&w->survey);
	dns_wants_release(&w->wants);
	for (size_t i = 0; i < w->count; i++)
		mem_free(&w->at[i].name);
	mem_free(&w->at);
	mem_free(at);
}
