/* Base64, SASL PLAIN and tokens: what decodes encodes back to the same bytes. */
#include "common/wire/sasl.h"

#include "common/buf.h"
#include "common/mem.h"

#define DECODED_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same bytes for the same name, and any other name can be found again. */
static void check_token(enum sasl_mech mech, struct slice message)
{
	static const char other[] = "b,c=d";
	char name[DECODED_MAX];
	struct sasl_token t;
	struct buf out = { 0 };
	size_t n;

	if (sasl_token_parse(mech, message, &t) < 0)
		return;
	ASSERT(t.before.n + t.user.n + t.after.n == message.n && t.user.n > 0);
	if (sasl_token_user(mech, &t, name, sizeof name, &n) < 0)
		return;
	sasl_token_write(mech, &t, (struct slice){ name, n }, &out);
	ASSERT(buf_len(&out) == message.n &&
	       memcmp(buf_slice(&out).p, message.p, message.n) == 0);
	buf_release(&out);
	sasl_token_write(mech, &t, slice_of(other), &out);
	ASSERT(sasl_token_parse(mech, buf_slice(&out), &t) == 0);
	ASSERT(sasl_token_user(mech, &t, name, sizeof name, &n) == 0);
	ASSERT(n == sizeof other - 1 && memcmp(name, other, n) == 0);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	char decoded[DECODED_MAX];
	struct sasl_plain plain;
	struct buf out = { 0 };
	size_t n;

	check_token(SASL_XOAUTH2, text);
	check_token(SASL_OAUTHBEARER, text);
	if (sasl_base64_decode(text, decoded, sizeof decoded, &n) < 0) {
		ASSERT(n == 0);
		return 0;
	}
	sasl_base64_encode((struct slice){ decoded, n }, &out);
	ASSERT(buf_len(&out) == size && memcmp(buf_slice(&out).p, data, size) == 0);
	buf_release(&out);
	if (sasl_plain_parse((struct slice){ decoded, n }, &plain) < 0)
		return 0;
	ASSERT(plain.authcid.n > 0 && plain.password.n > 0);
	sasl_plain_write(&plain, &out);
	ASSERT(buf_len(&out) == size && memcmp(buf_slice(&out).p, data, size) == 0);
	buf_release(&out);
	return 0;
}
