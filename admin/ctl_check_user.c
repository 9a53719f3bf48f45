/* Hides: both logins of one user, tried as the copier would, and what they show. */
#include <signal.h>

#include "admin/api_json.h"
#include "admin/ctl.h"
#include "admin/table.h"
#include "common/store.h"
#include "sync/confine.h"
#include "sync/mailbox.h"
#include "sync/new_login.h"
#include "sync/order.h"
#include "sync/quota.h"
#include "sync/token.h"

/* What one login showed. */
struct proof {
	const struct job_side *as;
	bool ok;
	char error[ERR_TEXT_MAX];
	const char *server, *server_note, *mechanism, *tls;
	int64_t folders, messages, bytes;
	struct quota quota;
	json_t *notes; /* what would fail or be slow */
};

static void PRINTF_LIKE(2, 3) note(struct proof *p, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(p->notes, api_json_text(text));
}

/* ---- the look */

static int add_size(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	struct proof *p = arg;

	p->messages++;
	p->bytes += i->size;
	return 0;
}

static int look_into(struct mailbox *m, const struct folder_info *f, struct proof *p,
		     struct err *e)
{
	struct selected selected;
	struct listing listing;

	if (f->noselect)
		return 0;
	p->folders++;
	if (mailbox_select(m, f->name, true, &selected, e) < 0 ||
	    mailbox_messages(m, 1, 0, add_size, p, &listing, e) < 0) {
		if (!mailbox_is_usable(m))
			return -1;
		note(p, "folder %s cannot be read: %s", f->name, e->text);
		err_clear(e);
	}
	return 0;
}

static void judge(const struct mailbox *m, const struct job *j, struct proof *p)
{
	const struct mailbox_caps *caps = mailbox_caps(m);

	if (mailbox_is_pop3(m)) {
		note(p, "read by POP3: INBOX only, without flags");
		if (*mailbox_warning(m))
			note(p, "%s", mailbox_warning(m));
		return;
	}
	if (!caps->uidplus)
		note(p, "no UIDPLUS: each copy is looked up after it was sent");
	if (!caps->condstore)
		note(p, "no CONDSTORE: each pass lists all flags");
	if (caps->append_limit && (int64_t)caps->append_limit < j->message_max)
		note(p, "messages above %lld bytes are refused (APPENDLIMIT)",
		     (long long)caps->append_limit);
	if (caps->message_limit)
		note(p, "lists %lld messages at a time", (long long)caps->message_limit);
}

static int look(struct mailbox *m, const struct job *j, struct proof *p, struct err *e)
{
	struct namespace_info space = { 0 };
	struct folder_list all = { 0 };
	int rc;

	p->server = mailbox_quirks(m)->name;
	p->server_note = mailbox_quirks(m)->note;
	p->mechanism = mailbox_mechanism(m);
	p->tls = transport_tls_version(mailbox_transport(m));
	judge(m, j, p);
	rc = mailbox_survey_begin(m, true, e);
	if (rc == 0)
		rc = mailbox_survey_end(m, &space, &all, e);
	for (size_t i = 0; i < all.count && rc == 0; i++)
		rc = look_into(m, &all.at[i], p, e);
	folder_list_release(&all);
	namespace_info_release(&space);
	if (rc == 0 && !mailbox_is_pop3(m))
		rc = mailbox_quota(m, &p->quota, e);
	return rc;
}

static void prove(const struct job *j, enum side side, struct proof *p)
{
	struct mailbox *m = NULL;
	struct err e = { 0 };

	*p = (struct proof){ .as = &j->side[side], .notes = json_array() };
	p->ok = mailbox_open(p->as, j->connect_s * 1000, j->io_s * 1000, &m, &e) == 0 &&
		look(m, j, p, &e) == 0;
	snprintf(p->error, sizeof p->error, "%s", p->ok ? "" : e.text);
	mailbox_close(&m);
}

/* ---- for people */

static json_t *proof_json(const struct proof *p, enum side side)
{
	json_t *j = json_object();
	char quota[100];

	quota_text(&p->quota, quota, sizeof quota);
	json_object_set_new(j, "backend", json_string(side_name(side)));
	json_object_set_new(j, "host", api_json_text(p->as->host));
	json_object_set_new(j, "port", json_integer(p->as->port));
	json_object_set_new(j, "ok", json_boolean(p->ok));
	json_object_set_new(j, "error", api_json_text_or_null(p->error));
	json_object_set_new(j, "login", api_json_text(p->as->login));
	json_object_set_new(j, "for", api_json_text_or_null(p->as->authzid));
	json_object_set_new(j, "server", api_json_text_or_null(p->server));
	json_object_set_new(j, "server_note", api_json_text_or_null(p->server_note));
	json_object_set_new(j, "mechanism", api_json_text_or_null(p->mechanism));
	json_object_set_new(j, "tls", api_json_text_or_null(p->tls));
	json_object_set_new(j, "folders", json_integer(p->folders));
	json_object_set_new(j, "messages", json_integer(p->messages));
	json_object_set_new(j, "bytes", json_integer(p->bytes));
	json_object_set_new(j, "quota", api_json_text_or_null(quota));
	json_object_set(j, "notes", p->notes);
	return j;
}

static void line(struct ctl *c, const char *title, const char *text)
{
	if (!*text)
		return;
	fprintf(c->out, "  %-11s", title);
	text_put(c->out, text);
	fputc('\n', c->out);
}

static void print_proof(struct ctl *c, const json_t *p)
{
	bool ok = ctl_true(p, "ok");
	const json_t *text;
	char n[TEXT_SMALL], size[TEXT_SMALL];
	size_t i;

	fprintf(c->out, "%s %s:%d: %s%s%s", ctl_text(p, "backend"), ctl_text(p, "host"),
		(int)ctl_int(p, "port"),
		table_tint_code(ok ? TINT_GOOD : TINT_BAD, c->terminal), ok ? "ok" : "failed",
		table_tint_code(TINT_NONE, c->terminal));
	if (!ok) {
		fputs(": ", c->out);
		text_put(c->out, ctl_text(p, "error"));
	}
	fputc('\n', c->out);
	line(c, "server", ctl_text(p, "server"));
	line(c, "", ctl_text(p, "server_note"));
	line(c, "login", ctl_text(p, "login"));
	line(c, "for", ctl_text(p, "for"));
	line(c, "mechanism", ctl_text(p, "mechanism"));
	line(c, "TLS", ctl_text(p, "tls"));
	if (ok)
		fprintf(c->out, "  %-11s%s messages in %lld folders, %s\n", "mail",
			text_count(ctl_int(p, "messages"), n), (long long)ctl_int(p, "folders"),
			text_bytes(ctl_int(p, "bytes"), size));
	line(c, "quota", ctl_text(p, "quota"));
	json_array_foreach (json_object_get(p, "notes"), i, text)
		line(c, i ? "" : "note", json_string_value(text));
}

/* ---- the job */

static int find_user(struct ctl *c, const char *name, struct job *j, struct err *e)
{
	const struct store_opts o = { .path = c->settings.store.path,
				      .url = c->settings.store.url };
	struct store *st = NULL;
	struct learned *learned = NULL;
	struct user u = { 0 };
	int got;

	if (store_open(&st, &o, e) < 0)
		return -1;
	got = store_user_get(st, name, &u, e);
	if (got == 0)
		err_set(e, ERR_INPUT,
			"user %s: is not known; import the user, or see `mailferry "
			"users`",
			name);
	if (got > 0 && (learned_new(&c->settings, st, -1, &learned, e) < 0 ||
			order_fill(j, JOB_PROBE, &u, &c->settings, learned, e) < 0))
		got = -1;
	learned_free(&learned);
	user_release(&u);
	store_close(&st);
	return got > 0 ? 0 : -1;
}

int ctl_user_job(struct ctl *c, const char *name, struct job *j, struct err *e)
{
	if (find_user(c, name, j, e) < 0)
		return -1;
	for (int i = 0; i < SIDES; i++) {
		struct job_side *s = &j->side[i];

		s->which = (enum side)i;
		if (s->token_command &&
		    token_get(s->token_command, s->login, j->io_s * 1000, &s->password, e) < 0)
			return err_wrap(e, "%s", side_name(s->which));
	}
	return confine(j, e) < 0 ? -1 : new_login_once(j, e);
}

static void note_room(struct proof *p)
{
	struct err e = { 0 };

	if (p[SIDE_OLD].ok && p[SIDE_NEW].ok &&
	    quota_fits(&p[SIDE_NEW].quota, p[SIDE_OLD].bytes - p[SIDE_NEW].bytes,
		       p[SIDE_OLD].messages - p[SIDE_NEW].messages, &e) < 0)
		note(&p[SIDE_NEW], "%s", e.text);
}

int ctl_check_user(struct ctl *c)
{
	struct proof p[SIDES];
	struct job j = { 0 };
	struct err e = { 0 };
	int status = ctl_settings(c);
	json_t *whole, *sides, *one;
	size_t i;
	bool ok;

	if (status != CTL_OK)
		return status;
	signal(SIGPIPE, SIG_IGN);
	if (ctl_user_job(c, c->arg[0], &j, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		job_release(&j);
		return CTL_FAILED;
	}
	for (int s = 0; s < SIDES; s++)
		prove(&j, (enum side)s, &p[s]);
	note_room(p);
	ok = p[SIDE_OLD].ok && p[SIDE_NEW].ok;
	sides = json_array();
	for (int s = 0; s < SIDES; s++) {
		json_array_append_new(sides, proof_json(&p[s], (enum side)s));
		json_decref(p[s].notes);
	}
	whole = json_pack("{s:b, s:o, s:o}", "ok", ok, "user", api_json_text(c->arg[0]),
			  "sides", sides);
	if (!ctl_json(c, whole))
		json_array_foreach (sides, i, one)
			print_proof(c, one);
	json_decref(whole);
	job_release(&j);
	return ok ? CTL_OK : CTL_FAILED;
}
