/* Hides: how two servers are compared for people. */
#include <signal.h>

#include "admin/api_json.h"
#include "admin/ctl.h"
#include "admin/loss.h"
#include "admin/probe.h"
#include "admin/table.h"
#include "sync/quirks.h"

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

/* ---- where clients come from */

static char *not_passed(const struct probe *p, const char *why, const char *instead)
{
	return mem_printf(
		"not passed on: %s; exempt %s from the server's brute-force guards and "
		"from its limit per address, or %s",
		why, p->own, instead);
}

/* How the server learns a client's address, or what to do since it does not. */
static char *address_text(const struct backend_conf *b, enum protocol_kind proto,
			  const struct probe *p)
{
	bool imap = proto == PROTO_IMAP, wanted = imap ? b->id_forward : b->xclient;
	bool offered = imap ? probe_has(p, SLICE("ID")) : p->xclient;

	if (b->proxy_protocol != PROXY_NONE)
		return mem_printf("passed on by the PROXY protocol, %s",
				  proxy_protocol_name(b->proxy_protocol));
	if (wanted && offered)
		return mem_printf("passed on by %s, if the server trusts %s (Dovecot: "
				  "login_trusted_networks)",
				  imap ? "ID" : "XCLIENT", p->own);
	if (wanted && imap)
		return not_passed(p, "id_forward = yes, but the server offers no ID",
				  "set proxy_protocol");
	if (wanted)
		return not_passed(p, "xclient = yes, but the server does not offer it to us",
				  "let it trust us (Dovecot: login_trusted_networks)");
	return not_passed(p, "all logins come from our address",
			  imap ? "set proxy_protocol or id_forward"
			       : "set proxy_protocol or xclient");
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
	char *address;

	json_object_set_new(j, "backend", json_string(side_name(side)));
	json_object_set_new(j, "proto", json_string(protocol_kind_name(proto)));
	json_object_set_new(j, "host", api_json_text(b->host));
	json_object_set_new(j, "port", json_integer(b->port[proto]));
	json_object_set_new(j, "tls", json_string(tls_mode_name(b->tls[proto])));
	json_object_set_new(j, "ok", json_boolean(p->reached));
	json_object_set_new(j, "error", p->reached ? json_null() : api_json_text(p->err.text));
	json_object_set_new(j, "took_ms", json_integer(p->took_ms));
	json_object_set_new(j, "greeting", api_json_text_or_null(p->greeting));
	json_object_set_new(j, "server",
			    json_string(quirks_find(slice_of(p->greeting), buf_slice(&p->words),
						    (struct slice){ 0 })
						->name));
	json_object_set_new(j, "certificate", certificate_json(p));
	json_object_set_new(j, "capabilities", words_json(&p->words));
	json_object_set_new(j, "login", words_json(&p->auth));
	json_object_set_new(j, "logged_in", json_boolean(p->logged_in));
	address = p->reached ? address_text(b, proto, p) : NULL;
	json_object_set_new(j, "client_address", api_json_text_or_null(address));
	mem_free(&address);
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
	fprintf(c->out, "  %-13s%s\n", "server", ctl_text(p, "server"));
	print_certificate(c, json_object_get(p, "certificate"));
	print_words(c, "capabilities", json_object_get(p, "capabilities"), "none told");
	if (json_array_size(json_object_get(p, "login")))
		print_words(c, "login", json_object_get(p, "login"), "");
	fprintf(c->out, "  %-13s%s\n", "client IPs", ctl_text(p, "client_address"));
}

/* ---- both, for each protocol */

struct comparison {
	json_t *servers, *missing, *losses;
	json_t *usage;	     /* the engine's counts; NULL: not known */
	char *login[SIDES];  /* whose mailbox tells more; NULL: log in nowhere */
	char *login_trouble; /* why there was no login after all */
	bool ok;
};

static void probe_all(struct ctl *c, enum protocol_kind proto, char *const login[SIDES],
		      struct probe got[SIDES])
{
	const struct settings *s = &c->settings;

	for (int i = 0; i < SIDES; i++)
		if (s->backend[i].port[proto])
			probe_server(&got[i], &s->backend[i], proto, login[i],
				     s->sync.connect_s, s->sync.io_s);
}

static void release_all(struct probe got[SIDES])
{
	for (int i = 0; i < SIDES; i++)
		probe_release(&got[i]);
}

/* What is told before login must not be compared with what is told after it. */
static void probe_alike(struct ctl *c, enum protocol_kind proto, struct comparison *all,
			struct probe got[SIDES])
{
	static char *const nobody[SIDES] = { 0 };

	probe_all(c, proto, all->login, got);
	if (!all->login[SIDE_OLD] || proto != PROTO_IMAP ||
	    (got[SIDE_OLD].logged_in && got[SIDE_NEW].logged_in))
		return;
	for (int i = 0; i < SIDES; i++)
		if (!got[i].logged_in && !all->login_trouble)
			all->login_trouble = mem_printf(
				"backend \"%s\": %s", side_name((enum side)i),
				got[i].reached ? got[i].login_err.text : got[i].err.text);
	release_all(got);
	probe_all(c, proto, nobody, got);
}

static int64_t sessions_with(const struct comparison *all, enum protocol_kind proto,
			     struct slice name)
{
	const json_t *u;
	size_t i;

	json_array_foreach (all->usage, i, u)
		if (strcmp(ctl_text(u, "proto"), protocol_kind_name(proto)) == 0 &&
		    slice_is_nocase(name, ctl_text(u, "extension")))
			return ctl_int(u, "sessions");
	return 0;
}

static void add_losses(struct comparison *all, enum protocol_kind proto, const json_t *missing)
{
	int64_t of = sessions_with(all, proto, SLICE("sessions"));
	const json_t *w;
	size_t i;

	json_array_foreach (missing, i, w) {
		struct slice word = slice_of(json_string_value(w));
		json_t *loss = json_object();

		json_object_set_new(loss, "proto", json_string(protocol_kind_name(proto)));
		json_object_set(loss, "capability", (json_t *)w);
		json_object_set_new(loss, "means", json_string(loss_means(proto, word)));
		json_object_set_new(
			loss, "sessions",
			all->usage ? json_integer(sessions_with(all, proto, loss_name(word)))
				   : json_null());
		json_object_set_new(loss, "of", all->usage ? json_integer(of) : json_null());
		json_array_append_new(all->losses, loss);
	}
}

static void compare(struct ctl *c, enum protocol_kind proto, struct comparison *all)
{
	const struct backend_conf *b = c->settings.backend;
	struct probe got[SIDES] = { 0 };
	json_t *missing = NULL;

	probe_alike(c, proto, all, got);
	for (int i = 0; i < SIDES; i++) {
		if (!b[i].port[proto])
			continue;
		all->ok = all->ok && got[i].reached;
		json_array_append_new(all->servers,
				      probe_json(&b[i], (enum side)i, proto, &got[i]));
	}
	if (b[SIDE_OLD].port[proto] && !b[SIDE_NEW].port[proto]) {
		json_object_set_new(all->missing, protocol_kind_name(proto),
				    json_pack("[s]", "all of it"));
	} else if (got[SIDE_OLD].reached && got[SIDE_NEW].reached) {
		missing = missing_json(&got[SIDE_OLD], &got[SIDE_NEW]);
		add_losses(all, proto, missing);
		json_object_set_new(all->missing, protocol_kind_name(proto), missing);
	}
	release_all(got);
}

static void print_losses(struct ctl *c, const json_t *losses)
{
	struct table *t = table_new("|NOT ON NEW|>SESSIONS|WHAT THAT MEANS");
	const json_t *loss;
	size_t i;
	char n[TEXT_SMALL], of[TEXT_SMALL];

	json_array_foreach (losses, i, loss) {
		bool known = json_is_integer(json_object_get(loss, "sessions"));

		table_cell(t, "%s", ctl_text(loss, "proto"));
		table_cell(t, "%s", ctl_text(loss, "capability"));
		if (known)
			table_cell(t, "%s of %s", text_count(ctl_int(loss, "sessions"), n),
				   text_count(ctl_int(loss, "of"), of));
		else
			table_cell(t, "?");
		table_cell(t, "%s", ctl_text(loss, "means"));
	}
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	table_free(&t);
}

static void print_all(struct ctl *c, const struct comparison *all)
{
	const json_t *p;
	json_t *list;
	const char *proto;
	size_t i;
	bool after = all->login[SIDE_OLD] && !all->login_trouble;

	json_array_foreach (all->servers, i, p)
		print_probe(c, p);
	if (all->login_trouble) {
		fputs("no look behind the login: ", c->out);
		text_put(c->out, all->login_trouble);
		fputc('\n', c->out);
	}
	fprintf(c->out, "what clients will miss on new (as told %s login)\n",
		after ? "after" : "before");
	json_object_foreach ((json_t *)all->missing, proto, list)
		print_words(c, proto, list, "nothing");
	if (!json_object_size(all->missing))
		fputs("  unknown: both servers must answer\n", c->out);
	print_losses(c, all->losses);
	if (json_array_size(all->losses) && !all->usage)
		fputs("how many sessions use them is only known while `mailferry run` is running\n",
		      c->out);
	if (!all->login[SIDE_OLD])
		fputs("servers tell more after login: name a user to look there as master_user\n",
		      c->out);
}

/* What the user logs in as on each side, if the engine knows; else as it was typed. */
static void choose_login(struct ctl *c, struct comparison *all)
{
	static const char *const keys[SIDES] = { "old_login", "new_login" };
	json_t *user = NULL;
	char *path;

	if (c->arg_count == 0)
		return;
	path = ctl_user_path(c, c->arg[0], "");
	user = ctl_look(c, path);
	mem_free(&path);
	for (int i = 0; i < SIDES; i++) {
		const char *login = ctl_text(user, keys[i]);

		all->login[i] = mem_str(*login ? login : c->arg[0]);
	}
	json_decref(user);
}

int ctl_check_backends(struct ctl *c)
{
	struct comparison all = { .ok = true };
	json_t *whole, *counts;
	int status = ctl_settings(c);

	if (status != CTL_OK)
		return status;
	signal(SIGPIPE, SIG_IGN);
	choose_login(c, &all);
	counts = ctl_look(c, "/v1/usage");
	all.usage = json_object_get(counts, "usage");
	all.servers = json_array();
	all.missing = json_object();
	all.losses = json_array();
	for (int p = 0; p < PROTOS; p++)
		compare(c, (enum protocol_kind)p, &all);
	whole = json_pack("{s:b, s:o, s:o, s:o, s:o}", "ok", all.ok, "servers", all.servers,
			  "missing_on_new", all.missing, "losses", all.losses, "login_trouble",
			  api_json_text_or_null(all.login_trouble ? all.login_trouble : ""));
	if (!ctl_json(c, whole))
		print_all(c, &all);
	json_decref(whole);
	json_decref(counts);
	mem_free(&all.login[SIDE_OLD]);
	mem_free(&all.login[SIDE_NEW]);
	mem_free(&all.login_trouble);
	return all.ok ? CTL_OK : CTL_FAILED;
}
