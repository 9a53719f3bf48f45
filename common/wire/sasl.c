/* Hides: base64's bits. OpenSSL's decoder takes blanks and missing padding, ours does not. */
#include "common/wire/sasl.h"

static const char *const mech_names[] = {
	[SASL_PLAIN] = "PLAIN",
	[SASL_LOGIN] = "LOGIN",
	[SASL_XOAUTH2] = "XOAUTH2",
	[SASL_OAUTHBEARER] = "OAUTHBEARER",
};
_Static_assert(COUNT(mech_names) == SASL_MECHS, "a name for each mechanism");

enum sasl_mech sasl_mech_find(struct slice name)
{
	size_t i = 0;

	while (i < COUNT(mech_names) && !slice_is_nocase(name, mech_names[i]))
		i++;
	return (enum sasl_mech)i;
}

const char *sasl_mech_name(enum sasl_mech m)
{
	return mech_names[m];
}

bool sasl_mech_is_token(enum sasl_mech m)
{
	return m == SASL_XOAUTH2 || m == SASL_OAUTHBEARER;
}

/* ---- base64 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* -1: not of the alphabet. */
static int digit_value(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* The bits of four digits, of which the last `pad` are "="; -1 if they are not digits. */
static int32_t quad_bits(const char *p, size_t pad)
{
	int32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int v = i < 4 - pad ? digit_value(p[i]) : 0;

		if (v < 0)
			return -1;
		bits = bits << 6 | v;
	}
	return bits;
}

int sasl_base64_decode(struct slice text, char *out, size_t size, size_t *n)
{
	size_t pad = 0;

	*n = 0;
	if (text.n % 4)
		return -1;
	if (text.n && text.p[text.n - 1] == '=')
		pad = text.p[text.n - 2] == '=' ? 2 : 1;
	if (text.n / 4 * 3 - pad > size)
		return -1;
	for (size_t i = 0; i < text.n; i += 4) {
		size_t cut = i + 4 == text.n ? pad : 0;
		int32_t bits = quad_bits(text.p + i, cut);

		/* Bits that padding leaves over must be zero: one text for each message. */
		if (bits < 0 || (bits & ((1 << 8 * cut) - 1)))
			goto bad;
		for (size_t k = 0; k < 3 - cut; k++)
			out[(*n)++] = (char)(bits >> (16 - 8 * k));
	}
	return 0;
bad:
	*n = 0;
	return -1;
}

void sasl_base64_encode(struct slice bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t have = MIN(bytes.n - i, (size_t)3);
		uint32_t bits = 0;
		char quad[4];

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < have ? (unsigned char)bytes.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			quad[k] = k <= have ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
		buf_add(out, quad, 4);
	}
}

/* ---- PLAIN */

int sasl_plain_parse(struct slice message, struct sasl_plain *out)
{
	const char *end, *user, *password;

	*out = (struct sasl_plain){ 0 };
	if (message.n == 0)
		return -1;
	end = message.p + message.n;
	user = memchr(message.p, '\0', message.n);
	password = user ? memchr(user + 1, '\0', (size_t)(end - user - 1)) : NULL;
	if (!password || memchr(password + 1, '\0', (size_t)(end - password - 1)))
		return -1;
	if (password == user + 1 || password + 1 == end)
		return -1;
	out->authzid = (struct slice){ message.p, (size_t)(user - message.p) };
	out->authcid = (struct slice){ user + 1, (size_t)(password - user - 1) };
	out->password = (struct slice){ password + 1, (size_t)(end - password - 1) };
	return 0;
}

void sasl_plain_write(const struct sasl_plain *p, struct buf *out)
{
	struct buf message = { 0 };

	/* Room for all at once: growing would leave pieces of the password behind. */
	buf_room(&message, p->authzid.n + p->authcid.n + p->password.n + 2);
	buf_add(&message, p->authzid.p, p->authzid.n);
	buf_add(&message, "", 1);
	buf_add(&message, p->authcid.p, p->authcid.n);
	buf_add(&message, "", 1);
	buf_add(&message, p->password.p, p->password.n);
	sasl_base64_encode(buf_slice(&message), out);
	buf_wipe(&message);
}

/* ---- tokens */

#define FIELD_END \
	'\1' /* ^A: both mechanisms end each field with one, and the message with two */

/* What stands before the name: "user=", or a GS2 header without channel binding up to "a=". */
static size_t token_head(enum sasl_mech m, struct slice message)
{
	static const char *const heads[] = { "n,a=", "y,a=" };

	if (m == SASL_XOAUTH2)
		return slice_starts_nocase(message, "user=") ? 5 : 0;
	for (size_t i = 0; i < COUNT(heads); i++)
		if (message.n >= 4 && memcmp(message.p, heads[i], 4) == 0)
			return 4;
	return 0;
}

/* Is there a field "auth=…" with something in it? fields: each ends with ^A. */
static bool has_token(struct slice fields)
{
	while (fields.n) {
		const char *end = memchr(fields.p, FIELD_END, fields.n);
		size_t n = end ? (size_t)(end - fields.p) : fields.n;

		if (n > 5 && slice_starts_nocase((struct slice){ fields.p, n }, "auth="))
			return true;
		n = MIN(n + 1, fields.n);
		fields = (struct slice){ fields.p + n, fields.n - n };
	}
	return false;
}

int sasl_token_parse(enum sasl_mech m, struct slice message, struct sasl_token *out)
{
	size_t head = token_head(m, message);
	char stop = m == SASL_XOAUTH2 ? FIELD_END : ',';
	struct slice after;
	const char *end;

	*out = (struct sasl_token){ 0 };
	for (size_t i = 0; i < message.n; i++)
		if (message.p[i] == '\0' || message.p[i] == '\r' || message.p[i] == '\n')
			return -1;
	end = head && head < message.n ? memchr(message.p + head, stop, message.n - head)
				       : NULL;
	if (!end || end == message.p + head)
		return -1;
	after = (struct slice){ end, (size_t)(message.p + message.n - end) };
	/* ",^A" of the GS2 header and the first field, or that field's ^A alone */
	if (m == SASL_OAUTHBEARER && (after.n < 2 || after.p[1] != FIELD_END))
		return -1;
	if (after.n < 2 || memcmp(after.p + after.n - 2, "\1\1", 2) != 0 || !has_token(after))
		return -1;
	out->before = (struct slice){ message.p, head };
	out->user = (struct slice){ message.p + head, (size_t)(end - message.p) - head };
	out->after = after;
	return 0;
}

/* RFC 5801 4: "," is "=2C" and "=" is "=3D" in a GS2 header, and nothing else is escaped. */
static char unescaped(struct slice s)
{
	if (s.n >= 3 && memcmp(s.p, "=2C", 3) == 0)
		return ',';
	return s.n >= 3 && memcmp(s.p, "=3D", 3) == 0 ? '=' : '\0';
}

int sasl_token_user(enum sasl_mech m, const struct sasl_token *t, char *out, size_t size,
		    size_t *n)
{
	struct slice s = t->user;

	for (*n = 0; s.n; (*n)++) {
		bool escape = m == SASL_OAUTHBEARER && s.p[0] == '=';
		char c = escape ? unescaped(s) : s.p[0];
		size_t skip = escape ? 3 : 1;

		if (c == '\0' || *n == size)
			return -1;
		out[*n] = c;
		s = (struct slice){ s.p + skip, s.n - skip };
	}
	return 0;
}

void sasl_token_write(enum sasl_mech m, const struct sasl_token *t, struct slice user,
		      struct buf *out)
{
	/* Room for all at once: growing would leave pieces of the token behind. */
	buf_room(out, t->before.n + 3 * user.n + t->after.n);
	buf_add(out, t->before.p, t->before.n);
	for (size_t i = 0; i < user.n; i++) {
		if (m == SASL_OAUTHBEARER && user.p[i] == ',')
			buf_add_str(out, "=2C");
		else if (m == SASL_OAUTHBEARER && user.p[i] == '=')
			buf_add_str(out, "=3D");
		else
			buf_add(out, user.p + i, 1);
	}
	buf_add(out, t->after.p, t->after.n);
}
