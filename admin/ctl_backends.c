/* Hides: how two servers are compared for people. */
#include <signal.h>

#include "admin/api_json.h"
#include "admin/ctl.h"
#include "admin/probe.h"
#include "admin/table.h"

#define FEW_DAYS                                                                    \
	21 /* a certificate that ends sooner than that may end during the migration \
	    */

/* Calls on_word for each line of words. */
static void each_word(const struct buf *words, void (*on_word)(struct slice w, void *arg),
		      void *arg)
{
	struct slice all = buf_slice(words);

	while (all.n) {
		const char *lf = memchr(all.p, '\n', all.n);
		size_t n = lf ? (size_t)(lf - all.p) : all.n;

		on_word((struct slice){ all.p, n }, arg);
		n = MIN(n + 1, all.n);
		all.p += n;
		all.n -= n;
	}
}

static json_t *word_text(struct slice w)
{
	char *text = mem_strn(w.p, w.n);
	json_t *j = api_json_text(text);

	mem_free(&text);
	return j;
}

static void add_word(struct slice w, void *arg)
{
	json_array_append_new(arg, word_text(w));
}

static json_t *words_json(const struct buf *words)
{
	json_t *list = json_array();

	each_word(words, add_word, list);
	return list;
}

/* ---- what will be missing */

struct missing {
	const struct probe *on_new;
	json_t *list;
};

static void add_missing(struct slice w, void *arg)
{
	struct missing *m = arg;

	if (!probe_has(m->on_new, w))
		json_array_append_new(m->list, word_text(w));
}

static json_t *missing_json(const struct probe *old, const struct probe *on_new)
{
	struct missing m = { .on_new = on_new, .list = json_array() };

	each_word(&old->words, add_missing, &m);
	return m.list;
}

/* ---- one server */

static json_t *certificate_json(const struct probe *p)
{
	if (!p->secure)
		return json_null();
	return json_pack("{s:o, s:o, s:i, s:s, s:s}", "subject", api_json_text(p->subject),
			 "names", api_json_text(p->names), "days_left", p->days_left, "pin",
			 p->pin, "tls", p->tls_version);
}

static json_t *probe_json(const struct backend_conf *b, enum side side,
			  enum protocol_kind proto, const struct probe *p)
{
	json_t *j = json_object();

	json_object_set_new(j, "backend", json_string(side_name(side)));
	json_object_set_new(j, "proto", json_string(protocol_kind_name(proto)));
	json_object_set_new(j, "host", api_json_text(b->host));
	json_object_set_new(j, "port", json_integer(b->port[proto]));
	json_object_set_new(j, "tls", json_string(tls_mode_name(b->tls[proto])));
	json_object_set_new(j, "ok", json_boolean(p->reached));
	json_object_set_new(j, "error", p->reached ? json_null() : api_json_text(p->err.text));
	json_object_set_new(j, "took_ms", json_integer(p->took_ms));
	json_object_set_new(j, "greeting", api_json_text_or_null(p->greeting));
	json_object_set_new(j, "certificate", certificate_json(p));
	json_object_set_new(j, "capabilities", words_json(&p->words));
	json_object_set_new(j, "login", words_json(&p->auth));
	return j;
}

static void print_words(struct ctl *c, const char *title, const json_t *list, const char *none)
{
	const json_t *w;
	size_t i;

	fprintf(c->out, "  %-13s", title);
	if (!json_array_size(list))
		fputs(none, c->out);
	json_array_foreach (list, i, w) {
		fputs(i ? ", " : "", c->out);
		text_put(c->out, json_string_value(w));
	}
	fputc('\n', c->out);
}

static void print_certificate(struct ctl *c, const json_t *cert)
{
	int days = (int)ctl_int(cert, "days_left");
	enum table_tint tint = days < FEW_DAYS ? TINT_BAD : TINT_GOOD;

	if (!json_is_object(cert)) {
		fprintf(c->out, "  %-13s%snone: passwords and mail travel in clear text%s\n",
			"TLS", table_tint_code(TINT_BAD, c->terminal),
			table_tint_code(TINT_NONE, c->terminal));
		return;
	}
	fprintf(c->out, "  %-13s%s, verified\n  %-13s", "TLS", ctl_text(cert, "tls"),
		"certificate");
	text_put(c->out, ctl_text(cert, "subject"));
	fprintf(c->out, ", %s%d days left%s\n", table_tint_code(tint, c->terminal), days,
		table_tint_code(TINT_NONE, c->terminal));
	fprintf(c->out, "  %-13s", "names");
	text_put(c->out, ctl_text(cert, "names"));
	fprintf(c->out, "\n  %-13s%s\n", "pin", ctl_text(cert, "pin"));
}

static void print_probe(struct ctl *c, const json_t *p)
{
	bool ok = ctl_true(p, "ok");

	fprintf(c->out, "%s %s %s:%d: %s%s%s", ctl_text(p, "backend"), ctl_text(p, "proto"),
		ctl_text(p, "host"), (int)ctl_int(p, "port"),
		table_tint_code(ok ? TINT_GOOD : TINT_BAD, c->terminal), ok ? "ok" : "failed",
		table_tint_code(TINT_NONE, c->terminal));
	if (!ok) {
		fputs(": ", c->out);
		text_put(c->out, ctl_text(p, "error"));
		fputc('\n', c->out);
		return;
	}
	fprintf(c->out, " (%d ms)\n  %-13s", (int)ctl_int(p, "took_ms"), "greeting");
	text_put(c->out, ctl_text(p, "greeting"));
	fputc('\n', c->out);
	print_certificate(c, json_object_get(p, "certificate"));
	print_words(c, "capabilities", json_object_get(p, "capabilities"),
		    "none told before login");
	if (json_array_size(json_object_get(p, "login")))
		print_words(c, "login", json_object_get(p, "login"), "");
}

/* ---- both, for each protocol */

struct comparison {
	json_t *servers, *missing;
	bool ok;
};

static void compare(struct ctl *c, enum protocol_kind proto, struct comparison *all)
{
	const struct settings *s = &c->settings;
	struct probe got[SIDES] = { 0 };
	bool asked[SIDES] = { 0 };

	for (int i = 0; i < SIDES; i++) {
		asked[i] = s->backend[i].port[proto] != 0;
		if (!asked[i])
			continue;
		probe_server(&got[i], &s->backend[i], proto, s->sync.connect_s, s->sync.io_s);
		all->ok = all->ok && got[i].reached;
		json_array_append_new(all->servers,
				      probe_json(&s->backend[i], (enum side)i, proto, &got[i]));
	}
	if (asked[SIDE_OLD] && !asked[SIDE_NEW])
		json_object_set_new(all->missing, protocol_kind_name(proto),
				    json_pack("[s]", "all of it"));
	else if (got[SIDE_OLD].reached && got[SIDE_NEW].reached)
		json_object_set_new(all->missing, protocol_kind_name(proto),
				    missing_json(&got[SIDE_OLD], &got[SIDE_NEW]));
	for (int i = 0; i < SIDES; i++)
		probe_release(&got[i]);
}

static void print_all(struct ctl *c, const struct comparison *all)
{
	const json_t *p;
	json_t *list;
	const char *proto;
	size_t i;
	char title[48];

	json_array_foreach (all->servers, i, p)
		print_probe(c, p);
	fputs("what clients will miss on new (as told before login)\n", c->out);
	json_object_foreach ((json_t *)all->missing, proto, list) {
		snprintf(title, sizeof title, "%s", proto);
		print_words(c, title, list, "nothing");
	}
	if (!json_object_size(all->missing))
		fputs("  unknown: both servers must answer\n", c->out);
}

int ctl_check_backends(struct ctl *c)
{
	struct comparison all = { .ok = true };
	json_t *whole;
	int status = ctl_settings(c);

	if (status != CTL_OK)
		return status;
	signal(SIGPIPE, SIG_IGN);
	all.servers = json_array();
	all.missing = json_object();
	for (int p = 0; p < PROTOS; p++)
		compare(c, (enum protocol_kind)p, &all);
	whole = json_pack("{s:b, s:o, s:o}", "ok", all.ok, "servers", all.servers,
			  "missing_on_new", all.missing);
	if (!ctl_json(c, whole))
		print_all(c, &all);
	json_decref(whole);
	return all.ok ? CTL_OK : CTL_FAILED;
}
