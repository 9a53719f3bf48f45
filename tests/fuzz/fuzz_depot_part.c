/* Parts of journals' copies: what the store may hold instead is refused, and what was packed
 * comes back. */
#include "sync/depot_part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unpack_anything(const uint8_t *data, size_t size)
{
	static const char digest[STORE_PART_DIGEST];
	char *text = mem_strn((const char *)data, size);
	struct buf out = { 0 };
	struct err e = { 0 };

	ASSERT(depot_unpack(text, digest, &out, &e) < 0 && buf_len(&out) == 0);
	buf_release(&out);
	mem_free(&text);
}

static void there_and_back(struct slice bytes)
{
	char digest[STORE_PART_DIGEST];
	struct buf text = { 0 }, out = { 0 };
	struct err e = { 0 };

	depot_digest(bytes, digest);
	depot_pack(bytes, &text);
	ASSERT(depot_unpack(buf_slice(&text).p, digest, &out, &e) == 0);
	ASSERT(buf_len(&out) == bytes.n && memcmp(buf_slice(&out).p, bytes.p, bytes.n) == 0);
	buf_release(&text);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unpack_anything(data, size);
	if (size && size <= STORE_JOURNAL_PART)
		there_and_back((struct slice){ (const char *)data, size });
	return 0;
}
