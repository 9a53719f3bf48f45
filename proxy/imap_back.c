/* Hides: IMAP towards a backend until it accepts the login. Own tags; one round trip where it
 * allows. */
#include "proxy/imap.h"

#include "proxy/backend.h"
#include "proxy/claim.h"

#define QUOTED_MAX 200 /* longer strings go as literals: not all servers' lines are long */

enum step { /* s->back.step: what we wait for */
	    GREETING,
	    STARTTLS,
	    CAPABILITY,	 /* before login */
	    AUTH,	 /* the tagged answer, or "+" for the SASL message */
	    AUTH_LOGIN,	 /* "+" for the name of AUTHENTICATE LOGIN */
	    AUTH_SECRET, /* "+" for its password */
	    AUTH_REASON, /* the refusal behind the reason why a token is refused */
	    LOGIN_NAME,	 /* "+" for a literal */
	    LOGIN_PASSWORD,
	    CAPABILITY_AFTER
};

/* Nothing of a password stays behind. */
static void send_buf(struct session *s, struct buf *b)
{
	stream_write(s->backend, buf_slice(b).p, buf_len(b));
	buf_wipe(b);
}

static bool offers(const struct session *s, const char *word)
{
	return imap_capability_has(buf_slice(&s->back.caps), word);
}

static void take_list(struct session *s, struct slice code_or_text)
{
	buf_wipe(&s->back.caps);
	buf_add(&s->back.caps, code_or_text.p + 11, code_or_text.n - 11);
}

static bool is_list(struct slice code_or_text)
{
	return slice_starts_nocase(code_or_text, "CAPABILITY ");
}

static void ask_capability(struct session *s, enum step step)
{
	s->back.step = step;
	stream_printf(s->backend, "C CAPABILITY\r\n");
}

/* ---- the login */

static void send_message(struct session *s, const char *before)
{
	struct claim c;
	struct buf out = { 0 };

	claim_make(s, &c);
	buf_add_str(&out, before);
	claim_write(s, &c, &out);
	buf_add_str(&out, "\r\n");
	s->back.sent = true;
	send_buf(s, &out);
}

static void authenticate(struct session *s, enum sasl_mech m)
{
	char before[64];

	s->back.step = AUTH;
	snprintf(before, sizeof before, "A AUTHENTICATE %s ", sasl_mech_name(m));
	if (offers(s, "SASL-IR"))
		send_message(s, before);
	else
		stream_printf(s->backend, "A AUTHENTICATE %s\r\n", sasl_mech_name(m));
}

/* Servers disagree about escapes in quotes, and about 8-bit anywhere but in a literal. */
static bool is_quotable(struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] == 0x7f || v.p[i] == '"' || v.p[i] == '\\')
			return false;
	return v.n <= QUOTED_MAX;
}

static void add_string(struct buf *out, struct slice v)
{
	if (is_quotable(v))
		buf_printf(out, " \"%.*s\"", (int)v.n, v.p);
	else
		buf_printf(out, " {%zu+}\r\n%.*s", v.n, (int)v.n, v.p);
}

/* May this string go in the same breath as the command? */
static bool goes_at_once(const struct session *s, struct slice v)
{
	return is_quotable(v) || offers(s, "LITERAL+") ||
	       (offers(s, "LITERAL-") && v.n <= IMAP_LITERAL_MINUS);
}

static void send_login(struct session *s, const struct claim *c)
{
	struct slice name = slice_of(c->name);
	struct buf out = { 0 };

	if (goes_at_once(s, name) && goes_at_once(s, c->password)) {
		buf_room(&out, 2 * CLAIM_NAME_MAX + c->password.n);
		buf_add_str(&out, "A LOGIN");
		add_string(&out, name);
		add_string(&out, c->password);
		buf_add_str(&out, "\r\n");
		s->back.step = AUTH;
		s->back.sent = true;
	} else {
		buf_printf(&out, "A LOGIN {%zu}\r\n", name.n);
		s->back.step = LOGIN_NAME;
	}
	send_buf(s, &out);
}

static void log_in_with_password(struct session *s, const struct claim *c)
{
	bool plain = is_quotable(slice_of(c->name)) && is_quotable(c->password);

	if (offers(s, "AUTH=PLAIN")) {
		authenticate(s, SASL_PLAIN);
	} else if (c->authzid[0]) {
		session_refused(
			s, REJECT_DOWN,
			"the backend offers no AUTH=PLAIN, which proxy_master_user needs "
			"without proxy_master_format");
	} else if (!offers(s, "LOGINDISABLED")) {
		/* Were memory wrong about literals, the password would be read as a command. */
		if (s->back.recalled && !plain)
			ask_capability(s, CAPABILITY);
		else
			send_login(s, c);
	} else if (offers(s, "AUTH=LOGIN")) {
		s->back.step = AUTH_LOGIN;
		stream_printf(s->backend, "A AUTHENTICATE LOGIN\r\n");
	} else {
		session_refused(s, REJECT_DOWN,
				"the backend offers no login we know (LOGINDISABLED)");
	}
}

static void log_in(struct session *s)
{
	struct claim c;
	char word[32], why[128];

	identity_tell_id(s);
	claim_make(s, &c);
	snprintf(word, sizeof word, "AUTH=%s", sasl_mech_name(c.mech));
	if (!sasl_mech_is_token(c.mech)) {
		log_in_with_password(s, &c);
	} else if (offers(s, word)) {
		authenticate(s, c.mech);
	} else if (s->back.recalled) {
		ask_capability(s, CAPABILITY);
	} else {
		snprintf(why, sizeof why, "the backend offers no %s", word);
		session_refused(s, REJECT_DOWN, why);
	}
}

/* Would a login look the same with both lists? */
static bool same_for_login(struct slice a, struct slice b)
{
	static const char *const words[] = { "AUTH=PLAIN",	 "AUTH=LOGIN",	 "AUTH=XOAUTH2",
					     "AUTH=OAUTHBEARER", "SASL-IR",	 "LITERAL+",
					     "LITERAL-",	 "LOGINDISABLED" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (imap_capability_has(a, words[i]) != imap_capability_has(b, words[i]))
			return false;
	return true;
}

/* It has told what it can do before login, and TLS is as it should be. */
static void know_capability(struct session *s)
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
		ask_capability(s, CAPABILITY);
}

/* ---- greeting and TLS */

static void on_greeting(struct session *s, const struct imap_reply *r)
{
	bool starttls =
		backend_tls(s->proxy->backend[s->back.side], PROTO_IMAP) == TLS_STARTTLS;

	identity_greeted(s, r->code, r->text);
	if (r->status == STATUS_PREAUTH) {
		session_refused(s, REJECT_DOWN, "the backend greets with PREAUTH");
	} else if (r->status != STATUS_OK) {
		session_refused(s, REJECT_DOWN, "the backend's greeting is not OK");
	} else if (starttls) { /* what it lists in clear text does not count */
		s->back.step = STARTTLS;
		stream_printf(s->backend, "S STARTTLS\r\n");
	} else if (is_list(r->code)) {
		take_list(s, r->code);
		know_capability(s);
	} else {
		remember_or_ask(s);
	}
}

static void start_tls(struct session *s)
{
	struct backend *b = s->proxy->backend[s->back.side];

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
	remember_or_ask(s);
}

/* ---- its answers */

/* Only what says "wrong password" may make a client ask for one. */
static enum reject reason(const struct imap_reply *r)
{
	static const char *const temporary[] = {
		"UNAVAILABLE",
		"INUSE",
		"LIMIT",
		"SERVERBUG",
		"CONTACTADMIN",
		"THROTTLED",
		"OVERQUOTA",
		"CANNOT",
		"PRIVACYREQUIRED",
		/* A referral would lead past us; it is an error of the set-up. */
		"REFERRAL",
	};

	if (r->status == STATUS_BAD)
		return REJECT_DOWN;
	for (size_t i = 0; i < COUNT(temporary); i++)
		if (slice_starts_nocase(r->code, temporary[i]))
			return REJECT_DOWN;
	return REJECT_BAD_LOGIN;
}

/* A code says what was wrong; without one it may have been the form of our command. */
static bool is_clear(const struct imap_reply *r)
{
	return r->code.n && !is_list(r->code) && !slice_starts_nocase(r->code, "CANNOT");
}

static void on_login_answer(struct session *s, const struct imap_reply *r)
{
	char why[CLAIM_SAYS_MAX];

	if (r->status == STATUS_OK) {
		if (is_list(r->code))
			take_list(s, r->code);
		if (is_list(r->code) || s->back.told)
			session_accepted(s);
		else
			ask_capability(s, CAPABILITY_AFTER);
		return;
	}
	claim_says(s, r->text, why);
	if (!is_clear(r) && session_doubts(s, reason(r), why))
		ask_capability(s, CAPABILITY);
	else
		session_refused(s, reason(r), why);
}

static void on_tagged(struct session *s, const struct imap_reply *r)
{
	static const char tags[] = {
		[STARTTLS] = 'S',   [CAPABILITY] = 'C',	    [AUTH] = 'A',
		[AUTH_LOGIN] = 'A', [AUTH_SECRET] = 'A',    [AUTH_REASON] = 'A',
		[LOGIN_NAME] = 'A', [LOGIN_PASSWORD] = 'A', [CAPABILITY_AFTER] = 'C',
	};

	if (r->tag.n != 1 || r->tag.p[0] != tags[s->back.step]) {
		session_refused(s, REJECT_DOWN, "the backend answers what was not asked");
		return;
	}
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
	case AUTH_LOGIN:
	case AUTH_SECRET:
	case AUTH_REASON:
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

/* RFC 7628 3.2.3: the reason comes as a challenge, and the refusal only behind an answer to it.
 */
static void on_reason(struct session *s, const struct imap_reply *r)
{
	s->back.step = AUTH_REASON;
	session_keep_challenge(s, r->text);
	stream_printf(s->backend, s->login.mech == SASL_OAUTHBEARER ? "AQ==\r\n" : "\r\n");
}

static void send_base64(struct session *s, struct slice text)
{
	struct buf out = { 0 };

	buf_room(&out, text.n * 4 / 3 + 8);
	sasl_base64_encode(text, &out);
	buf_add_str(&out, "\r\n");
	send_buf(s, &out);
}

static void on_continue(struct session *s, const struct imap_reply *r)
{
	struct claim c;
	struct buf out = { 0 };

	claim_make(s, &c);
	switch ((enum step)s->back.step) {
	case AUTH:
		if (!s->back.sent)
			send_message(s, "");
		else if (sasl_mech_is_token(c.mech))
			on_reason(s, r);
		else
			session_refused(s, REJECT_DOWN, "the backend asks for more than PLAIN");
		return;
	case AUTH_LOGIN:
		s->back.step = AUTH_SECRET;
		send_base64(s, slice_of(c.name));
		return;
	case AUTH_SECRET:
		s->back.step = AUTH;
		s->back.sent = true;
		send_base64(s, c.password);
		return;
	case LOGIN_NAME:
		s->back.step = LOGIN_PASSWORD;
		buf_printf(&out, "%s {%zu}\r\n", c.name, c.password.n);
		break;
	case LOGIN_PASSWORD:
		s->back.step = AUTH;
		s->back.sent = true;
		buf_room(&out, c.password.n + 2);
		buf_add(&out, c.password.p, c.password.n);
		buf_add_str(&out, "\r\n");
		break;
	case GREETING:
	case CAPABILITY:
	case STARTTLS:
	case AUTH_REASON:
	case CAPABILITY_AFTER:
		session_refused(s, REJECT_DOWN, "the backend asks for something out of turn");
		return;
	}
	send_buf(s, &out);
}

static void on_untagged(struct session *s, const struct imap_reply *r)
{
	if (s->back.step == GREETING) {
		on_greeting(s, r);
	} else if (r->status == STATUS_BYE) {
		session_backend_lost(s, "the backend says BYE before the login");
	} else if (r->status == STATUS_NONE && is_list(r->text)) {
		take_list(s, r->text);
		s->back.told = s->back.sent;
	}
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
		on_continue(s, &r);
		break;
	case REPLY_TAGGED:
		if (!identity_took_reply(s, &r))
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
