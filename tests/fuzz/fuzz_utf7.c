/* Mailbox names: what decodes encodes back to the same bytes, in both directions. */
#include "common/wire/utf7.h"

#include "common/buf.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int convert_fn(struct slice in, struct buf *out);

static void there_and_back(struct slice s, convert_fn *there, convert_fn *back)
{
	struct buf other = { 0 }, same = { 0 };

	if (there(s, &other) < 0) {
		ASSERT(buf_len(&other) == 0);
		return;
	}
	ASSERT(back(buf_slice(&other), &same) == 0);
	ASSERT(buf_len(&same) == s.n &&
	       (s.n == 0 || memcmp(buf_slice(&same).p, s.p, s.n) == 0));
	buf_release(&other);
	buf_release(&same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = { (const char *)data, size };

	there_and_back(s, utf7_decode, utf7_encode);
	there_and_back(s, utf7_encode, utf7_decode);
	return 0;
}
