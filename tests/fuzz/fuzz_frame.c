/*
 * A server's bytes through framing, libetpan's parser and our reading of FETCH answers. The
 * first byte says whether bodies go to a sink.
 */
#include "sync/mailbox_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It leaks a little on malformed answers; a worker does not live long enough to mind. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libetpan\n";
}

static uint64_t promised;

static int body_begin(void *arg UNUSED, struct slice before UNUSED, uint64_t size,
		      struct err *e UNUSED)
{
	promised = size;
	return 0;
}

static int body_bytes(void *arg UNUSED, struct slice bytes, struct err *e UNUSED)
{
	ASSERT(bytes.n <= promised);
	promised -= bytes.n;
	return 0;
}

static int body_end(void *arg UNUSED, struct err *e UNUSED)
{
	ASSERT(promised == 0);
	return 0;
}

static void look_at(const struct frame *f, struct fetch_scratch *scratch)
{
	struct fetch_items items;

	ASSERT((f->kind == FRAME_DATA) == (f->data != NULL));
	ASSERT(f->line.n <= FRAME_LINE_MAX);
	if (!fetch_items_read(f, scratch, &items) || !items.has_flags)
		return;
	ASSERT(!strpbrk(items.info.flags, "\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct frame_sink sink = { body_begin, body_bytes, body_end, NULL };
	struct fetch_scratch scratch = { 0 };
	struct transport *t;
	struct frame_reader *r;
	struct frame f;
	struct err e;

	if (size == 0)
		return 0;
	t = transport_of_bytes((struct slice){ (const char *)data + 1, size - 1 });
	r = frame_reader_new(t);
	frame_set_sink(r, data[0] & 1 ? &sink : NULL);
	while (frame_next(r, &f, &e) == 0)
		look_at(&f, &scratch);
	ASSERT(transport_is_broken(t));
	fetch_scratch_release(&scratch);
	frame_reader_free(&r);
	transport_free(&t);
	return 0;
}
