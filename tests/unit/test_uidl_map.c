/* Unique ids of old in front of new's POP3 server: answers cut at every byte, maps that are
 * none. */
#include "tests/unit/wire_test.h"

#include "common/uidl_map.h"

static struct err err;

static struct uidl_map *map_of(const char *lines, int64_t entries)
{
	struct uidl_map *m = NULL;
	struct buf text = { 0 };

	buf_add_str(&text, lines);
	if (uidl_map_new(&text, entries, &m, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(buf_len(&text), 0);
	return m;
}

static void pass(struct pop3_boundary *b, const char *command)
{
	struct pop3_command c;
	size_t take;

	assert_int_equal(pop3_boundary_up(b, command, strlen(command), &take, &c),
			 POP3_UP_PASS);
	pop3_boundary_pass(b, &c);
}

/* As the relay does it: what is no answer to UIDL passes as it is. What is left is not whole.
 */
static size_t relay(const struct uidl_map *m, struct pop3_boundary *b, const char *p, size_t n,
		    struct buf *out)
{
	size_t at = 0, took = 1;

	while (at < n && took) {
		if (uidl_is_answer(b)) {
			took = uidl_rewrite(m, b, p + at, n - at, out);
		} else {
			took = pop3_boundary_down(b, p + at, n - at);
			buf_add(out, p + at, took);
		}
		at += took;
	}
	return at;
}

/* The server's bytes come in two pieces, cut anywhere, and then one by one. */
static void check(const struct uidl_map *m, const char *const commands[2], const char *server,
		  const char *client)
{
	size_t n = strlen(server);

	for (size_t cut = 0; cut <= n + 1; cut++) {
		struct pop3_boundary b = { 0 };
		struct buf out = { 0 };
		size_t at = 0;

		for (int i = 0; i < 2 && commands[i]; i++)
			pass(&b, commands[i]);
		for (size_t end = cut <= n ? cut : 1; end <= n; end = cut <= n ? n : end + 1) {
			char *piece = exact((struct slice){ server + at, end - at });

			at += relay(m, &b, piece, end - at, &out);
			free(piece);
			if (end == n)
				break;
		}
		assert_int_equal(at, n);
		assert_int_equal(b.count, 0);
		assert_buf(&out, client);
	}
}

static const char lines[] = "0000000a5f00 UID7-1\n0000000b5f00 UID9-1\nx 0000000c5f00\n";

static void test_answers(void **state UNUSED)
{
	static const struct {
		const char *commands[2], *server, *client;
	} rows[] = {
		{ { "UIDL\r\n" },
		  "+OK\r\n1 0000000a5f00\r\n2 0000000b5f00\r\n3 fresh\r\n.\r\n",
		  "+OK\r\n1 UID7-1\r\n2 UID9-1\r\n3 fresh\r\n.\r\n" },
		/* blanks, what stands behind the id, line ends: as the server has them */
		{ { "uidl\r\n" },
		  "+OK 0000000a5f00\n1  0000000a5f00 \n2\t0000000b5f00 x 0000000a5f00\r\n.\n",
		  "+OK 0000000a5f00\n1  UID7-1 \n2\tUID9-1 x 0000000a5f00\r\n.\n" },
		{ { "UIDL 1\r\n" }, "+OK 1 0000000a5f00\r\n", "+OK 1 UID7-1\r\n" },
		{ { "UIDL 1\r\n" }, "-ERR 1 0000000a5f00\r\n", "-ERR 1 0000000a5f00\r\n" },
		{ { "UIDL\r\n" }, "-ERR 1 0000000a5f00\r\n", "-ERR 1 0000000a5f00\r\n" },
		{ { "UIDL 2\r\n", "UIDL\r\n" },
		  "+OK 2 0000000b5f00\r\n+OK\r\n2 0000000b5f00\r\n.\r\n",
		  "+OK 2 UID9-1\r\n+OK\r\n2 UID9-1\r\n.\r\n" },
		/* nothing else is touched */
		{ { "RETR 1\r\n", "UIDL 1\r\n" },
		  "+OK 1 0000000a5f00\r\n1 0000000a5f00\r\n.\r\n+OK 1 0000000a5f00\r\n",
		  "+OK 1 0000000a5f00\r\n1 0000000a5f00\r\n.\r\n+OK 1 UID7-1\r\n" },
		{ { "LIST\r\n" }, "+OK\r\n1 x\r\n.\r\n", "+OK\r\n1 x\r\n.\r\n" },
		{ { "UIDL\r\n" }, "+OK\r\n.\r\n", "+OK\r\n.\r\n" },
		{ { "UIDL\r\n" },
		  "+OK\r\n1\r\n\r\n1 \r\nx x\r\n1x x\r\n .\r\n.\r\n",
		  "+OK\r\n1\r\n\r\n1 \r\nx x\r\n1x x\r\n .\r\n.\r\n" },
		{ { "UIDL 3\r\n" }, "+OK3 x\r\n", "+OK3 x\r\n" },
	};
	struct uidl_map *m = map_of(lines, 3);

	for (size_t i = 0; i < COUNT(rows); i++)
		check(m, rows[i].commands, rows[i].server, rows[i].client);
	uidl_map_free(&m);
}

/* A line without an end is no id, and does not have to be kept whole. */
static void test_a_line_too_long(void **state UNUSED)
{
	const char *const commands[2] = { "UIDL\r\n" };
	struct uidl_map *m = map_of(lines, 3);
	char server[2000] = "+OK\r\n1 x", client[2000];

	memset(server + 8, 'x', 700);
	memcpy(server + 708, "\r\n1 x\r\n.\r\n", 11);
	memcpy(client, server, sizeof client);
	memcpy(client + 708, "\r\n1 0000000c5f00\r\n.\r\n", 22);
	check(m, commands, server, client);
	uidl_map_free(&m);
}

static void assert_shows(const struct uidl_map *m, const char *id, const char *expected)
{
	char scratch[UIDL_ESCAPE_MAX];

	assert_slice(uidl_map_show(m, slice_of(id), scratch), expected);
}

/* New's own ids that mean an old message to a client. */
static void test_a_collision_is_escaped(void **state UNUSED)
{
	struct uidl_map *m = map_of(lines, 3);
	char first[UIDL_ESCAPE_MAX], again[UIDL_ESCAPE_MAX], twice[UIDL_ESCAPE_MAX];
	struct slice one = uidl_map_show(m, SLICE("UID7-1"), first), other;

	assert_int_equal(one.n, strlen(UIDL_ESCAPE) + 64);
	assert_true(pop3_uidl_legal(one) && one.n <= 70);
	other = uidl_map_show(m, SLICE("UID7-1"), again);
	assert_true(other.n == one.n && memcmp(one.p, other.p, one.n) == 0);
	other = uidl_map_show(m, SLICE("UID9-1"), again);
	assert_true(memcmp(one.p, other.p, one.n) != 0);
	/* An id of new that looks like it stays another one. */
	other = uidl_map_show(m, one, twice);
	assert_true(other.n == one.n && memcmp(one.p, other.p, one.n) != 0);
	assert_shows(m, "UID7-2", "UID7-2");
	/* In the map on both sides: the map says which message that is. */
	assert_shows(m, "x", "0000000c5f00");
	uidl_map_free(&m);
}

/* Old has an id that is the hash of another one: a liar, and still no two are shown alike. */
static void test_an_escape_that_is_taken(void **state UNUSED)
{
	struct uidl_map *m = map_of("n o\n", 1), *liar;
	char scratch[UIDL_ESCAPE_MAX], text[200];
	struct slice s = uidl_map_show(m, SLICE("o"), scratch);

	snprintf(text, sizeof text, "n o\nm %.*s\n", (int)s.n, s.p);
	liar = map_of(text, 2);
	s = uidl_map_show(liar, SLICE("o"), scratch);
	assert_true(pop3_uidl_legal(s) && memcmp(s.p, text + 6, s.n) != 0);
	uidl_map_free(&m);
	uidl_map_free(&liar);
}

static void assert_no_map(const char *text, int64_t entries)
{
	struct uidl_map *m = NULL;
	struct buf b = { 0 };

	buf_add_str(&b, text);
	assert_int_equal(uidl_map_new(&b, entries, &m, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_null(m);
	assert_int_equal(buf_len(&b), 0);
}

static void test_what_is_no_map(void **state UNUSED)
{
	struct uidl_map *m = map_of("", 0);

	assert_shows(m, "anything", "anything");
	uidl_map_free(&m);
	assert_no_map("a b\n", 0);
	assert_no_map("a b\n", 2); /* one short */
	assert_no_map("a b\nc d\n", 1);
	assert_no_map("a b\na c\n", 2);
	assert_no_map("a b", 1);
	assert_no_map("a b \n", 1);
	assert_no_map("ab\n", 1);
	assert_no_map(" b\n", 1);
	assert_no_map("a \n", 1);
	assert_no_map("a \x7f\n", 1);
	assert_no_map("a b\n", -1);
	assert_no_map("", INT64_MAX);
	m = map_of("a same\nb same\n", 2); /* twins have one id on old */
	assert_shows(m, "b", "same");
	uidl_map_free(&m);
}

#define MANY 100000

static void test_many(void **state UNUSED)
{
	struct buf text = { 0 };
	struct uidl_map *m = NULL;
	size_t bytes;
	char id[32], expected[32];

	for (unsigned i = 0; i < MANY; i++)
		buf_printf(&text, "%08x5f3a1c00 UID%u-1600000000\n", i * 7 % MANY, i);
	bytes = buf_len(&text);
	if (uidl_map_new(&text, MANY, &m, &err) < 0)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < MANY; i += 997) {
		snprintf(id, sizeof id, "%08x5f3a1c00", i * 7 % MANY);
		snprintf(expected, sizeof expected, "UID%u-1600000000", i);
		assert_shows(m, id, expected);
	}
	assert_int_equal(uidl_map_bytes(m), bytes + 8 * MANY);
	uidl_map_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_a_line_too_long),
		cmocka_unit_test(test_a_collision_is_escaped),
		cmocka_unit_test(test_an_escape_that_is_taken),
		cmocka_unit_test(test_what_is_no_map),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
