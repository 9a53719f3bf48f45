/* Hides: one look at the DNS of each domain named, and how it is shown. */
#include <signal.h>

#include "admin/api_json.h"
#include "admin/ctl.h"
#include "admin/table.h"
#include "common/clock.h"
#include "common/store.h"
#include "sync/dns_certificate.h"

/* What scripts ask for; see the help of the verb. */
enum { ALL_RIGHT = 0, SOMETHING_WRONG = 1, NOT_YET = 2 };

struct look {
	struct ctl *c;
	struct event_base *base;
	struct dns_wants wants;
	struct dns_view view;
	struct dns_past *past;
	struct err no_store;
	struct dns_certificate certificates[DNS_NAMES_MAX];
	struct dns_case state;
	json_t *items;
};

/* ---- asking */

static void on_view(struct dns_view *v, void *arg)
{
	struct look *l = arg;

	l->view = *v;
	event_base_loopbreak(l->base);
}

static int ask(struct look *l, struct err *e)
{
	struct dns_survey_opts o = { .base = l->base,
				     .settings = &l->c->settings,
				     .wants = &l->wants };
	struct dns_survey *s = NULL;

	if (dns_survey_start(&s, &o, on_view, l, e) < 0)
		return -1;
	event_base_dispatch(l->base);
	dns_certificates_look(&l->c->settings, &l->view, l->certificates,
			      &l->state.certificate_count);
	return 0;
}

/* ---- the store: this look is kept, what earlier ones saw is read */

static int read_past(struct look *l, struct store *st, struct err *e)
{
	for (size_t i = 0; i < l->wants.count; i++)
		if (dns_past_read(st, &l->wants, &l->wants.at[i], &l->past[i], e) < 0)
			return -1;
	return 0;
}

static int count_users(struct look *l, struct store *st, struct err *e)
{
	int64_t n[USER_STATES];

	if (store_domain_count(st, l->wants.shown, n, e) < 0)
		return -1;
	for (int i = 0; i < USER_STATES; i++)
		l->state.users += n[i];
	l->state.on_new = n[USER_TRAILING] + n[USER_DONE];
	return 0;
}

static void use_store(struct look *l)
{
	const struct store_opts o = { .path = l->c->settings.store.path,
				      .url = l->c->settings.store.url };
	struct store *st = NULL;
	struct err *e = &l->no_store;

	l->past = mem_array(l->wants.count, sizeof *l->past);
	l->state.now = clock_real_ms();
	if (store_open(&st, &o, e) == 0 && dns_notes_write(st, &l->view, e) == 0 &&
	    read_past(l, st, e) == 0 && count_users(l, st, e) == 0) {
		l->state.now = store_now_ms(st);
		l->state.past = l->past;
	}
	l->state.no_store = e->text;
	store_close(&st);
}

/* ---- items as JSON, which is printed too */

static void add_line(const char *line, void *arg)
{
	json_array_append_new(arg, api_json_text(line));
}

static void add_item(const struct dns_item *i, void *arg)
{
	struct look *l = arg;
	json_t *lines = json_array();

	if (i->lines)
		dns_want_lines(i->lines, add_line, lines);
	if (i->line)
		add_line(i->line, lines);
	json_array_append_new(l->items,
			      json_pack("{s:o, s:s, s:o, s:o}", "item", api_json_text(i->label),
					"verdict", dns_verdict_name(i->verdict), "text",
					api_json_text(i->text), "lines", lines));
}

static json_t *zone_json(const struct dns_wants *w)
{
	json_t *lines = json_array();

	for (size_t i = 0; i < w->count; i++)
		dns_want_lines(&w->at[i], add_line, lines);
	return lines;
}

static json_t *time_or_null(int64_t at)
{
	return at ? json_integer(at) : json_null();
}

static json_t *mx_json(const struct look *l)
{
	const struct dns_past *p = &l->past[0];

	return json_pack("{s:b, s:o, s:o}", "on_new", p->is_new, "since",
			 time_or_null(p->since), "copies_until", time_or_null(p->copies_until));
}

/* What the servers said, word for word. */
static json_t *servers_json(const struct look *l)
{
	static const char *const parties[] = {
		[DNS_OWN] = "own", [DNS_NEXT] = "next", [DNS_RESOLVER] = "resolver"
	};
	json_t *list = json_array(), *said;
	char at[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < l->view.count; i++) {
		const struct dns_server *s = &l->view.servers[i];

		said = json_object();
		for (size_t k = 0; k < l->wants.count; k++)
			json_object_set_new(said, l->wants.at[k].label,
					    json_pack("{s:s, s:o, s:I}", "outcome",
						      dns_outcome_name(s->said[k].outcome),
						      "value", api_json_text(s->said[k].value),
						      "ttl_s", (json_int_t)s->said[k].ttl_s));
		endpoint_text(&s->at, at);
		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:s, s:o}", "server",
						api_json_text(s->name), "address", at, "party",
						parties[s->party], "said", said));
	}
	return list;
}

static json_t *look_json(struct look *l, enum dns_verdict worst)
{
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "domain",
			 api_json_text(l->wants.shown), "verdict", dns_verdict_name(worst),
			 "items", l->items, "mx", mx_json(l), "zone", zone_json(&l->wants),
			 "servers", servers_json(l));
}

/* ---- for people */

static enum table_tint tint_of(const char *verdict)
{
	return strcmp(verdict, "wrong") == 0   ? TINT_BAD
	       : strcmp(verdict, "right") == 0 ? TINT_GOOD
					       : TINT_BUSY;
}

static void print_verdict(struct ctl *c, const char *verdict, int width)
{
	fprintf(c->out, "%s%-*s%s", table_tint_code(tint_of(verdict), c->terminal), width,
		verdict, table_tint_code(TINT_NONE, c->terminal));
}

static void print_lines(struct ctl *c, const char *before, const json_t *lines)
{
	const json_t *line;
	size_t i;

	json_array_foreach (lines, i, line) {
		fputs(before, c->out);
		text_put(c->out, json_string_value(line));
		fputc('\n', c->out);
	}
}

static void print_look(struct ctl *c, const json_t *look)
{
	const json_t *item;
	size_t i;

	text_put(c->out, ctl_text(look, "domain"));
	fputs(": ", c->out);
	print_verdict(c, ctl_text(look, "verdict"), 0);
	fputc('\n', c->out);
	json_array_foreach (json_object_get(look, "items"), i, item) {
		fputs("  ", c->out);
		print_verdict(c, ctl_text(item, "verdict"), 10);
		text_put(c->out, ctl_text(item, "item"));
		fputs(": ", c->out);
		text_put(c->out, ctl_text(item, "text"));
		fputc('\n', c->out);
		print_lines(c, "              ", json_object_get(item, "lines"));
	}
	fputs("  in the end the zone holds\n", c->out);
	print_lines(c, "    ", json_object_get(look, "zone"));
}

/* ---- one domain */

static void release(struct look *l)
{
	dns_view_release(&l->view);
	dns_wants_release(&l->wants);
	mem_free(&l->past);
	event_base_free(l->base);
}

static int look_at(struct ctl *c, const char *domain, json_t *looks, enum dns_verdict *worst)
{
	const struct dns_target target = settings_dns_target(&c->settings, domain);
	struct look l = { .c = c, .base = event_base_new() };
	enum dns_verdict verdict;
	struct err e = { 0 };

	if (dns_wants_make(&l.wants, domain, &target, &e) < 0 || ask(&l, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		release(&l);
		return -1;
	}
	use_store(&l);
	l.state.view = &l.view;
	l.state.certificates = l.certificates;
	l.items = json_array();
	verdict = dns_judge(&l.state, add_item, &l);
	*worst = MAX(*worst, verdict);
	json_array_append_new(looks, look_json(&l, verdict));
	release(&l);
	return 0;
}

static int status_of(enum dns_verdict worst)
{
	switch (worst) {
	case DNS_RIGHT:
	case DNS_NOTE:
		return ALL_RIGHT;
	case DNS_NOT_YET:
	case DNS_NOT_KNOWN:
		return NOT_YET;
	case DNS_WRONG:
	case DNS_VERDICTS:
		break;
	}
	return SOMETHING_WRONG;
}

int ctl_check_dns(struct ctl *c)
{
	enum dns_verdict worst = DNS_RIGHT;
	json_t *looks = json_array(), *whole, *look;
	int status = ctl_settings(c);
	size_t k;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; status == CTL_OK && i < c->arg_count; i++)
		if (look_at(c, c->arg[i], looks, &worst) < 0)
			status = NOT_YET;
	if (json_array_size(looks)) {
		whole = json_pack("{s:b, s:s, s:O}", "ok", status_of(worst) == ALL_RIGHT,
				  "verdict", dns_verdict_name(worst), "domains", looks);
		if (!ctl_json(c, whole))
			json_array_foreach (looks, k, look)
				print_look(c, look);
		json_decref(whole);
	}
	json_decref(looks);
	return worst == DNS_WRONG ? SOMETHING_WRONG : MAX(status, status_of(worst));
}
