/* Whatever the message: split anywhere it comes out the same, what reports no change has none,
 * and a message that was repaired needs it no second time. */
#include "sync/repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int gather(struct slice bytes, void *arg, struct err *e UNUSED)
{
	buf_add(arg, bytes.p, bytes.n);
	return 0;
}

/* Returns what was done. */
static unsigned run(unsigned steps, struct slice in, size_t piece, struct buf *out)
{
	struct repair *r = repair_new(steps, gather, out);
	struct buf receipt = { 0 };
	struct err e = { 0 };
	unsigned done;

	for (size_t i = 0; i < in.n; i += piece)
		ASSERT(repair_feed(r, (struct slice){ in.p + i, MIN(piece, in.n - i) }, &e) ==
		       0);
	ASSERT(repair_end(r, &e) == 0);
	done = repair_done(r);
	repair_receipt(r, &receipt);
	ASSERT((done == 0) == (buf_len(&receipt) == 0) && (done & ~steps) == 0);
	repair_free(&r);
	buf_release(&receipt);
	return done;
}

static bool same(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = { 0 }, split = { 0 }, twice = { 0 };
	struct slice in;
	unsigned steps, done;

	if (size == 0)
		return 0;
	steps = data[0] % 32;
	in = (struct slice){ (const char *)data + 1, size - 1 };
	done = run(steps, in, in.n ? in.n : 1, &once);
	ASSERT(run(steps, in, 3, &split) == done && same(buf_slice(&once), buf_slice(&split)));
	ASSERT(done || same(buf_slice(&once), in));
	ASSERT(run(steps, buf_slice(&once), 7, &twice) == 0);
	buf_release(&once);
	buf_release(&split);
	buf_release(&twice);
	return 0;
}
