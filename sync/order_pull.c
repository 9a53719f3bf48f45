/* Hides: what of our settings OpenSRS's tool can be told, and whose password it may have. */
#include "sync/order_pull.h"

#include "config/dns_words.h"
#include "sync/order.h"

/* ---- the old server */

/* NULL: the tool has no such way. */
static const char *method_of(const struct settings *s)
{
	const struct backend_conf *b = &s->backend[SIDE_OLD];
	static const char *const methods[PROTOS][TLS_MODES] = {
		[PROTO_IMAP] = { [TLS_NONE] = "imap4", [TLS_IMPLICIT] = "imap4s" },
		[PROTO_POP3] = { [TLS_NONE] = "pop3", [TLS_IMPLICIT] = "pop3s" },
	};

	return s->opensrs.pull_method ? s->opensrs.pull_method
				      : methods[b->copy][b->tls[b->copy]];
}

static char *server_of(const struct settings *s)
{
	const struct backend_conf *b = &s->backend[SIDE_OLD];
	bool bare = !strchr(b->host, ':');

	if (s->opensrs.pull_server)
		return mem_str(s->opensrs.pull_server);
	return mem_printf("%s%s%s:%d", bare ? "" : "[", b->host, bare ? "" : "]",
			  b->port[b->copy]);
}

/* A name that clients use leads to the proxy, if not now then for them. */
static int check_names(const struct user *u, const struct settings *s, const char *server,
		       struct err *e)
{
	const char *domain = strrchr(u->name, '@'), *list;
	size_t n = (size_t)(strrchr(server, ':') - server);
	struct dns_target t;
	struct slice word;

	if (!domain)
		return 0;
	t = settings_dns_target(s, domain + 1);
	for (list = t.names; list && dns_word(&list, &word);) {
		char *name = mem_printf("%.*s.%s", (int)word.n, word.p, domain + 1);
		bool same = strlen(name) == n && strncasecmp(name, server, n) == 0;

		mem_free(&name);
		if (same)
			return err_set(e, ERR_INPUT,
				       "%s is a name that clients use (dns.names), and so the "
				       "proxy's; remedy: give the old server's own one in "
				       "opensrs.pull_server",
				       server);
	}
	return 0;
}

static int check_server(const struct settings *s, const struct user *u, struct err *e)
{
	char *server;
	int rc;

	if (!s->opensrs.cluster)
		return err_set(e, ERR_INPUT,
			       "new is not OpenSRS: the setting opensrs.cluster is missing");
	if (!method_of(s))
		return err_set(e, ERR_INPUT,
			       "OpenSRS's tool knows no STARTTLS, which backend \"old\" has; "
			       "remedy: opensrs.pull_server and opensrs.pull_method, as "
			       "old.example.net:993 and imap4s");
	server = server_of(s);
	rc = check_names(u, s, server, e);
	mem_free(&server);
	return rc;
}

/* ---- the user */

static bool is_text(const struct secret *p)
{
	json_t *j = json_stringn(p->at, p->n);
	bool ok = j != NULL;

	for (size_t i = 0; i < p->n; i++)
		ok &= (unsigned char)p->at[i] >= 0x20 && p->at[i] != 0x7f;
	json_decref(j);
	return ok;
}

/* The user's own: a master's would open every mailbox to who has it. */
static int own_password(const struct user *u, const struct settings *s, const struct learned *l,
			struct secret *out, struct err *e)
{
	const struct backend_conf *b = &s->backend[SIDE_OLD];

	if (b->token_command || (b->auth && sasl_mech_find(slice_of(b->auth)) != SASL_PLAIN))
		return err_set(
			e, ERR_INPUT,
			"old takes tokens, and OpenSRS's tool has only passwords; remedy: "
			"leave the user to our own copier");
	if (u->password_file[SIDE_OLD]
		    ? secret_read_file(out, u->password_file[SIDE_OLD], e) < 0
		    : learned_find(l, u->name, out, e) < 0)
		return -1;
	if (!secret_is_set(out))
		return err_set(
			e, ERR_INPUT,
			"OpenSRS's tool needs the user's own password on old in clear text, "
			"and none is known; remedy: old_password_file in the import, or "
			"section learn of the settings and a login of the user; or leave the "
			"user to our own copier");
	if (!is_text(out))
		return err_set(
			e, ERR_INPUT,
			"the user's password on old is not UTF-8 or has control characters, "
			"which the API cannot be told; remedy: leave the user to our own "
			"copier");
	return 0;
}

/* As OpenSRS knows the account. */
static int local_name(const struct user *u, const struct settings *s,
		      char out[STORE_NAME_MAX + 1], struct err *e)
{
	const struct login_name_rules rules = settings_login_rules(s);

	if (login_name_normalise(slice_of(u->login[SIDE_NEW]), &rules, out,
				 STORE_NAME_MAX + 1) < 0)
		return err_set(e, ERR_INPUT, "the login on new is no address");
	return 0;
}

static int fill_user(struct job_pull_user *out, const struct user *u, const struct settings *s,
		     const struct learned *l, struct err *e)
{
	char local[STORE_NAME_MAX + 1];
	struct job one;

	if (check_server(s, u, e) < 0 || local_name(u, s, local, e) < 0 ||
	    own_password(u, s, l, &out->password[SIDE_OLD], e) < 0)
		return -1;
	if (order_fill(&one, JOB_PROBE, u, s, l, e) < 0)
		return -1;
	out->user = mem_str(u->name);
	out->wave = mem_str(u->wave);
	out->login[SIDE_OLD] = mem_str(u->login[SIDE_OLD]);
	out->login[SIDE_NEW] = mem_str(local);
	out->password[SIDE_NEW] = one.side[SIDE_NEW].password;
	one.side[SIDE_NEW].password = (struct secret){ 0 };
	job_release(&one);
	return 0;
}

static size_t bytes_of(const struct job_pull_user *u)
{
	return strlen(u->user) + strlen(u->wave ? u->wave : "") + strlen(u->login[SIDE_OLD]) +
	       strlen(u->login[SIDE_NEW]) + u->password[SIDE_OLD].n + u->password[SIDE_NEW].n;
}

static bool has_room(const struct job_pull *p, const struct job_pull_user *u)
{
	size_t bytes = bytes_of(u);

	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->users[i].login[SIDE_OLD], u->login[SIDE_OLD]) == 0)
			return false;
		bytes += bytes_of(&p->users[i]);
	}
	return p->count < JOB_PULL_MAX && bytes <= JOB_PULL_BYTES;
}

/* ---- for others */

int order_pull_check(const struct user *u, const struct settings *s, const struct learned *l,
		     struct err *e)
{
	struct job_pull_user one = { 0 };
	int rc = fill_user(&one, u, s, l, e);

	job_pull_user_release(&one);
	return rc;
}

int order_pull_user(struct job *j, const struct user *u, const struct settings *s,
		    const struct learned *l, struct err *e)
{
	struct job_pull *p = &j->pull;
	struct job_pull_user fresh = { 0 };
	int rc = fill_user(&fresh, u, s, l, e);

	if (rc == 0 && has_room(p, &fresh)) {
		p->users = mem_grow(p->users, p->count + 1, sizeof *p->users);
		p->users[p->count++] = fresh;
		return 1;
	}
	job_pull_user_release(&fresh);
	return rc;
}

static void add_own(struct job_pull *p, const struct settings *s)
{
	p->own = mem_array(s->listener_count + 1, sizeof *p->own);
	for (size_t i = 0; i < s->listener_count && i < JOB_PULL_OWN_MAX; i++)
		p->own[p->own_count++] =
			mem_printf("%s %d", s->listeners[i].address, s->listeners[i].port);
}

int order_pull(struct job *out, const char *name, const struct user *first,
	       const struct settings *s, const struct learned *l, struct err *e)
{
	if (check_server(s, first, e) < 0 || order_fill(out, JOB_PULL, first, s, l, e) < 0)
		return -1;
	mem_free(&out->user);
	out->user = mem_str("pull");
	folder_rules_release(&out->folders);
	out->folders.shared = s->sync.shared;
	out->io_s = MAX(out->io_s, s->opensrs.answer_s);
	out->connections = 1;
	out->pull = (struct job_pull){ .on = true,
				       .job = mem_str(name),
				       .server = server_of(s),
				       .method = mem_str(method_of(s)),
				       .rules = mem_str(s->sync.folders),
				       .poll_s = s->opensrs.pull_poll_s };
	add_own(&out->pull, s);
	return 0;
}
