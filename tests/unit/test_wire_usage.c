/* Which commands show that a client relies on which extension. */
#include "tests/unit/wire_test.h"

#include "common/wire/usage.h"

#define B(u) USAGE_BIT(USAGE_##u)

static const struct {
	const char *line;
	uint64_t want;
} rows[] = {
	{ "a IDLE", B(IDLE) },
	{ "a idle", B(IDLE) },
	{ "a NOOP", 0 },
	{ "a ID NIL", B(ID) },
	{ "a MOVE 1 x", B(MOVE) },
	{ "a UID MOVE 1 x", B(MOVE) },
	{ "a UID COPY 1 MOVE", 0 },
	{ "a EXPUNGE", 0 },
	{ "a UID EXPUNGE 1:*", B(UIDPLUS) },
	{ "a ENABLE CONDSTORE", B(ENABLE) | B(CONDSTORE) },
	{ "a ENABLE X QRESYNC UTF8=ACCEPT", B(ENABLE) | B(QRESYNC) | B(UTF8) },
	{ "a SELECT INBOX", 0 },
	{ "a SELECT CONDSTORE", 0 },
	{ "a SELECT INBOX (CONDSTORE)", B(CONDSTORE) },
	{ "a SELECT \"a (QRESYNC\" (CONDSTORE)", B(CONDSTORE) },
	{ "a SELECT \"a\\\" (QRESYNC)\" ", 0 },
	{ "a EXAMINE INBOX (QRESYNC (67890007 20050715194045000 41,43))", B(QRESYNC) },
	{ "a STATUS x (MESSAGES HIGHESTMODSEQ)", B(CONDSTORE) },
	{ "a STATUS SIZE (MESSAGES)", 0 },
	{ "a STATUS x (SIZE)", B(STATUS_SIZE) },
	{ "a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", B(CONDSTORE) | B(QRESYNC) },
	{ "a FETCH 1 (FLAGS MODSEQ)", B(CONDSTORE) },
	{ "a FETCH 1 BODY.PEEK[HEADER.FIELDS (MODSEQ)]", B(CONDSTORE) }, /* a hint, no more */
	{ "a FETCH 1 (BINARY.PEEK[1])", B(BINARY) },
	{ "a STORE 1 (UNCHANGEDSINCE 3) +FLAGS (x)", B(CONDSTORE) },
	{ "a SEARCH RETURN (MIN) ALL", B(ESEARCH) },
	{ "a UID SEARCH RETURN () ALL", B(ESEARCH) },
	{ "a SEARCH SUBJECT \"RETURN\"", 0 },
	{ "a UID SORT (DATE) UTF-8 ALL", B(SORT) },
	{ "a THREAD REFS UTF-8 ALL", B(THREAD) },
	{ "a LIST \"\" *", 0 },
	{ "a LIST \"\" STATUS", 0 },
	{ "a LIST \"\" * RETURN (STATUS (MESSAGES))", B(LIST_STATUS) | B(LIST_EXTENDED) },
	{ "a LIST (SPECIAL-USE) \"\" *", B(SPECIAL_USE) },
	{ "a CREATE x (USE (\\Sent))", B(CREATE_SPECIAL_USE) },
	{ "a GETQUOTAROOT INBOX", B(QUOTA) },
	{ "a MYRIGHTS INBOX", B(ACL) },
	{ "a GETMETADATA \"\" /x", B(METADATA) },
	{ "a NOTIFY NONE", B(NOTIFY) },
	{ "a COMPRESS DEFLATE", B(COMPRESS) },
	{ "a APPEND x {3+}", B(LITERAL_PLUS) },
	{ "a APPEND x {3}", 0 },
	{ "a UID", 0 },
	{ "a UID ", 0 },
	{ "a SELECT \"x", 0 },
	{ "a SELECT \"x\\", 0 },
};

static void commands_show_extensions(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(slice_of(rows[i].line));
		struct imap_command c;
		uint64_t got;

		assert_int_equal(imap_command(p, strlen(rows[i].line), &c), WIRE_DONE);
		got = usage_of_imap(&c);
		if (got != rows[i].want)
			fail_msg("%s: %llx, not %llx", rows[i].line, (unsigned long long)got,
				 (unsigned long long)rows[i].want);
		free(p);
	}
}

static void pop3_too(void **state UNUSED)
{
	struct pop3_command c;

	assert_int_equal(pop3_command(SLICE("top 1 0"), &c), WIRE_DONE);
	assert_int_equal(usage_of_pop3(&c), B(TOP));
	assert_int_equal(pop3_command(SLICE("UIDL"), &c), WIRE_DONE);
	assert_int_equal(usage_of_pop3(&c), B(UIDL));
	assert_int_equal(pop3_command(SLICE("RETR 1"), &c), WIRE_DONE);
	assert_int_equal(usage_of_pop3(&c), 0);
}

static void each_has_a_name(void **state UNUSED)
{
	for (int u = 0; u < USAGES; u++) {
		assert_true(usage_name((enum usage)u)[0] != '\0');
		for (int v = 0; v < u; v++)
			assert_true(
				strcmp(usage_name((enum usage)u), usage_name((enum usage)v)) ||
				usage_is_pop3((enum usage)u) != usage_is_pop3((enum usage)v));
	}
	assert_false(usage_is_pop3(USAGE_IMAP_SESSIONS));
	assert_true(usage_is_pop3(USAGE_POP3_SESSIONS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_show_extensions),
		cmocka_unit_test(pop3_too),
		cmocka_unit_test(each_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
