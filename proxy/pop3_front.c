/* Hides: POP3 towards a client until it is logged in (RFC 1939, 2449, 2595, 5034). */
#include "proxy/pop3.h"

#include <openssl/crypto.h>

#include "proxy/auth.h"
#include "proxy/caps.h"


static void greet(struct session *s)
{
	stream_printf(s->client, "+OK %s" IDENTITY_GREETING "\r\n",
		      identity_is_trusted(s) ? "[XCLIENT] " : "");
}

static void bad(struct session *s, const char *text)
{
	stream_printf(s->client, "-ERR %s\r\n", text);
	if (++s->bad_commands >= (unsigned)s->proxy->settings->limits.bad_commands)
		session_close_by_limit(s, LIMIT_BAD_COMMANDS,
				       "too many bad commands before login");
}

static bool refuse_cleartext(struct session *s)
{
	if (auth_allowed(s))
		return false;
	stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_PRIVACY));
	return true;
}

/* ---- commands */

/* RESP-CODES and AUTH-RESP-CODE are our own promise until login (RFC 2449 6.4, 3206 6). */
static void do_capa(struct session *s)
{
	static const char *const both[] = { "TOP", "UIDL", "PIPELINING" };
	struct buf out = { 0 }, mechs = { 0 };

	buf_add_str(&out, "+OK Capabilities follow.\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n");
	for (size_t i = 0; i < COUNT(both); i++)
		if (caps_offer_pop3(s->proxy->caps, both[i]))
			buf_printf(&out, "%s\r\n", both[i]);
	if (auth_offers_passwords(s))
		buf_add_str(&out, "USER\r\n");
	auth_write_offers(s, " ", &mechs);
	if (buf_len(&mechs))
		buf_printf(&out, "SASL%.*s\r\n", (int)buf_len(&mechs), buf_slice(&mechs).p);
	if (!stream_secure(s->client) && s->proxy->tls)
		buf_add_str(&out, "STLS\r\n");
	if (identity_is_trusted(s))
		buf_add_str(&out, "XCLIENT\r\n");
	buf_add_str(&out, ".\r\n");
	stream_write(s->client, buf_slice(&out).p, buf_len(&out));
	buf_release(&mechs);
	buf_release(&out);
}

static void do_stls(struct session *s)
{
	if (stream_secure(s->client) || !s->proxy->tls) {
		bad(s, "TLS is not available.");
		return;
	}
	if (stream_input(s->client).n) { /* sent before the handshake: an injection */
		session_cut(s, "bytes behind STLS");
		return;
	}
	if (identity_reset(s) < 0)
		return;
	stream_printf(s->client, "+OK Begin TLS now.\r\n");
	mem_free(&s->login.typed);
	stream_start_tls(s->client, tls_server_start(s->proxy->tls, s->protocol->name), true);
}

static void answer_user(struct session *s, enum reject why)
{
	if (why == REJECT_NONE) {
		stream_printf(s->client, "+OK Send PASS.\r\n");
		return;
	}
	mem_free(&s->login.typed);
	stream_printf(s->client, "%s\r\n", reject_pop3(why));
}

static void do_user(struct session *s, struct slice name)
{
	if (refuse_cleartext(s))
		return;
	if (!auth_offers_passwords(s)) {
		stream_printf(s->client, "-ERR Passwords are not taken here, use AUTH.\r\n");
		return;
	}
	if (name.n == 0 || name.n > LOGIN_NAME_MAX) {
		bad(s, "USER needs a name.");
		return;
	}
	free(s->login.typed);
	s->login.typed = mem_strn(name.p, name.n);
	if (session_may_answer_user(s))
		answer_user(s, REJECT_NONE);
}

static void do_pass(struct session *s, struct slice password)
{
	char *user;

	if (refuse_cleartext(s))
		return;
	if (!s->login.typed) {
		bad(s, "Send USER first.");
		return;
	}
	user = mem_str(s->login.typed);
	if (auth_take(s, slice_of(user), password) < 0)
		stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_BAD_LOGIN));
	free(user);
}

static void after_auth(struct session *s, enum auth_result result)
{
	switch (result) {
	case AUTH_READY:
		break;
	case AUTH_ASK:
		stream_printf(s->client, "+ %s\r\n", auth_challenge(s));
		break;
	case AUTH_NOT_BASE64:
		bad(s, "That is not base64.");
		break;
	case AUTH_CANCELLED:
		stream_printf(s->client, "-ERR Cancelled.\r\n");
		break;
	case AUTH_REFUSED:
	case AUTH_HEARD:
		stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_BAD_LOGIN));
		break;
	}
}

/* Alone it lists the mechanisms: RFC 5034 forgot it, clients did not. */
static void list_mechs(struct session *s)
{
	struct buf mechs = { 0 };

	auth_write_offers(s, "\r\n", &mechs);
	stream_printf(s->client, "+OK%.*s\r\n.\r\n", (int)buf_len(&mechs),
		      buf_len(&mechs) ? buf_slice(&mechs).p : "");
	buf_release(&mechs);
}

static void do_auth(struct session *s, struct slice args)
{
	const char *space = memchr(args.p, ' ', args.n);
	struct slice name = { args.p, space ? (size_t)(space - args.p) : args.n };
	struct slice initial = { args.p + name.n + 1, space ? args.n - name.n - 1 : 0 };
	enum sasl_mech m = sasl_mech_find(name);

	if (name.n == 0)
		list_mechs(s);
	else if (refuse_cleartext(s))
		return;
	else if (m == SASL_MECHS || !auth_offers(s, m))
		bad(s, "This mechanism is not offered.");
	else
		after_auth(s, auth_begin(s, m, space ? &initial : NULL));
}

static void do_xclient(struct session *s, struct slice args)
{
	enum wire w = identity_hear_xclient(s, args);

	if (s->state != SESSION_AUTH)
		return;
	if (w == WIRE_DONE)
		stream_printf(s->client, "+OK\r\n");
	else
		bad(s, "XCLIENT is only for proxies that are trusted.");
}

static void run_command(struct session *s, struct slice line)
{
	struct pop3_command c;

	if (pop3_command(line, &c) != WIRE_DONE) {
		bad(s, "Not a command.");
		return;
	}
	if (c.verb == POP3_CAPA) {
		do_capa(s);
	} else if (c.verb == POP3_STLS) {
		do_stls(s);
	} else if (c.verb == POP3_USER) {
		do_user(s, c.args);
	} else if (c.verb == POP3_PASS) {
		do_pass(s, c.args);
	} else if (c.verb == POP3_AUTH) {
		do_auth(s, c.args);
	} else if (c.verb == POP3_NOOP) {
		stream_printf(s->client, "+OK\r\n");
	} else if (c.verb == POP3_UTF8 || c.verb == POP3_LANG) {
		stream_printf(s->client, "-ERR Not available here.\r\n");
	} else if (c.verb == POP3_QUIT) {
		stream_printf(s->client, "+OK Bye.\r\n");
		session_close(s, "logged out");
	} else if (slice_is_nocase(c.name, "XCLIENT")) {
		do_xclient(s, c.args);
	} else {
		bad(s, "Not a command that is understood before login.");
	}
}

/* ---- input */

static void hear_client(struct session *s)
{
	size_t max = (size_t)s->proxy->settings->limits.preauth_bytes;

	while (s->state == SESSION_AUTH) {
		struct slice in = stream_input(s->client);
		size_t len, n;
		char *line;

		switch (in.n ? pop3_line(in.p, in.n, max, &len) : WIRE_MORE) {
		case WIRE_MORE:
			return;
		case WIRE_BAD:
			stream_printf(s->client, "-ERR Command too long.\r\n");
			session_close_by_limit(s, LIMIT_PREAUTH_BYTES,
					       "command before login too long");
			return;
		case WIRE_DONE:
			break;
		}
		line = mem_strn(in.p, len);
		stream_consume_secret(s->client, len);
		n = len - 1;
		if (n && line[n - 1] == '\r')
			n--;
		if (auth_awaits_line(s))
			after_auth(s, auth_answer(s, (struct slice){ line, n }));
		else
			run_command(s, (struct slice){ line, n });
		OPENSSL_cleanse(line, len);
		free(line);
		if (s->state == SESSION_AUTH && secret_is_set(&s->login.password))
			session_login(s);
	}
}

/* ---- answers */

static void answer(struct session *s, enum reject why)
{
	if (auth_explains(s, why))
		stream_printf(s->client, "+ %s\r\n", auth_challenge(s));
	else
		stream_printf(s->client, "%s\r\n", reject_pop3(why));
}

/* Nothing may be said unasked. */
static void keep_alive(struct session *s UNUSED)
{
}

static void welcome(struct session *s)
{
	overlay_begin(s);
	stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_NONE));
}

const struct protocol pop3_protocol = {
	.kind = PROTO_POP3,
	.name = "pop3",
	.greet = greet,
	.hear_client = hear_client,
	.answer = answer,
	.answer_user = answer_user,
	.keep_alive = keep_alive,
	.hear_backend = pop3_hear_backend,
	.backend_secure = pop3_backend_secure,
	.welcome = welcome,
	.pass_up = pop3_pass_up,
	.pass_down = pop3_pass_down,
	.quiet = pop3_quiet,
	.at_line = pop3_at_line,
	.uploading = pop3_uploading,
	.describe = pop3_describe,
	.say_bye = pop3_say_bye,
	.leave_backend = pop3_leave_backend,
};
