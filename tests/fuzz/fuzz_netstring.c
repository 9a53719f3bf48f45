/* Netstrings: the same verdict whatever the split, and what is read is what would be written.
 */
#include "common/wire/netstring.h"

#include "common/mem.h"

#define LIMIT 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const char *p, size_t len, struct slice body)
{
	struct buf out = { 0 };

	netstring_write(&out, body);
	ASSERT(buf_len(&out) == len && memcmp(buf_slice(&out).p, p, len) == 0);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct slice body, part;
	size_t len = 0, end;
	enum wire all = netstring(p, size, LIMIT, &body, &len);

	if (all == WIRE_DONE) {
		ASSERT(body.n <= LIMIT && body.p + body.n + 1 == p + len && len <= size);
		check_round_trip(p, len, body);
	}
	for (size_t cut = 0; cut < size; cut++) {
		enum wire rc = netstring(p, cut, LIMIT, &part, &end);

		ASSERT(rc == WIRE_MORE || rc == all);
		ASSERT(rc != WIRE_DONE || (end == len && part.n == body.n));
	}
	return 0;
}
