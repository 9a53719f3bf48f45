/* Hides: IMAP towards a backend until it accepts the login. Own tags; one round trip where it
 * allows. */
#include "proxy/imap.h"

#include <openssl/crypto.h>

#include "common/wire/sasl.h"
#include "proxy/backend.h"

enum step { /* s->back.step: what we wait for */
	    GREETING,
	    CAPABILITY, /* in clear text or before login */
	    STARTTLS,
	    AUTH,	/* the tagged answer, or "+" for the message */
	    LOGIN_NAME, /* "+" for a literal */
	    LOGIN_PASSWORD,
	    CAPABILITY_AFTER
};

static const char *login_name(const struct session *s)
{
	const char *given = s->route->login[s->side];

	return given ? given : s->login.typed;
}

static void send_buf(struct session *s, struct buf *b)
{
	stream_write(s->backend, buf_slice(b).p, buf_len(b));
	buf_wipe(b);
}

static void learn(struct session *s, struct slice list)
{
	buf_wipe(&s->back.caps);
	buf_add(&s->back.caps, list.p, list.n);
}

static bool offers(const struct session *s, const char *word)
{
	return imap_capability_has(buf_slice(&s->back.caps), word);
}

static void send_plain(struct session *s, const char *before)
{
	struct slice name = slice_of(login_name(s));
	struct sasl_plain plain = { { "", 0 }, name, secret_slice(&s->login.password) };
	struct buf out = { 0 };

	buf_add_str(&out, before);
	sasl_plain_write(&plain, &out);
	buf_add_str(&out, "\r\n");
	send_buf(s, &out);
}

static void send_login(struct session *s)
{
	bool plus = offers(s, "LITERAL+");
	struct buf out = { 0 };

	if (plus || (s->login.password.n < 200 &&
		     !memchr(s->login.password.at, '\\', s->login.password.n))) {
		buf_add_str(&out, "A LOGIN ");
		imap_write_astring(&out, slice_of(login_name(s)), plus);
		buf_add_str(&out, " ");
		imap_write_astring(&out, secret_slice(&s->login.password), plus);
		buf_add_str(&out, "\r\n");
		s->back.step = AUTH;
	} else {
		buf_printf(&out, "A LOGIN {%zu}\r\n", strlen(login_name(s)));
		s->back.step = LOGIN_NAME;
	}
	send_buf(s, &out);
}

static void log_in(struct session *s)
{
	s->back.step = AUTH;
	if (offers(s, "AUTH=PLAIN") && offers(s, "SASL-IR"))
		send_plain(s, "A AUTHENTICATE PLAIN ");
	else if (offers(s, "AUTH=PLAIN"))
		stream_printf(s->backend, "A AUTHENTICATE PLAIN\r\n");
	else if (!offers(s, "LOGINDISABLED"))
		send_login(s);
	else
		session_refused(s, REJECT_DOWN,
				"the backend offers no login we know (LOGINDISABLED)");
}

static void ask_capability(struct session *s, enum step step)
{
	s->back.step = step;
	stream_printf(s->backend, "C CAPABILITY\r\n");
}

/* The list is known: TLS first where that is configured, then the login. */
static void know_capability(struct session *s)
{
	enum tls_mode mode = backend_tls(s->proxy->backend[s->side], PROTO_IMAP);

	if (mode != TLS_STARTTLS || stream_secure(s->backend)) {
		log_in(s);
	} else if (!offers(s, "STARTTLS")) {
		session_refused(s, REJECT_DOWN, "the backend offers no STARTTLS");
	} else {
		s->back.step = STARTTLS;
		stream_printf(s->backend, "S STARTTLS\r\n");
	}
}

static void on_greeting(struct session *s, const struct imap_reply *r)
{
	if (r->status == STATUS_PREAUTH) {
		session_refused(s, REJECT_DOWN, "the backend greets with PREAUTH");
	} else if (r->status != STATUS_OK) {
		session_refused(s, REJECT_DOWN, "the backend's greeting is not OK");
	} else if (slice_starts_nocase(r->code, "CAPABILITY ")) {
		learn(s, (struct slice){ r->code.p + 11, r->code.n - 11 });
		know_capability(s);
	} else {
		ask_capability(s, CAPABILITY);
	}
}

static void start_tls(struct session *s)
{
	struct backend *b = s->proxy->backend[s->side];

	if (stream_input(s->backend).n) {
		session_refused(s, REJECT_DOWN,
				"the backend sent bytes behind its OK to STARTTLS");
		return;
	}
	buf_wipe(&s->back.caps);
	stream_start_tls(s->backend, backend_ssl(b, stream_fd(s->backend)), false);
}

void imap_backend_secure(struct session *s)
{
	ask_capability(s, CAPABILITY);
}

/* Only what says "wrong password" may make a client ask for one. */
static bool is_temporary(struct slice code)
{
	static const char *const codes[] = { "UNAVAILABLE", "INUSE",	    "LIMIT",
					     "SERVERBUG",   "CONTACTADMIN", "THROTTLED",
					     "OVERQUOTA" };

	for (size_t i = 0; i < COUNT(codes); i++)
		if (slice_starts_nocase(code, codes[i]))
			return true;
	/* A referral would lead past us; it is an error of the set-up. */
	return slice_starts_nocase(code, "REFERRAL");
}

static void on_login_answer(struct session *s, const struct imap_reply *r)
{
	char why[256];

	if (r->status == STATUS_OK) {
		if (slice_starts_nocase(r->code, "CAPABILITY "))
			learn(s, (struct slice){ r->code.p + 11, r->code.n - 11 });
		else if (buf_len(&s->back.caps) == 0) {
			ask_capability(s, CAPABILITY_AFTER);
			return;
		}
		session_accepted(s);
		return;
	}
	snprintf(why, sizeof why, "the backend says %.*s", (int)MIN(r->text.n, (size_t)200),
		 r->text.p);
	session_refused(s, is_temporary(r->code) ? REJECT_DOWN : REJECT_BAD_LOGIN, why);
}

static void on_tagged(struct session *s, const struct imap_reply *r)
{
	switch ((enum step)s->back.step) {
	case CAPABILITY:
		if (r->status == STATUS_OK && buf_len(&s->back.caps))
			know_capability(s);
		else
			session_refused(s, REJECT_DOWN, "the backend tells no capabilities");
		break;
	case STARTTLS:
		if (r->status == STATUS_OK)
			start_tls(s);
		else
			session_refused(s, REJECT_DOWN, "the backend refuses STARTTLS");
		break;
	case AUTH:
	case LOGIN_NAME:
	case LOGIN_PASSWORD:
		on_login_answer(s, r);
		break;
	case CAPABILITY_AFTER:
		session_accepted(s);
		break;
	case GREETING:
		session_refused(s, REJECT_DOWN, "the backend's greeting is none");
		break;
	}
}

static void on_continue(struct session *s)
{
	struct slice password = secret_slice(&s->login.password);
	struct buf out = { 0 };

	switch ((enum step)s->back.step) {
	case AUTH:
		send_plain(s, "");
		return;
	case LOGIN_NAME:
		buf_printf(&out, "%s {%zu}\r\n", login_name(s), password.n);
		s->back.step = LOGIN_PASSWORD;
		break;
	case LOGIN_PASSWORD:
		buf_add(&out, password.p, password.n);
		buf_add_str(&out, "\r\n");
		s->back.step = AUTH;
		break;
	case GREETING:
	case CAPABILITY:
	case STARTTLS:
	case CAPABILITY_AFTER:
		session_refused(s, REJECT_DOWN, "the backend asks for something out of turn");
		return;
	}
	send_buf(s, &out);
}

static void on_untagged(struct session *s, const struct imap_reply *r)
{
	if (s->back.step == GREETING)
		on_greeting(s, r);
	else if (r->status == STATUS_BYE)
		session_refused(s, REJECT_DOWN, "the backend says BYE before the login");
	else if (r->status == STATUS_NONE && slice_starts_nocase(r->text, "CAPABILITY "))
		learn(s, (struct slice){ r->text.p + 11, r->text.n - 11 });
}

static void on_line(struct session *s, struct slice line)
{
	struct imap_reply r;

	if (imap_reply(line, &r) != WIRE_DONE) {
		session_refused(s, REJECT_DOWN, "the backend speaks no IMAP");
		return;
	}
	switch (r.kind) {
	case REPLY_UNTAGGED:
		on_untagged(s, &r);
		break;
	case REPLY_CONTINUE:
		on_continue(s);
		break;
	case REPLY_TAGGED:
		on_tagged(s, &r);
		break;
	}
}

void imap_hear_backend(struct session *s)
{
	while (s->state == SESSION_LOGIN && s->backend) {
		struct slice in = stream_input(s->backend);
		const char *lf = memchr(in.p, '\n', in.n);
		size_t n = lf ? (size_t)(lf - in.p) : 0;
		char *line;

		if (!lf) {
			if (in.n > IMAP_BACK_LINE_MAX)
				session_refused(s, REJECT_DOWN,
						"the backend's line has no end");
			return;
		}
		line = mem_strn(in.p, n);
		stream_consume(s->backend, n + 1);
		on_line(s, (struct slice){ line, n && line[n - 1] == '\r' ? n - 1 : n });
		free(line);
	}
}
