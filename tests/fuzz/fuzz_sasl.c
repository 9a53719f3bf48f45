/* Base64 and SASL PLAIN: what decodes encodes back to the same bytes. */
#include "common/wire/sasl.h"

#include "common/buf.h"
#include "common/mem.h"

#define DECODED_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	char decoded[DECODED_MAX];
	struct sasl_plain plain;
	struct buf out = { 0 };
	size_t n;

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
