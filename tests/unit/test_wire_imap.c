/* IMAP lines, commands, strings, replies and capability lists, each at every split. */
#include "tests/unit/wire_test.h"

#include "common/wire/imap.h"

#define LIMIT 8192

/* ---- lines */

static const struct {
	struct slice bytes;
	enum wire want;
	enum imap_literal tail;
	uint64_t literal;
} lines[] = {
	{ SLICE("a NOOP\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a NOOP\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {5}\r\n"), WIRE_DONE, LIT_SYNC, 5 },
	{ SLICE("a LOGIN {5}\n"), WIRE_DONE, LIT_SYNC, 5 },
	{ SLICE("a LOGIN {0}\r\n"), WIRE_DONE, LIT_SYNC, 0 },
	{ SLICE("a LOGIN {0005+}\r\n"), WIRE_DONE, LIT_PLUS, 5 },
	{ SLICE("a APPEND x ~{7+}\r\n"), WIRE_DONE, LIT_PLUS, 7 },
	{ SLICE("a APPEND x (~{7}\r\n"), WIRE_DONE, LIT_SYNC, 7 },
	{ SLICE("{1}\r\n"), WIRE_DONE, LIT_SYNC, 1 },
	{ SLICE("* 1 FETCH (BODY[]{9999999999}\r\n"), WIRE_DONE, LIT_SYNC, 9999999999 },
	{ SLICE("* 1 FETCH (BODY[]<0>{9}\r\n"), WIRE_DONE, LIT_SYNC, 9 },
	{ SLICE("a X (\"a\"\"b\" {2}\r\n"), WIRE_DONE, LIT_SYNC, 2 },
	/* not at the end, or not a length: text */
	{ SLICE("a LOGIN {5} \r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {5}\r\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {5}\"\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {+}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {-1}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {5-}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN {5++}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN { 5}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN 5}\r\n"), WIRE_DONE, LIT_NONE, 0 },
	/* quotes around and before braces */
	{ SLICE("a LOGIN x \"{5}\"\r\n"), WIRE_DONE, LIT_NONE, 0 },
	{ SLICE("a LOGIN \"{5}\" {6}\r\n"), WIRE_DONE, LIT_SYNC, 6 },
	{ SLICE("a LOGIN \"a\\\"b\" {6}\r\n"), WIRE_DONE, LIT_SYNC, 6 },
	{ SLICE("a LOGIN \"a\\\\\" {6}\r\n"), WIRE_DONE, LIT_SYNC, 6 },
	/* servers disagree whether these announce a literal */
	{ SLICE("a LOGIN \"x {5}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN \"a\\\" {5+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN a\"b \"c {5+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN \\\"x\" {5+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN foo{5+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN foo~{5+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN {1}{5+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	/* lengths nobody means */
	{ SLICE("a LOGIN {99999999999}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN {00000000005}\r\n"), WIRE_BAD, LIT_NONE, 0 },
	{ SLICE("a LOGIN {18446744073709551621+}\r\n"), WIRE_BAD, LIT_NONE, 0 },
};

static void line_at_every_split(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct slice s = lines[i].bytes;

		for (size_t n = 0; n <= s.n; n++) {
			char *p = exact((struct slice){ s.p, n });
			struct imap_line line;
			enum wire w = imap_line(p, n, LIMIT, &line);

			if (w != (n < s.n ? WIRE_MORE : lines[i].want))
				fail_msg("line %zu at %zu of \"%s\": %d", i, n, s.p, (int)w);
			free(p);
			if (w != WIRE_DONE)
				continue;
			assert_int_equal(line.len, s.n);
			if (line.tail != lines[i].tail || line.literal != lines[i].literal)
				fail_msg("tail %d of \"%s\"", (int)line.tail, s.p);
		}
	}
}

static void line_ends_at_the_first_lf(void **state UNUSED)
{
	struct imap_line line;

	assert_int_equal(imap_line("a {3}\nb {4}\n", 12, LIMIT, &line), WIRE_DONE);
	assert_int_equal(line.len, 6);
	assert_int_equal(line.literal, 3);
}

static void line_has_a_limit(void **state UNUSED)
{
	struct imap_line line;

	assert_int_equal(imap_line("abc\r\n", 5, 5, &line), WIRE_DONE);
	assert_int_equal(imap_line("abc\r\n", 5, 4, &line), WIRE_BAD);
	assert_int_equal(imap_line("abcd", 4, 4, &line), WIRE_BAD);
	assert_int_equal(imap_line("abc", 3, 4, &line), WIRE_MORE);
	assert_int_equal(imap_line("", 0, 0, &line), WIRE_BAD);
}

static void status_text_is_no_literal(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum wire want;
		enum imap_literal tail;
	} rows[] = {
		{ "* OK try again {5}\r\n", WIRE_DONE, LIT_NONE },
		{ "* ok [ALERT] don't say \"hi {5}\r\n", WIRE_DONE, LIT_NONE },
		{ "* BYE {5}\r\n", WIRE_DONE, LIT_NONE },
		{ "* PREAUTH x{5}\r\n", WIRE_DONE, LIT_NONE },
		{ "a1 NO [X] {5}\r\n", WIRE_DONE, LIT_NONE },
		{ "a1 BAD {5}\r\n", WIRE_DONE, LIT_NONE },
		{ "+ go on {5}\r\n", WIRE_DONE, LIT_NONE },
		{ "* LIST () \"/\" {5}\r\n", WIRE_DONE, LIT_SYNC },
		{ "* 1 FETCH (BODY[HEADER.FIELDS (\"X\")] {5}\r\n", WIRE_DONE, LIT_SYNC },
		{ "* 1 FETCH (ENVELOPE (\"d\" \"OK {5}\" NIL) X {6}\r\n", WIRE_DONE, LIT_SYNC },
		{ "* OKAY {5}\r\n", WIRE_DONE, LIT_SYNC },
		{ "* LIST () \"/ {5}\r\n", WIRE_BAD, LIT_NONE },
		{ "* LIST () \"/", WIRE_MORE, LIT_NONE },
	};
	struct imap_line line;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice s = slice_of(rows[i].line);

		assert_int_equal(imap_reply_line(s.p, s.n, LIMIT, &line), rows[i].want);
		if (line.tail != rows[i].tail)
			fail_msg("tail %d of %s", (int)line.tail, s.p);
	}
}

/* ---- extents */

static const struct {
	struct slice bytes;
	size_t plus[2]; /* where answers "+" are wanted, 0: none */
} extents[] = {
	{ SLICE("a NOOP\r\n"), { 0, 0 } },
	{ SLICE("a LOGIN \"anna\" \"x{5}\"\n"), { 0, 0 } },
	{ SLICE("a LOGIN {4}\r\nanna {6}\r\nse\r\ncr\r\n"), { 13, 23 } },
	{ SLICE("a LOGIN {4+}\r\nanna {6+}\r\nsecret\r\n"), { 0, 0 } },
	{ SLICE("a LOGIN {4+}\r\nanna {6}\r\nsecret\r\n"), { 24, 0 } },
	{ SLICE("a LOGIN {0}\r\n \"x\"\r\n"), { 13, 0 } },
	{ SLICE("a APPEND x ~{4}\r\n\0\0\r\n\r\n"), { 17, 0 } },
	{ SLICE("a LOGIN {5}\r\n {9}\r x\r\n"),
	  { 13, 0 } }, /* a length inside a literal is none */
};

static void extent_at_every_split(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(extents); i++) {
		struct slice s = extents[i].bytes;
		size_t asked = 0, last = 0;

		for (size_t n = 0; n <= s.n; n++) {
			char *p = exact((struct slice){ s.p, n });
			struct imap_extent x;
			enum wire w = imap_extent(p, n, s.n, &x);

			if (w != (n < s.n ? WIRE_MORE : WIRE_DONE))
				fail_msg("extent %zu at %zu: %d", i, n, (int)w);
			free(p);
			if (x.want_plus && x.plus_at != last) {
				assert_true(asked < 2);
				assert_int_equal(x.plus_at, extents[i].plus[asked]);
				/* at once when the announcing line is whole: the client waits
				 */
				assert_int_equal(n, x.plus_at);
				asked++;
				last = x.plus_at;
			}
			if (w == WIRE_DONE)
				assert_int_equal(x.len, s.n);
		}
		assert_true(asked == 2 || extents[i].plus[asked] == 0);
	}
}

static void extent_leaves_what_is_pipelined(void **state UNUSED)
{
	struct slice s = SLICE("a LOGIN {4+}\r\nanna x\r\nb SELECT INBOX\r\n");
	struct imap_extent x;

	assert_int_equal(imap_extent(s.p, s.n, LIMIT, &x), WIRE_DONE);
	assert_int_equal(x.len, 22);
}

static void extent_has_a_limit(void **state UNUSED)
{
	static const struct slice bad[] = {
		SLICE("a LOGIN {8192}\r\n"),
		SLICE("a LOGIN {8176}\r\n"), /* fits, but no line end behind it would */
		SLICE("a LOGIN {9999999999+}\r\n"),
		SLICE("a LOGIN {1}\r\nx {8170}\r\n"),
		SLICE("a NO\0OP\r\n"),
		SLICE("\0"),
		SLICE("a LOGIN {1}\r\nx y\0"),
	};
	struct imap_extent x;

	for (size_t i = 0; i < COUNT(bad); i++) {
		if (imap_extent(bad[i].p, bad[i].n, LIMIT, &x) != WIRE_BAD)
			fail_msg("row %zu: %s", i, bad[i].p);
		assert_false(x.want_plus);
		assert_int_equal(x.excess, i < 4 ? EXCESS_LITERAL : EXCESS_NONE);
	}
	assert_int_equal(imap_extent("a LOGIN {8175}\r\n", 16, LIMIT, &x), WIRE_MORE);
	assert_true(x.want_plus);
	assert_int_equal(imap_extent("", 0, 0, &x), WIRE_BAD);
}

/* What is needed to answer and to go on with the next command. */
static void extent_says_what_was_too_long(void **state UNUSED)
{
	struct imap_extent x;

	assert_int_equal(imap_extent("a LOGIN {1}\r\nx {4097+}\r\n", 24, LIMIT, &x), WIRE_BAD);
	assert_int_equal(x.excess, EXCESS_LITERAL);
	assert_int_equal(x.len, 24);
	assert_int_equal(x.tail, LIT_PLUS);
	assert_int_equal(x.literal, 4097);
	assert_int_equal(imap_extent("a LOGIN {4096+}\r\n", 17, LIMIT, &x), WIRE_MORE);
	assert_int_equal(imap_extent("a LOGIN {1}\r\nx yyyyyyy", 22, 22, &x), WIRE_BAD);
	assert_int_equal(x.excess, EXCESS_LINE);
	assert_int_equal(x.len, 14);
}

/* ---- commands */

static void command_is_cut_up(void **state UNUSED)
{
	static const struct {
		const char *line, *tag, *verb, *rest;
	} rows[] = {
		{ "a1 LOGIN anna secret\r\n", "a1", "LOGIN", "anna secret" },
		{ "a1 noop\n", "a1", "noop", "" },
		{ "a1 noop", "a1", "noop", "" },
		{ "a1 noop \r\n", "a1", "noop", "" },
		{ "a1 x  y \r\n", "a1", "x", " y " },
		{ "A.1-_$]~ X-Y=1 {3}\r\nfoo\r\n", "A.1-_$]~", "X-Y=1", "{3}\r\nfoo" },
	};
	struct imap_command c;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice s = slice_of(rows[i].line);

		assert_int_equal(imap_command(s.p, s.n, &c), WIRE_DONE);
		assert_slice(c.tag, rows[i].tag);
		assert_slice(c.verb, rows[i].verb);
		assert_slice(c.rest, rows[i].rest);
	}
}

static void command_is_refused(void **state UNUSED)
{
	static const struct {
		struct slice line;
		const char *tag; /* which may be echoed */
	} rows[] = {
		{ SLICE("\r\n"), "" },
		{ SLICE(""), "" },
		{ SLICE("\n"), "" },
		{ SLICE(" a NOOP\r\n"), "" },
		{ SLICE("* NOOP\r\n"), "" },
		{ SLICE("+ NOOP\r\n"), "" },
		{ SLICE("a+ NOOP\r\n"), "" },
		{ SLICE("%s%n NOOP\r\n"), "" },
		{ SLICE("a\0b NOOP\r\n"), "" },
		{ SLICE("a\tNOOP\r\n"), "" },
		{ SLICE("\xc3\xa4 NOOP\r\n"), "" },
		{ SLICE("a(1) NOOP\r\n"), "" },
		{ SLICE("a\"b NOOP\r\n"), "" },
		{ SLICE("0123456789012345678901234567890123456789012345678901234567890123x "
			"N\r\n"),
		  "" },
		{ SLICE("a1\r\n"), "a1" },
		{ SLICE("a1 \r\n"), "a1" },
		{ SLICE("a1  COMPRESS DEFLATE\r\n"), "a1" },
		{ SLICE("a1 \"LOGIN\" x\r\n"), "a1" },
		{ SLICE("a1 {5+}\r\nLOGIN x\r\n"), "a1" },
		{ SLICE("a1 NO\0OP\r\n"), "a1" },
		{ SLICE("a1 LOGIN\tx\r\n"), "a1" },
	};
	struct imap_command c;

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(rows[i].line);

		if (imap_command(p, rows[i].line.n, &c) != WIRE_BAD)
			fail_msg("took \"%s\"", rows[i].line.p);
		assert_slice(c.tag, rows[i].tag);
		free(p);
	}
}

static void commands_that_lead_past_us(void **state UNUSED)
{
	assert_true(imap_command_refused(slice_of("compress")));
	assert_true(imap_command_refused(slice_of("UNAUTHENTICATE")));
	assert_true(imap_command_refused(slice_of("StartTLS")));
	assert_true(imap_command_refused(slice_of("LOGIN")));
	assert_true(imap_command_refused(slice_of("authenticate")));
	assert_false(imap_command_refused(slice_of("LOGOUT")));
	assert_false(imap_command_refused(slice_of("COMPRES")));
	assert_false(imap_command_refused(slice_of("")));
}

/* ---- strings */

static void astring_is_decoded(void **state UNUSED)
{
	static const struct {
		const char *rest, *want, *left;
	} rows[] = {
		{ "anna secret", "anna", " secret" },
		{ " secret", "secret", "" },
		{ " anna@example.com x", "anna@example.com", " x" },
		{ "DOMAIN\\anna x", "DOMAIN\\anna", " x" },
		{ "100%* x", "100%*", " x" },
		{ "p\xc3\xa4ss", "p\xc3\xa4ss", "" },
		{ "]}~+", "]}~+", "" },
		{ "\"\" x", "", " x" },
		{ "\"a b\" x", "a b", " x" },
		{ "\"a\\\"\\\\b\"", "a\"\\b", "" },
		{ "\"{5}\" x", "{5}", " x" },
		{ "{4}\r\nanna {6}\r\nsecret", "anna", " {6}\r\nsecret" },
		{ " {6}\r\nsecret", "secret", "" },
		{ "{4+}\nan\r\n x", "an\r\n", " x" },
		{ "{0}\r\n x", "", " x" },
		/* what looks like escapes and quotes inside a literal is data */
		{ "{9}\r\nuser\\name x", "user\\name", " x" },
		{ "{5}\r\n\"{3}\" x", "\"{3}\"", " x" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char out[64];
		size_t n;
		char *p = exact(slice_of(rows[i].rest));
		struct slice rest = { p, strlen(rows[i].rest) };

		if (imap_astring(&rest, out, sizeof(out), &n) != WIRE_DONE)
			fail_msg("refused \"%s\"", rows[i].rest);
		assert_slice((struct slice){ out, n }, rows[i].want);
		assert_slice(rest, rows[i].left);
		free(p);
	}
}

static void astring_is_refused(void **state UNUSED)
{
	static const struct slice rows[] = {
		SLICE(""),
		SLICE(" "),
		SLICE("  x"),
		SLICE("\""),
		SLICE("\"a"),
		SLICE("\"a\\"),
		SLICE("\"a\\\""),
		SLICE("\"a\\b\""),
		SLICE("\"a\"b"),
		SLICE("\"a\"\"b\""),
		SLICE("\"a\rb\""),
		SLICE("\"a\nb\""),
		SLICE("\"a\0b\""),
		SLICE("a\0b"),
		SLICE("a\"b"),
		SLICE("a{b"),
		SLICE("(a)"),
		SLICE("a(b"),
		SLICE("a)"),
		SLICE("a\tb"),
		SLICE("a\x7f"),
		SLICE("{4}\r\nann"),
		SLICE("{4}\r\nannab"),
		SLICE("{4}anna"),
		SLICE("{4}\r\n\0nna"),
		SLICE("{x}\r\nanna"),
		SLICE("{}\r\n"),
		SLICE("~{4}\r\nanna"),
		SLICE("{(x {4}\r\nanna"),
		SLICE("{9}\r\n123456789"),
		SLICE("123456789"),
		SLICE("\"123456789\""),
		SLICE("{9999999999}\r\nx"),
		SLICE("{18446744073709551620}\r\nx"),
		SLICE("{"),
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(rows[i]), out[8];
		struct slice rest = { p, rows[i].n };
		size_t n;

		if (imap_astring(&rest, out, sizeof(out), &n) != WIRE_BAD)
			fail_msg("took row %zu: \"%s\"", i, rows[i].p);
		assert_ptr_equal(rest.p, p);
		assert_int_equal(rest.n, rows[i].n);
		assert_int_equal(n, 0);
		free(p);
	}
}

static void astring_takes_what_fits_exactly(void **state UNUSED)
{
	static const char *const rows[] = { "12345678", "\"12345678\"", "{8}\r\n12345678" };

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice rest = slice_of(rows[i]);
		char out[8];
		size_t n;

		assert_int_equal(imap_astring(&rest, out, sizeof(out), &n), WIRE_DONE);
		assert_int_equal(n, 8);
	}
}

static void astring_is_written(void **state UNUSED)
{
	char longest[IMAP_QUOTED_MAX + 1];
	struct buf b = { 0 };

	memset(longest, 'x', sizeof(longest));
	imap_write_astring(&b, slice_of("a\"b\\c"), true);
	assert_buf(&b, "\"a\\\"b\\\\c\"");
	imap_write_astring(&b, slice_of(""), true);
	assert_buf(&b, "\"\"");
	imap_write_astring(&b, slice_of("p\xc3\xa4"), true);
	assert_buf(&b, "{3+}\r\np\xc3\xa4");
	imap_write_astring(&b, slice_of("a\r\nb"), false);
	assert_buf(&b, "{4}\r\na\r\nb");
	imap_write_astring(&b, (struct slice){ longest, IMAP_QUOTED_MAX }, false);
	assert_int_equal(buf_len(&b), IMAP_QUOTED_MAX + 2);
	buf_release(&b);
	imap_write_astring(&b, (struct slice){ longest, IMAP_QUOTED_MAX + 1 }, false);
	assert_int_equal(buf_slice(&b).p[0], '{');
	buf_release(&b);
}

static void astring_survives_the_round_trip(void **state UNUSED)
{
	static const char *const rows[] = { "",	   "a",	   "a b",  "\"",     "\\",
					    "{5}", "{5+}", "\r\n", "a\"\\b", "\xff\x80",
					    "%",   "*",	   "(",	   "NIL" };

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (int plus = 0; plus < 2; plus++) {
			struct buf b = { 0 };
			struct slice rest;
			char out[16];
			size_t n;

			imap_write_astring(&b, slice_of(rows[i]), plus);
			rest = buf_slice(&b);
			assert_int_equal(imap_astring(&rest, out, sizeof(out), &n), WIRE_DONE);
			assert_slice((struct slice){ out, n }, rows[i]);
			assert_int_equal(rest.n, 0);
			buf_release(&b);
		}
	}
}

/* ---- replies */

static void reply_is_classified(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum imap_reply_kind kind;
		enum imap_status status;
		const char *tag, *code, *text;
	} rows[] = {
		{ "* OK ready", REPLY_UNTAGGED, STATUS_OK, "", "", "ready" },
		{ "* OK", REPLY_UNTAGGED, STATUS_OK, "", "", "" },
		{ "* OK ", REPLY_UNTAGGED, STATUS_OK, "", "", "" },
		{ "* ok [CAPABILITY IMAP4rev1 IDLE] hi", REPLY_UNTAGGED, STATUS_OK, "",
		  "CAPABILITY IMAP4rev1 IDLE", "hi" },
		{ "* PREAUTH x", REPLY_UNTAGGED, STATUS_PREAUTH, "", "", "x" },
		{ "* BYE x", REPLY_UNTAGGED, STATUS_BYE, "", "", "x" },
		{ "* NO [ALERT]", REPLY_UNTAGGED, STATUS_NO, "", "ALERT", "" },
		{ "* BAD x", REPLY_UNTAGGED, STATUS_BAD, "", "", "x" },
		{ "* OKAY x", REPLY_UNTAGGED, STATUS_NONE, "", "", "OKAY x" },
		{ "* 5 EXISTS", REPLY_UNTAGGED, STATUS_NONE, "", "", "5 EXISTS" },
		{ "* CAPABILITY A", REPLY_UNTAGGED, STATUS_NONE, "", "", "CAPABILITY A" },
		{ "a1 OK [X]y", REPLY_TAGGED, STATUS_OK, "a1", "X", "y" },
		{ "a1 NO [AUTHENTICATIONFAILED] no", REPLY_TAGGED, STATUS_NO, "a1",
		  "AUTHENTICATIONFAILED", "no" },
		{ "a1 bad", REPLY_TAGGED, STATUS_BAD, "a1", "", "" },
		{ "a1 OK [open", REPLY_TAGGED, STATUS_OK, "a1", "", "[open" },
		{ "a1 OK x [Y]", REPLY_TAGGED, STATUS_OK, "a1", "", "x [Y]" },
		{ "+ go on", REPLY_CONTINUE, STATUS_NONE, "", "", "go on" },
		{ "+", REPLY_CONTINUE, STATUS_NONE, "", "", "" },
		{ "+ ", REPLY_CONTINUE, STATUS_NONE, "", "", "" },
		{ "+idling", REPLY_CONTINUE, STATUS_NONE, "", "", "idling" },
	};
	struct imap_reply r;

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(slice_of(rows[i].line));

		if (imap_reply((struct slice){ p, strlen(rows[i].line) }, &r) != WIRE_DONE)
			fail_msg("refused %s", rows[i].line);
		assert_int_equal(r.kind, rows[i].kind);
		assert_int_equal(r.status, rows[i].status);
		assert_slice(r.tag, rows[i].tag);
		assert_slice(r.code, rows[i].code);
		assert_slice(r.text, rows[i].text);
		free(p);
	}
}

static void reply_is_refused(void **state UNUSED)
{
	static const struct slice rows[] = {
		SLICE(""),
		SLICE("*"),
		SLICE("* "),
		SLICE("*OK x"),
		SLICE("a1"),
		SLICE("a1 "),
		SLICE("a1 BYE x"),
		SLICE("a1 PREAUTH x"),
		SLICE("a1 OKAY x"),
		SLICE("a1 5 EXISTS"),
		SLICE(" OK x"),
		SLICE("* OK x\0y"),
		SLICE("(a) OK x"),
		SLICE("HTTP/1.1 200 OK"),
		SLICE("0123456789012345678901234567890123456789012345678901234567890123x OK"),
	};
	struct imap_reply r;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (imap_reply(rows[i], &r) != WIRE_BAD)
			fail_msg("took \"%s\"", rows[i].p);
}

/* ---- capabilities */

static void capabilities_are_filtered(void **state UNUSED)
{
	static const struct {
		const char *list, *want;
	} rows[] = {
		{ "", "" },
		{ "IMAP4rev1", "IMAP4rev1" },
		{ "IMAP4rev1 COMPRESS=DEFLATE IDLE", "IMAP4rev1 IDLE" },
		{ "  idle   STARTTLS  Move ", "idle Move" },
		{ "AUTH=PLAIN LOGINDISABLED LOGIN-REFERRALS MAILBOX-REFERRALS UNAUTHENTICATE",
		  "" },
		{ "OBJECTID URLAUTH URLAUTH=BINARY JMAPACCESS X-NEW XYZZY", "" },
		{ "QUOTA QUOTA=RES-STORAGE QUOTASET QUOTAX",
		  "QUOTA QUOTA=RES-STORAGE QUOTASET" },
		{ "THREAD=REFS THREAD SORT SORT=X", "THREAD=REFS SORT" },
		{ "LITERAL+ LITERAL- SASL-IR RIGHTS=texk I18NLEVEL=1 CONTEXT=SEARCH "
		  "APPENDLIMIT=9",
		  "LITERAL+ LITERAL- SASL-IR RIGHTS=texk I18NLEVEL=1 CONTEXT=SEARCH "
		  "APPENDLIMIT=9" },
		{ "IDLEX XIDLE ID IDL", "ID" },
		{ "THREAD=a\tb RIGHTS=\x80 THREAD=x]y ACL", "ACL" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = { 0 }, again = { 0 };

		imap_capability_filter(slice_of(rows[i].list), &b);
		imap_capability_filter(buf_slice(&b), &again);
		assert_buf(&again, rows[i].want);
		assert_buf(&b, rows[i].want);
	}
}

static void capabilities_are_found(void **state UNUSED)
{
	assert_true(imap_capability_has(slice_of("IMAP4rev1 sasl-ir IDLE"), "SASL-IR"));
	assert_true(imap_capability_has(slice_of("  IDLE"), "IDLE"));
	assert_false(imap_capability_has(slice_of("IDLE2 XIDLE"), "IDLE"));
	assert_false(imap_capability_has(slice_of(""), "IDLE"));
}

static const struct {
	const char *line, *want; /* NULL: not touched */
} rewrites[] = {
	{ "* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE", "* CAPABILITY IMAP4rev1 IDLE\r\n" },
	{ "* capability x", "* capability \r\n" },
	{ "* CAPABILITY  IDLE ", "* CAPABILITY IDLE\r\n" },
	{ "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi", "* OK [CAPABILITY IMAP4rev1] hi\r\n" },
	{ "a1 OK [CAPABILITY IDLE X] done [Y]", "a1 OK [CAPABILITY IDLE] done [Y]\r\n" },
	{ "a1 ok [capability idle]", "a1 ok [capability idle]\r\n" },
	{ "a1 NO [CAPABILITY X IDLE] no", "a1 NO [CAPABILITY IDLE] no\r\n" },
	{ "* PREAUTH [CAPABILITY X]", "* PREAUTH [CAPABILITY ]\r\n" },
	{ "* OK [CAPABILITY IDLE COMPRESS=DEFLATE", "* OK [CAPABILITY IDLE]\r\n" },
	{ "* OK [CAPABILITY]", "* OK [CAPABILITY ]\r\n" },
	{ "* OK [REFERRAL imap://x/] [CAPABILITY COMPRESS] in", "* OK - [CAPABILITY COMPRESS] in\r\n" },
	{ "a1 NO [REFERRAL imap://x/]gone", "a1 NO gone\r\n" },
	{ "a1 NO [REFERRAL imap://u@other.example.net/x] gone", "a1 NO gone\r\n" },
	{ "* BYE [referral imap://other/] x", "* BYE x\r\n" },
	{ "* OK [REFERRAL imap://other/]", "* OK\r\n" },
	{ "a1 OK [REFERRAL imap://other", "a1 OK\r\n" },
	{ "a1 NO [REFERRALS x] gone", NULL },
	{ "a1 NO [READ-ONLY] [REFERRAL imap://x/] gone", NULL },
	{ "* CAPABILITY", NULL },
	{ "* OK [CAPABILITYX IDLE]", NULL },
	{ "* CAPABILITYX IDLE", NULL },
	{ "* OK CAPABILITY IDLE", NULL },
	{ "a1 CAPABILITY IDLE", NULL },
	{ "* OK hi [CAPABILITY X]", NULL },
	{ "* 5 EXISTS", NULL },
	{ "+ CAPABILITY X", NULL },
	{ "+ OK [CAPABILITY X]", NULL },
	{ "* LIST () \"/\" \"CAPABILITY X\"", NULL },
	{ "", NULL },
	{ "*", NULL },
};

static void capability_lines_are_rewritten(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(rewrites); i++) {
		struct slice line = slice_of(rewrites[i].line);
		struct buf b = { 0 }, again = { 0 };
		bool done = imap_capability_rewrite(line, &b);

		assert_int_equal(done, rewrites[i].want != NULL);
		if (done) {
			struct slice once = buf_slice(&b);

			once.n -= 2;
			if (imap_capability_rewrite(once, &again))
				assert_buf(&again, rewrites[i].want);
		}
		assert_buf(&b, rewrites[i].want ? rewrites[i].want : "");
	}
}

static void maybe_is_true_until_it_is_clear(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(rewrites); i++) {
		struct slice line = slice_of(rewrites[i].line);
		bool before = true;

		for (size_t n = 0; n <= line.n; n++) {
			char *p = exact((struct slice){ line.p, n });
			bool now = imap_capability_maybe(p, n);

			if ((rewrites[i].want && !now) || (now && !before))
				fail_msg("at %zu of \"%s\"", n, line.p);
			before = now;
			free(p);
		}
	}
	assert_false(imap_capability_maybe("* 5", 3));
	assert_false(imap_capability_maybe("* OK h", 6));
	assert_false(imap_capability_maybe("a1 C", 4));
	assert_false(imap_capability_maybe("+", 1));
	assert_true(imap_capability_maybe("* C", 3));
	assert_true(imap_capability_maybe("a1 B", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_at_every_split),
		cmocka_unit_test(line_ends_at_the_first_lf),
		cmocka_unit_test(line_has_a_limit),
		cmocka_unit_test(status_text_is_no_literal),
		cmocka_unit_test(extent_at_every_split),
		cmocka_unit_test(extent_leaves_what_is_pipelined),
		cmocka_unit_test(extent_has_a_limit),
		cmocka_unit_test(extent_says_what_was_too_long),
		cmocka_unit_test(command_is_cut_up),
		cmocka_unit_test(command_is_refused),
		cmocka_unit_test(commands_that_lead_past_us),
		cmocka_unit_test(astring_is_decoded),
		cmocka_unit_test(astring_is_refused),
		cmocka_unit_test(astring_takes_what_fits_exactly),
		cmocka_unit_test(astring_is_written),
		cmocka_unit_test(astring_survives_the_round_trip),
		cmocka_unit_test(reply_is_classified),
		cmocka_unit_test(reply_is_refused),
		cmocka_unit_test(capabilities_are_filtered),
		cmocka_unit_test(capabilities_are_found),
		cmocka_unit_test(capability_lines_are_rewritten),
		cmocka_unit_test(maybe_is_true_until_it_is_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
