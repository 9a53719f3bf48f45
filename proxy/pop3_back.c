/* Hides: POP3 towards a backend until it accepts the login. */
#include "proxy/pop3.h"

#include "proxy/backend.h"

#define BACK_LINE_MAX 4096 /* bytes of a backend's answer before login */

enum step { GREETING, STLS, USER, PASS }; /* s->back.step: whose answer comes next */

static const char *login_name(const struct session *s)
{
	const char *given = s->route->login[s->side];

	return given ? given : s->login.typed;
}

static void send_user(struct session *s)
{
	struct buf out = { 0 };

	s->back.step = USER;
	buf_printf(&out, "USER %s\r\n", login_name(s));
	stream_write(s->backend, buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
}

static void send_pass(struct session *s)
{
	struct slice password = secret_slice(&s->login.password);
	struct buf out = { 0 };

	s->back.step = PASS;
	buf_add_str(&out, "PASS ");
	buf_add(&out, password.p, password.n);
	buf_add_str(&out, "\r\n");
	stream_write(s->backend, buf_slice(&out).p, buf_len(&out));
	buf_wipe(&out);
}

void pop3_backend_secure(struct session *s)
{
	send_user(s);
}

static void on_greeting(struct session *s)
{
	enum tls_mode mode = backend_tls(s->proxy->backend[s->side], PROTO_POP3);

	if (mode == TLS_STARTTLS && !stream_secure(s->backend)) {
		s->back.step = STLS;
		stream_printf(s->backend, "STLS\r\n");
	} else {
		send_user(s);
	}
}

static void on_stls(struct session *s)
{
	struct backend *b = s->proxy->backend[s->side];

	if (stream_input(s->backend).n)
		session_refused(s, REJECT_DOWN,
				"the backend sent bytes behind its +OK to STLS");
	else
		stream_start_tls(s->backend, backend_ssl(b, stream_fd(s->backend)), false);
}

/* Only what says "wrong password" may make a client ask for one (RFC 2449 8, 3206). */
static bool is_temporary(struct slice code)
{
	return slice_starts_nocase(code, "IN-USE") ||
	       slice_starts_nocase(code, "LOGIN-DELAY") || slice_starts_nocase(code, "SYS/") ||
	       slice_starts_nocase(code, "REFERRAL");
}

static void on_refusal(struct session *s, const struct pop3_reply *r)
{
	bool login = s->back.step == USER || s->back.step == PASS;
	char why[256];

	snprintf(why, sizeof why, "the backend says %.*s", (int)MIN(r->text.n, (size_t)200),
		 r->text.p);
	session_refused(s, login && !is_temporary(r->code) ? REJECT_BAD_LOGIN : REJECT_DOWN,
			why);
}

static void on_line(struct session *s, struct slice line)
{
	struct pop3_reply r;

	if (pop3_reply(line, &r) != WIRE_DONE) {
		session_refused(s, REJECT_DOWN, "the backend speaks no POP3");
		return;
	}
	if (!r.ok) {
		on_refusal(s, &r);
		return;
	}
	switch ((enum step)s->back.step) {
	case GREETING:
		on_greeting(s);
		break;
	case STLS:
		on_stls(s);
		break;
	case USER:
		send_pass(s);
		break;
	case PASS:
		session_accepted(s);
		break;
	}
}

void pop3_hear_backend(struct session *s)
{
	while (s->state == SESSION_LOGIN && s->backend) {
		struct slice in = stream_input(s->backend);
		const char *lf = memchr(in.p, '\n', in.n);
		size_t n = lf ? (size_t)(lf - in.p) : 0;
		char *line;

		if (!lf) {
			if (in.n > BACK_LINE_MAX)
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
