/* Other UIDVALIDITYs for a client: where they stand, cut anywhere, and nowhere else. */
#include "tests/unit/wire_test.h"

#include "common/wire/imap_validity.h"

static uint32_t show(uint32_t own, const void *arg UNUSED)
{
	return own == 7 ? 4000000000u : own;
}

static const struct {
	const char *in, *out; /* out NULL: it passes as it is */
} rows[] = {
	{ "* OK [UIDVALIDITY 7] UIDs valid\r\n", "* OK [UIDVALIDITY 4000000000] UIDs valid\r\n" },
	{ "* ok [uidvalidity 7]\r\n", "* ok [uidvalidity 4000000000]\r\n" },
	{ "* OK [UIDVALIDITY 8] x\r\n", "* OK [UIDVALIDITY 8] x\r\n" },
	{ "* OK [UIDVALIDITY x] x\r\n", NULL },
	{ "* OK [UIDVALIDITY 7] announces no literal {3}\r\n",
	  "* OK [UIDVALIDITY 4000000000] announces no literal {3}\r\n" },
	{ "* OK [HIGHESTMODSEQ 7] nor does this {3}\r\n",
	  "* OK [NOMODSEQ] No modification sequences here.\r\n" },
	{ "* OK [UIDVALIDITY 9999999999] x\r\n", "* OK [UIDVALIDITY 9999999999] x\r\n" },
	{ "* OK [UIDVALIDITY 99999999999] x\r\n", NULL },
	{ "a1 OK [APPENDUID 7 7] done\r\n", "a1 OK [APPENDUID 4000000000 7] done\r\n" },
	{ "a1 OK [COPYUID 7 7:9 7:9] done\n", "a1 OK [COPYUID 4000000000 7:9 7:9] done\n" },
	{ "* OK [COPYUID 7 7 7] moved\r\n", "* OK [COPYUID 4000000000 7 7] moved\r\n" },
	{ "* OK [HIGHESTMODSEQ 7] x\r\n", "* OK [NOMODSEQ] No modification sequences here.\r\n" },
	{ "* STATUS INBOX (MESSAGES 7 UIDVALIDITY 7 UIDNEXT 7)\r\n",
	  "* STATUS INBOX (MESSAGES 7 UIDVALIDITY 4000000000 UIDNEXT 7)\r\n" },
	{ "* STATUS \"a \\\" UIDVALIDITY 7 (\" (UIDVALIDITY 7)\r\n",
	  "* STATUS \"a \\\" UIDVALIDITY 7 (\" (UIDVALIDITY 4000000000)\r\n" },
	{ "* STATUS {18}\r\n UIDVALIDITY 7\r\n{1} (UIDVALIDITY 7)\r\n",
	  "* STATUS {18}\r\n UIDVALIDITY 7\r\n{1} (UIDVALIDITY 4000000000)\r\n" },
	{ "* STATUS UIDVALIDITY (UIDVALIDITY 7)\r\n",
	  "* STATUS UIDVALIDITY (UIDVALIDITY 4000000000)\r\n" },
	{ "* STATUS x\r\n", "* STATUS x\r\n" },
	{ "* 7 EXISTS\r\n", NULL },
	{ "* OK [UIDNEXT 7] x\r\n", NULL },
	{ "a1 OK [UIDVALIDITY 7] x\r\n", NULL },
	{ "a1 NO [COPYUID 7 1 1] x\r\n", NULL },
	{ "+ OK [APPENDUID 7 7]\r\n", NULL },
	{ "* 1 FETCH (BODY[] {9}\r\n", NULL },
	{ "\r\n", NULL },
	{ "*\r\n", NULL },
};

/* What is looked at, as it is shown, and the rest of the line as it is. */
static void assert_shown(const char *in, size_t len, const char *want)
{
	struct buf out = { 0 };

	imap_validity_rewrite((struct slice){ in, len }, show, NULL, &out);
	buf_add_str(&out, in + len);
	assert_buf(&out, want);
}

static void every_split(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = strlen(rows[i].in), len = 0;

		for (size_t cut = 0; cut < n; cut++) {
			char *p = exact((struct slice){ rows[i].in, cut });
			enum wire w = imap_validity_look(p, cut, &len);

			if (w != WIRE_MORE && (w == WIRE_DONE) != (rows[i].out != NULL))
				fail_msg("row %zu cut at %zu: %d", i, cut, w);
			if (w == WIRE_DONE)
				assert_shown(rows[i].in, len, rows[i].out);
			free(p);
		}
		if (imap_validity_look(rows[i].in, n, &len) !=
		    (rows[i].out ? WIRE_DONE : WIRE_BAD))
			fail_msg("row %zu", i);
		if (rows[i].out)
			assert_shown(rows[i].in, len, rows[i].out);
	}
}

/* UIDs of many messages that are no neighbours make any line too long to be looked at whole. */
static void sets_of_uids_may_be_long(void **state UNUSED)
{
	struct buf line = { 0 }, want = { 0 };
	size_t len;

	buf_add_str(&line, "a1 OK [COPYUID 7 ");
	buf_add_str(&want, "a1 OK [COPYUID 4000000000 ");
	for (int uid = 1; uid < 10000; uid += 2) {
		buf_printf(&line, "%d,", uid);
		buf_printf(&want, "%d,", uid);
	}
	buf_add(&line, "", 1);
	buf_add(&want, "", 1);
	assert_true(buf_len(&line) > 2 * IMAP_VALIDITY_MAX);
	assert_int_equal(imap_validity_look(buf_slice(&line).p, buf_len(&line) - 1, &len),
			 WIRE_DONE);
	assert_shown(buf_slice(&line).p, len, buf_slice(&want).p);
	buf_release(&line);
	buf_release(&want);
}

static void what_is_too_long_passes(void **state UNUSED)
{
	static char line[IMAP_VALIDITY_MAX + 10] = "* STATUS ";
	size_t len;

	memset(line + 9, 'x', sizeof line - 9);
	assert_int_equal(imap_validity_look(line, IMAP_VALIDITY_MAX - 1, &len), WIRE_MORE);
	assert_int_equal(imap_validity_look(line, sizeof line, &len), WIRE_BAD);
	assert_int_equal(imap_validity_look("* STATUS {9000}\r\n", 17, &len), WIRE_DONE);
	assert_int_equal(imap_validity_look("* STATUS {8192}\r\n", 17, &len), WIRE_BAD);
}

static void modification_sequences_are_asked_for(void **state UNUSED)
{
	static const struct {
		const char *line;
		bool asks;
	} lines[] = {
		{ "a SELECT INBOX (CONDSTORE)\r\n", true },
		{ "a SELECT INBOX (QRESYNC (1 2))\r\n", true },
		{ "a ENABLE qresync\r\n", true },
		{ "a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 7)\r\n", true },
		{ "a FETCH 1 (UID MODSEQ)\r\n", true },
		{ "a STATUS INBOX (HIGHESTMODSEQ)\r\n", true },
		{ "a STORE 1 (UNCHANGEDSINCE 7) FLAGS ()\r\n", true },
		{ "a SEARCH SUBJECT \"MODSEQ\"\r\n", false },
		{ "a SEARCH SUBJECT \"x\\\" MODSEQ \"\r\n", false },
		{ "a SELECT CONDSTOREX\r\n", false },
		{ "a SELECT \"CONDSTORE\"\r\n", false },
		{ "a SELECT Work/MODSEQ\r\n", false },
		{ "a ENABLE UTF8=ACCEPT\r\n", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(lines); i++)
		if (imap_asks_modseq(slice_of(lines[i].line)) != lines[i].asks)
			fail_msg("%s", lines[i].line);
}

static void and_are_not_offered(void **state UNUSED)
{
	static const char *const lists[][2] = {
		{ "IMAP4REV1 CONDSTORE ENABLE QRESYNC MOVE", "IMAP4REV1 ENABLE MOVE" },
		{ "QRESYNC", "" },
		{ "ESEARCH MULTISEARCH CATENATE MULTIAPPEND", "ESEARCH MULTIAPPEND" },
		{ "", "" },
		{ "IDLE", "IDLE" },
		{ "CONDSTORE IDLE", "IDLE" },
		{ "* CAPABILITY IDLE QRESYNC\r\n", "* CAPABILITY IDLE\r\n" },
		{ "a OK [CAPABILITY QRESYNC CONDSTORE] Logged in.\r\n",
		  "a OK [CAPABILITY] Logged in.\r\n" },
	};
	struct buf out = { 0 };

	for (size_t i = 0; i < COUNT(lists); i++) {
		imap_validity_filter(slice_of(lists[i][0]), &out);
		assert_buf(&out, lists[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split),
		cmocka_unit_test(sets_of_uids_may_be_long),
		cmocka_unit_test(what_is_too_long_passes),
		cmocka_unit_test(modification_sequences_are_asked_for),
		cmocka_unit_test(and_are_not_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
