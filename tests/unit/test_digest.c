/* What two servers may do to a message without it becoming another one, and what they may not.
 */
#include "tests/unit/wire_test.h"

#include <openssl/sha.h>

#include "sync/digest.h"

static struct digest digest_in_pieces(struct slice s, size_t piece)
{
	struct digest_stream *d = digest_stream_new();
	struct digest out;

	for (size_t at = 0; at < s.n; at += piece)
		digest_stream_feed(d, (struct slice){ s.p + at, MIN(piece, s.n - at) });
	digest_stream_end(d, &out);
	digest_stream_free(&d);
	return out;
}

static struct digest digest_of(struct slice s)
{
	return digest_in_pieces(s, s.n + 1);
}

static bool same(const unsigned char *a, const unsigned char *b)
{
	return memcmp(a, b, DIGEST_SIZE) == 0;
}

static const struct {
	struct slice a, b;
	bool canon, header; /* are they the same? */
} pairs[] = {
	{ SLICE("A: b\r\n\r\nx\r\n"), SLICE("A: b\n\nx\n"), true, true },
	{ SLICE("A: b\r\n\r\nx\r\n"), SLICE("A: b\r\r\n\nx"), true, true },
	{ SLICE("A: b\r\n\r\nx\r\n\r\n"), SLICE("A: b\n\nx"), true, true },
	{ SLICE("A: b\r\n\r\nx\0y"), SLICE("A: b\r\n\r\nx\x80y"), true, true },
	{ SLICE("A: b\r\n\r\nx\r\n"), SLICE("A: b\r\n\r\ny\r\n"), false, true },
	{ SLICE("A: b\r\n\r\nx\r\n"), SLICE("A: c\r\n\r\nx\r\n"), false, false },
	{ SLICE("A: b\r\n\r\nx y"), SLICE("A: b\r\n\r\nxy"), false, true },
	{ SLICE("A: b\r\n\r\n\r\nx"), SLICE("A: b\r\n\r\nx"), false, true },
	/* lines that belong to a server */
	{ SLICE("A: b\r\nStatus: RO\r\n\r\nx"), SLICE("A: b\r\n\r\nx"), false, true },
	{ SLICE("X-UID: 5\r\n\t6\r\nA: b\r\n\r\nx"), SLICE("A: b\r\n\r\nx"), false, true },
	{ SLICE("From x@y Mon\r\nA: b\r\n\r\nx"), SLICE("A: b\r\n\r\nx"), false, true },
	{ SLICE("A: b\r\n  \r\n\r\nx"), SLICE("A: b\r\n\r\nx"), false, true },
	{ SLICE("A: b\r\n c\r\n\r\nx"), SLICE("A: b\r\n\r\nx"), false, false },
	{ SLICE("Subject: b\r\n\r\nStatus: x"), SLICE("Subject: b\r\n\r\n"), false, true },
	/* no body, no header, nothing */
	{ SLICE("A: b"), SLICE("A: b\r\n\r\n"), true, true },
	{ SLICE(""), SLICE("\r\n"), true, true },
	{ SLICE("\r\nA: b"), SLICE(""), false, true },
};

static void differences_that_count(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct digest a = digest_of(pairs[i].a), b = digest_of(pairs[i].b);

		if (same(a.canon, b.canon) != pairs[i].canon)
			fail_msg("pair %zu: canonical form", i);
		if (same(a.header, b.header) != pairs[i].header)
			fail_msg("pair %zu: header", i);
		assert_false(same(a.raw, b.raw));
	}
}

static void pieces_do_not_matter(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(pairs); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			struct digest whole = digest_of(pairs[i].a);
			struct digest cut = digest_in_pieces(pairs[i].a, piece);

			assert_int_equal(cut.size, pairs[i].a.n);
			assert_true(same(whole.raw, cut.raw));
			assert_true(same(whole.canon, cut.canon));
			assert_true(same(whole.header, cut.header));
		}
}

static void raw_is_sha256_of_the_bytes(void **state UNUSED)
{
	struct slice s = SLICE("A: b\r\n\r\n\0\n\r");
	unsigned char want[DIGEST_SIZE];
	struct digest d = digest_of(s);

	SHA256((const unsigned char *)s.p, s.n, want);
	assert_memory_equal(d.raw, want, DIGEST_SIZE);
}

/* The probe after a crash has headers only. */
static void a_header_alone_gives_the_same(void **state UNUSED)
{
	struct digest whole = digest_of(SLICE("A: b\nStatus: O\nC: d\n e\n\nbody\n"));
	unsigned char header[DIGEST_SIZE];

	digest_of_header(SLICE("A: b\r\nC: d\r\n e\r\n\r\n"), header);
	assert_memory_equal(header, whole.header, DIGEST_SIZE);
}

static void a_stream_starts_afresh(void **state UNUSED)
{
	struct digest_stream *d = digest_stream_new();
	struct digest first, second;

	digest_stream_feed(d, SLICE("A: b\r\n\r\nx\r\n\r"));
	digest_stream_end(d, &first);
	digest_stream_feed(d, SLICE("A: b\r\n\r\nx\r\n\r"));
	digest_stream_end(d, &second);
	digest_stream_free(&d);
	assert_int_equal(second.size, 12);
	assert_true(same(first.raw, second.raw));
	assert_true(same(first.canon, second.canon));
	assert_true(same(first.header, second.header));
}

/* The canonical form as its definition has it, without any haste. */
static struct buf canonical(struct slice s)
{
	struct buf out = { 0 };
	size_t end;

	for (size_t i = 0; i < s.n; i++) {
		size_t crs = 0;

		while (i + crs < s.n && s.p[i + crs] == '\r')
			crs++;
		if (i + crs < s.n && s.p[i + crs] == '\n')
			i += crs;
		if (s.p[i] == '\r' || s.p[i] == '\n')
			buf_add_str(&out, "\r\n");
		else
			buf_add(&out, s.p[i] ? &s.p[i] : "\x80", 1);
	}
	for (end = buf_len(&out); end >= 2 && buf_slice(&out).p[end - 1] == '\n'; end -= 2)
		;
	out.end = out.start + end;
	buf_add_str(&out, "\r\n");
	return out;
}

/* Random bytes of few kinds, long enough for what looks at many at once, in random pieces. */
static void haste_changes_nothing(void **state UNUSED)
{
	static const char odd[] = "\r\n\r\n\0\x80:x \r\n";
	unsigned seed = 1;

	for (int round = 0; round < 20000; round++) {
		char text[200];
		size_t n = (size_t)rand_r(&seed) % sizeof text,
		       clean = (size_t)rand_r(&seed) % 3;
		unsigned char want[DIGEST_SIZE];
		struct digest got;
		struct buf canon;

		for (size_t i = 0; i < n; i++) {
			text[i] = 'a';
			if (rand_r(&seed) % 4 == 0 && i + 1 < n)
				memcpy(text + i++, "\r\n", 2);
			else if (clean == 0 && rand_r(&seed) % 8 == 0)
				text[i] = odd[(size_t)rand_r(&seed) % (sizeof odd - 1)];
		}
		canon = canonical((struct slice){ text, n });
		SHA256((const unsigned char *)buf_slice(&canon).p, buf_len(&canon), want);
		got = digest_in_pieces((struct slice){ text, n },
				       1 + (size_t)rand_r(&seed) % 60);
		assert_memory_equal(got.canon, want, DIGEST_SIZE);
		SHA256((const unsigned char *)text, n, want);
		assert_memory_equal(got.raw, want, DIGEST_SIZE);
		got = digest_of(buf_slice(&canon));
		assert_true(same(got.canon, got.raw));
		buf_release(&canon);
	}
}

/* A header longer than what counts is known by the same bytes, in whatever pieces it comes. */
static void test_a_long_header_is_cut_at_one_place(void **state)
{
	struct buf b = { 0 };
	unsigned char header[DIGEST_SIZE];
	struct digest whole;

	(void)state;
	for (int i = 0; buf_len(&b) < 3 * DIGEST_HEADER_MAX; i++)
		buf_printf(&b, "Received: from a by b; %d\r\n", i);
	digest_of_header((struct slice){ buf_slice(&b).p, 2 * DIGEST_HEADER_MAX }, header);
	buf_add_str(&b, "\r\nbody\r\n");
	whole = digest_of(buf_slice(&b));
	assert_memory_equal(whole.header, header, DIGEST_SIZE);
	for (size_t piece = 1000; piece < 100000; piece += 33333) {
		struct digest d = digest_in_pieces(buf_slice(&b), piece);

		assert_memory_equal(d.header, header, DIGEST_SIZE);
	}
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_header_is_cut_at_one_place),
		cmocka_unit_test(differences_that_count),
		cmocka_unit_test(pieces_do_not_matter),
		cmocka_unit_test(raw_is_sha256_of_the_bytes),
		cmocka_unit_test(a_header_alone_gives_the_same),
		cmocka_unit_test(a_stream_starts_afresh),
		cmocka_unit_test(haste_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
