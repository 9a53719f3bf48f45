/* Hides: zlib, and the limits on what comes out of it. */
#include "sync/depot_part.h"

#include <openssl/sha.h>
#include <zlib.h>

#include "common/wire/sasl.h"

/* What compress() may make of a part that cannot be compressed (zlib.h: compressBound). */
#define PACKED_MAX (STORE_JOURNAL_PART + STORE_JOURNAL_PART / 1000 + 64)

void depot_digest(struct slice bytes, char out[static STORE_PART_DIGEST])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[SHA256_DIGEST_LENGTH];

	_Static_assert(2 * SHA256_DIGEST_LENGTH == STORE_PART_DIGEST, "in hex");
	SHA256((const unsigned char *)bytes.p, bytes.n, raw);
	for (size_t i = 0; i < sizeof raw; i++) {
		out[2 * i] = hex[raw[i] >> 4];
		out[2 * i + 1] = hex[raw[i] & 15];
	}
}

void depot_pack(struct slice bytes, struct buf *out)
{
	uLongf n = PACKED_MAX;
	Bytef *packed = mem_array(n, 1);

	ASSERT(bytes.n <= STORE_JOURNAL_PART);
	ASSERT(compress2(packed, &n, (const Bytef *)bytes.p, bytes.n, Z_BEST_SPEED) == Z_OK);
	sasl_base64_encode((struct slice){ (char *)packed, n }, out);
	buf_add(out, "", 1);
	free(packed);
}

static int damaged(struct err *e)
{
	return err_set(e, ERR_STORE, "a part of the store's copy is damaged");
}

int depot_unpack(const char *text, const char digest[static STORE_PART_DIGEST], struct buf *out,
		 struct err *e)
{
	char *packed = mem_array(PACKED_MAX, 1), found[STORE_PART_DIGEST];
	uLongf n = STORE_JOURNAL_PART;
	char *bytes = buf_room(out, n);
	size_t packed_n = 0;
	int rc = 0;

	if (sasl_base64_decode(slice_of(text), packed, PACKED_MAX, &packed_n) < 0 ||
	    uncompress((Bytef *)bytes, &n, (Bytef *)packed, packed_n) != Z_OK)
		rc = damaged(e);
	free(packed);
	if (rc < 0)
		return -1;
	depot_digest((struct slice){ bytes, n }, found);
	if (memcmp(found, digest, sizeof found) != 0)
		return damaged(e);
	buf_wrote(out, n);
	return 0;
}
