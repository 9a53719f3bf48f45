/* The ladder of repairs: what each changes, that it says so, and that it changes nothing else.
 */
#include "tests/unit/wire_test.h"

#include "sync/refusal.h"
#include "sync/repair.h"

#define ALL (REPAIR_NUL | REPAIR_NEWLINES | REPAIR_HEADER | REPAIR_EIGHT_BIT | REPAIR_LINES)

static int gather(struct slice bytes, void *arg, struct err *e UNUSED)
{
	buf_add(arg, bytes.p, bytes.n);
	return 0;
}

struct result {
	struct buf bytes, receipt;
	unsigned done;
};

static void result_release(struct result *r)
{
	buf_release(&r->bytes);
	buf_release(&r->receipt);
}

/* In pieces of `step` bytes. */
static struct result repaired(unsigned steps, struct slice in, size_t step)
{
	struct result out = { 0 };
	struct repair *r = repair_new(steps, gather, &out.bytes);
	struct err e = { 0 };

	for (size_t i = 0; i < in.n; i += step)
		assert_int_equal(
			repair_feed(r, (struct slice){ in.p + i, MIN(step, in.n - i) }, &e), 0);
	assert_int_equal(repair_end(r, &e), 0);
	out.done = repair_done(r);
	repair_receipt(r, &out.receipt);
	repair_free(&r);
	return out;
}

static void assert_bytes(struct slice got, struct slice want, struct slice in)
{
	if (got.n != want.n || (want.n && memcmp(got.p, want.p, want.n) != 0))
		fail_msg("of \"%.*s\" came \"%.*s\", not \"%.*s\"", (int)in.n, in.p, (int)got.n,
			 got.p, (int)want.n, want.p);
}

#define FROM(text)	SLICE(text)
#define UNCHANGED(text) SLICE(text), SLICE(text), ""

static const struct {
	unsigned step;
	struct slice in, want;
	const char *receipt;
} rows[] = {
	{ REPAIR_NUL, SLICE("a: b\0c\r\n\r\n\0"),
	  SLICE("a: b\x80"
		"c\r\n\r\n\x80"),
	  "2 NUL made 0x80 at 4, 10" },
	{ REPAIR_NUL, UNCHANGED("a: b\n\r\r\n") },

	{ REPAIR_NEWLINES, SLICE("a: b\n\nc\n"), SLICE("a: b\r\n\r\nc\r\n"),
	  "3 line end made CRLF at 4, 5, 7" },
	{ REPAIR_NEWLINES, SLICE("a: b\r\n\r\nc\rd\r\n"), SLICE("a: b\r\n\r\nc\r\nd\r\n"),
	  "1 line end made CRLF at 9" },
	{ REPAIR_NEWLINES, SLICE("a: b\r\r\nc: d\r\r\r\n\r\r\ne\r\n"),
	  SLICE("a: b\r\nc: d\r\n\r\ne\r\n"), "3 line end made CRLF at 6, 14, 17" },
	{ REPAIR_NEWLINES, SLICE("a: b\rc\r\n\r\nd\r\n"), SLICE("a: b\r\n c\r\n\r\nd\r\n"),
	  "1 line end made CRLF at 4" },
	{ REPAIR_NEWLINES, SLICE("a: b\r\n\r\nc"), SLICE("a: b\r\n\r\nc\r\n"),
	  "1 line end added at the end at 9" },
	{ REPAIR_NEWLINES, SLICE("a: b\r\n\r\nc\r"), SLICE("a: b\r\n\r\nc\r\n"),
	  "1 line end made CRLF at 9" },
	{ REPAIR_NEWLINES, UNCHANGED("a: b\r\n\r\n\r\n\0\x80\r\n") },
	{ REPAIR_NEWLINES, UNCHANGED("") },

	{ REPAIR_HEADER, SLICE("From x Mon\r\na: b\r\n\r\n"),
	  SLICE("X-From-Line: x Mon\r\na: b\r\n\r\n"), "1 line \"From \" made a field at 0" },
	{ REPAIR_HEADER, SLICE("a: b\r\nno field\r\nc: d\r\n\r\ne\r\n"),
	  SLICE("a: b\r\nX-Unparsed-Header: no field\r\nc: d\r\n\r\ne\r\n"),
	  "1 line of the header made a field at 6" },
	{ REPAIR_HEADER, SLICE("a: b\r\nDear Ann,\r\nhello\r\n: x\r\n"),
	  SLICE("a: b\r\n\r\nDear Ann,\r\nhello\r\n: x\r\n"),
	  "1 empty line put in behind the header at 6" },
	{ REPAIR_HEADER, SLICE("a: b\r\n"), SLICE("a: b\r\n\r\n"),
	  "1 empty line put in behind the header at 6" },
	{ REPAIR_HEADER, SLICE("a: b"), SLICE("a: b\r\n\r\n"),
	  "1 empty line put in behind the header at 4" },
	{ REPAIR_HEADER, SLICE("a: b\r\nlast"), SLICE("a: b\r\n\r\nlast"),
	  "1 empty line put in behind the header at 6" },
	{ REPAIR_HEADER, SLICE(" folded first\r\na: b\r\n\r\n"),
	  SLICE("X-Unparsed-Header:  folded first\r\na: b\r\n\r\n"),
	  "1 line of the header made a field at 0" },
	{ REPAIR_HEADER,
	  UNCHANGED("a: b\r\n \r\n c\r\nd : e\r\n\r\nFrom here\r\nno field\r\n") },
	{ REPAIR_HEADER, UNCHANGED("a: b\n\nno field\n") },
	{ REPAIR_HEADER, UNCHANGED("\r\nno header\r\n") },
	{ REPAIR_HEADER, UNCHANGED("") },

	{ REPAIR_EIGHT_BIT,
	  SLICE("Subject: Gr\xc3\xbc\xc3\x9f"
		"e aus K\xc3\xb6ln\r\n\r\n\xc3\xbc"),
	  SLICE("Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?= aus =?UTF-8?Q?K=C3=B6ln?=\r\n\r\n\xc3\xbc"),
	  "2 8-bit word of the header encoded at 9, 21" },
	{ REPAIR_EIGHT_BIT, SLICE("a: \xe4 \xf6\r\n \xfc b\r\n\r\n"),
	  SLICE("a: =?unknown-8bit?Q?=E4?= =?unknown-8bit?Q?_=F6?=\r\n =?unknown-8bit?Q?=FC?= b\r\n\r\n"),
	  "3 8-bit word of the header encoded at 3, 5, 9" },
	{ REPAIR_EIGHT_BIT, SLICE("a:\xff\r\n\r\n"), SLICE("a:=?unknown-8bit?Q?=FF?=\r\n\r\n"),
	  "1 8-bit word of the header encoded at 2" },
	{ REPAIR_EIGHT_BIT, UNCHANGED("a: b\r\n\r\n\xfc\r\n") },

	{ REPAIR_LINES, UNCHANGED("a: b\r\n\r\nc\n\0d") },
};

static void each_repair_does_its_own(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t step = 1; step <= rows[i].in.n + 1; step++) {
			struct result r = repaired(rows[i].step, rows[i].in, step);

			assert_bytes(buf_slice(&r.bytes), rows[i].want, rows[i].in);
			assert_bytes(buf_slice(&r.receipt), slice_of(rows[i].receipt),
				     rows[i].in);
			assert_int_equal(r.done, *rows[i].receipt ? rows[i].step : 0);
			result_release(&r);
		}
}

/* A sound message goes through the whole ladder as it is. */
static void sound_messages_stay(void **state UNUSED)
{
	static const struct slice sound = SLICE(
		"Received: from a\r\n\tby b\r\nSubject: x\r\n\r\nFrom here on:\r\n.\r\n..\r\n\xfc\r\n");
	struct result r = repaired(ALL, sound, 7);

	assert_bytes(buf_slice(&r.bytes), sound, sound);
	assert_int_equal(r.done, 0);
	result_release(&r);
}

/* What was mended once needs no second time. */
static void a_repair_is_final(void **state UNUSED)
{
	static const struct slice worst = SLICE(
		"From x\na\xfc: b\0\rc\nd: \xc3\xa4\xc3\xb6 \xc3\xbc\nhello\nyou\r\r\nend");
	struct result once = repaired(ALL, worst, 5),
		      twice = repaired(ALL, buf_slice(&once.bytes), 3);

	assert_int_equal(twice.done, 0);
	assert_bytes(buf_slice(&twice.bytes), buf_slice(&once.bytes), worst);
	result_release(&once);
	result_release(&twice);
}

/* Lines of any length come out as lines that RFC 5322 allows, and nothing of them is lost. */
static void long_lines_are_wrapped(void **state UNUSED)
{
	struct buf in = { 0 }, words = { 0 };
	struct result r;
	struct slice out;
	size_t begin = 0;

	buf_add_str(&in, "Subject: ");
	for (int i = 0; i < 600; i++)
		buf_add_str(&in, "word ");
	buf_add_str(&in, "\r\n\r\n");
	for (int i = 0; i < 5000; i++)
		buf_add_str(&in, "x\xc3\xbc");
	r = repaired(REPAIR_LINES, buf_slice(&in), 1000);
	out = buf_slice(&r.bytes);
	for (size_t i = 0; i < out.n; i++) {
		if (out.p[i] != '\n')
			continue;
		assert_true(i - begin <= REPAIR_WRAP + 1);
		assert_true(((unsigned char)out.p[i + 1] & 0xc0) !=
			    0x80); /* no torn character */
		begin = i + 1;
	}
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] != '\r' && out.p[i] != '\n')
			buf_add(&words, out.p + i, 1);
	assert_int_equal(buf_len(&words), buf_len(&in) - 4);
	assert_int_equal(r.done, REPAIR_LINES);
	result_release(&r);
	buf_release(&in);
	buf_release(&words);
}

/* A receipt names so many places; the count goes on. */
static void receipts_have_a_limit(void **state UNUSED)
{
	struct buf in = { 0 };
	struct result r;
	struct slice text;

	buf_add_str(&in, "a: b\r\n\r\n");
	for (int i = 0; i < REPAIR_PLACES_MAX + 1; i++)
		buf_add(&in, "", 1);
	r = repaired(REPAIR_NUL, buf_slice(&in), 64);
	text = buf_slice(&r.receipt);
	assert_true(slice_starts_nocase(text, "101 NUL made 0x80 at 8, 9, "));
	assert_memory_equal(text.p + text.n - 8, ", 107 …" + 1, 7);
	result_release(&r);
	buf_release(&in);
}

static int refuse(struct slice bytes UNUSED, void *arg UNUSED, struct err *e)
{
	return err_set(e, ERR_STORE, "disk full");
}

static void a_sink_may_fail(void **state UNUSED)
{
	struct repair *r = repair_new(ALL, refuse, NULL);
	struct buf in = { 0 };
	struct err e = { 0 };

	for (int i = 0; i < 10000; i++)
		buf_add_str(&in, "a: b\r\n");
	assert_int_equal(repair_feed(r, buf_slice(&in), &e), -1);
	assert_int_equal(e.kind, ERR_STORE);
	assert_int_equal(repair_end(r, &e), -1);
	repair_free(&r);
	buf_release(&in);
}

/* The fixed ladder: single repairs before several, and none twice. */
static void rungs_are_in_order(void **state UNUSED)
{
	bool seen[32] = { false };
	int bits = 0;

	for (int i = 0; i < REPAIR_RUNGS; i++) {
		unsigned mask = repair_rung(i);

		assert_true(mask && !seen[mask]);
		seen[mask] = true;
		assert_true(__builtin_popcount(mask) >= bits);
		bits = __builtin_popcount(mask);
	}
}

static void servers_are_understood(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum refusal want;
	} said[] = {
		{ "a NO [TOOBIG] Message too large", REFUSAL_SIZE },
		{ "a NO Message size exceeds fixed maximum message size", REFUSAL_SIZE },
		{ "a NO Virus Eicar found", REFUSAL_POLICY },
		{ "a NO [ALERT] refused by Policy", REFUSAL_POLICY },
		{ "a NO [NOPERM] Permission denied", REFUSAL_FOLDER },
		{ "a NO Mailbox is read-only", REFUSAL_FOLDER },
		{ "a NO Message contains bare newlines", REFUSAL_CONTENT },
		{ "a NO Can't save a zero byte message", REFUSAL_CONTENT },
		{ "a BAD Syntax error", REFUSAL_CONTENT },
	};

	for (size_t i = 0; i < COUNT(said); i++) {
		struct imap_reply r;

		assert_int_equal(imap_reply(slice_of(said[i].line), &r), WIRE_DONE);
		if (refusal_of(&r) != said[i].want)
			fail_msg("%s: %d", said[i].line, refusal_of(&r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_repair_does_its_own),
		cmocka_unit_test(sound_messages_stay),
		cmocka_unit_test(a_repair_is_final),
		cmocka_unit_test(long_lines_are_wrapped),
		cmocka_unit_test(receipts_have_a_limit),
		cmocka_unit_test(a_sink_may_fail),
		cmocka_unit_test(rungs_are_in_order),
		cmocka_unit_test(servers_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
