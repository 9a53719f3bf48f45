/* Hides: IMAP towards a client until it is logged in (RFC 3501 6.1, 6.2; 4959; 7888). */
#include "proxy/imap.h"

#include <openssl/crypto.h>

#include "common/wire/sasl.h"

#define BAD_COMMANDS_MAX 5 /* then it is no mail client */

static bool passwords_allowed(const struct session *s)
{
	return stream_secure(s->client) || s->proxy->settings->tls.allow_cleartext;
}

/* What both backends can honour before login; the routed server's own list follows after it. */
static void write_capabilities(const struct session *s, struct buf *out)
{
	buf_add_str(out, "CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID ENABLE");
	if (!stream_secure(s->client) && s->proxy->tls)
		buf_add_str(out, " STARTTLS");
	buf_add_str(out, passwords_allowed(s) ? " AUTH=PLAIN" : " LOGINDISABLED");
}

static void greet(struct session *s)
{
	struct buf out = { 0 };

	buf_add_str(&out, "* OK [");
	write_capabilities(s, &out);
	buf_add_str(&out, "] mailferry ready.\r\n");
	stream_write(s->client, buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
}

static void tagged(struct session *s, struct slice tag, const char *text)
{
	stream_printf(s->client, "%.*s %s\r\n", (int)tag.n, tag.p, text);
}

static void bad(struct session *s, struct slice tag, const char *text)
{
	if (tag.n)
		tagged(s, tag, text);
	else
		stream_printf(s->client, "* %s\r\n", text);
	if (++s->bad_commands >= BAD_COMMANDS_MAX) {
		stream_printf(s->client, "* BYE Too many bad commands.\r\n");
		session_close(s, "too many bad commands before login");
	}
}

/* ---- commands */

typedef void command_fn(struct session *s, struct imap_command *c);

static void do_capability(struct session *s, struct imap_command *c)
{
	struct buf out = { 0 };

	s->asked_capability = true;
	buf_add_str(&out, "* ");
	write_capabilities(s, &out);
	buf_printf(&out, "\r\n%.*s OK Done.\r\n", (int)c->tag.n, c->tag.p);
	stream_write(s->client, buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
}

static void do_noop(struct session *s, struct imap_command *c)
{
	tagged(s, c->tag, "OK Done.");
}

static void do_id(struct session *s, struct imap_command *c)
{
	stream_printf(s->client, "* ID (\"name\" \"mailferry\")\r\n");
	tagged(s, c->tag, "OK Done.");
}

static void do_logout(struct session *s, struct imap_command *c)
{
	stream_printf(s->client, "* BYE Logging out.\r\n");
	tagged(s, c->tag, "OK Done.");
	session_close(s, "logged out");
}

static void do_starttls(struct session *s, struct imap_command *c)
{
	if (stream_secure(s->client) || !s->proxy->tls) {
		tagged(s, c->tag, "BAD TLS is not available.");
		return;
	}
	if (stream_input(s->client)
		    .n) { /* sent before the handshake: an injection (RFC 9051 6.2.1) */
		session_cut(s, "bytes behind STARTTLS");
		return;
	}
	tagged(s, c->tag, "OK Begin TLS now.");
	s->asked_capability = false; /* what was learnt in clear text is forgotten */
	stream_start_tls(s->client, tls_server_start(s->proxy->tls, s->protocol->name), true);
}

static void take_login(struct session *s, struct slice user, struct slice password)
{
	free(s->login.typed);
	s->login.typed = mem_strn(user.p, user.n);
	secret_set(&s->login.password, password.p, password.n);
}

/* CR, LF and NUL never pass from a name or password into a command. */
static bool is_clean(struct slice v)
{
	return !memchr(v.p, '\r', v.n) && !memchr(v.p, '\n', v.n) && !memchr(v.p, '\0', v.n);
}

static bool refuse_cleartext(struct session *s, struct imap_command *c)
{
	if (passwords_allowed(s))
		return false;
	tagged(s, c->tag, reject_imap(REJECT_PRIVACY));
	return true;
}

static void do_login(struct session *s, struct imap_command *c)
{
	char user[LOGIN_NAME_MAX + 1], password[SECRET_MAX];
	size_t user_n, password_n;

	if (refuse_cleartext(s, c))
		return;
	if (imap_astring(&c->rest, user, sizeof user - 1, &user_n) != WIRE_DONE ||
	    imap_astring(&c->rest, password, sizeof password, &password_n) != WIRE_DONE ||
	    c->rest.n || user_n == 0) {
		bad(s, c->tag, "BAD LOGIN needs a name and a password.");
	} else if (!is_clean((struct slice){ user, user_n }) ||
		   !is_clean((struct slice){ password, password_n })) {
		tagged(s, c->tag, reject_imap(REJECT_BAD_LOGIN));
	} else {
		take_login(s, (struct slice){ user, user_n },
			   (struct slice){ password, password_n });
	}
	OPENSSL_cleanse(password, sizeof password);
}

/* The base64 of a PLAIN message, with the command or as an answer to our "+". */
static void take_plain(struct session *s, struct slice text)
{
	char message[SECRET_MAX];
	struct slice tag = slice_of(s->login.tag);
	struct sasl_plain plain;
	size_t n;

	if (sasl_base64_decode(text, message, sizeof message, &n) < 0)
		bad(s, tag, "BAD That is not base64.");
	else if (sasl_plain_parse((struct slice){ message, n }, &plain) < 0 ||
		 !is_clean(plain.authcid) || !is_clean(plain.password) ||
		 plain.authcid.n > LOGIN_NAME_MAX ||
		 (plain.authzid.n &&
		  (plain.authzid.n != plain.authcid.n ||
		   memcmp(plain.authzid.p, plain.authcid.p, plain.authzid.n))))
		tagged(s, tag, reject_imap(REJECT_BAD_LOGIN));
	else
		take_login(s, plain.authcid, plain.password);
	OPENSSL_cleanse(message, sizeof message);
}

static void do_authenticate(struct session *s, struct imap_command *c)
{
	const char *space = memchr(c->rest.p, ' ', c->rest.n);
	struct slice mech = { c->rest.p, space ? (size_t)(space - c->rest.p) : c->rest.n };

	if (refuse_cleartext(s, c))
		return;
	if (!slice_is_nocase(mech, "PLAIN")) {
		tagged(s, c->tag, "NO This mechanism is not offered.");
	} else if (space) {
		take_plain(s, (struct slice){ space + 1, c->rest.n - mech.n - 1 });
	} else {
		s->await_sasl = true;
		stream_printf(s->client, "+ \r\n");
	}
}

static const struct {
	const char *verb;
	command_fn *run;
} commands[] = {
	{ "CAPABILITY", do_capability },
	{ "NOOP", do_noop },
	{ "ID", do_id },
	{ "ENABLE", do_noop },
	{ "LOGOUT", do_logout },
	{ "STARTTLS", do_starttls },
	{ "LOGIN", do_login },
	{ "AUTHENTICATE", do_authenticate },
};

static command_fn *find_command(struct slice verb)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (slice_is_nocase(verb, commands[i].verb))
			return commands[i].run;
	return NULL;
}

/* ---- input */

/* Takes the command off the input with no trace left of a password. p is still good meanwhile.
 */
static void run_command(struct session *s, const char *p, size_t n)
{
	char *copy = mem_strn(p, n);
	struct imap_command c;
	command_fn *run;
	enum wire verdict = imap_command(copy, n, &c);

	stream_consume_secret(s->client, n);
	s->plus_at = 0;
	run = verdict == WIRE_DONE ? find_command(c.verb) : NULL;
	if (run) {
		snprintf(s->login.tag, sizeof s->login.tag, "%.*s", (int)c.tag.n, c.tag.p);
		run(s, &c);
	} else {
		bad(s, c.tag, "BAD Not a command that is understood before login.");
	}
	OPENSSL_cleanse(copy, n);
	free(copy);
}

/* One command, or an answer to AUTHENTICATE; false: it is not whole, or there is no more to
 * read now. */
static bool hear_command(struct session *s, struct slice in, size_t max)
{
	struct imap_extent extent;

	switch (imap_extent(in.p, in.n, max, &extent)) {
	case WIRE_MORE:
		if (extent.want_plus && s->plus_at != extent.plus_at) {
			s->plus_at = extent.plus_at;
			stream_printf(s->client, "+ OK\r\n");
		}
		return false;
	case WIRE_BAD:
		stream_printf(s->client, "* BYE Command too long.\r\n");
		session_close_by_limit(s, LIMIT_PREAUTH_BYTES, "command before login too long");
		return false;
	case WIRE_DONE:
		run_command(s, in.p, extent.len);
		return true;
	}
	return false;
}

static bool hear_sasl(struct session *s, struct slice in, size_t max)
{
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n;
	char *copy;

	if (!lf) {
		if (in.n >= max)
			session_close_by_limit(s, LIMIT_PREAUTH_BYTES, "SASL answer too long");
		return false;
	}
	n = (size_t)(lf - in.p);
	copy = mem_strn(in.p, n);
	stream_consume_secret(s->client, n + 1);
	s->await_sasl = false;
	if (n && copy[n - 1] == '\r')
		n--;
	if (n == 1 && copy[0] == '*')
		tagged(s, slice_of(s->login.tag), "BAD Cancelled.");
	else
		take_plain(s, (struct slice){ copy, n });
	OPENSSL_cleanse(copy, n);
	free(copy);
	return true;
}

static void hear_client(struct session *s)
{
	size_t max = (size_t)s->proxy->settings->limits.preauth_bytes;
	bool again = true;

	while (again && s->state == SESSION_AUTH && s->client) {
		struct slice in = stream_input(s->client);

		if (in.n == 0)
			return;
		again = s->await_sasl ? hear_sasl(s, in, max) : hear_command(s, in, max);
		if (again && secret_is_set(&s->login.password)) {
			session_login(s);
			return;
		}
	}
}

/* ---- answers */

static void answer(struct session *s, enum reject why)
{
	tagged(s, slice_of(s->login.tag), reject_imap(why));
}

static void keep_alive(struct session *s)
{
	stream_printf(s->client,
		      "* OK Still here, your mailbox will be ready in a moment.\r\n");
}

/* The routed server's own list, without what would blind us; untagged too for a client that had
 * asked before. */
static void welcome(struct session *s)
{
	struct buf list = { 0 }, out = { 0 };

	imap_capability_filter(buf_slice(&s->back.caps), &list);
	if (s->asked_capability)
		buf_printf(&out, "* CAPABILITY %.*s\r\n", (int)buf_len(&list),
			   buf_slice(&list).p);
	buf_printf(&out, "%s OK [CAPABILITY %.*s] Logged in.\r\n", s->login.tag,
		   (int)buf_len(&list), buf_slice(&list).p);
	stream_write(s->client, buf_slice(&out).p, buf_len(&out));
	buf_release(&list);
	buf_release(&out);
}

const struct protocol imap_protocol = {
	.kind = PROTO_IMAP,
	.name = "imap",
	.greet = greet,
	.hear_client = hear_client,
	.answer = answer,
	.keep_alive = keep_alive,
	.hear_backend = imap_hear_backend,
	.backend_secure = imap_backend_secure,
	.welcome = welcome,
	.pass_up = imap_pass_up,
	.pass_down = imap_pass_down,
	.quiet = imap_quiet,
	.at_line = imap_at_line,
	.uploading = imap_uploading,
	.describe = imap_describe,
	.say_bye = imap_say_bye,
	.leave_backend = imap_leave_backend,
};
