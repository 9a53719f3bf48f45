/* Hides: who logs in where and how: users' own passwords, or a master user's in two forms. */
#include "sync/order.h"

#include "sync/order_opensrs.h"

#include <openssl/sha.h>

#define PLAIN_MAX 180 /* bytes of a journal's name that need no shortening */

/* "%u*%m": the user's login and the master's name. */
static char *expand(const char *format, const char *login, const char *master)
{
	struct buf b = { 0 };
	char *out;

	for (const char *p = format; *p; p++) {
		if (p[0] == '%' && p[1] == 'u')
			buf_add_str(&b, login), p++;
		else if (p[0] == '%' && p[1] == 'm')
			buf_add_str(&b, master), p++;
		else
			buf_add(&b, p, 1);
	}
	out = mem_strn(buf_slice(&b).p, buf_len(&b));
	buf_release(&b);
	return out;
}

static int fill_master(struct job_side *out, const char *login, const struct backend_conf *b,
		       struct err *e)
{
	if (!b->master_user || !b->master_password_file)
		return err_set(
			e, ERR_INPUT,
			"no password file, no master user to log in as, and no learned "
			"password; remedy: a password file in the import, or master_user of "
			"the backend");
	if (b->master_format && *b->master_format) {
		out->login = expand(b->master_format, login, b->master_user);
	} else {
		out->login = mem_str(b->master_user);
		out->authzid = mem_str(login);
	}
	return secret_read_file(&out->password, b->master_password_file, e);
}

/* by_session_token: the worker gets one (sync/new_login.h); the password is its way out. */
static int fill_side(struct job_side *out, const char *login, const char *password_file,
		     const struct backend_conf *b, const struct secret *learned,
		     bool by_session_token, struct err *e)
{
	out->host = mem_str(b->host);
	out->protocol = b->copy;
	out->port = b->port[b->copy];
	out->tls = b->tls[b->copy];
	out->pop3_port = b->port[PROTO_POP3];
	out->pop3_tls = b->tls[PROTO_POP3];
	out->proxy_protocol = b->proxy_protocol;
	out->tls_name = mem_str(b->tls_name);
	out->tls_ca_file = mem_str(b->tls_ca_file);
	out->tls_pin = mem_str(b->tls_pin);
	if (!login || !*login)
		return err_set(e, ERR_INPUT,
			       "no login is known; remedy: old_login and new_login in the "
			       "import");
	out->mech = b->auth ? sasl_mech_find(slice_of(b->auth)) : SASL_PLAIN;
	out->token_command = mem_str(b->token_command);
	if (b->token_command) {
		out->login = mem_str(login);
		return 0;
	}
	if (!password_file && !by_session_token &&
	    (b->master_user || !secret_is_set(learned)))
		return fill_master(out, login, b, e);
	out->login = mem_str(login);
	if (password_file)
		return secret_read_file(&out->password, password_file, e);
	if (secret_is_set(learned))
		secret_set(&out->password, learned->at, learned->n);
	return 0;
}

static void add_short_hash(struct buf *b, const char *user)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)user, strlen(user), hash);
	buf_add_str(b, "%");
	for (int i = 0; i < 16; i++)
		buf_printf(b, "%02x", hash[i]);
}

/* The user's name as that of a file. */
static char *file_name(const char *user)
{
	static const char usual[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@_+-";
	struct buf b = { 0 };
	char *out;

	for (const char *p = user; *p && buf_len(&b) < PLAIN_MAX; p++) {
		if (strchr(usual, *p) || (*p == '.' && p > user))
			buf_add(&b, p, 1);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*p);
	}
	/* No name of a file is longer than 255 bytes, and two users never share one. */
	if (buf_len(&b) >= PLAIN_MAX)
		add_short_hash(&b, user);
	out = mem_strn(buf_slice(&b).p, buf_len(&b));
	buf_release(&b);
	return out;
}

char *order_journal_path(const char *dir, const char *user)
{
	char *name = file_name(user), *out = mem_printf("%s/%s.journal", dir, name);

	mem_free(&name);
	return out;
}

char *order_exceptions_path(const struct settings *s, const char *user)
{
	char *name = file_name(user), *out;

	if (s->sync.exceptions)
		out = mem_printf("%s/%s", s->sync.exceptions, name);
	else
		out = mem_printf("%s/exceptions/%s", s->sync.dir, name);
	mem_free(&name);
	return out;
}

/* A way back needs old to be written. */
static int check_way(const struct job *j, const struct settings *s, struct err *e)
{
	if (!job_writes(j->kind) || j->from == SIDE_OLD ||
	    s->backend[SIDE_OLD].copy == PROTO_IMAP)
		return 0;
	return err_set(
		e, ERR_INPUT,
		"old is read by POP3 (backend \"old\": copy = pop3), which cannot take mail"
		" back: a return needs IMAP there");
}

/* What is copied and how, without the ways to the servers. */
static int fill_rules(struct job *out, enum job_kind kind, const struct user *u,
		      const struct settings *s, struct err *e)
{
	*out = (struct job){
		.kind = kind,
		.from = u->state == USER_RETURNING ? SIDE_NEW : SIDE_OLD,
		.fence_s = s->sync.fence_s,
		.connect_s = s->sync.connect_s,
		.io_s = s->sync.io_s,
		.connections = s->sync.connections,
		.message_max = s->sync.message_max,
		.delete_brake = s->sync.delete_brake,
		.delete_brake_percent = s->sync.delete_brake_percent,
		.skip_deleted = strcmp(s->sync.deleted, "skip") == 0,
		.uids = { uid_mode_find(s->sync.uids), s->sync.uid_gaps, s->sync.uid_floor,
			  s->sync.uid_s },
		.memory = s->sync.worker_memory,
	};
	if (check_way(out, s, e) < 0)
		return -1;
	if (s->sync.folders &&
	    folder_rules_read(s->sync.folders, u->name, u->wave, &out->folders, e) < 0) {
		job_release(out);
		return -1;
	}
	out->folders.shared = s->sync.shared;
	return 0;
}

int order_digest(enum job_kind kind, const struct user *u, const struct settings *s,
		 char out[static ORDER_DIGEST_MAX], struct err *e)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct buf text = { 0 };
	struct job j;

	if (fill_rules(&j, kind, u, s, e) < 0)
		return -1;
	/* Of the ways only where they lead: ports, names to verify and logins may be each
	 * host's own. */
	for (int i = 0; i < SIDES; i++) {
		j.side[i].host = mem_str(s->backend[i].host);
		j.side[i].protocol = s->backend[i].copy;
	}
	/* How fast and how long is each host's own. */
	j.fence_s = j.connect_s = j.io_s = j.connections = 0;
	j.memory = 0;
	job_write(&j, &text);
	SHA256((const unsigned char *)buf_slice(&text).p, buf_len(&text), hash);
	for (size_t i = 0; i < (ORDER_DIGEST_MAX - 1) / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	buf_release(&text);
	job_release(&j);
	return 0;
}

int order_fill(struct job *out, enum job_kind kind, const struct user *u,
	       const struct settings *s, const struct learned *l, struct err *e)
{
	struct secret learned = { 0 };
	int rc = 0;

	if (fill_rules(out, kind, u, s, e) < 0)
		return -1;
	out->user = mem_str(u->name);
	out->run_as = mem_str(s->sync.worker_user);
	out->journal = order_journal_path(s->sync.dir, u->name);
	out->exceptions = order_exceptions_path(s, u->name);
	if (learned_find(l, u->name, &learned, e) < 0 ||
	    order_opensrs(&out->opensrs, s, e) < 0)
		rc = -1;
	out->opensrs.create &= u->state == USER_PENDING;
	if (rc == 0 && out->opensrs.create) {
		job_opensrs_make_room(&out->opensrs, 1);
		order_opensrs_user(&out->opensrs, u->login[SIDE_NEW], &learned);
	}
	for (int side = 0; rc == 0 && side < SIDES; side++)
		if (fill_side(&out->side[side], u->login[side], u->password_file[side],
			      &s->backend[side], &learned,
			      side == SIDE_NEW && out->opensrs.token_hours, e) < 0)
			rc = err_wrap(e, "%s server", side_name((enum side)side));
	secret_release(&learned);
	if (rc < 0)
		job_release(out);
	return rc;
}
