/* Hides: the steps of each SASL mechanism on the client's side. */
#include "proxy/auth.h"

#include <openssl/crypto.h>

#include "proxy/caps.h"

#define ASK_NAME     "VXNlcm5hbWU6" /* "Username:", which some clients compare */
#define ASK_PASSWORD "UGFzc3dvcmQ6" /* "Password:" */

bool auth_allowed(const struct session *s)
{
	return stream_secure(s->client) || s->proxy->settings->tls.allow_cleartext;
}

bool auth_offers_passwords(const struct session *s)
{
	return auth_allowed(s) && caps_offer_passwords(s->proxy->caps, s->protocol->kind);
}

bool auth_offers(const struct session *s, enum sasl_mech m)
{
	if (sasl_mech_is_token(m))
		return auth_allowed(s) && caps_offer_mech(s->proxy->caps, s->protocol->kind, m);
	return auth_offers_passwords(s);
}

void auth_write_offers(const struct session *s, const char *between, struct buf *out)
{
	for (int m = 0; m < SASL_MECHS; m++)
		if (auth_offers(s, (enum sasl_mech)m))
			buf_printf(out, "%s%s", between, sasl_mech_name((enum sasl_mech)m));
}

/* ---- what was said */

/* CR, LF and NUL never pass from a name or password into a command. */
static bool is_clean(struct slice v, size_t max)
{
	return v.n && v.n <= max && !memchr(v.p, '\r', v.n) && !memchr(v.p, '\n', v.n) &&
	       !memchr(v.p, '\0', v.n);
}

static int take_name(struct session *s, struct slice user)
{
	if (!is_clean(user, LOGIN_NAME_MAX))
		return -1;
	free(s->login.typed);
	s->login.typed = mem_strn(user.p, user.n);
	return 0;
}

static int take_password(struct session *s, struct slice password)
{
	if (!is_clean(password, SECRET_MAX))
		return -1;
	s->login.mech = SASL_PLAIN;
	secret_set(&s->login.password, password.p, password.n);
	return 0;
}

int auth_take(struct session *s, struct slice user, struct slice password)
{
	return take_name(s, user) < 0 ? -1 : take_password(s, password);
}

static bool same(struct slice a, struct slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Nobody acts for somebody else through us: the route, and a freeze, are of one user. */
static int take_plain(struct session *s, struct slice message)
{
	struct sasl_plain plain;

	if (sasl_plain_parse(message, &plain) < 0 ||
	    (plain.authzid.n && !same(plain.authzid, plain.authcid)))
		return -1;
	return auth_take(s, plain.authcid, plain.password);
}

static int take_token(struct session *s, enum sasl_mech m, struct slice message)
{
	char user[LOGIN_NAME_MAX];
	struct sasl_token token;
	size_t n;

	if (sasl_token_parse(m, message, &token) < 0 ||
	    sasl_token_user(m, &token, user, sizeof user, &n) < 0 ||
	    take_name(s, (struct slice){ user, n }) < 0)
		return -1;
	s->login.mech = m;
	secret_set(&s->login.password, message.p, message.n);
	return 0;
}

/* ---- steps */

static enum auth_result ask(struct session *s, enum auth_step step)
{
	s->auth_step = step;
	return AUTH_ASK;
}

/* One message of the mechanism, decoded. */
static enum auth_result take_message(struct session *s, enum auth_step step,
				     struct slice message)
{
	int rc = -1;

	switch (step) {
	case AUTH_MESSAGE:
		rc = s->auth_mech == SASL_PLAIN ? take_plain(s, message)
						: take_token(s, s->auth_mech, message);
		break;
	case AUTH_NAME:
		if (take_name(s, message) == 0)
			return ask(s, AUTH_PASSWORD);
		break;
	case AUTH_PASSWORD:
		rc = take_password(s, message);
		break;
	case AUTH_IDLE:
	case AUTH_EXPLAINED:
		BUG("no SASL message is awaited");
	}
	return rc < 0 ? AUTH_REFUSED : AUTH_READY;
}

static enum auth_result take_base64(struct session *s, enum auth_step step, struct slice text)
{
	char message[SASL_MESSAGE_MAX];
	enum auth_result result = AUTH_NOT_BASE64;
	size_t n;

	if (sasl_base64_decode(text, message, sizeof message, &n) == 0)
		result = take_message(s, step, (struct slice){ message, n });
	OPENSSL_cleanse(message, sizeof message);
	return result;
}

enum auth_result auth_begin(struct session *s, enum sasl_mech m, const struct slice *initial)
{
	enum auth_step first = m == SASL_LOGIN ? AUTH_NAME : AUTH_MESSAGE;

	s->auth_mech = m;
	if (!initial)
		return ask(s, first);
	/* RFC 4959 3: "=" is an empty one. */
	return take_base64(s, first, slice_is(*initial, "=") ? SLICE("") : *initial);
}

bool auth_awaits_line(const struct session *s)
{
	return s->auth_step != AUTH_IDLE;
}

enum auth_result auth_answer(struct session *s, struct slice line)
{
	enum auth_step step = s->auth_step;

	s->auth_step = AUTH_IDLE;
	if (step == AUTH_EXPLAINED) { /* empty, AQ== or a star: all mean "heard" */
		buf_release(&s->login.challenge);
		return AUTH_HEARD;
	}
	return slice_is(line, "*") ? AUTH_CANCELLED : take_base64(s, step, line);
}

const char *auth_challenge(const struct session *s)
{
	switch (s->auth_step) {
	case AUTH_NAME:
		return ASK_NAME;
	case AUTH_PASSWORD:
		return ASK_PASSWORD;
	case AUTH_EXPLAINED:
		return buf_slice(&s->login.challenge).p; /* with a NUL, see auth_explains() */
	case AUTH_IDLE:
	case AUTH_MESSAGE:
		break;
	}
	return "";
}

bool auth_explains(struct session *s, enum reject why)
{
	if (why != REJECT_BAD_LOGIN || buf_len(&s->login.challenge) == 0)
		return false;
	buf_add(&s->login.challenge, "", 1);
	s->auth_step = AUTH_EXPLAINED;
	return true;
}
