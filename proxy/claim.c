/* Hides: which name and which password go to which server. */
#include "proxy/claim.h"

#include "proxy/backend.h"

struct part {
	char letter;
	struct slice text;
};

/* Writes format with each %x replaced; "%%" is a percent sign. Settings were checked. */
static void expand(const char *format, const struct part *parts, size_t n, char *out,
		   size_t size)
{
	size_t at = 0;

	for (const char *p = format; *p && at + 1 < size; p++) {
		struct slice text = { p, 1 };

		if (*p == '%' && p[1]) {
			p++;
			text = (struct slice){ p, 1 };
			for (size_t i = 0; i < n; i++)
				if (parts[i].letter == *p)
					text = parts[i].text;
		}
		text.n = MIN(text.n, size - 1 - at);
		memcpy(out + at, text.p, text.n);
		at += text.n;
	}
	out[at] = '\0';
}

static void by_format(const char *format, const char *user, char *out, size_t size)
{
	const char *sign = strrchr(user, '@');
	size_t local = sign ? (size_t)(sign - user) : strlen(user);
	const struct part parts[] = {
		{ 'u', slice_of(user) },
		{ 'n', { user, local } },
		{ 'd', slice_of(sign ? sign + 1 : "") },
	};

	expand(format, parts, COUNT(parts), out, size);
}

void claim_login(const struct session *s, enum side side, char *out, size_t size)
{
	const char *format = s->proxy->settings->backend[side].login_format;
	const char *given = s->route->login[side];

	if (format)
		by_format(format, s->route->name, out, size);
	else
		snprintf(out, size, "%s", given ? given : s->login.typed);
}

static void as_master(const struct backend *b, const struct backend_conf *conf,
		      const char *login, struct claim *out)
{
	const struct part parts[] = {
		{ 'u', slice_of(login) },
		{ 'm', slice_of(conf->proxy_master_user) },
	};

	out->password = backend_master_password(b);
	if (conf->proxy_master_format[0]) {
		expand(conf->proxy_master_format, parts, COUNT(parts), out->name,
		       sizeof out->name);
		return;
	}
	snprintf(out->name, sizeof out->name, "%s", conf->proxy_master_user);
	snprintf(out->authzid, sizeof out->authzid, "%s", login);
}

void claim_make(const struct session *s, struct claim *out)
{
	enum side side = s->back.side;
	char login[LOGIN_NAME_MAX + 1];

	*out = (struct claim){ .mech = SASL_PLAIN };
	claim_login(s, side, login, sizeof login);
	if (s->back.master) {
		as_master(s->proxy->backend[side], &s->proxy->settings->backend[side], login,
			  out);
		return;
	}
	snprintf(out->name, sizeof out->name, "%s", login);
	out->password = secret_slice(&s->login.password);
	out->mech = s->login.mech;
}

/* The client's own message, byte for byte where its name is the one that this server knows. */
static void write_token(const struct session *s, const struct claim *c, struct buf *out)
{
	struct slice name = slice_of(c->name), message = c->password;
	struct sasl_token token;
	struct buf renamed = { 0 };

	if (strcmp(s->login.typed, c->name) != 0) {
		if (sasl_token_parse(c->mech, message, &token) < 0)
			BUG("a token that was parsed is none");
		sasl_token_write(c->mech, &token, name, &renamed);
		message = buf_slice(&renamed);
	}
	sasl_base64_encode(message, out);
	buf_wipe(&renamed);
}

void claim_write(const struct session *s, const struct claim *c, struct buf *out)
{
	struct sasl_plain plain = { slice_of(c->authzid), slice_of(c->name), c->password };

	/* Room for all at once: growing would leave pieces of it behind. */
	buf_room(out, 4 * (sizeof *c + c->password.n) / 3 + 16);
	if (sasl_mech_is_token(c->mech))
		write_token(s, c, out);
	else
		sasl_plain_write(&plain, out);
}

static bool holds(struct slice text, struct slice secret)
{
	return secret.n && memmem(text.p, text.n, secret.p, secret.n);
}

void claim_says(const struct session *s, struct slice text, char out[CLAIM_SAYS_MAX])
{
	struct claim c;
	struct buf encoded = { 0 }, alone = { 0 };

	claim_make(s, &c);
	claim_write(s, &c, &encoded);
	sasl_base64_encode(c.password, &alone);
	if (holds(text, c.password) || holds(text, buf_slice(&encoded)) ||
	    holds(text, buf_slice(&alone)))
		text = SLICE("(what it was sent)");
	snprintf(out, CLAIM_SAYS_MAX, "the backend says %.*s", (int)MIN(text.n, (size_t)200),
		 text.p);
	buf_wipe(&encoded);
	buf_wipe(&alone);
}
