/* What is open in a relayed IMAP session: conversations, cut at every byte of the server's
 * side. */
#include "tests/unit/wire_test.h"

#include "common/wire/boundary.h"

#define LINE 200 /* the longest client line taken here */

/* One turn of a conversation: what passes, and what must be known behind it. */
struct turn {
	char who; /* 'C' or 'S' */
	const char *bytes;
	bool quiet, at_line;
	const char *describe; /* NULL: not looked at */
};

/* Everything the client says passes, but what a proxy refuses. */
static void say(struct boundary *b, const char *p, size_t n)
{
	while (n) {
		struct imap_command c;
		size_t take;
		enum boundary_up up = boundary_up(b, p, n, LINE, &take, &c);

		if (up == UP_COMMAND && imap_command_refused(c.verb))
			boundary_refuse(b, p, take);
		else if (up == UP_COMMAND)
			boundary_pass(b, p, take, &c);
		else if (up != UP_PASS && up != UP_DROP)
			fail_msg("the client's \"%.*s\" does not pass (%d)", (int)n, p, up);
		assert_in_range(take, 1, n);
		p += take;
		n -= take;
	}
}

static void hear(struct boundary *b, const char *p, size_t n)
{
	while (n) {
		size_t took = boundary_down(b, p, n);

		assert_in_range(took, 1, n);
		p += took;
		n -= took;
	}
}

static void check(const struct boundary *b, const struct turn *t)
{
	char text[64];

	if (boundary_quiet(b) != t->quiet || boundary_at_line(b) != t->at_line)
		fail_msg("after %c \"%s\": quiet %d, at line %d", t->who, t->bytes,
			 boundary_quiet(b), boundary_at_line(b));
	boundary_describe(b, text, sizeof text);
	if (t->describe)
		assert_string_equal(text, t->describe);
}

/* Each of the server's turns is fed in two pieces, cut at every byte. */
static void play(const struct turn *turns, size_t count)
{
	struct boundary b = { 0 };

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(turns[i].bytes);
		struct boundary before = b;

		if (turns[i].who == 'C') {
			say(&b, turns[i].bytes, n);
			check(&b, &turns[i]);
			continue;
		}
		for (size_t cut = 0; cut <= n; cut++) {
			b = before;
			hear(&b, turns[i].bytes, cut);
			hear(&b, turns[i].bytes + cut, n - cut);
			check(&b, &turns[i]);
		}
	}
}

#define PLAY(turns) play(turns, COUNT(turns))

static void test_a_command_is_open_until_its_tag(void **state)
{
	static const struct turn turns[] = {
		{ 'S', "* OK hello\r\n", true, true, "" },
		{ 'C', "a1 FETCH 1 BODY[]\r\n", false, true, "FETCH" },
		{ 'S', "* 1 FETCH (BODY[] {5}\r\n", false, false, "FETCH" },
		{ 'S', "a1 OK", false, false, "FETCH" }, /* content of the literal */
		{ 'S', ")\r\n", false, true, "FETCH" },
		{ 'S', "a2 OK not ours\r\n", false, true, "FETCH" },
		{ 'S', "a1 OK done\r\n", true, true, "" },
	};

	PLAY(turns);
	(void)state;
}

/* RFC 5530, of tagged answers alone, cut anywhere; data that looks like one says nothing. */
static void test_a_server_says_that_it_is_in_trouble(void **state)
{
	static const struct {
		const char *bytes;
		bool failed;
	} all[] = {
		{ "a NO [SERVERBUG] Internal error occurred.\r\n", true },
		{ "a no [serverbug] x\r\n", true },
		{ "a NO [UNAVAILABLE] x\r\n", true },
		{ "a NO [CORRUPTION] x\r\n", true },
		{ "a NO [OVERQUOTA] x\r\n", false },
		{ "a NO\r\n", false },
		{ "a OK [SERVERBUG] x\r\n", false },
		{ "* NO [SERVERBUG] x\r\n", false },
		{ "* 1 FETCH (BODY[] {24}\r\na NO [SERVERBUG] x\r\n    )\r\na OK\r\n", false },
	};

	for (size_t i = 0; i < COUNT(all); i++)
		for (size_t cut = 0, n = strlen(all[i].bytes); cut <= n; cut++) {
			struct boundary b = { 0 };

			say(&b, "a NOOP\r\n", 8);
			hear(&b, all[i].bytes, cut);
			hear(&b, all[i].bytes + cut, n - cut);
			if (b.failed != all[i].failed)
				fail_msg("%s, cut at %zu", all[i].bytes, cut);
			assert_true(boundary_at_line(&b));
		}
	(void)state;
}

static void test_pipelined_commands_may_end_in_any_order(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a NOOP\r\nb STATUS x (MESSAGES)\r\nc CHECK\r\n", false, true,
		  "NOOP and 2 more" },
		{ 'S', "b OK\r\n", false, true, NULL },
		{ 'S', "a OK\r\n", false, true, "CHECK" },
		{ 'S', "c NO [X] {5}\r\n", true, true, "" }, /* free text carries no literal */
	};

	PLAY(turns);
	(void)state;
}

static void test_an_upload_is_open_to_its_last_line(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a APPEND x {10}\r\n", false, true, "APPEND 0/10 bytes" },
		{ 'S', "+ go on\r\n", false, true, NULL },
		{ 'C', "12345", false, true, "APPEND 5/10 bytes" },
		{ 'C', "67890", false, true, "APPEND 10/10 bytes" },
		{ 'C', " {2+}\r\nab\r\n", false, true, "APPEND" }, /* a second message */
		{ 'S', "a OK [APPENDUID 1 2:3] done\r\n", true, true, "" },
		{ 'C', "b APPEND x {0+}\r\n\r\n", false, true, "APPEND" },
		{ 'S', "b NO empty\r\n", true, true, "" },
	};

	PLAY(turns);
	(void)state;
}

static void test_an_upload_is_told_in_the_unit_of_its_size(void **state)
{
	static const struct {
		uint64_t left, size;
		const char *text;
	} rows[] = {
		{ 1, 9999, "APPEND 9998/9999 bytes" },
		{ 4000, 10000, "APPEND 6/10 KB" },
		{ 34000000, 52428800, "APPEND 18/52 MB" },
		{ 0, 20000000000, "APPEND 20/20 GB" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		static const char line[] = "a APPEND x\r\n";
		struct imap_command c;
		struct boundary b = { 0 };
		char text[64];

		assert_int_equal(imap_command(line, sizeof line - 1, &c), WIRE_DONE);
		boundary_pass(&b, line, sizeof line - 1, &c);
		b.in_command = true;
		b.literal = rows[i].left;
		b.literal_size = rows[i].size;
		boundary_describe(&b, text, sizeof text);
		assert_string_equal(text, rows[i].text);
	}
	(void)state;
}

static void test_a_literal_that_was_refused_is_not_awaited(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a APPEND x {1000}\r\n", false, true, "APPEND 0/1000 bytes" },
		{ 'S', "a NO [TOOBIG] no\r\n", true, true, "" },
		{ 'C', "b NOOP\r\n", false, true, "NOOP" },
		{ 'S', "b OK\r\n", true, true, "" },
		{ 'C', "c APPEND x {0}\r\n", false, true, NULL },
		{ 'S', "c NO no\r\n", true, true, "" },
		{ 'C', "d NOOP\r\n", false, true, "NOOP" },
	};

	PLAY(turns);
	(void)state;
}

static void test_a_literal_sent_unasked_comes_whatever_is_answered(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a APPEND x {6+}\r\nabc", false, true, "APPEND 3/6 bytes" },
		{ 'S', "a NO no\r\n", false, true, NULL },
		{ 'C', "def\r\n", true, true, "" },
	};

	PLAY(turns);
	(void)state;
}

static void test_idle_is_quiet(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a IDLE\r\n", true, true, "IDLE" },
		{ 'S', "+ idling\r\n", true, true, "IDLE" },
		{ 'S', "* 4 EXI", true, false, NULL },
	};
	static const struct turn done[] = {
		{ 'C', "a IDLE\r\n", true, true, "IDLE" },
		{ 'S', "+ idling\r\n* 4 EXISTS\r\n", true, true, "IDLE" },
		{ 'C', "DONE\r\n", false, true, "IDLE" },
		{ 'S', "a OK\r\n", true, true, "" },
		{ 'C', "b IDLE\r\n", true, true, "IDLE" },
		{ 'S', "b BAD no\r\n", true, true, "" },
		{ 'C', "c NOOP\r\n", false, true, "NOOP" },
	};
	static const struct turn with_another[] = {
		{ 'C', "a NOOP\r\nb IDLE\r\n", false, true, NULL },
		{ 'S', "a OK\r\n", true, true, "IDLE" },
	};
	struct boundary b = { 0 };

	say(&b, turns[0].bytes, strlen(turns[0].bytes));
	hear(&b, turns[1].bytes, strlen(turns[1].bytes));
	assert_true(boundary_quiet(&b));
	hear(&b, turns[2].bytes, strlen(turns[2].bytes));
	assert_false(boundary_quiet(&b)); /* no line of ours may go in here */
	assert_false(boundary_at_line(&b));
	PLAY(done);
	PLAY(with_another);
	(void)state;
}

static void test_braces_and_quotes_in_data(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a X\r\n", false, true, NULL },
		{ 'S', "* LIST () \"/\" \"a{5}\"\r\n", false, true, NULL },
		{ 'S', "* LIST () \"/\" \"a\\\"{5}\"\r\n", false, true, NULL },
		{ 'S', "* LIST () \"/\" {3}\r\n", false, false, NULL },
		{ 'S', "\"{\r", false, false, NULL },
		{ 'S', "\r\n", false, true, NULL },
		{ 'S', "* 1 FETCH (X ~{2}\r\n", false, false, NULL },
		{ 'S', "\0", false, false, NULL },
	};

	play(turns, COUNT(turns) - 1);
	(void)state;
}

static void test_status_text_carries_no_literal(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a X\r\n", false, true, NULL },
		{ 'S', "* OK look: {5}\r\n", false, true, NULL },
		{ 'S', "+ {5}\r\n", false, true, NULL },
		{ 'S', "* bye {5}\r\n", false, true, NULL },
		{ 'S', "* OKAY {5}\r\n", false, false, NULL }, /* not OK: data */
		{ 'S', "12345\r\n", false, true, NULL },
	};

	PLAY(turns);
	(void)state;
}

/* Some clients do not wait. If the server refuses, it reads the literal as commands. */
static void test_what_was_not_asked_for_is_held_back(void **state)
{
	struct boundary b = { 0 };
	struct imap_command c;
	const char *rest = "x OK\r\n\r\n";
	size_t take;

	say(&b, "a APPEND x {6}\r\n", 16);
	assert_int_equal(boundary_up(&b, rest, 8, LINE, &take, &c), UP_WAIT);
	hear(&b, "* 1 EXISTS\r\n+ ", 14);
	assert_int_equal(boundary_up(&b, rest, 8, LINE, &take, &c), UP_WAIT);
	hear(&b, "go\r\na NO refused after all\r\n", 28);
	assert_int_equal(boundary_up(&b, rest, 8, LINE, &take, &c), UP_PASS);
	assert_int_equal(take, 6);
	say(&b, rest + 6, 2);
	assert_true(boundary_quiet(&b));

	say(&b, "b APPEND x {6}\r\n", 16);
	hear(&b, "b NO refused\r\n", 14);
	assert_int_equal(boundary_up(&b, rest, 8, LINE, &take, &c), UP_COMMAND);
	assert_slice(c.tag, "x");

	say(&b, "c IDLE\r\n", 8);
	assert_int_equal(boundary_up(&b, "DONE\r\n", 6, LINE, &take, &c), UP_WAIT);
	assert_true(boundary_quiet(&b));
	hear(&b, "c BAD no\r\n", 10);
	assert_int_equal(boundary_up(&b, "DONE\r\n", 6, LINE, &take, &c), UP_BAD);
	(void)state;
}

/* A command that was answered early is asked for nothing more. */
static void test_a_second_literal_of_an_answered_command(void **state)
{
	struct boundary b = { 0 };

	say(&b, "a APPEND x {1+}\r\n", 17);
	hear(&b, "a NO no\r\n", 9);
	say(&b, "z {5}\r\n", 7);
	assert_true(boundary_quiet(&b));
	say(&b, "b COMPRESS {1+}\r\nz {5}\r\n", 24);
	assert_true(boundary_quiet(&b));
	say(&b, "c NOOP\r\n", 8);
	assert_false(boundary_quiet(&b));
	(void)state;
}

static void test_an_idle_behind_an_idle(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "a IDLE\r\n", true, true, "IDLE" },
		{ 'S', "+ idling\r\n", true, true, "IDLE" },
		{ 'C', "DONE\r\nb IDLE\r\n", false, true, NULL },
		{ 'S', "a OK\r\n", true, true, "IDLE" },
		{ 'S', "+ idling\r\n", true, true, "IDLE" },
		{ 'C', "DONE\r\n", false, true, "IDLE" },
		{ 'S', "b OK\r\n", true, true, "" },
	};

	PLAY(turns);
	(void)state;
}

static void test_what_may_not_pass(void **state)
{
	static const struct slice bad[] = {
		{ "a NOOP\rb NOOP\r\n", 15 }, { "a NOOP\0\r\n", 9 }, { "a X y{5}\r\nb", 11 },
		{ "a X {1} {5}\r\n", 13 },    { "\r\n", 2 },
	};
	struct boundary b = { 0 };
	struct imap_command c;
	size_t take;

	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(boundary_up(&b, bad[i].p, bad[i].n, LINE, &take, &c), UP_BAD);
		assert_int_equal(take, bad[i].n - (bad[i].p[bad[i].n - 1] == 'b'));
		assert_slice(c.tag, i == COUNT(bad) - 1 ? "" : "a");
	}
	/* In the middle of a command the server would wait for it. */
	say(&b, "a APPEND x {1+}\r\nz", 18);
	assert_int_equal(boundary_up(&b, bad[0].p, bad[0].n, LINE, &take, &c), UP_BROKEN);
	(void)state;
}

static void test_what_is_refused_goes_nowhere(void **state)
{
	struct boundary b = { 0 };
	struct imap_command c;
	const char *line = "a COMPRESS {4+}\r\nabcd X\r\nb NOOP\r\n";
	size_t take, n = strlen(line);

	assert_int_equal(boundary_up(&b, line, n, LINE, &take, &c), UP_COMMAND);
	boundary_refuse(&b, line, take);
	line += take, n -= take;
	assert_int_equal(boundary_up(&b, line, n, LINE, &take, &c), UP_DROP);
	assert_int_equal(take, 4);
	line += take, n -= take;
	assert_int_equal(boundary_up(&b, line, n, LINE, &take, &c), UP_DROP);
	line += take, n -= take;
	assert_true(boundary_quiet(&b));
	assert_int_equal(boundary_up(&b, line, n, LINE, &take, &c), UP_COMMAND);
	assert_slice(c.tag, "b");
	(void)state;
}

static void test_lines_pass_whole(void **state)
{
	struct boundary b = { 0 };
	struct imap_command c;
	char longer[LINE + 2];
	size_t take;

	memset(longer, 'x', sizeof longer);
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(boundary_up(&b, "a NOOP\r\n", n, LINE, &take, &c), UP_MORE);
	assert_int_equal(boundary_up(&b, longer, sizeof longer, LINE, &take, &c), UP_BROKEN);
	assert_int_equal(boundary_up(&b, "\r\n", 2, LINE, &take, &c), UP_BAD);
	(void)state;
}

static void test_more_in_flight_than_we_know_waits(void **state)
{
	struct boundary b = { 0 };
	struct imap_command c;
	char line[32];
	size_t take;

	for (int i = 0; i < BOUNDARY_OPEN_MAX; i++) {
		snprintf(line, sizeof line, "t%d NOOP\r\n", i);
		say(&b, line, strlen(line));
	}
	assert_int_equal(boundary_up(&b, "x NOOP\r\n", 8, LINE, &take, &c), UP_FULL);
	hear(&b, "t7 OK\r\n", 7);
	assert_int_equal(boundary_up(&b, "x NOOP\r\n", 8, LINE, &take, &c), UP_COMMAND);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_command_is_open_until_its_tag),
		cmocka_unit_test(test_a_server_says_that_it_is_in_trouble),
		cmocka_unit_test(test_pipelined_commands_may_end_in_any_order),
		cmocka_unit_test(test_an_upload_is_open_to_its_last_line),
		cmocka_unit_test(test_an_upload_is_told_in_the_unit_of_its_size),
		cmocka_unit_test(test_a_literal_that_was_refused_is_not_awaited),
		cmocka_unit_test(test_a_literal_sent_unasked_comes_whatever_is_answered),
		cmocka_unit_test(test_idle_is_quiet),
		cmocka_unit_test(test_braces_and_quotes_in_data),
		cmocka_unit_test(test_status_text_carries_no_literal),
		cmocka_unit_test(test_what_was_not_asked_for_is_held_back),
		cmocka_unit_test(test_a_second_literal_of_an_answered_command),
		cmocka_unit_test(test_an_idle_behind_an_idle),
		cmocka_unit_test(test_what_may_not_pass),
		cmocka_unit_test(test_what_is_refused_goes_nowhere),
		cmocka_unit_test(test_lines_pass_whole),
		cmocka_unit_test(test_more_in_flight_than_we_know_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
