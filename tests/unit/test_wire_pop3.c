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
		cmocka_unit_test(capabilities_are_filtered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
