/* PROXY headers: no header is longer than its bytes, no cut of one is refused, and what was
 * read comes back when it is written and read again, in both versions. */
#include "common/wire/proxyproto.h"

#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return endpoint_same_ip(a, b) && a->port == b->port;
}

static void there_and_back(const struct proxyproto *h, int version)
{
	struct proxyproto out = *h, back;
	struct buf b = { 0 };
	size_t len;

	out.version = version;
	proxyproto_write(&out, &b);
	ASSERT(proxyproto_read(buf_slice(&b).p, buf_len(&b), &back, &len) == WIRE_DONE);
	ASSERT(len == buf_len(&b) && back.version == version && back.local == h->local);
	ASSERT(h->local || (same(&back.from, &h->from) && same(&back.to, &h->to)));
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct proxyproto h, cut;
	size_t len, cut_len;

	if (proxyproto_read(p, size, &h, &len) != WIRE_DONE)
		return 0;
	ASSERT(len > 0 && len <= size);
	ASSERT(len <= (h.version == 1 ? (size_t)PROXYPROTO_V1_MAX : (size_t)PROXYPROTO_V2_MAX));
	for (size_t n = 0; n < len; n++)
		ASSERT(proxyproto_read(p, n, &cut, &cut_len) == WIRE_MORE);
	ASSERT(proxyproto_read(p, len, &cut, &cut_len) == WIRE_DONE && cut_len == len);
	there_and_back(&h, 1);
	there_and_back(&h, 2);
	return 0;
}
