/* Hides: IMAP towards a client until it is logged in (RFC 3501 6.1, 6.2; 4959; 7888). */
#include "proxy/imap.h"
#include "proxy/validity.h"

#include <openssl/crypto.h>

#include "proxy/auth.h"
#include "proxy/caps.h"
#include "proxy/meters.h"

/* What both backends can honour before login; the routed server's own list follows after it. */
static void write_capabilities(const struct session *s, struct buf *out)
{
	struct slice both = caps_offer_imap(s->proxy->caps);

	buf_add_str(out, "CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID");
	buf_add(out, both.p, both.n);
	if (!stream_secure(s->client) && s->proxy->tls)
		buf_add_str(out, " STARTTLS");
	if (!auth_offers_passwords(s))
		buf_add_str(out, " LOGINDISABLED");
	auth_write_offers(s, " AUTH=", out);
}

static void greet(struct session *s)
{
	struct buf out = { 0 };

	buf_add_str(&out, "* OK [");
	write_capabilities(s, &out);
	buf_add_str(&out, "] " IDENTITY_GREETING "\r\n");
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
	if (++s->bad_commands >= (unsigned)s->proxy->settings->limits.bad_commands) {
		stream_printf(s->client, "* BYE Too many bad commands.\r\n");
		session_close_by_limit(s, LIMIT_BAD_COMMANDS,
				       "too many bad commands before login");
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

/*
 * RFC 5161 3.1: only valid after login, and nothing is remembered. BAD would be right, but
 * clients that send it too early send it again after login, and would count BAD as broken.
 */
static void do_enable(struct session *s, struct imap_command *c)
{
	stream_printf(s->client, "* ENABLED\r\n");
	tagged(s, c->tag, "OK Nothing is enabled before login.");
}

static void do_id(struct session *s, struct imap_command *c)
{
	if (identity_hear_id(s, c->rest) != WIRE_DONE) {
		bad(s, c->tag, "BAD ID needs NIL or a list of strings.");
		return;
	}
	if (s->state != SESSION_AUTH)
		return;
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
	if (identity_reset(s) < 0)
		return;
	tagged(s, c->tag, "OK Begin TLS now.");
	/* What was learnt in clear text is forgotten. */
	s->asked_capability = false;
	mem_free(&s->login.typed);
	stream_start_tls(s->client, tls_server_start(s->proxy->tls, s->protocol->name), true);
}

static bool refuse_cleartext(struct session *s, struct imap_command *c)
{
	if (auth_allowed(s))
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
	if (!auth_offers_passwords(s))
		tagged(s, c->tag, "NO Passwords are not taken here, use another mechanism.");
	else if (imap_astring(&c->rest, user, sizeof user - 1, &user_n) != WIRE_DONE ||
		 imap_astring(&c->rest, password, sizeof password, &password_n) != WIRE_DONE ||
		 c->rest.n || user_n == 0)
		bad(s, c->tag, "BAD LOGIN needs a name and a password.");
	else if (auth_take(s, (struct slice){ user, user_n },
			   (struct slice){ password, password_n }) < 0)
		tagged(s, c->tag, reject_imap(REJECT_BAD_LOGIN));
	OPENSSL_cleanse(password, sizeof password);
}

static void after_auth(struct session *s, enum auth_result result)
{
	struct slice tag = slice_of(s->login.tag);

	switch (result) {
	case AUTH_READY:
		break;
	case AUTH_ASK:
		stream_printf(s->client, "+ %s\r\n", auth_challenge(s));
		break;
	case AUTH_NOT_BASE64:
		bad(s, tag, "BAD That is not base64.");
		break;
	case AUTH_CANCELLED:
		tagged(s, tag, "BAD Cancelled.");
		break;
	case AUTH_REFUSED:
	case AUTH_HEARD:
		tagged(s, tag, reject_imap(REJECT_BAD_LOGIN));
		break;
	}
}

static void do_authenticate(struct session *s, struct imap_command *c)
{
	const char *space = memchr(c->rest.p, ' ', c->rest.n);
	struct slice name = { c->rest.p, space ? (size_t)(space - c->rest.p) : c->rest.n };
	struct slice initial = { c->rest.p + name.n + 1, space ? c->rest.n - name.n - 1 : 0 };
	enum sasl_mech m = sasl_mech_find(name);

	if (refuse_cleartext(s, c))
		return;
	if (m == SASL_MECHS || !auth_offers(s, m))
		tagged(s, c->tag, "NO This mechanism is not offered.");
	else
		after_auth(s, auth_begin(s, m, space ? &initial : NULL));
}

static const struct {
	const char *verb;
	command_fn *run;
	bool literals; /* may have some */
} commands[] = {
	{ "CAPABILITY", do_capability, false },
	{ "NOOP", do_noop, false },
	{ "ID", do_id, true },
	{ "ENABLE", do_enable, false },
	{ "LOGOUT", do_logout, false },
	{ "STARTTLS", do_starttls, false },
	{ "LOGIN", do_login, true },
	{ "AUTHENTICATE", do_authenticate, false },
};

/* -1: none of them. */
static int find_command(struct slice verb)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (slice_is_nocase(verb, commands[i].verb))
			return (int)i;
	return -1;
}

/* ---- input */

#define BAD_COMMAND "BAD Not a command that is understood before login."

/* Takes the command off the input with no trace left of a password. p is still good meanwhile.
 */
static void run_command(struct session *s, const char *p, size_t n)
{
	char *copy = mem_strn(p, n);
	struct imap_command c;
	enum wire verdict = imap_command(copy, n, &c);
	int found = verdict == WIRE_DONE ? find_command(c.verb) : -1;

	stream_consume_secret(s->client, n);
	s->plus_at = 0;
	if (found >= 0) {
		free(s->login.tag);
		s->login.tag = mem_strn(c.tag.p, c.tag.n);
		commands[found].run(s, &c);
	} else {
		bad(s, c.tag, BAD_COMMAND);
	}
	OPENSSL_cleanse(copy, n);
	free(copy);
}

static void lose_step(struct session *s, const char *why)
{
	stream_printf(s->client, "* BYE Command too long or malformed.\r\n");
	session_close(s, why);
}

/* Takes n bytes of a command that will not be run, and says so. */
static void refuse_command(struct session *s, const char *p, size_t n, const char *text)
{
	char tag[IMAP_TAG_MAX + 1] = "";
	struct imap_command c;

	/* Only the tag counts; it is told even where the rest is no command. */
	if (imap_command(p, n, &c) == WIRE_DONE || c.tag.n)
		snprintf(tag, sizeof tag, "%.*s", (int)c.tag.n, c.tag.p);
	stream_consume_secret(s->client, n);
	s->plus_at = 0;
	bad(s, slice_of(tag), text);
}

/* The client waits for "+", which it hears only if its literal is of use; else true: refused.
 */
static bool want_literal(struct session *s, const char *p, size_t at)
{
	struct imap_command c;
	int found = imap_command(p, at, &c) == WIRE_DONE ? find_command(c.verb) : -1;

	if (found < 0 || !commands[found].literals) {
		refuse_command(s, p, at, BAD_COMMAND);
		return true;
	}
	if (s->plus_at != at) {
		s->plus_at = at;
		stream_printf(s->client, "+ OK\r\n");
	}
	return false;
}

/* RFC 7888 4: answered, and what comes of it all the same is swallowed. */
static void refuse_excess(struct session *s, struct slice in, const struct imap_extent *x)
{
	size_t take = x->len;

	if (x->excess != EXCESS_NONE)
		meter_limit(s->proxy, LIMIT_PREAUTH_BYTES);
	switch (x->excess) {
	case EXCESS_NONE:
		lose_step(s, "malformed command before login");
		return;
	case EXCESS_LITERAL:
		if (imap_swallow_literal(&s->swallow, x->tail, x->literal) < 0) {
			lose_step(s, "literal before login too long (limits.preauth_bytes)");
			return;
		}
		break;
	case EXCESS_LINE:
		imap_swallow_line(&s->swallow, false);
		/* A tag must be left to answer to. */
		take = MAX(take, MIN(in.n, (size_t)IMAP_TAG_MAX + 1));
		break;
	}
	refuse_command(s, in.p, take, "BAD [TOOBIG] Too long before login.");
}

/* One command; false: it is not whole. */
static bool hear_command(struct session *s, struct slice in, size_t max)
{
	struct imap_extent extent;

	switch (imap_extent(in.p, in.n, max, &extent)) {
	case WIRE_MORE:
		return extent.want_plus && want_literal(s, in.p, extent.plus_at);
	case WIRE_BAD:
		refuse_excess(s, in, &extent);
		return true;
	case WIRE_DONE:
		run_command(s, in.p, extent.len);
		return true;
	}
	return false;
}

/* A line of the mechanism's. */
static bool hear_sasl(struct session *s, struct slice in, size_t max)
{
	size_t look = MIN(in.n, max), n;
	const char *lf = memchr(in.p, '\n', look);
	char *copy;

	if (!lf && in.n < max)
		return false;
	if (!lf) {
		s->auth_step = AUTH_IDLE;
		meter_limit(s->proxy, LIMIT_PREAUTH_BYTES);
		imap_swallow_line(&s->swallow, true);
		bad(s, slice_of(s->login.tag), "BAD [TOOBIG] Too long before login.");
		return true;
	}
	n = (size_t)(lf - in.p);
	copy = mem_strn(in.p, n);
	stream_consume_secret(s->client, n + 1);
	after_auth(s, auth_answer(
			      s, (struct slice){ copy, n && copy[n - 1] == '\r' ? n - 1 : n }));
	OPENSSL_cleanse(copy, n);
	free(copy);
	return true;
}

/* What is left of a refused command. */
static bool hear_nothing(struct session *s, struct slice in, size_t max)
{
	size_t take;
	enum wire verdict = imap_swallow(&s->swallow, in.p, in.n, max, &take);

	stream_consume_secret(s->client, take);
	if (verdict == WIRE_BAD)
		lose_step(s, "command before login too long (limits.preauth_bytes)");
	return verdict != WIRE_MORE;
}

static void hear_client(struct session *s)
{
	size_t max = (size_t)s->proxy->settings->limits.preauth_bytes;
	bool again = true;

	while (again && s->state == SESSION_AUTH && s->client) {
		struct slice in = stream_input(s->client);

		if (in.n == 0)
			return;
		if (imap_swallowing(&s->swallow))
			again = hear_nothing(s, in, max);
		else if (auth_awaits_line(s))
			again = hear_sasl(s, in, max);
		else
			again = hear_command(s, in, max);
		if (again && secret_is_set(&s->login.password)) {
			session_login(s);
			return;
		}
	}
}

/* ---- answers */

static void answer(struct session *s, enum reject why)
{
	if (auth_explains(s, why))
		stream_printf(s->client, "+ %s\r\n", auth_challenge(s));
	else
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
	validity_hide(s, &list);
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
	.checkpoint = imap_checkpoint,
	.at_line = imap_at_line,
	.uploading = imap_uploading,
	.describe = imap_describe,
	.say_bye = imap_say_bye,
	.leave_backend = imap_leave_backend,
};
