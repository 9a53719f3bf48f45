/* Hides: POP3 towards a backend until it accepts the login; one round trip where it allows. */
#include "proxy/pop3.h"

#include "proxy/backend.h"
#include "proxy/caps.h"
#include "proxy/claim.h"

#define BACK_LINE_MAX	 4096 /* bytes of a backend's answer before login */
#define COMMAND_LINE_MAX 255  /* RFC 2449 4, RFC 5034 4: a longer message waits for "+" */

enum step { /* s->back.step: whose answer comes next */
	    GREETING,
	    STLS,
	    CAPA,
	    CAPA_LINES,
	    AUTH,	 /* or "+" for the SASL message */
	    AUTH_LOGIN,	 /* "+" for the name of AUTH LOGIN */
	    AUTH_SECRET, /* "+" for its password */
	    AUTH_REASON, /* the refusal behind the reason why a token is refused */
	    USER,
	    PASS
};

/* Nothing of a password stays behind. */
static void send_buf(struct session *s, struct buf *b)
{
	stream_write(s->backend, buf_slice(b).p, buf_len(b));
	buf_wipe(b);
}

static bool has_mech(const struct session *s, enum sasl_mech m)
{
	return pop3_capa_sasl(buf_slice(&s->back.caps), sasl_mech_name(m));
}

static void ask_capa(struct session *s)
{
	buf_wipe(&s->back.caps);
	s->back.step = CAPA;
	stream_printf(s->backend, "CAPA\r\n");
}

/* ---- the login */

static void add_pass(const struct claim *c, struct buf *out)
{
	buf_add_str(out, "PASS ");
	buf_add(out, c->password.p, c->password.n);
	buf_add_str(out, "\r\n");
}

static void send_user(struct session *s, const struct claim *c)
{
	struct buf out = { 0 };

	s->back.step = USER;
	buf_room(&out, strlen(c->name) + c->password.n + 32);
	buf_printf(&out, "USER %s\r\n", c->name);
	s->back.sent = pop3_capa_has(buf_slice(&s->back.caps), "PIPELINING");
	if (s->back.sent)
		add_pass(c, &out);
	send_buf(s, &out);
}

static void send_message(struct session *s)
{
	struct claim c;
	struct buf out = { 0 };

	claim_make(s, &c);
	claim_write(s, &c, &out);
	buf_add_str(&out, "\r\n");
	s->back.sent = true;
	send_buf(s, &out);
}

static void authenticate(struct session *s, const struct claim *c)
{
	struct buf out = { 0 };

	s->back.step = AUTH;
	claim_write(s, c, &out);
	stream_printf(s->backend, "AUTH %s", sasl_mech_name(c->mech));
	if (buf_len(&out) + sizeof "AUTH OAUTHBEARER \r\n" <= COMMAND_LINE_MAX) {
		s->back.sent = true;
		stream_write(s->backend, " ", 1);
		stream_write(s->backend, buf_slice(&out).p, buf_len(&out));
	}
	stream_write(s->backend, "\r\n", 2);
	buf_wipe(&out);
}

static void log_in(struct session *s)
{
	struct claim c;
	char why[128];

	identity_tell_xclient(s);
	claim_make(s, &c);
	if (has_mech(s, c.mech)) {
		authenticate(s, &c);
	} else if (sasl_mech_is_token(c.mech) && s->back.recalled) {
		ask_capa(s);
	} else if (sasl_mech_is_token(c.mech) || c.authzid[0]) {
		snprintf(why, sizeof why, "the backend offers no SASL %s",
			 sasl_mech_name(c.mech));
		session_refused(s, REJECT_DOWN, why);
	} else if (has_mech(s, SASL_LOGIN) &&
		   !pop3_capa_has(buf_slice(&s->back.caps), "USER")) {
		s->back.step = AUTH_LOGIN;
		stream_printf(s->backend, "AUTH LOGIN\r\n");
	} else { /* every server had it before CAPA was invented, and some still list nothing */
		send_user(s, &c);
	}
}

/* Would a login look the same with both lists? */
static bool same_for_login(struct slice a, struct slice b)
{
	static const char *const words[] = { "USER", "PIPELINING" };
	bool same = true;

	for (size_t i = 0; i < COUNT(words); i++)
		same = same && pop3_capa_has(a, words[i]) == pop3_capa_has(b, words[i]);
	for (int m = 0; m < SASL_MECHS; m++) {
		const char *name = sasl_mech_name((enum sasl_mech)m);

		same = same && pop3_capa_sasl(a, name) == pop3_capa_sasl(b, name);
	}
	return same;
}

static void know_capa(struct session *s)
{
	struct slice now = buf_slice(&s->back.caps);

	session_learn(s, now);
	if (!session_doubt_stands(s, same_for_login(buf_slice(&s->back.doubted), now)))
		log_in(s);
}

static void remember_or_ask(struct session *s)
{
	if (session_recall(s))
		log_in(s);
	else
		ask_capa(s);
}

void pop3_backend_secure(struct session *s)
{
	remember_or_ask(s);
}

/* ---- its answers */

static void on_greeting(struct session *s, const struct pop3_reply *r)
{
	identity_greeted(s, r->code, r->text);
	if (backend_tls(s->proxy->backend[s->back.side], PROTO_POP3) == TLS_STARTTLS) {
		s->back.step = STLS;
		stream_printf(s->backend, "STLS\r\n");
	} else {
		remember_or_ask(s);
	}
}

static void on_stls(struct session *s)
{
	struct backend *b = s->proxy->backend[s->back.side];

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
	bool login = s->back.step >= AUTH;
	enum reject reason = login && !is_temporary(r->code) ? REJECT_BAD_LOGIN : REJECT_DOWN;
	char why[CLAIM_SAYS_MAX];

	if (s->back.step == CAPA) { /* older than RFC 2449: nothing is listed */
		know_capa(s);
		return;
	}
	claim_says(s, r->text, why);
	/* Behind USER a PASS may be on its way, whose answer would be taken for CAPA's. */
	if (login && s->back.step < USER && r->code.n == 0 && session_doubts(s, reason, why))
		ask_capa(s);
	else
		session_refused(s, reason, why);
}

static void on_ok(struct session *s, const struct pop3_reply *r)
{
	struct claim c;
	struct buf out = { 0 };

	switch ((enum step)s->back.step) {
	case GREETING:
		on_greeting(s, r);
		break;
	case STLS:
		on_stls(s);
		break;
	case CAPA:
		s->back.step = CAPA_LINES;
		break;
	case USER:
		s->back.step = PASS;
		if (s->back.sent)
			break;
		claim_make(s, &c);
		buf_room(&out, c.password.n + 16);
		add_pass(&c, &out);
		send_buf(s, &out);
		break;
	case PASS:
	case AUTH:
	case AUTH_LOGIN:
	case AUTH_SECRET:
	case AUTH_REASON:
		session_accepted(s);
		break;
	case CAPA_LINES:
		BUG("lines of CAPA are no answers");
	}
}

static void send_base64(struct session *s, struct slice text)
{
	struct buf out = { 0 };

	buf_room(&out, text.n * 4 / 3 + 8);
	sasl_base64_encode(text, &out);
	buf_add_str(&out, "\r\n");
	send_buf(s, &out);
}

/* "+ …": it wants a SASL message, or (RFC 7628 3.2.3) says why the token is refused. */
static void on_continue(struct session *s, struct slice text)
{
	struct claim c;

	claim_make(s, &c);
	if (s->back.step == AUTH && !s->back.sent) {
		send_message(s);
	} else if (s->back.step == AUTH && sasl_mech_is_token(c.mech)) {
		s->back.step = AUTH_REASON;
		session_keep_challenge(s, text);
		stream_printf(s->backend, c.mech == SASL_OAUTHBEARER ? "AQ==\r\n" : "\r\n");
	} else if (s->back.step == AUTH_LOGIN) {
		s->back.step = AUTH_SECRET;
		send_base64(s, slice_of(c.name));
	} else if (s->back.step == AUTH_SECRET && !s->back.sent) {
		s->back.sent = true;
		send_base64(s, c.password);
	} else {
		session_refused(s, REJECT_DOWN, "the backend asks for something out of turn");
	}
}

static void on_capa_line(struct session *s, struct slice line)
{
	if (slice_is(line, ".")) {
		know_capa(s);
	} else if (buf_len(&s->back.caps) + line.n >= CAPS_LIST_MAX) {
		session_refused(s, REJECT_DOWN, "the backend's CAPA has no end");
	} else {
		buf_add(&s->back.caps, line.p, line.n);
		buf_add_str(&s->back.caps, "\n");
	}
}

static void on_line(struct session *s, struct slice line)
{
	struct pop3_reply r;

	if (s->back.step == CAPA_LINES)
		on_capa_line(s, line);
	else if (line.n && line.p[0] == '+' && (line.n == 1 || line.p[1] == ' '))
		on_continue(s,
			    line.n > 2 ? (struct slice){ line.p + 2, line.n - 2 } : SLICE(""));
	else if (pop3_reply(line, &r) != WIRE_DONE)
		session_refused(s, REJECT_DOWN, "the backend speaks no POP3");
	else if (identity_took_answer(s, r.ok, r.text))
		return;
	else if (r.ok)
		on_ok(s, &r);
	else
		on_refusal(s, &r);
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
