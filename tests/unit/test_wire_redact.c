/* What people may see of a conversation, and what they may not. */
#include "common/wire/redact.h"

#include "wire_test.h"

typedef void redact_fn(struct slice line, char *out, size_t size);

static const struct {
	redact_fn *redact;
	const char *line, *shown;
} rows[] = {
	{ redact_imap_client, "a1 SELECT \"INBOX.Sent mail\" (CONDSTORE)", NULL },
	{ redact_imap_client, "a1 noop", NULL },
	{ redact_imap_client, "done", NULL },
	{ redact_imap_client, "DONE x", "(6 bytes)" },
	{ redact_imap_client, "a1 LOGIN anna secret", "a1 LOGIN (hidden)" },
	{ redact_imap_client, "a1 login \"anna\" {6 bytes}", "a1 login (hidden)" },
	{ redact_imap_client, "a1 AUTHENTICATE PLAIN AGFubmEAc2VjcmV0",
	  "a1 AUTHENTICATE (hidden)" },
	{ redact_imap_client, "AGFubmEAc2VjcmV0", "(16 bytes)" },
	{ redact_imap_client, "AGFubmEA c2VjcmV0", "(17 bytes)" },
	{ redact_imap_client, "a1 SETMETADATA INBOX (/private/comment \"x\")", "(43 bytes)" },
	{ redact_imap_client, "a1 UID SETMETADATA secret", "(25 bytes)" },
	{ redact_imap_client, "a1 UID LOGIN anna secret", "(24 bytes)" },
	{ redact_imap_client, "a1 UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])",
	  NULL },
	{ redact_imap_client, "a1 ID (\"name\" \"Thunderbird\" \"version\" \"128\")", NULL },
	{ redact_imap_client, "a1 APPEND Sent (\\Seen) {5 bytes}", NULL },
	{ redact_imap_client, "a1 UID SEARCH UNSEEN SINCE 1-Feb-2026 1:*,7 NOT DELETED", NULL },
	{ redact_imap_client, "a1 SEARCH SUBJECT salary FROM \"the boss\" SEEN",
	  "a1 SEARCH SUBJECT … FROM … SEEN" },
	{ redact_imap_client, "a1 SEARCH SUBJECT seen", "a1 SEARCH SUBJECT …" },
	{ redact_imap_client, "a1 SEARCH HEADER X-Secret all", "a1 SEARCH HEADER … all" },
	{ redact_imap_client, "a1 SEARCH CHARSET UTF-8 (OR TEXT {6 bytes} BODY \"a \\\" b\")",
	  "a1 SEARCH CHARSET UTF-8 (OR TEXT {6 bytes} BODY …)" },
	{ redact_imap_client, "a1 SEARCH whatever KEYWORD $Private", "a1 SEARCH … KEYWORD …" },
	{ redact_imap_client, "a1 SEARCH \"not ended", "a1 SEARCH …" },
	{ redact_imap_client, "a1 SORT (REVERSE DATE) UTF-8 TEXT a",
	  "a1 SORT (REVERSE DATE) UTF-8 TEXT …" },
	{ redact_imap_client, "", "(0 bytes)" },
	{ redact_imap_client, "a1 NOOP\x1b[2J", "(11 bytes)" },
	{ redact_imap_client, "a1 CREATE a\x1b[2J\tb", "a1 CREATE a?[2J?b" },

	{ redact_imap_server, "* OK [ALERT] Hello", NULL },
	{ redact_imap_server, "a1 NO [TRYCREATE] no such mailbox", NULL },
	{ redact_imap_server, "a1 whatever", "(11 bytes)" },
	{ redact_imap_server, "+ idling", "+ (6 bytes)" },
	{ redact_imap_server, "+ eyJzdGF0dXMiOiI0MDAifQ==", "+ (24 bytes)" },
	{ redact_imap_server, "+eyJz", "+ (0 bytes)" },
	{ redact_imap_server, "* 12 EXISTS", NULL },
	{ redact_imap_server, "* SEARCH 1 2 3", NULL },
	{ redact_imap_server, "* LIST (\\HasNoChildren) \".\" \"INBOX.Sent mail\"", NULL },
	{ redact_imap_server, "* 2 FETCH (UID 7 FLAGS (\\Seen) BODY[] {2000 bytes})", NULL },
	{ redact_imap_server, "* 2 FETCH (ENVELOPE (\"a date\" \"a \\\" subject\" NIL) UID 7)",
	  "* 2 FETCH (ENVELOPE (\"…\" \"…\" NIL) UID 7)" },
	{ redact_imap_server, "* 2 FETCH (BODY[TEXT] \"cut in the mid",
	  "* 2 FETCH (BODY[TEXT] \"…\"" },
	{ redact_imap_server, "* GENURLAUTH \"imap://…:internal:token\"", "* (38 bytes)" },
	{ redact_imap_server, "* ", "* (0 bytes)" },
	{ redact_imap_server, "Dear Anna, the code is 1234", "(27 bytes)" },
	{ redact_imap_server, "", "(0 bytes)" },

	{ redact_pop3_client, "RETR 1", NULL },
	{ redact_pop3_client, "top 1 0", NULL },
	{ redact_pop3_client, "USER anna", "USER (hidden)" },
	{ redact_pop3_client, "pass two words", "pass (hidden)" },
	{ redact_pop3_client, "AUTH PLAIN AGFubmEAc2VjcmV0", "AUTH (hidden)" },
	{ redact_pop3_client, "APOP anna c4c9334bac560ecc979e58001b3e22fb", "APOP (hidden)" },
	{ redact_pop3_client, "AGFubmEAc2VjcmV0", "(16 bytes)" },
	{ redact_pop3_client, "", "(0 bytes)" },
	{ redact_pop3_server, "+OK 3 messages", NULL },
	{ redact_pop3_server, "-ERR [AUTH] no", NULL },
	{ redact_pop3_server, "+ eyJz", "(6 bytes)" },
	{ redact_pop3_server, "Dear Anna", "(9 bytes)" },
};

static void test_rows(void **state UNUSED)
{
	char out[256];

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *want = rows[i].shown ? rows[i].shown : rows[i].line;
		struct slice line = slice_of(rows[i].line);
		char *p = exact(line);

		rows[i].redact((struct slice){ p, line.n }, out, sizeof out);
		if (strcmp(out, want) != 0)
			fail_msg("%s: shown as \"%s\", not \"%s\"", rows[i].line, out, want);
		free(p);
	}
}

/* A line that was cut off shows no more than the whole one. */
static void test_cut_anywhere_nothing_more_is_shown(void **state UNUSED)
{
	static const char *const secrets[] = { "secret", "salary", "boss", "AGFu",  "subject",
					       "token",	 "c4c9",   "eyJ",  "words", "1234" };
	char out[256];

	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t n = 0; n <= strlen(rows[i].line); n++) {
			char *p = exact((struct slice){ rows[i].line, n });

			rows[i].redact((struct slice){ p, n }, out, sizeof out);
			for (size_t k = 0; k < COUNT(secrets); k++)
				if (strstr(out, secrets[k]) && !(rows[i].shown == NULL))
					fail_msg("%.*s: shown as \"%s\"", (int)n, p, out);
			free(p);
		}
}

static void test_small_room(void **state UNUSED)
{
	char out[8];

	redact_imap_client(SLICE("a1 SELECT INBOX"), out, sizeof out);
	assert_string_equal(out, "a1 SELE");
	redact_text(SLICE("1 abc\1def"), out, sizeof out);
	assert_string_equal(out, "1 abc?d");
	assert_true(redact_pop3_shows_lines(POP3_UIDL) && !redact_pop3_shows_lines(POP3_TOP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut_anywhere_nothing_more_is_shown),
		cmocka_unit_test(test_small_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
