/* Who a server is, and how much room its mailbox has. */
#include "tests/unit/wire_test.h"

#include "sync/quirks.h"
#include "sync/quota.h"

static const struct {
	const char *greeting, *capabilities, *id, *name;
} servers[] = {
	{ "Dovecot (Debian) ready.", "IMAP4rev1 SASL-IR", "", "Dovecot" },
	{ "ready.", "IMAP4rev1 CONTEXT=SEARCH IDLE", "", "Dovecot" },
	{ "ready.", "IMAP4rev1 ID", "ID (\"name\" \"Dovecot\")", "Dovecot" },
	{ "mail.example.net Cyrus IMAP 3.6.1-Debian server ready", "", "", "Cyrus" },
	{ "Courier-IMAP ready. Copyright 1998-2018 Double Precision, Inc.", "", "", "Courier" },
	{ "Gimap ready for requests from 192.0.2.1", "IMAP4rev1", "", "Gmail" },
	{ "hello", "IMAP4rev1 X-GM-EXT-1", "", "Gmail" },
	{ "The Microsoft Exchange IMAP4 service is ready. [TABC]", "", "", "Exchange" },
	{ "IMAP4rev1 imapgate-1.8.2_01.20 imap.mail.yahoo.com", "", "", "Yahoo" },
	{ "IMAP4 ready", "IMAP4rev1 ID", "ID (\"NAME\" \"Zimbra\" \"VERSION\" \"8.8\")",
	  "Zimbra" },
	{ "mail.hostedemail.com IMAP4rev1 ready", "", "", "OpenSRS" },
	{ "IMAP4 ready", "IMAP4rev1", "", "unknown" },
	{ "", "", "", "unknown" },
};

static void servers_are_recognised(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(servers); i++) {
		const struct quirks *q =
			quirks_find(slice_of(servers[i].greeting),
				    slice_of(servers[i].capabilities), slice_of(servers[i].id));

		if (strcmp(q->name, servers[i].name) != 0)
			fail_msg("%s: %s", servers[i].greeting, q->name);
		assert_int_equal(quirks_known(q), strcmp(q->name, "unknown") != 0);
	}
}

static void the_tightest_quota_counts(void **state UNUSED)
{
	struct quota q = { 0 };
	char text[100];

	quota_take(&q, SLICE("QUOTAROOT INBOX \"a (STORAGE 1 2)\""));
	assert_false(q.bytes.known);
	quota_take(&q, SLICE("QUOTA \"a (b\" (STORAGE 1024 4096 MESSAGE 5 100)"));
	quota_take(&q, SLICE("QUOTA b (STORAGE 3072 5120)"));
	quota_take(&q, SLICE("QUOTA c (STORAGE 0 999999)"));
	assert_true(q.bytes.known && q.bytes.used == 3072 << 10 && q.bytes.limit == 5120 << 10);
	assert_true(q.messages.known && q.messages.used == 5 && q.messages.limit == 100);
	quota_text(&q, text, sizeof text);
	assert_string_equal(text, "3 of 5 MiB, 5 of 100 messages");
}

static void odd_quotas_are_no_quotas(void **state UNUSED)
{
	static const char *const odd[] = { "QUOTA x (",
					   "QUOTA x ()",
					   "QUOTA x (STORAGE)",
					   "QUOTA x (STORAGE 1)",
					   "QUOTA x (STORAGE a b)",
					   "QUOTA x (STORAGE -1 5)",
					   "QUOTA x",
					   "QUOTA",
					   "QUOTA x (STORAGE 1 99999999999999999999)",
					   "QUOTA x (X-NUM-FOLDERS 1 5)",
					   "" };
	struct quota q = { 0 };
	struct err e;

	for (size_t i = 0; i < COUNT(odd); i++)
		quota_take(&q, slice_of(odd[i]));
	assert_false(q.bytes.known || q.messages.known);
	assert_int_equal(quota_fits(&q, INT64_MAX, INT64_MAX, &e), 0);
}

static void what_does_not_fit_is_said(void **state UNUSED)
{
	struct quota q = { .bytes = { true, 90 << 20, 100 << 20 },
			   .messages = { true, 100, 90 } };
	struct err e = { 0 };

	assert_int_equal(quota_fits(&q, 0, 0, &e), 0);
	assert_int_equal(quota_fits(&q, 0, 1, &e), -1); /* over its limit already */
	q.messages.limit = 1000;
	assert_int_equal(quota_fits(&q, 10 << 20, 900, &e), 0);
	assert_int_equal(quota_fits(&q, 11 << 20, 10, &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	assert_string_equal(e.text, "no room for 11 MiB in 10 messages more: 90 of 100 MiB, "
				    "100 of 1000 messages are used");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_recognised),
		cmocka_unit_test(the_tightest_quota_counts),
		cmocka_unit_test(odd_quotas_are_no_quotas),
		cmocka_unit_test(what_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
