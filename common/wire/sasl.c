/* Hides: base64's bits. OpenSSL's decoder takes blanks and missing padding, ours does not. */
#include "common/wire/sasl.h"

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
