/* Hides: what the words about DNS must be to be understood. */

#include "config/dns_words.h"
#include "config/settings_check.h"

/* One section that tells where records shall lead. */
struct place {
	enum section_kind kind;
	const char *title;
	const struct scan *scan;
	struct mistakes *m;
};

static void PRINTF_LIKE(3, 4)
	wrong(const struct place *p, const char *name, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	mistake_add(p->m, scan_line(p->scan, p->kind, p->title, name), "%s: %s: %s",
		    section_shown(p->kind, p->title), name, text);
}

static void check_hosts(const struct place *p, const char *name, const char *list)
{
	char host[DNS_HOST_MAX];
	struct slice word;

	while (dns_word(&list, &word))
		if (dns_host(word, host) < 0)
			wrong(p, name, "\"%.*s\" is no host name", (int)word.n, word.p);
}

static void check_mx(const struct place *p, const char *list)
{
	char mx[DNS_HOST_MAX + 8];
	struct slice word;

	while (dns_word(&list, &word))
		if (dns_mx(word, mx) < 0)
			wrong(p, "mx",
			      "\"%.*s\" must be a preference and a host: \"10 "
			      "mx.example.net\"",
			      (int)word.n, word.p);
}

/* all: what holds in the end, with the words of section dns. */
static void check_target(const struct place *p, const struct dns_target *own,
			 const struct dns_target *all)
{
	if (own->kind && strcmp(own->kind, DNS_OPENSRS_A) != 0 &&
	    strcmp(own->kind, DNS_OPENSRS_B) != 0 && strcmp(own->kind, DNS_OTHER) != 0)
		wrong(p, "new",
		      "must be " DNS_OPENSRS_A ", " DNS_OPENSRS_B " or " DNS_OTHER
		      ", not \"%s\"",
		      own->kind);
	else if (own->kind && strcmp(own->kind, DNS_OTHER) == 0 && (!all->mx || !all->host))
		wrong(p, "new", DNS_OTHER " needs mx and host");
	check_mx(p, own->mx);
	check_hosts(p, "host", own->host);
	check_hosts(p, "webmail", own->webmail);
	check_hosts(p, "names", own->names);
	check_hosts(p, "servers", own->servers);
}

void settings_check_dns(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	struct endpoint at[DNS_RESOLVERS_MAX];
	struct place p = { SECTION_DNS, NULL, scan, m };
	char name[DNS_HOST_MAX];
	struct slice bad;
	size_t n;

	check_target(&p, &s->dns.target, &s->dns.target);
	if (dns_resolvers(s->dns.resolvers, at, &n, &bad) < 0)
		wrong(&p, "resolvers",
		      "\"%.*s\" is no address, or more than %d are named: write \"9.9.9.9, "
		      "[2620:fe::fe]:53\"",
		      (int)bad.n, bad.p, DNS_RESOLVERS_MAX);
	for (size_t i = 0; i < s->domain_count; i++) {
		const struct domain_conf *d = &s->domains[i];
		struct dns_target all = settings_dns_target(s, d->name);

		p = (struct place){ SECTION_DOMAIN, d->name, scan, m };
		if (dns_host(slice_of(d->name), name) < 0)
			mistake_add(m, scan_line(scan, SECTION_DOMAIN, d->name, NULL),
				    "domain \"%s\": is no domain's name", d->name);
		check_target(&p, &d->target, &all);
	}
}
