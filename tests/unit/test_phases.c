/* The plan: what each item says of which facts, and what blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/phases.h"

#define NOW    ((int64_t)1700000000000)
#define DAY_MS ((int64_t)86400000)

/* A domain of which all is done. */
static struct phase_facts f;
static struct phase_item items[PHASE_ITEMS];

static int set_up(void **state UNUSED)
{
	f = (struct phase_facts){
		.now = NOW,
		.n = { .state = { [USER_DONE] = 3 }, .seen = 3, .imap = 3, .pop3 = 1 },
		.words = { .followed = true },
		.certificate_end = NOW + 90 * DAY_MS,
		.certificate_days = 14,
		.target = true,
		.mx = { .looked_at = NOW,
			.since = NOW - DAY_MS,
			.is_new = true,
			.copies_until = NOW - 1 },
		.names = { 4, 4 },
		.srv = { 2, 2 },
		.servers = { 1, 1 },
		.noted_since = NOW - 30 * DAY_MS,
	};
	for (int i = 0; i < PHASE_ITEMS; i++)
		f.words.of[i] =
			(struct phase_word){ true, NOW, "operator uid 7", "ticket 4711" };
	return 0;
}

static void assert_item(enum phase_name i, enum phase_state state, const char *part)
{
	phases_check(&f, items);
	if (items[i].state != state || !strstr(items[i].text, part))
		fail_msg("%s %s: %s", items[i].id, phase_state_name(items[i].state),
			 items[i].text);
	if (state == PHASE_DONE || state == PHASE_NOT_YET)
		assert_null(items[i].remedy);
}

static void test_all_done(void **state UNUSED)
{
	phases_check(&f, items);
	for (int i = 0; i < PHASE_ITEMS; i++) {
		assert_item((enum phase_name)i, PHASE_DONE, "");
		assert_true(items[i].text[0] && items[i].what[0]);
		assert_true(items[i].phase >= 1 && items[i].phase <= PHASES);
		assert_true(i == 0 || items[i].phase >= items[i - 1].phase);
		assert_int_equal(phase_find(items[i].id), i);
	}
	assert_int_equal(phase_find("nonsense"), -1);
}

static void test_nothing_known(void **state UNUSED)
{
	f = (struct phase_facts){ 0 };
	phases_check(&f, items);
	for (int i = 0; i < PHASE_ITEMS; i++)
		assert_true(items[i].text[0] &&
			    (items[i].state != PHASE_DONE || i == PHASE_WAIVERS));
	f.target = true;
	assert_item(PHASE_TTL_NOTED, PHASE_WARNS, "nobody has looked");
	assert_item(PHASE_TTL, PHASE_WARNS, "nobody has looked");
	assert_item(PHASE_MX, PHASE_NOT_YET, "not all");
}

/* The gate reads persons' words only, so only what persons vouch for may block. */
static void test_what_blocks(void **state UNUSED)
{
	char names[200];
	int n = 0;

	assert_int_equal(phases_blocking(&f.words, names, sizeof names), 0);
	assert_string_equal(names, "");
	f = (struct phase_facts){ 0 };
	phases_check(&f, items);
	for (int i = 0; i < PHASE_ITEMS; i++) {
		n += items[i].state == PHASE_BLOCKS;
		assert_true(items[i].state != PHASE_BLOCKS || items[i].by_person);
	}
	assert_int_equal(phases_blocking(&f.words, names, sizeof names), n);
	assert_string_equal(names, "brand, accounts-frozen, passwords-frozen, webmail-closed");
	assert_int_equal(phases_blocking(&f.words, names, 8), n); /* cut, not beyond */
	assert_non_null(strstr(phases_by_person(), "told-after"));
	assert_null(strstr(phases_by_person(), "mx"));
}

static void test_a_persons_word(void **state UNUSED)
{
	assert_item(PHASE_BRAND, PHASE_DONE, "operator uid 7: ticket 4711");
	f.words.of[PHASE_BRAND].done = false;
	assert_item(PHASE_BRAND, PHASE_BLOCKS, "taken back");
	assert_non_null(items[PHASE_BRAND].word);
	f.words.of[PHASE_BRAND] = f.words.of[PHASE_TOLD] = (struct phase_word){ 0 };
	assert_item(PHASE_BRAND, PHASE_BLOCKS, "nobody has said so");
	assert_item(PHASE_TOLD, PHASE_WARNS, "nobody has said so");
	assert_null(items[PHASE_TOLD].word);
}

static void test_a_persons_turn(void **state UNUSED)
{
	f.words = (struct phase_words){ 0 };
	assert_item(PHASE_PROVISIONING_ON, PHASE_WARNS, "nobody has said so");
	assert_item(PHASE_TOLD_AFTER, PHASE_WARNS, "nobody has said so");
	f.n.state[USER_READY] = 1;
	assert_item(PHASE_PROVISIONING_ON, PHASE_WARNS, "nobody has said so");
	assert_item(PHASE_TOLD_AFTER, PHASE_NOT_YET, "not all users");
	f.n.state[USER_DONE] = 0;
	assert_item(PHASE_PROVISIONING_ON, PHASE_NOT_YET, "nobody is moved");
	f.words.of[PHASE_PROVISIONING_ON].done = true; /* who says so early is believed */
	assert_item(PHASE_PROVISIONING_ON, PHASE_DONE, "");
	assert_item(PHASE_BRAND, PHASE_BLOCKS, "nobody has said so");
}

static void test_people(void **state UNUSED)
{
	f.n.strangers = 2;
	assert_item(PHASE_INVENTORY, PHASE_WARNS, "3 users, and 2 names");
	f.n.seen = 2;
	assert_item(PHASE_CLIENTS, PHASE_WARNS, "of 3 users 2 were seen");
	f.n.left_on_old = 1;
	assert_item(PHASE_SESSIONS, PHASE_WARNS, "1 sessions of moved");
	f.n.waived = 1;
	assert_item(PHASE_WAIVERS, PHASE_WARNS, "waivers for 1");
	f.n.state[USER_PENDING] = 1;
	assert_item(PHASE_ACCOUNTS, PHASE_WARNS, "1 of 4 users have no account");
	assert_item(PHASE_MOVED, PHASE_WARNS, "3 of 4 users are on new");
	assert_item(PHASE_TRAILING, PHASE_NOT_YET, "not all users");
}

static void test_the_end(void **state UNUSED)
{
	f.n.state[USER_DONE] = 2;
	f.n.state[USER_TRAILING] = 1;
	assert_item(PHASE_MOVED, PHASE_DONE, "3 of 3");
	assert_item(PHASE_TRAILING, PHASE_WARNS, "2 of 3 users are done");
	f.n.state[USER_TRAILING] = 0;
	f.n.state[USER_RETURNING] = 1; /* he lives on new, and is not to stay */
	assert_item(PHASE_MOVED, PHASE_WARNS, "2 of 3");
}

static void test_records(void **state UNUSED)
{
	f.ttl_s = 3600;
	snprintf(f.ttl_record, sizeof f.ttl_record, "mail");
	assert_item(PHASE_TTL, PHASE_WARNS, "the longest is 3600 s, of mail");
	f.ttl_s = 3599;
	f.mx.is_new = false;
	assert_item(PHASE_TTL, PHASE_DONE, "3599");
	f.mx.copies_until = NOW + DAY_MS; /* it was lowered just now */
	f.mx.ttl_before_s = 86400;
	assert_item(PHASE_TTL, PHASE_NOT_YET, "copies with 86400 s last until 2023-11-15");
	f.mx.ttl_before_s = 3599;
	assert_item(PHASE_TTL, PHASE_DONE, "3599");
	f.ttl_s = 0; /* there is no MX */
	assert_item(PHASE_TTL, PHASE_DONE, "none that leads to old is kept");
	f.mx.is_new = true;
	f.mx.copies_until = NOW - 1;
	assert_item(PHASE_TTL, PHASE_DONE, "all lead to new");
	f.mx.copies_until = NOW + 1000;
	assert_item(PHASE_PROPAGATION, PHASE_WARNS, "the last copy of the old one ends 2023-");
	f.mx.is_new = false;
	assert_item(PHASE_MX, PHASE_WARNS, "leads elsewhere");
	assert_item(PHASE_PROPAGATION, PHASE_NOT_YET, "");
	f.names.on_new = 1;
	assert_item(PHASE_MAIL_NAMES, PHASE_WARNS, "1 of 4");
	f.servers.wanted = f.servers.on_new = 0;
	assert_item(PHASE_NAME_SERVERS, PHASE_DONE, "stays");
	f.n.state[USER_READY] = 1; /* these wait for him */
	assert_item(PHASE_MX, PHASE_NOT_YET, "not all users");
	assert_item(PHASE_MAIL_NAMES, PHASE_NOT_YET, "not all users");
	f.mx.is_new = true; /* mail comes to mailboxes that are not in use */
	assert_item(PHASE_MX, PHASE_WARNS, "it does already");
	assert_non_null(strstr(items[PHASE_MX].remedy, "lead it back"));
	f.target = false;
	assert_item(PHASE_MX, PHASE_WARNS, "nothing says what records");
	assert_non_null(strstr(items[PHASE_MX].remedy, "dns.new"));
}

static void test_certificate(void **state UNUSED)
{
	f.certificate_end = NOW + 14 * DAY_MS;
	assert_item(PHASE_CERTIFICATE, PHASE_DONE, "in 14 days");
	f.certificate_end--;
	assert_item(PHASE_CERTIFICATE, PHASE_WARNS, "in 13 days");
	f.certificate_end = 0;
	assert_item(PHASE_CERTIFICATE, PHASE_WARNS, "no proxy has told");
}

#define T(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_all_done),	T(test_nothing_known),	T(test_what_blocks),
		T(test_a_persons_word), T(test_a_persons_turn), T(test_people),
		T(test_the_end),	T(test_records),	T(test_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
