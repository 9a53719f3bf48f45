/* Hides: in which order who is asked what. */
#include "sync/dns_survey.h"

#include <strings.h>

#include "common/buf.h"

struct ask;
typedef void taken_fn(const struct dns_answer *a, struct ask *k);

/* One question under way. All of them live as long as the survey. */
struct ask {
	struct ask *next;
	struct dns_survey *survey;
	char name[DNS_HOST_MAX];
	unsigned type;
	taken_fn *then;
	size_t tried; /* resolvers: the next is asked where one cannot say */
	size_t index; /* of a server or place that it is about */
	struct dns_said *to;
};

struct dns_survey {
	struct dns_view view;
	struct event_base *base;
	struct endpoint resolvers_at[DNS_RESOLVERS_MAX];
	struct dns_client *resolvers[DNS_RESOLVERS_MAX];
	size_t resolver_count;
	struct ask *asks;
	struct dns_client **clients; /* of the view's servers */
	size_t client_count;
	int port, timeout_ms;
	bool mx_only;
	int open; /* answers that the next step waits for */
	void (*step)(struct dns_survey *s);
	struct event *turn;
	dns_survey_fn *fn;
	void *arg;
};

/* ---- steps */

/* The next step begins in a turn of its own: it frees or makes what answers still use. */
static void wait_for(struct dns_survey *s, void (*step)(struct dns_survey *s))
{
	s->step = step;
	if (s->open == 0)
		event_active(s->turn, EV_TIMEOUT, 0);
}

static void answered(struct dns_survey *s)
{
	if (--s->open == 0 && s->step)
		event_active(s->turn, EV_TIMEOUT, 0);
}

static void on_turn(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct dns_survey *s = arg;
	void (*step)(struct dns_survey * s) = s->step;

	s->step = NULL;
	step(s);
}

static void finish(struct dns_survey *s)
{
	struct dns_view v = s->view;
	dns_survey_fn *fn = s->fn;
	void *arg = s->arg;

	s->view = (struct dns_view){ 0 };
	dns_survey_free(&s);
	fn(&v, arg);
}

/* ---- questions to any resolver */

static struct ask *ask_new(struct dns_survey *s, const char *name, unsigned type,
			   taken_fn *then)
{
	struct ask *k = mem_new(sizeof *k);

	*k = (struct ask){ .next = s->asks, .survey = s, .type = type, .then = then };
	snprintf(k->name, sizeof k->name, "%s", name);
	s->asks = k;
	s->open++;
	return k;
}

static bool is_answer(enum dns_outcome o)
{
	return o == DNS_FOUND || o == DNS_NODATA || o == DNS_NXDOMAIN;
}

static void on_resolver(const struct dns_answer *a, void *arg)
{
	struct ask *k = arg;
	struct dns_survey *s = k->survey;

	if (!is_answer(a->outcome) && ++k->tried < s->resolver_count) {
		dns_client_ask(s->resolvers[k->tried], k->name, k->type, on_resolver, k);
		return;
	}
	k->then(a, k);
	answered(s);
}

static void look_up(struct dns_survey *s, const char *name, unsigned type, taken_fn *then,
		    size_t index)
{
	struct ask *k = ask_new(s, name, type, then);

	k->index = index;
	dns_client_ask(s->resolvers[0], k->name, k->type, on_resolver, k);
}

/* ---- the last step: all questions to all servers */

static char *value_of(const struct dns_answer *a, unsigned type, uint32_t *ttl_s)
{
	struct buf text = { 0 };

	*ttl_s = a->count ? a->at[0].ttl_s : 0;
	if (a->count && a->at[0].type == ns_t_cname && type != ns_t_cname)
		return mem_printf("CNAME %s", a->at[0].text);
	for (size_t i = 0; i < a->count; i++) {
		buf_printf(&text, "%s%s", i ? "|" : "", a->at[i].text);
		*ttl_s = MIN(*ttl_s, a->at[i].ttl_s);
	}
	buf_add(&text, "", 1);
	return text.at;
}

static void on_said(const struct dns_answer *a, void *arg)
{
	const struct ask *k = arg;

	*k->to = (struct dns_said){ .outcome = a->outcome,
				    .authoritative = a->authoritative,
				    .why = mem_str(a->why) };
	k->to->value = value_of(a, k->type, &k->to->ttl_s);
	answered(k->survey);
}

static bool asked_for(const struct dns_survey *s, const struct dns_want *w)
{
	return !s->mx_only || w->role == DNS_ROLE_MX;
}

static void ask_everything(struct dns_survey *s, struct dns_client *c, struct dns_server *of)
{
	const struct dns_wants *w = s->view.wants;

	for (size_t i = 0; i < w->count; i++) {
		/* NS and SOA are the zone's, which may begin above the domain. */
		bool zone = w->at[i].role == DNS_ROLE_NS || w->at[i].role == DNS_ROLE_SOA;
		struct ask *k;

		if (!asked_for(s, &w->at[i]))
			continue;
		k = ask_new(s, zone ? s->view.zone : w->at[i].name, w->at[i].type, NULL);
		k->to = &of->said[i];
		dns_client_ask(c, k->name, k->type, on_said, k);
	}
}

static struct dns_said *silence(const struct dns_survey *s, const char *why)
{
	size_t n = s->view.wants->count;
	struct dns_said *said = mem_array(n, sizeof *said);

	for (size_t i = 0; i < n; i++)
		said[i] = (struct dns_said){ .outcome = DNS_SILENT,
					     .value = mem_str(""),
					     .why = mem_str(why) };
	return said;
}

static void ask_all(struct dns_survey *s)
{
	struct dns_view *v = &s->view;

	s->clients = mem_array(MAX(v->count, (size_t)1), sizeof *s->clients);
	s->client_count = v->count;
	for (size_t i = 0; i < v->count; i++) {
		struct dns_server *of = &v->servers[i];
		struct dns_client_opts o = { .base = s->base,
					     .at = of->at,
					     .recursive = of->party == DNS_RESOLVER,
					     .timeout_ms = s->timeout_ms };
		struct err e = { .text = "it has no address" };

		if (!endpoint_known(&of->at) || dns_client_new(&s->clients[i], &o, &e) < 0) {
			of->said = silence(s, e.text);
			continue;
		}
		of->said = mem_array(v->wants->count, sizeof *of->said);
		ask_everything(s, s->clients[i], of);
	}
	wait_for(s, finish);
}

/* ---- who is asked, and where they are */

static struct dns_server *add_server(struct dns_view *v, enum dns_party party, const char *name,
				     const struct endpoint *at)
{
	v->servers = mem_grow(v->servers, v->count + 1, sizeof *v->servers);
	v->servers[v->count] = (struct dns_server){ .party = party };
	snprintf(v->servers[v->count].name, sizeof v->servers->name, "%s", name);
	if (at)
		v->servers[v->count].at = *at;
	return &v->servers[v->count++];
}

static void add_resolvers(struct dns_survey *s)
{
	char name[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < s->resolver_count && !s->mx_only; i++) {
		const struct endpoint *at = &s->resolvers_at[i];

		endpoint_text(at, name);
		if (at->port == DNS_PORT)
			endpoint_ip_text(at, name);
		add_server(&s->view, DNS_RESOLVER, name, at);
	}
}

/* A name is one server, asked at its first address: which of them serves another zone is no
 * question of ours. IPv6 only where there is nothing else, as many hosts cannot reach it. */
static void take_address(const struct dns_answer *a, unsigned type, struct endpoint *at)
{
	for (size_t i = 0; i < a->count && !endpoint_known(at); i++)
		if (a->at[i].type == type && endpoint_set_ip(at, slice_of(a->at[i].text)) < 0)
			continue;
}

static void on_server_address(const struct dns_answer *a, struct ask *k)
{
	take_address(a, k->type, &k->survey->view.servers[k->index].at);
}

static void find_servers(struct dns_survey *s, unsigned type)
{
	for (size_t i = 0; i < s->view.count; i++)
		if (!endpoint_known(&s->view.servers[i].at))
			look_up(s, s->view.servers[i].name, type, on_server_address, i);
}

static void set_ports(struct dns_survey *s)
{
	for (size_t i = 0; i < s->view.count; i++)
		s->view.servers[i].at.port = (uint16_t)s->port;
	add_resolvers(s);
	ask_all(s);
}

static void find_servers_v6(struct dns_survey *s)
{
	find_servers(s, ns_t_aaaa);
	wait_for(s, set_ports);
}

static void on_place(const struct dns_answer *a, struct ask *k)
{
	struct dns_place *p = &k->survey->view.places[k->index];

	for (size_t i = 0; i < a->count && p->count < DNS_ADDRESSES_MAX; i++)
		if (a->at[i].type == ns_t_a &&
		    endpoint_set_ip(&p->at[p->count], slice_of(a->at[i].text)) == 0)
			p->count++;
}

static bool has_place(const struct dns_view *v, const char *host)
{
	for (size_t i = 0; i < v->place_count; i++)
		if (strcmp(v->places[i].host, host) == 0)
			return true;
	return false;
}

static void find_places(struct dns_survey *s)
{
	const struct dns_wants *w = s->view.wants;

	s->view.places = mem_array(DNS_NAMES_MAX, sizeof *s->view.places);
	for (size_t i = 0; i < w->count && !s->mx_only; i++)
		if (w->at[i].role == DNS_ROLE_HOST && w->at[i].value[0] &&
		    !has_place(&s->view, w->at[i].value))
			snprintf(s->view.places[s->view.place_count++].host, DNS_HOST_MAX, "%s",
				 w->at[i].value);
	for (size_t i = 0; i < s->view.place_count; i++)
		look_up(s, s->view.places[i].host, ns_t_a, on_place, i);
}

/* ---- the zone and its servers */

static bool has_server(const struct dns_view *v, const char *name)
{
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->servers[i].name, name) == 0)
			return true;
	return false;
}

static void add_next(struct dns_survey *s)
{
	const struct dns_wants *w = s->view.wants;
	char name[DNS_HOST_MAX];
	const char *rest = "";
	struct slice r;

	for (size_t i = 0; i < w->count; i++)
		if (w->at[i].role == DNS_ROLE_NS && !s->mx_only)
			rest = w->at[i].value;
	for (int n = 0; n < DNS_SERVERS_MAX && dns_value_next(&rest, &r); n++) {
		snprintf(name, sizeof name, "%.*s", (int)r.n, r.p);
		if (!has_server(&s->view, name))
			add_server(&s->view, DNS_NEXT, name, NULL);
	}
}

static void on_name_servers(const struct dns_answer *a, struct ask *k)
{
	struct dns_survey *s = k->survey;

	for (size_t i = 0; i < a->count && s->view.count < DNS_SERVERS_MAX; i++)
		if (a->at[i].type == ns_t_ns && strlen(a->at[i].text) < DNS_HOST_MAX)
			add_server(&s->view, DNS_OWN, a->at[i].text, NULL);
	if (s->view.count == 0)
		snprintf(s->view.trouble, sizeof s->view.trouble,
			 "the name servers of %s: %s%s%s", s->view.zone,
			 dns_outcome_text(a->outcome), a->why[0] ? ": " : "", a->why);
}

static void with_servers(struct dns_survey *s)
{
	if (s->view.trouble[0]) {
		finish(s);
		return;
	}
	add_next(s);
	find_servers(s, ns_t_a);
	find_places(s);
	wait_for(s, find_servers_v6);
}

static void with_zone(struct dns_survey *s)
{
	if (s->view.trouble[0]) {
		finish(s);
		return;
	}
	look_up(s, s->view.zone, ns_t_ns, on_name_servers, 0);
	wait_for(s, with_servers);
}

static void on_zone(const struct dns_answer *a, struct ask *k)
{
	struct dns_view *v = &k->survey->view;

	v->absent = a->outcome == DNS_NXDOMAIN;
	if (!is_answer(a->outcome) || v->absent)
		snprintf(v->trouble, sizeof v->trouble, "%s: %s%s%s", v->wants->shown,
			 dns_outcome_text(a->outcome), a->why[0] ? ": " : "", a->why);
	else if (!a->zone[0] || strlen(a->zone) >= DNS_HOST_MAX)
		snprintf(v->trouble, sizeof v->trouble,
			 "%s: no resolver says which zone it lies in", v->wants->shown);
	else
		snprintf(v->zone, sizeof v->zone, "%s", a->zone);
}

/* ---- start and end */

static int open_resolvers(struct dns_survey *s, const struct settings *set, struct err *e)
{
	struct slice bad;
	size_t n;

	if (!set->dns.resolvers) {
		if (dns_client_system(s->resolvers_at, &n, e) < 0)
			return -1;
	} else if (dns_resolvers(set->dns.resolvers, s->resolvers_at, &n, &bad) < 0) {
		return err_set(e, ERR_INPUT, "dns.resolvers: \"%.*s\" is no address",
			       (int)bad.n, bad.p);
	}
	for (size_t i = 0; i < n; i++) {
		struct dns_client_opts o = { .base = s->base,
					     .at = s->resolvers_at[i],
					     .recursive = true,
					     .timeout_ms = s->timeout_ms };

		if (dns_client_new(&s->resolvers[i], &o, e) < 0)
			return -1;
		s->resolver_count++;
	}
	return n ? 0 : err_set(e, ERR_INPUT, "no resolver is known: set dns.resolvers");
}

int dns_survey_start(struct dns_survey **out, const struct dns_survey_opts *o,
		     dns_survey_fn *fn, void *arg, struct err *e)
{
	struct dns_survey *s = mem_new(sizeof *s);

	*out = s;
	s->base = o->base;
	s->view.wants = o->wants;
	s->mx_only = o->mx_only;
	s->port = o->settings->dns.port;
	s->timeout_ms = o->settings->dns.timeout_s * 1000;
	s->fn = fn;
	s->arg = arg;
	s->turn = event_new(o->base, -1, 0, on_turn, s);
	if (open_resolvers(s, o->settings, e) < 0) {
		dns_survey_free(out);
		return -1;
	}
	look_up(s, o->wants->domain, ns_t_soa, on_zone, 0);
	wait_for(s, with_zone);
	return 0;
}

void dns_survey_free(struct dns_survey **at)
{
	struct dns_survey *s = *at;

	if (!s)
		return;
	for (size_t i = 0; i < s->resolver_count; i++)
		dns_client_free(&s->resolvers[i]);
	for (size_t i = 0; i < s->client_count; i++)
		dns_client_free(&s->clients[i]);
	mem_free(&s->clients);
	while (s->asks) {
		struct ask *k = s->asks;

		s->asks = k->next;
		mem_free(&k);
	}
	event_free(s->turn);
	dns_view_release(&s->view);
	mem_free(at);
}

void dns_view_release(struct dns_view *v)
{
	for (size_t i = 0; i < v->count; i++) {
		for (size_t k = 0; v->servers[i].said && k < v->wants->count; k++) {
			mem_free(&v->servers[i].said[k].value);
			mem_free(&v->servers[i].said[k].why);
		}
		mem_free(&v->servers[i].said);
	}
	mem_free(&v->servers);
	mem_free(&v->places);
	*v = (struct dns_view){ 0 };
}
