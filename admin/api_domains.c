/* Hides: how users' rows become a row for each of their domains. */
#include "admin/api_parts.h"

#include "sync/dns_notes.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct api_domain *)a)->name,
		      ((const struct api_domain *)b)->name);
}

static struct api_domain *get(struct api_domains *l, const char *name)
{
	const struct api_domain key = { .name = (char *)name };
	struct api_domain *found =
		l->count ? bsearch(&key, l->at, l->count, sizeof key, by_name) : NULL;
	size_t i = l->count;

	if (found)
		return found;
	l->at = mem_grow(l->at, l->count + 1, sizeof *l->at);
	for (; i > 0 && strcmp(l->at[i - 1].name, name) > 0; i--)
		l->at[i] = l->at[i - 1];
	l->at[i] = (struct api_domain){ .name = mem_str(name) };
	l->count++;
	return &l->at[i];
}

void api_domains_add(struct api_domains *l, const struct user *u)
{
	const char *at = strrchr(u->name, '@');
	struct api_domain *d = get(l, at ? at + 1 : "");

	d->count[u->state]++;
	d->strays += u->progress.strays > 0;
	d->last_arrival = MAX(d->last_arrival, u->progress.last_arrival);
}

static int add_user(const struct user *u, void *arg)
{
	api_domains_add(arg, u);
	return 0;
}

/* null where nobody has looked, or nothing says what new is. */
static json_t *mx_json(struct api *a, const char *name)
{
	const struct dns_target target = settings_dns_target(a->settings, name);
	struct dns_past p = { 0 };
	struct dns_wants w;
	struct err e = { 0 };

	if (dns_wants_make(&w, name, &target, &e) == 0 &&
	    dns_past_read(a->store, &w, dns_wants_mx(&w), &p, &e) < 0)
		log_error(NULL, "api: MX of %s: %s", name, e.text);
	dns_wants_release(&w);
	if (!p.looked_at)
		return json_null();
	return json_pack("{s:b, s:I, s:I, s:I}", "on_new", p.is_new, "since",
			 (json_int_t)p.since, "looked_at", (json_int_t)p.looked_at,
			 "copies_until", (json_int_t)p.copies_until);
}

json_t *api_json_domain(struct api *a, const struct api_domain *d)
{
	return json_pack("{s:o, s:o, s:I, s:o, s:o}", "domain", api_json_text(d->name),
			 "states", api_json_states(d->count), "users_with_strays",
			 (json_int_t)d->strays, "last_arrival",
			 d->last_arrival ? json_integer(d->last_arrival) : json_null(), "mx",
			 mx_json(a, d->name));
}

static int read_all(struct api *a, struct api_domains *l, struct err *e)
{
	static const struct user_filter all;

	return store_users_each(a->store, &all, add_user, l, e);
}

void api_domains_release(struct api_domains *l)
{
	for (size_t i = 0; i < l->count; i++)
		mem_free(&l->at[i].name);
	mem_free(&l->at);
	l->count = 0;
}

static int add_name(const char *name, void *arg)
{
	get(arg, name);
	return 0;
}

int api_each_domain(struct api *a, api_domain_fn *fn, void *arg, struct err *e)
{
	struct api_domains l = { 0 };
	int rc = store_domains_each(a->store, add_name, &l, e);

	for (size_t i = 0; i < l.count && rc == 0; i++)
		rc = fn(l.at[i].name, arg);
	api_domains_release(&l);
	return rc;
}

int api_get_domains(struct api_call *c)
{
	struct api_domains l = { 0 };
	struct err e = { 0 };
	struct api_page p;
	int rc, status = api_asked_page(c, &p);

	if (status)
		return status;
	rc = read_all(c->api, &l, &e);
	for (size_t i = 0; i < l.count && rc == 0; i++)
		rc = api_page_add(&p, api_json_domain(c->api, &l.at[i]));
	api_domains_release(&l);
	return api_finish(c, &p, "domains", rc, &e);
}
