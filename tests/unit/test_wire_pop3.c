/* POP3 lines, commands, answers and the end of multi-line answers, at every split. */
#include "tests/unit/wire_test.h"

#include "common/wire/pop3.h"

static void line_at_every_split(void **state UNUSED)
{
	static const char *const rows[] = { "USER anna\r\n", "USER anna\n", "\r\n", "\n",
					    "a\rb\r\n" };

	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t whole = strlen(rows[i]), len;

		for (size_t n = 0; n <= whole; n++) {
			char *p = exact((struct slice){ rows[i], n });
			enum wire w = pop3_line(p, n, POP3_LINE_MAX, &len);

			assert_int_equal(w, n < whole ? WIRE_MORE : WIRE_DONE);
			assert_int_equal(len, n < whole ? 0 : whole);
			free(p);
		}
	}
}

static void line_has_a_limit(void **state UNUSED)
{
	size_t len;

	assert_int_equal(pop3_line("abc\r\n", 5, 5, &len), WIRE_DONE);
	assert_int_equal(pop3_line("abc\r\n", 5, 4, &len), WIRE_BAD);
	assert_int_equal(pop3_line("abcd", 4, 4, &len), WIRE_BAD);
	assert_int_equal(pop3_line("abc", 3, 4, &len), WIRE_MORE);
	assert_int_equal(pop3_line("", 0, 0, &len), WIRE_BAD);
}

static void command_is_cut_up(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum pop3_verb verb;
		const char *name, *args;
	} rows[] = {
		{ "USER anna", POP3_USER, "USER", "anna" },
		{ "pass  two blanks  ", POP3_PASS, "pass", " two blanks  " },
		{ "PASS", POP3_PASS, "PASS", "" },
		{ "PASS ", POP3_PASS, "PASS", "" },
		{ "Auth PLAIN AGEAYg==", POP3_AUTH, "Auth", "PLAIN AGEAYg==" },
		{ "CAPA", POP3_CAPA, "CAPA", "" },
		{ "STLS", POP3_STLS, "STLS", "" },
		{ "NOOP", POP3_NOOP, "NOOP", "" },
		{ "QUIT", POP3_QUIT, "QUIT", "" },
		{ "APOP a b", POP3_APOP, "APOP", "a b" },
		{ "STAT", POP3_STAT, "STAT", "" },
		{ "LIST 1", POP3_LIST, "LIST", "1" },
		{ "RETR 1", POP3_RETR, "RETR", "1" },
		{ "DELE 1", POP3_DELE, "DELE", "1" },
		{ "RSET", POP3_RSET, "RSET", "" },
		{ "TOP 1 0", POP3_TOP, "TOP", "1 0" },
		{ "UIDL", POP3_UIDL, "UIDL", "" },
		{ "LAST", POP3_LAST, "LAST", "" },
		{ "UTF8", POP3_UTF8, "UTF8", "" },
		{ "LANG *", POP3_LANG, "LANG", "*" },
		{ "USERX a", POP3_UNKNOWN, "USERX", "a" },
		{ "USE", POP3_UNKNOWN, "USE", "" },
		{ "GET / HTTP/1.1", POP3_UNKNOWN, "GET", "/ HTTP/1.1" },
		{ "RETR\t1", POP3_UNKNOWN, "RETR\t1", "" },
	};
	struct pop3_command c;

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(slice_of(rows[i].line));

		assert_int_equal(pop3_command((struct slice){ p, strlen(rows[i].line) }, &c),
				 WIRE_DONE);
		assert_int_equal(c.verb, rows[i].verb);
		assert_slice(c.name, rows[i].name);
		assert_slice(c.args, rows[i].args);
		free(p);
	}
	assert_int_equal(pop3_command(SLICE(""), &c), WIRE_BAD);
	assert_int_equal(pop3_command(SLICE(" USER a"), &c), WIRE_BAD);
	assert_int_equal(pop3_command(SLICE("USER a\0b"), &c), WIRE_BAD);
	assert_int_equal(pop3_command(SLICE("\0"), &c), WIRE_BAD);
}

static void multiline_answers(void **state UNUSED)
{
	static const struct {
		const char *line;
		bool want;
	} rows[] = {
		{ "CAPA", true },    { "RETR 1", true },   { "TOP 1 0", true },
		{ "LIST", true },    { "LIST ", true },	   { "LIST  \t", true },
		{ "UIDL", true },    { "LANG", true },	   { "LIST 1", false },
		{ "UIDL 1", false }, { "LANG de", false }, { "STAT", false },
		{ "DELE 1", false }, { "QUIT", false },	   { "X", false },
		{ "AUTH", false },
	};
	struct pop3_command c;

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(pop3_command(slice_of(rows[i].line), &c), WIRE_DONE);
		if (pop3_is_multiline(&c) != rows[i].want)
			fail_msg("%s", rows[i].line);
	}
}

static void reply_is_cut_up(void **state UNUSED)
{
	static const struct {
		const char *line;
		bool ok;
		const char *code, *text;
	} rows[] = {
		{ "+OK", true, "", "" },
		{ "+OK ready <1@x>", true, "", "ready <1@x>" },
		{ "+ok [X]y", true, "X", "y" },
		{ "-ERR", false, "", "" },
		{ "-ERR [AUTH] no", false, "AUTH", "no" },
		{ "-ERR [SYS/TEMP] later [X]", false, "SYS/TEMP", "later [X]" },
		{ "-ERR [open", false, "", "[open" },
		{ "-ERR x [IN-USE]", false, "", "x [IN-USE]" },
		{ "-ERR []", false, "", "" },
	};
	static const struct slice bad[] = {
		SLICE(""),     SLICE("+"),    SLICE("+ "),	 SLICE("+ AGE="),
		SLICE("OK"),   SLICE("+OKx"), SLICE("-ERROR"),	 SLICE(" +OK"),
		SLICE("* OK"), SLICE("."),    SLICE("+OK a\0b"), SLICE("+OK[X] a"),
	};
	struct pop3_reply r;

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(slice_of(rows[i].line));

		assert_int_equal(pop3_reply((struct slice){ p, strlen(rows[i].line) }, &r),
				 WIRE_DONE);
		assert_int_equal(r.ok, rows[i].ok);
		assert_slice(r.code, rows[i].code);
		assert_slice(r.text, rows[i].text);
		free(p);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (pop3_reply(bad[i], &r) != WIRE_BAD)
			fail_msg("took \"%s\"", bad[i].p);
}

/* Each answer ends where the text ends, cut into any two pieces; bytes behind it are left
 * alone. */
static void dots_at_every_split(void **state UNUSED)
{
	static const char *const rows[] = {
		".\r\n",
		".\n",
		"a\r\n.\r\n",
		"\r\n\r\n.\r\n",
		"..\r\n.\r\n",
		".a\r\n.\r\n",
		". \r\n.\r\n",
		".\ra\r\n.\r\n",
		".\r\r\n.\r\n",
		"a.\r\n.\r\n",
		"\r.\r\n.\r\n",
		"a\n.\n",
		"...\r\n..\r\n.\r\n",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t whole = strlen(rows[i]);

		for (size_t n = 0; n <= whole; n++) {
			struct pop3_dots d = { 0 };
			char *a = exact((struct slice){ rows[i], n });
			char *b = mem_printf("%s+OK\r\n.\r\n", rows[i] + n);
			bool done;

			assert_int_equal(pop3_dots_feed(&d, a, n, &done), n);
			assert_int_equal(done, n == whole);
			if (!done) {
				assert_int_equal(pop3_dots_feed(&d, b, strlen(b), &done),
						 whole - n);
				assert_true(done);
			}
			assert_int_equal(d.state, 0);
			free(a);
			free(b);
		}
	}
}

static void capabilities_are_found(void **state UNUSED)
{
	struct slice list =
		SLICE("TOP\nsasl PLAIN  XOAUTH2\nEXPIRE NEVER\nUIDL\n\nUSERX\nPIPELINING");

	assert_true(pop3_capa_has(list, "TOP"));
	assert_true(pop3_capa_has(list, "EXPIRE"));
	assert_true(pop3_capa_has(list, "PIPELINING"));
	assert_false(pop3_capa_has(list, "USER"));
	assert_false(pop3_capa_has(list, "NEVER"));
	assert_false(pop3_capa_has(SLICE(""), "TOP"));
	assert_true(pop3_capa_sasl(list, "plain"));
	assert_true(pop3_capa_sasl(list, "XOAUTH2"));
	assert_false(pop3_capa_sasl(list, "XOAUTH"));
	assert_false(pop3_capa_sasl(list, "NEVER"));
}

static void capabilities_have_arguments(void **state UNUSED)
{
	struct slice list = SLICE("TOP\nexpire 0 USER\nLOGIN-DELAY 900\nUIDL"), args;

	assert_true(pop3_capa_args(list, "EXPIRE", &args));
	assert_slice(args, "0 USER");
	assert_true(pop3_capa_args(list, "LOGIN-DELAY", &args));
	assert_slice(args, "900");
	assert_true(pop3_capa_args(list, "UIDL", &args));
	assert_slice(args, "");
	assert_false(pop3_capa_args(list, "900", &args));
}

static void listed_lines(void **state UNUSED)
{
	/* case 79: every printable may be in a UIDL, and up to 70 of them */
	static const char all[] =
		"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]"
		"^_`abcdefghijklmnopqrstuvwxyz{|}~";
	static const char *const bad[] = { "",	  " ",	  "1",	 "1 ",
					   "x 1", "-1 2", "0 5", "4294967296 1",
					   "1x 2" };
	char line[128];
	struct slice rest;
	uint32_t number;

	assert_int_equal(pop3_listed(SLICE("1 120"), &number, &rest), WIRE_DONE);
	assert_int_equal(number, 1);
	assert_slice(rest, "120");
	assert_int_equal(pop3_listed(SLICE(" 4294967295\t a b  "), &number, &rest), WIRE_DONE);
	assert_int_equal(number, UINT32_MAX);
	assert_slice(rest, "a b");
	snprintf(line, sizeof line, "7 %s", all);
	assert_int_equal(pop3_listed(slice_of(line), &number, &rest), WIRE_DONE);
	assert_slice(rest, all);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(pop3_listed(slice_of(bad[i]), &number, &rest), WIRE_BAD);
}

/* ---- messages */

#define NEXT "+OK next\r\n" /* the answer behind it: not a byte of that may be taken */

/* Cut in three at every two places. */
static void read_at_every_split(struct slice wire, const struct pop3_body *start,
				struct slice want)
{
	for (size_t first = 0; first <= wire.n; first++) {
		for (size_t second = first; second <= wire.n; second++) {
			const size_t ends[] = { first, second, wire.n };
			struct pop3_body b = *start;
			struct buf got = { 0 };
			bool done = false;
			size_t at = 0;

			for (size_t k = 0; k < COUNT(ends); k++) {
				struct slice part = { wire.p + at, ends[k] - at };
				char *p = exact(part);
				size_t eaten = 0;

				while (!done && eaten < part.n) {
					struct slice out;

					eaten += pop3_body_feed(&b, p + eaten, part.n - eaten,
								&out, &done);
					buf_add(&got, out.p, out.n);
				}
				at += eaten;
				free(p);
			}
			assert_true(done);
			assert_int_equal(at, wire.n - strlen(NEXT));
			assert_int_equal(buf_len(&got), want.n);
			assert_int_equal(b.size, want.n);
			if (want.n)
				assert_memory_equal(buf_slice(&got).p, want.p, want.n);
			buf_release(&got);
		}
	}
}

/* case 83: dots, and an answer with nothing in it; case 30: what looks like the end */
static void messages_at_every_split(void **state UNUSED)
{
	static const struct {
		struct slice wire, want;
		uint64_t expected;
		bool lf;
	} rows[] = {
		{ SLICE(".\r\n" NEXT), SLICE(""), 0, false },
		{ SLICE("a\r\n.\r\n" NEXT), SLICE("a\r\n"), 0, false },
		{ SLICE("..\r\n...\r\n..a\r\n.\r\n" NEXT), SLICE(".\r\n..\r\n.a\r\n"), 0,
		  false },
		{ SLICE(".a\r\n.\ra.\r\n.\n.\r\r\n.\r\n" NEXT), SLICE("a\r\n\ra.\r\n\n.\r\r\n"),
		  0, false },
		{ SLICE("\0a\r\r\n\nb\r.\n..\n\0\xff\r\n.\r\n" NEXT),
		  SLICE("\0a\r\r\n\nb\r.\n..\n\0\xff\r\n"), 0, false },
		/* A bare LF ends no line: this is text that somebody sent. */
		{ SLICE("a\n.\r\n+OK 5\r\n.\r\n" NEXT), SLICE("a\n.\r\n+OK 5\r\n"), 0, false },
		{ SLICE("a\n.\r\nb\r\n.\r\n" NEXT), SLICE("a\n.\r\nb\r\n"), 8, false },
		{ SLICE("a\n.x\n.\rx\r\n.\r\n" NEXT), SLICE("a\n.x\n.\rx\r\n"), 2, false },
		{ SLICE("a\n.\rx\r\n.\r\n" NEXT), SLICE("a\n.\rx\r\n"), 2, false },
		/* … unless all that LIST promised has come. */
		{ SLICE("a\nb\n.\r\n" NEXT), SLICE("a\nb\n"), 4, false },
		{ SLICE("a\n..\n.\n" NEXT), SLICE("a\n.\n"), 0, true },
		{ SLICE("a\n.\r\n" NEXT), SLICE("a\n"), 0, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct pop3_body start = { .lf = rows[i].lf,
						 .expected = rows[i].expected };

		read_at_every_split(rows[i].wire, &start, rows[i].want);
	}
}

/* All messages of few letters, sent as RFC 1939 has it. */
static void what_is_put_in_comes_out(void **state UNUSED)
{
	static const char letters[] = { '.', '\r', '\n', 'a' };
	enum { LONG = 6 };

	for (unsigned n = 0; n < 1U << (2 * LONG); n++) {
		const struct pop3_body start = { 0 };
		char plain[LONG + 2];
		struct buf wire = { 0 };

		for (int i = 0; i < LONG; i++)
			plain[i] = letters[(n >> (2 * i)) & 3];
		plain[LONG] = '\r';
		plain[LONG + 1] = '\n';
		for (int i = 0; i < LONG + 2; i++) {
			bool begins = i == 0 ||
				      (i > 1 && plain[i - 2] == '\r' && plain[i - 1] == '\n');

			if (begins && plain[i] == '.')
				buf_add_str(&wire, ".");
			buf_add(&wire, &plain[i], 1);
		}
		buf_add_str(&wire, ".\r\n" NEXT);
		read_at_every_split(buf_slice(&wire), &start,
				    (struct slice){ plain, LONG + 2 });
		buf_release(&wire);
	}
}

static void capabilities_are_filtered(void **state UNUSED)
{
	static const char *const pass[] = { "TOP",	    "uidl",
					    "EXPIRE NEVER", "LOGIN-DELAY 60",
					    "RESP-CODES",   "AUTH-RESP-CODE",
					    "PIPELINING" };
	static const char *const stay[] = { "STLS",  "SASL PLAIN", "USER",
					    "UTF8",  "LANG",	   "IMPLEMENTATION x",
					    "X-NEW", "TOPX",	   "",
					    " TOP" };

	for (size_t i = 0; i < COUNT(pass); i++)
		assert_true(pop3_capa_allowed(slice_of(pass[i])));
	for (size_t i = 0; i < COUNT(stay); i++)
		assert_false(pop3_capa_allowed(slice_of(stay[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_at_every_split),
		cmocka_unit_test(line_has_a_limit),
		cmocka_unit_test(command_is_cut_up),
		cmocka_unit_test(multiline_answers),
		cmocka_unit_test(reply_is_cut_up),
		cmocka_unit_test(dots_at_every_split),
		cmocka_unit_test(capabilities_are_found),
		cmocka_unit_test(capabilities_have_arguments),
		cmocka_unit_test(capabilities_are_filtered),
		cmocka_unit_test(listed_lines),
		cmocka_unit_test(messages_at_every_split),
		cmocka_unit_test(what_is_put_in_comes_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
