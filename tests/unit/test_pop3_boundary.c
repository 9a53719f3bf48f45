/* What is open in a relayed POP3 session: conversations, cut at every byte of the server's
 * side.
 */
#include "tests/unit/wire_test.h"

#include "common/wire/pop3_boundary.h"

/* One turn of a conversation: what passes, and what must be known behind it. */
struct turn {
	char who; /* 'C' or 'S' */
	const char *bytes;
	bool quiet, at_line;
	const char *describe;
};

/* Everything the client says passes, but what a proxy refuses. */
static void say(struct pop3_boundary *b, const char *p, size_t n)
{
	while (n) {
		struct pop3_command c;
		size_t take;
		enum pop3_up up = pop3_boundary_up(b, p, n, &take, &c);

		if (up == POP3_UP_PASS)
			pop3_boundary_pass(b, &c);
		else if (up != POP3_UP_REFUSE)
			fail_msg("the client's \"%.*s\" does not pass (%d)", (int)n, p, up);
		assert_in_range(take, 1, n);
		p += take;
		n -= take;
	}
}

static void hear(struct pop3_boundary *b, const char *p, size_t n)
{
	while (n) {
		size_t took = pop3_boundary_down(b, p, n);

		assert_in_range(took, 1, n);
		p += took;
		n -= took;
	}
}

static void check(const struct pop3_boundary *b, const struct turn *t)
{
	char text[64];

	if (pop3_boundary_quiet(b) != t->quiet || pop3_boundary_at_line(b) != t->at_line)
		fail_msg("after %c \"%s\": quiet %d, at line %d", t->who, t->bytes,
			 pop3_boundary_quiet(b), pop3_boundary_at_line(b));
	pop3_boundary_describe(b, text, sizeof text);
	assert_string_equal(text, t->describe);
}

/* Each of the server's turns is fed in two pieces, cut at every byte. */
static void play(struct pop3_boundary *b, const struct turn *turns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(turns[i].bytes);
		struct pop3_boundary before = *b;

		if (turns[i].who == 'C') {
			say(b, turns[i].bytes, n);
			check(b, &turns[i]);
			continue;
		}
		for (size_t cut = 0; cut <= n; cut++) {
			*b = before;
			hear(b, turns[i].bytes, cut);
			hear(b, turns[i].bytes + cut, n - cut);
			check(b, &turns[i]);
		}
	}
}

#define PLAY(b, turns) play(b, turns, COUNT(turns))

static void test_an_answer_of_many_lines_ends_at_its_dot(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "LIST\r\n", false, true, "LIST" },
		{ 'S', "+OK 2 messages\r\n", false, false, "LIST" },
		{ 'S', "1 20\r\n..\r\n.x\r\n", false, false, "LIST" },
		{ 'S', ".\r\n", true, true, "" },
		{ 'C', "UIDL\r\nCAPA\n", false, true, "UIDL and 1 more" },
		{ 'S', "-ERR no\r\n", false, true, "CAPA" }, /* one line then */
		{ 'S', "+OK\n.\n", true, true, "" },
		{ 'C', "LIST 1\r\nUIDL 2\r\n", false, true, "LIST and 1 more" },
		{ 'S', "+OK 1 20\r\n+OK 2 x\r\n", true, true, "" },
	};
	struct pop3_boundary b = { 0 };

	PLAY(&b, turns);
	(void)state;
}

static void test_what_was_fetched_or_deleted_needs_its_quit(void **state)
{
	static const struct turn turns[] = {
		{ 'C', "TOP 1 0\r\n", false, true, "TOP" },
		{ 'S', "+OK\r\n.\r\n", false, true, "has fetched, waits for its QUIT" },
		{ 'C', "DELE 1\r\nDELE 2\r\nDELE 3\r\n", false, true, "DELE and 2 more" },
		{ 'S', "+OK\r\n-ERR\r\n+OK\r\n", false, true, "2 deletes wait for its QUIT" },
		{ 'C', "RSET\r\n", false, true, "RSET" },
		{ 'S', "+OK\r\n", false, true, "has fetched, waits for its QUIT" },
		{ 'C', "QUIT\r\n", false, true, "QUIT" },
		{ 'S', "+OK", false, false, "QUIT" },
		{ 'S', " bye\r\n", true, true, "" },
	};
	struct pop3_boundary b = { 0 };

	PLAY(&b, turns);
	assert_true(b.quit);
	(void)state;
}

static void test_half_an_answer_is_not_quiet(void **state)
{
	static const struct turn turns[] = {
		{ 'S', "-ERR idle for t", false, false, "half an answer" },
		{ 'S', "oo long\r\n", true, true, "" },
	};
	struct pop3_boundary b = { 0 };

	PLAY(&b, turns);
	(void)state;
}

static void test_what_is_refused(void **state)
{
	static const char *const lines[] = {
		"AUTH PLAIN\r\n",     "auth\r\n",      "STLS\r\n",   "USER x\r\n",
		"PASS x\r\n",	      "APOP x y\r\n",  "XTND X\r\n", "RETR\t1\r\n",
		" RETR 1\r\n",	      "\r\n",	       "\n",	     "RETR\r\r\n",
		"NOOP 1\rDELE 1\r\n", "R\x80TR 1\r\n",
	};
	struct pop3_boundary b = { 0 };
	struct pop3_command c;
	size_t take;

	for (size_t i = 0; i < COUNT(lines); i++) {
		size_t n = strlen(lines[i]);

		assert_int_equal(pop3_boundary_up(&b, lines[i], n, &take, &c), POP3_UP_REFUSE);
		assert_int_equal(take, n);
	}
	(void)state;
}

static void test_lines_pass_whole(void **state)
{
	char longer[POP3_LINE_MAX];
	struct pop3_boundary b = { 0 };
	struct pop3_command c;
	size_t take;

	memset(longer, 'x', sizeof longer);
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(pop3_boundary_up(&b, "RETR 1\r\n", n, &take, &c),
				 POP3_UP_MORE);
	assert_int_equal(pop3_boundary_up(&b, longer, sizeof longer, &take, &c),
			 POP3_UP_BROKEN);
	(void)state;
}

static void test_more_in_flight_than_we_know_waits(void **state)
{
	struct pop3_boundary b = { 0 };
	struct pop3_command c;
	size_t take;

	for (int i = 0; i < POP3_OPEN_MAX; i++)
		say(&b, "LIST\r\n", 6);
	assert_int_equal(pop3_boundary_up(&b, "NOOP\r\n", 6, &take, &c), POP3_UP_FULL);
	hear(&b, "+OK\r\n.\r\n", 8);
	assert_int_equal(pop3_boundary_up(&b, "NOOP\r\n", 6, &take, &c), POP3_UP_PASS);
	pop3_boundary_pass(&b, &c);
	for (int i = 1; i < POP3_OPEN_MAX; i++)
		hear(&b, "+OK\r\n.\r\n", 8);
	assert_false(pop3_boundary_quiet(&b));
	hear(&b, "+OK\r\n", 5);
	assert_true(pop3_boundary_quiet(&b));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer_of_many_lines_ends_at_its_dot),
		cmocka_unit_test(test_what_was_fetched_or_deleted_needs_its_quit),
		cmocka_unit_test(test_half_an_answer_is_not_quiet),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_lines_pass_whole),
		cmocka_unit_test(test_more_in_flight_than_we_know_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
