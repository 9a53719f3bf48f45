/* What is left of a refused command goes, whatever the split, and not a byte of the next. */
#include "tests/unit/wire_test.h"

#include "common/wire/swallow.h"

#define LINE_MAX 64

static const char next[] = "b NOOP\r\n";

/* Feeds all but keeps what is not taken, as a stream does. Returns how many bytes went. */
static size_t feed(struct imap_swallow *w, struct slice s, size_t cut, enum wire *verdict)
{
	size_t have = MIN(cut, s.n), gone = 0, take;

	for (;;) {
		char *p = exact((struct slice){ s.p + gone, have - gone });

		*verdict = imap_swallow(w, p, have - gone, LINE_MAX, &take);
		free(p);
		gone += take;
		if (*verdict != WIRE_MORE || have == s.n)
			return gone;
		have = s.n;
	}
}

static void check(struct imap_swallow start, struct slice left, enum wire want)
{
	struct buf all = { 0 };

	buf_add(&all, left.p, left.n);
	buf_add_str(&all, next);
	for (size_t cut = 0; cut <= buf_len(&all); cut++) {
		struct imap_swallow w = start;
		enum wire got;
		size_t gone = feed(&w, buf_slice(&all), cut, &got);

		if (got != want || (want == WIRE_DONE && gone != left.n))
			fail_msg("\"%s\" cut at %zu: %d, %zu gone", left.p, cut, (int)got,
				 gone);
		assert_false(imap_swallowing(&w));
	}
	buf_release(&all);
}

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"

static void literals_go_with_their_lines(void **state UNUSED)
{
	static const struct {
		size_t literal;
		struct slice left;
		enum wire want;
	} rows[] = {
		{ 4, SLICE("anna\r\n"), WIRE_DONE },
		{ 4, SLICE("anna\n"), WIRE_DONE },
		{ 0, SLICE(" x\r\n"), WIRE_DONE },
		{ 6, SLICE("a\r\nb\r\n\r\n"), WIRE_DONE },
		{ 4, SLICE("anna {3+}\r\nx\r\n)\r\n"), WIRE_DONE },
		{ 4, SLICE("anna {3}\r\n"), WIRE_DONE }, /* it hears NO and sends nothing */
		{ 4, SLICE("anna \"{3+}\"\r\n"), WIRE_DONE },
		{ 4, SLICE("anna \"x {3+}\r\n"), WIRE_BAD },
		{ 4, SLICE("anna " LONG "\r\n"), WIRE_DONE },
		{ 4, SLICE("anna " LONG " {3+}\r\n"), WIRE_BAD },
		{ 4, SLICE("anna {999999+}\r\n"), WIRE_BAD },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct imap_swallow w;

		assert_int_equal(imap_swallow_literal(&w, LIT_PLUS, rows[i].literal), 0);
		assert_true(imap_swallowing(&w));
		check(w, rows[i].left, rows[i].want);
	}
}

static void nothing_follows_a_literal_that_waits(void **state UNUSED)
{
	struct imap_swallow w;

	assert_int_equal(imap_swallow_literal(&w, LIT_SYNC, 5), 0);
	assert_false(imap_swallowing(&w));
	assert_int_equal(imap_swallow_literal(&w, LIT_PLUS, IMAP_SWALLOW_MAX + 1), -1);
}

static void long_lines_go_to_their_end(void **state UNUSED)
{
	struct imap_swallow w;

	imap_swallow_line(&w, false);
	check(w, SLICE(LONG LONG "\r\n"), WIRE_DONE);
	/* Whether this is a literal depends on quotes that are gone. */
	check(w, SLICE(LONG LONG " {3+}\r\n"), WIRE_BAD);
	imap_swallow_line(&w, true);
	check(w, SLICE(LONG LONG " {3+}\r\n"), WIRE_DONE);
}

static void there_is_an_end_to_patience(void **state UNUSED)
{
	char *p = malloc(IMAP_SWALLOW_MAX + 32);
	struct imap_swallow w;
	size_t take;

	memset(p, 'x', IMAP_SWALLOW_MAX + 32);
	imap_swallow_line(&w, true);
	assert_int_equal(imap_swallow(&w, p, IMAP_SWALLOW_MAX + 32, LINE_MAX, &take), WIRE_BAD);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals_go_with_their_lines),
		cmocka_unit_test(nothing_follows_a_literal_that_waits),
		cmocka_unit_test(long_lines_go_to_their_end),
		cmocka_unit_test(there_is_an_end_to_patience),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
