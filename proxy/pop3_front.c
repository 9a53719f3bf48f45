/* Hides: POP3 towards a client until it is logged in (RFC 1939, 2449, 2595, 5034). */
#include "proxy/pop3.h"

#include <openssl/crypto.h>

#include "common/wire/sasl.h"

#define BAD_COMMANDS_MAX 5 /* then it is no mail client */

static bool passwords_allowed(const struct session *s)
{
	return stream_secure(s->client) || s->proxy->settings->tls.allow_cleartext;
}

static void greet(struct session *s)
{
	stream_printf(s->client, "+OK mailferry ready.\r\n");
}

static void bad(struct session *s, const char *text)
{
	stream_printf(s->client, "-ERR %s\r\n", text);
	if (++s->bad_commands >= BAD_COMMANDS_MAX)
		session_close(s, "too many bad commands before login");
}

/* CR, LF and NUL never pass from a name or password into a command. */
static bool is_clean(struct slice v)
{
	return v.n && !memchr(v.p, '\r', v.n) && !memchr(v.p, '\n', v.n) &&
	       !memchr(v.p, '\0', v.n);
}

static bool refuse_cleartext(struct session *s)
{
	if (passwords_allowed(s))
		return false;
	stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_PRIVACY));
	return true;
}

/* ---- commands */

static void do_capa(struct session *s)
{
	bool allowed = passwords_allowed(s);

	stream_printf(s->client,
		      "+OK Capabilities follow.\r\nTOP\r\nUIDL\r\nRESP-CODES\r\n"
		      "AUTH-RESP-CODE\r\nPIPELINING\r\n%s%s.\r\n",
		      allowed ? "USER\r\nSASL PLAIN\r\n" : "",
		      !stream_secure(s->client) && s->proxy->tls ? "STLS\r\n" : "");
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
	if (!is_clean(name) || name.n > LOGIN_NAME_MAX) {
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
	if (refuse_cleartext(s))
		return;
	if (!s->login.typed)
		bad(s, "Send USER first.");
	else if (!is_clean(password) || password.n > SECRET_MAX)
		stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_BAD_LOGIN));
	else
		secret_set(&s->login.password, password.p, password.n);
}

static void take_plain(struct session *s, struct slice text)
{
	char message[SECRET_MAX];
	struct sasl_plain plain;
	size_t n;

	if (sasl_base64_decode(text, message, sizeof message, &n) < 0) {
		bad(s, "That is not base64.");
	} else if (sasl_plain_parse((struct slice){ message, n }, &plain) < 0 ||
		   !is_clean(plain.authcid) || !is_clean(plain.password) ||
		   plain.authcid.n > LOGIN_NAME_MAX ||
		   (plain.authzid.n &&
		    (plain.authzid.n != plain.authcid.n ||
		     memcmp(plain.authzid.p, plain.authcid.p, plain.authzid.n)))) {
		stream_printf(s->client, "%s\r\n", reject_pop3(REJECT_BAD_LOGIN));
	} else {
		free(s->login.typed);
		s->login.typed = mem_strn(plain.authcid.p, plain.authcid.n);
		secret_set(&s->login.password, plain.password.p, plain.password.n);
	}
	OPENSSL_cleanse(message, sizeof message);
}

static void do_auth(struct session *s, struct slice args)
{
	const char *space = memchr(args.p, ' ', args.n);
	struct slice mech = { args.p, space ? (size_t)(space - args.p) : args.n };

	if (mech.n == 0) {
		stream_printf(s->client, "+OK\r\n%s.\r\n",
			      passwords_allowed(s) ? "PLAIN\r\n" : "");
	} else if (refuse_cleartext(s)) {
		return;
	} else if (!slice_is_nocase(mech, "PLAIN")) {
		bad(s, "This mechanism is not offered.");
	} else if (space) {
		take_plain(s, (struct slice){ space + 1, args.n - mech.n - 1 });
	} else {
		s->await_sasl = true;
		stream_printf(s->client, "+ \r\n");
	}
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
	} else if (c.verb == POP3_QUIT) {
		stream_printf(s->client, "+OK Bye.\r\n");
		session_close(s, "logged out");
	} else {
		bad(s, "Not a command that is understood before login.");
	}
}

/* ---- input */

static void hear_sasl(struct session *s, struct slice line)
{
	s->await_sasl = false;
	if (slice_is(line, "*"))
		stream_printf(s->client, "-ERR Cancelled.\r\n");
	else
		take_plain(s, line);
}

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
		if (s->await_sasl)
			hear_sasl(s, (struct slice){ line, n });
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
	stream_printf(s->client, "%s\r\n", reject_pop3(why));
}

/* Nothing may be said unasked. */
static void keep_alive(struct session *s UNUSED)
{
}

static void welcome(struct session *s)
{
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
