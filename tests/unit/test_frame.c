/*
 * What servers send, decent and hostile: each line ends in a frame or in an error, never in a
 * crash, a hang or memory without end. The hostile ones each killed or hung libetpan's own
 * stream reader.
 */
#include "tests/unit/wire_test.h"

#include <libetpan/libetpan.h>
#include <sys/resource.h>

#include "sync/frame.h"

#define STOP (-1) /* no further frame: an error */

/* What the sink saw. */
struct seen {
	struct buf bytes;
	uint64_t announced;
	int begun, ended;
	bool refuse;
};

static int seen_begin(void *arg, struct slice before UNUSED, uint64_t size, struct err *e)
{
	struct seen *s = arg;

	s->announced = size;
	s->begun++;
	return s->refuse ? err_set(e, ERR_LIMIT, "not this one") : 0;
}

static int seen_bytes(void *arg, struct slice bytes, struct err *e UNUSED)
{
	buf_add(&((struct seen *)arg)->bytes, bytes.p, bytes.n);
	return 0;
}

static int seen_end(void *arg, struct err *e UNUSED)
{
	((struct seen *)arg)->ended++;
	return 0;
}

struct fixture {
	struct transport *t;
	struct frame_reader *r;
	struct frame_sink sink;
	struct seen seen;
};

static void fixture_start(struct fixture *x, struct slice bytes)
{
	*x = (struct fixture){ .t = transport_of_bytes(bytes) };
	x->r = frame_reader_new(x->t);
	x->sink = (struct frame_sink){ seen_begin, seen_bytes, seen_end, &x->seen };
	frame_set_sink(x->r, &x->sink);
}

static void fixture_end(struct fixture *x)
{
	buf_release(&x->seen.bytes);
	frame_reader_free(&x->r);
	transport_free(&x->t);
}

/* ---- one line each */

static const struct {
	struct slice bytes;
	int want; /* enum frame_kind, or STOP */
	enum err_kind error;
} lines[] = {
	{ SLICE("a1 OK done\r\n"), FRAME_TAGGED, 0 },
	{ SLICE("a1 NO [ALERT] {5}\r\n"), FRAME_TAGGED, 0 },
	{ SLICE("* OK [UIDVALIDITY 1] x\r\n"), FRAME_STATUS, 0 },
	{ SLICE("* BYE\n"), FRAME_STATUS, 0 },
	{ SLICE("+ go on\r\n"), FRAME_CONTINUE, 0 },
	{ SLICE("+\r\n"), FRAME_CONTINUE, 0 },
	{ SLICE("* 3 EXISTS\r\n"), FRAME_DATA, 0 },
	{ SLICE("* 3 EXISTS\n"), FRAME_DATA, 0 },
	{ SLICE("* LIST (\\Sent) \"/\" {5}\r\na \"b]\r\n"), FRAME_DATA, 0 },
	{ SLICE("* SEARCH\r\n"), FRAME_DATA, 0 },
	{ SLICE("* FLAGS (\\Seen a]b)\r\n"), FRAME_DATA, 0 },
	{ SLICE("* STATUS x (MESSAGES 1 HIGHESTMODSEQ 99999999999)\r\n"), FRAME_DATA, 0 },
	/* data that the parser does not know is skipped */
	{ SLICE("* XFOO bar\r\n"), FRAME_OTHER, 0 },
	{ SLICE("* ESEARCH (TAG \"a\") UID ALL 1:4\r\n"), FRAME_OTHER, 0 },
	{ SLICE("* STATUS x (SIZE 4)\r\n"), FRAME_OTHER, 0 },
	{ SLICE("* 1 FETCH (SAVEDATE \"x\")\r\n"), FRAME_OTHER, 0 },
	{ SLICE("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"), FRAME_OTHER, 0 },
	{ SLICE("* LIST () \"/\" {3}\r\na\0b\r\n"), FRAME_OTHER, 0 },
	{ SLICE("* 1 FETCH (FLAGS (a\0b))\r\n"), FRAME_OTHER, 0 },
	/* crashes of the stock parser */
	{ SLICE("* OK [PERMANENTFLAGS ((] x\r\n"), FRAME_STATUS, 0 },
	{ SLICE("* ANNOTATION x {5}\r\n"), STOP, ERR_TEMP },
	{ SLICE("* NAMESPACE (({3}\r\nab"), STOP, ERR_TEMP },
	/* hangs and allocations of the stock parser */
	{ SLICE("* 1 FETCH (BODY[] {10}\r\nabc"), STOP, ERR_TEMP },
	{ SLICE("* 1 FETCH (ENVELOPE {10}\r\nabc"), STOP, ERR_TEMP },
	{ SLICE("* 1 FETCH (ENVELOPE {4294967290}\r\nabc"), STOP, ERR_LIMIT },
	{ SLICE("* LIST () \"/\" {1048577}\r\n"), STOP, ERR_LIMIT },
	{ SLICE("* 1 FETCH (ENVELOPE {4294967299}\r\nabc)\r\n"), STOP, ERR_LIMIT },
	{ SLICE("* 1 FETCH (BODY[] {2147483647}\r\nabc)\r\n"), STOP, ERR_TEMP },
	{ SLICE("* 1 FETCH (BODY[] {99999999999999999999}\r\nabc)\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("* LIST () \"/\" { 99\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("* LIST () \"/\" {99} x\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("* LIST () \"/\" \"{5}\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("* 3 EXISTS"), STOP, ERR_TEMP },
	/* no IMAP */
	{ SLICE("\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("HTTP/1.1 400 Bad Request\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("a1 FETCH x\r\n"), STOP, ERR_PROTOCOL },
	{ SLICE("\x16\x03\x01\n"), STOP, ERR_PROTOCOL },
};

static void each_line_has_its_answer(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct fixture x;
		struct frame f;
		struct err e = { 0 };
		int got;

		fixture_start(&x, lines[i].bytes);
		got = frame_next(x.r, &f, &e) < 0 ? STOP : (int)f.kind;
		if (got != lines[i].want || e.kind != lines[i].error)
			fail_msg("%.*s: frame %d, %s: %s", (int)lines[i].bytes.n,
				 lines[i].bytes.p, got, err_kind_name(e.kind), e.text);
		if (got != STOP)
			assert_true((f.data != NULL) == (f.kind == FRAME_DATA));
		assert_true(got != STOP || transport_is_broken(x.t));
		assert_int_equal(frame_unknown(x.r), got == FRAME_OTHER);
		/* and what comes after the last one is an end, whatever came before */
		assert_int_equal(frame_next(x.r, &f, &e), -1);
		fixture_end(&x);
	}
}

/* case 28: no number wraps on the way to whoever takes the body. */
static void a_body_may_be_of_any_size(void **state UNUSED)
{
	static const struct {
		struct slice bytes;
		uint64_t size;
	} rows[] = {
		{ SLICE("* 1 FETCH (BODY[] {2147483647}\r\nabc"), 2147483647u },
		{ SLICE("* 1 FETCH (BODY[] {4294967297}\r\nabc"), 4294967297u },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture x;
		struct frame f;
		struct err e = { 0 };

		fixture_start(&x, rows[i].bytes);
		assert_int_equal(frame_next(x.r, &f, &e), -1);
		assert_int_equal(e.kind, ERR_TEMP); /* the server went away in the middle */
		assert_int_equal(x.seen.announced, rows[i].size);
		assert_int_equal(buf_len(&x.seen.bytes), 3);
		fixture_end(&x);
	}
}

/* case 31: what is no date takes nothing else of the answer with it. */
static void a_date_that_is_none_is_left_out(void **state UNUSED)
{
	static const struct slice rows[] = {
		SLICE("* 1 FETCH (UID 7 INTERNALDATE NIL FLAGS (a))\r\n"),
		SLICE("* 1 FETCH (INTERNALDATE \"yesterday\" UID 7 FLAGS (a))\r\n"),
		SLICE("* 1 FETCH (UID 7 FLAGS (a) INTERNALDATE NIL)\r\n"),
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture x;
		struct frame f;
		struct err e = { 0 };

		fixture_start(&x, rows[i]);
		assert_int_equal(frame_next(x.r, &f, &e), 0);
		assert_int_equal(f.kind, FRAME_DATA);
		assert_slice(f.line, "* 1 FETCH (UID 7 FLAGS (a))");
		fixture_end(&x);
	}
}

/* A skipped answer leaves the next ones in step. */
static void unknown_data_keeps_step(void **state UNUSED)
{
	struct fixture x;
	struct frame f;
	struct err e;

	fixture_start(&x, SLICE("* XFOO {4}\r\nab\r\n tail\r\n* 2 EXISTS\r\na1 OK x\r\n"));
	assert_int_equal(frame_next(x.r, &f, &e), 0);
	assert_int_equal(f.kind, FRAME_OTHER);
	assert_int_equal(frame_next(x.r, &f, &e), 0);
	assert_int_equal(f.kind, FRAME_DATA);
	assert_int_equal(frame_next(x.r, &f, &e), 0);
	assert_int_equal(f.kind, FRAME_TAGGED);
	assert_slice(f.reply.tag, "a1");
	fixture_end(&x);
}

static void bodies_go_to_the_sink(void **state UNUSED)
{
	static const struct slice answers[] = {
		SLICE("* 1 FETCH (UID 7 BODY[] {6}\r\n{9}\r\n\0 FLAGS (\\Seen))\r\n"),
		SLICE("* 1 FETCH (BODY[] {6}\r\n{9}\r\n\0 UID 7)\r\n"),
		SLICE("* 1 FETCH (UID 7 BODY[HEADER.FIELDS (A B)] {6}\r\n{9}\r\n\0)\r\n"),
		SLICE("* 1 FETCH (UID 7 body[]<0> {6}\r\n{9}\r\n\0)\r\n"),
	};

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct fixture x;
		struct frame f;
		struct err e;

		fixture_start(&x, answers[i]);
		assert_int_equal(frame_next(x.r, &f, &e), 0);
		assert_int_equal(f.kind, FRAME_DATA);
		assert_int_equal(f.bodies, 1);
		assert_int_equal(x.seen.announced, 6);
		assert_int_equal(x.seen.begun, 1);
		assert_int_equal(x.seen.ended, 1);
		assert_int_equal(buf_len(&x.seen.bytes), 6);
		assert_memory_equal(buf_slice(&x.seen.bytes).p, "{9}\r\n\0", 6);
		assert_null(memchr(f.line.p, '{', f.line.n));
		fixture_end(&x);
	}
}

/* What only looks like a body is none, and NIL and "" are no literals. */
static void other_literals_stay(void **state UNUSED)
{
	static const struct slice answers[] = {
		SLICE("* LIST () \"/\" {3}\r\nabc\r\n"),
		SLICE("* 1 FETCH (UID 7 BODY[] NIL)\r\n"),
		SLICE("* 1 FETCH (UID 7 BODY[] \"abc\")\r\n"),
		SLICE("* 1 FETCH (XBODY[] {3}\r\nabc)\r\n"),
		SLICE("* 1 FETCH (BODY[]{3}\r\nabc)\r\n"),
	};

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct fixture x;
		struct frame f;
		struct err e;

		fixture_start(&x, answers[i]);
		assert_int_equal(frame_next(x.r, &f, &e), 0);
		assert_int_equal(f.bodies, 0);
		assert_int_equal(x.seen.begun, 0);
		fixture_end(&x);
	}
}

static void a_sink_may_refuse(void **state UNUSED)
{
	struct fixture x;
	struct frame f;
	struct err e;

	fixture_start(&x, SLICE("* 1 FETCH (BODY[] {3}\r\nabc)\r\na1 OK x\r\n"));
	x.seen.refuse = true;
	assert_int_equal(frame_next(x.r, &f, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	/* it stands inside a literal: nothing may be read from here */
	assert_int_equal(frame_next(x.r, &f, &e), -1);
	fixture_end(&x);
}

/* ---- sizes */

static void fill(struct buf *b, const char *piece, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_add_str(b, piece);
}

static enum err_kind error_of(struct buf *bytes, size_t line_max)
{
	struct fixture x;
	struct frame f;
	struct err e = { 0 };

	fixture_start(&x, buf_slice(bytes));
	if (line_max)
		frame_set_line_max(x.r, line_max);
	if (frame_next(x.r, &f, &e) == 0)
		e.kind = ERR_NONE;
	fixture_end(&x);
	buf_release(bytes);
	return e.kind;
}

static void long_lines_have_a_limit(void **state UNUSED)
{
	struct buf b = { 0 };

	buf_add_str(&b, "* SEARCH");
	fill(&b, " 1", FRAME_LINE_MAX / 2);
	buf_add_str(&b, "\r\n");
	assert_int_equal(error_of(&b, 0), ERR_LIMIT);
	buf_add_str(&b, "* SEARCH");
	fill(&b, " 1", FRAME_LINE_MAX / 2);
	buf_add_str(&b, "\r\n");
	assert_int_equal(error_of(&b, 2 * FRAME_LINE_MAX), ERR_NONE);
	fill(&b, "x", FRAME_LINE_MAX + 10); /* no end at all */
	assert_int_equal(error_of(&b, 0), ERR_LIMIT);
}

static void nesting_has_a_limit(void **state UNUSED)
{
	struct buf b = { 0 };

	buf_add_str(&b, "* 1 FETCH (BODYSTRUCTURE ");
	fill(&b, "(", 400000);
	buf_add_str(&b, "\r\n");
	assert_int_equal(error_of(&b, 0), ERR_PROTOCOL);
	buf_add_str(&b, "* XFOO ");
	fill(&b, "(", FRAME_DEPTH_MAX);
	buf_add_str(&b, "\r\n");
	assert_int_equal(error_of(&b, 0), ERR_NONE);
	buf_add_str(&b, "* 1 FETCH (BODYSTRUCTURE (\"");
	fill(&b, "(", 1000); /* in quotes they are text */
	buf_add_str(&b, "\"))\r\n");
	assert_int_equal(error_of(&b, 0), ERR_NONE);
}

static long peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* The stock reader keeps every line until the tagged answer. */
static void endless_lines_do_not_grow(void **state UNUSED)
{
	struct buf b = { 0 };
	struct fixture x;
	struct frame f;
	struct err e;
	long before;
	int n = 0;

	fill(&b, "* LIST (\\HasNoChildren) \"/\" \"a rather long name of a folder\"\r\n",
	     200000);
	fixture_start(&x, buf_slice(&b));
	buf_release(&b);
	before = peak_kib();
	while (frame_next(x.r, &f, &e) == 0)
		n++;
	assert_int_equal(n, 200000);
#ifndef __SANITIZE_ADDRESS__ /* whose quarantine is what grows then */
	assert_true(peak_kib() - before < 2048);
#else
	(void)before;
#endif
	fixture_end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_has_its_answer),
		cmocka_unit_test(a_body_may_be_of_any_size),
		cmocka_unit_test(a_date_that_is_none_is_left_out),
		cmocka_unit_test(unknown_data_keeps_step),
		cmocka_unit_test(bodies_go_to_the_sink),
		cmocka_unit_test(other_literals_stay),
		cmocka_unit_test(a_sink_may_refuse),
		cmocka_unit_test(long_lines_have_a_limit),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(endless_lines_do_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
