/*
 * Responses with a UIDVALIDITY in them: cut anywhere they are the same, the relay waits until one is
 * whole, and shown as they are nothing changes but HIGHESTMODSEQ.
 */
#include "common/wire/imap_validity.h"

#include "common/mem.h"

#define SIZE_LIMIT 1024 /* each is tried at every split */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t same(uint32_t own, const void *arg UNUSED)
{
	return own;
}

static uint32_t other(uint32_t own, const void *arg UNUSED)
{
	return own + 1;
}

/* Leading zeros are not kept. */
static bool has_zeros(struct slice s)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == '0' && s.p[i - 1] == ' ')
			return true;
	return false;
}

static void check_response(struct slice r)
{
	struct buf out = { 0 }, changed = { 0 };

	imap_validity_rewrite(r, same, NULL, &out);
	if (!slice_starts_nocase(r, "* OK [HIGHESTMODSEQ") && !has_zeros(r)) {
		ASSERT(buf_len(&out) == r.n);
		ASSERT(memcmp(buf_slice(&out).p, r.p, r.n) == 0);
	}
	imap_validity_rewrite(r, other, NULL, &changed);
	buf_release(&out);
	buf_release(&changed);
}

static void check_words(struct slice list)
{
	struct buf once = { 0 }, twice = { 0 };

	imap_validity_filter(list, &once);
	imap_validity_filter(buf_slice(&once), &twice);
	ASSERT(buf_len(&once) <= list.n && buf_len(&twice) <= buf_len(&once));
	(void)imap_asks_modseq(list);
	buf_release(&once);
	buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	size_t len = 0, cut_len = 0;
	enum wire whole;

	if (size == 0 || size > SIZE_LIMIT)
		return 0;
	whole = imap_validity_look(p, size, &len);
	for (size_t cut = 0; cut < size; cut++) {
		enum wire w = imap_validity_look(p, cut, &cut_len);

		ASSERT(w == WIRE_MORE || w == whole);
		ASSERT(w != WIRE_DONE || cut_len == len);
	}
	if (whole == WIRE_DONE) {
		ASSERT(len > 0 && len <= size);
		check_response((struct slice){ p, len });
	}
	check_words((struct slice){ p, size });
	return 0;
}
