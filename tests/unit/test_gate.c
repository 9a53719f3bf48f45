/* Every check of the gate: what it says of which facts, under which settings and waivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/facts_keep.h"
#include "sync/gate.h"

#define NOW    ((int64_t)1700000000000)
#define DAY_MS ((int64_t)86400000)
#define MIB    (1024 * 1024)

/* One user, whom nothing holds up. */
static struct settings s;
static struct user u;
static struct gate_known k;
static struct gate_view v;
static struct gate_item items[GATE_ITEMS];

static int set_up(void **state UNUSED)
{
	static char login[] = "anna", file[] = "/pw";

	s = (struct settings){
		.sync = { .delta_s = 300, .retry_s = 60 },
		.cutover = { .budget_s = 12, .tries = 3, .parallel = 1 },
		.gate = { .uidvalidity = RULE_REQUIRE,
			  .strangers = RULE_REQUIRE,
			  .subscriptions = RULE_REQUIRE,
			  .quota_margin = 5,
			  .certificate_days = 14 },
	};
	u = (struct user){
		.name = login,
		.state = USER_READY,
		.go = true,
		.login = { login, login },
		.password_file = { file, file },
		.progress = { .passes = 2,
			      .pass_clean = true,
			      .pass_took = 100,
			      .pass_ended = NOW - 1000,
			      .messages = 100,
			      .verified = 100,
			      .bytes = 100 * MIB },
	};
	k = (struct gate_known){ .facts = { .known = true,
					    .paired = 100,
					    .room_bytes = FACT_UNKNOWN,
					    .room_messages = FACT_UNKNOWN,
					    .separator = { ".", "." } } };
	v = (struct gate_view){ .s = &s, .now = NOW, .worker_free = true, .known = &k };
	return 0;
}

static void assert_item(enum gate_name i, enum gate_state state, const char *part)
{
	bool open = gate_check(&u, &v, items);

	if (items[i].state != state || !strstr(items[i].text, part))
		fail_msg("%s %s: %s", items[i].name, gate_state_name(items[i].state),
			 items[i].text);
	assert_int_equal(items[i].ok, state != GATE_WAITS);
	assert_int_equal(open, state != GATE_WAITS); /* it is the only one */
	if (state == GATE_OK || state == GATE_WAIVED)
		assert_null(items[i].remedy);
}

static void assert_flip(bool may, const char *part)
{
	char why[300] = "";

	assert_int_equal(gate_may_flip(&u, &v, why, sizeof why), may);
	if (!strstr(why, part))
		fail_msg("%s", why);
}

static void test_open(void **state UNUSED)
{
	assert_true(gate_check(&u, &v, items));
	for (int i = 0; i < GATE_ITEMS; i++)
		assert_true(items[i].ok && items[i].state == GATE_OK && items[i].text[0]);
	assert_flip(true, "");
}

static void test_facts_must_be_there(void **state UNUSED)
{
	k.facts.known = false;
	assert_item(GATE_PASS, GATE_WAITS, "looks at all");
	assert_true(gate_wants_pass(items, &v));
	assert_flip(false, "did not say");
	v.known = NULL; /* nobody asks: the engine does so only where all else is open */
	assert_true(gate_check(&u, &v, items));
}

/* It is passed over on the way to new; on the way back it would only undo each pause. */
static void test_a_node_that_has_gone_holds_up_a_return(void **state UNUSED)
{
	snprintf(v.gone, sizeof v.gone, "proxy-1");
	assert_true(gate_check(&u, &v, items));
	u.state = USER_RETURNING;
	assert_item(GATE_NODES, GATE_WAITS, "node proxy-1, which has gone");
	assert_non_null(strstr(items[GATE_NODES].remedy, "mailferry forget"));
	snprintf(v.lapsed, sizeof v.lapsed, "proxy-2");
	assert_item(GATE_NODES, GATE_WAITS, "node proxy-2, which is silent");
}

/* What passes on the way back have found says nothing of new. */
static void test_who_came_back_needs_a_pass(void **state UNUSED)
{
	u.flipped_at = u.progress.pass_ended + 1;
	assert_item(GATE_PASS, GATE_WAITS, "since the user came back to old");
	assert_true(gate_wants_pass(items, &v));
	u.progress.pass_ended = u.flipped_at;
	assert_true(gate_check(&u, &v, items));
	u.state = USER_RETURNING;
	u.progress.pass_ended--;
	assert_true(gate_check(&u, &v, items));
}

/* Each fact by itself: what it says, and whether it counts at the flip. */
static void test_counts_of_facts(void **state UNUSED)
{
	static const struct {
		enum gate_name item;
		struct fact *fact;
		const char *says;
	} rows[] = {
		{ GATE_UIDVALIDITY, &k.facts.same_validity,
		  "3 folders have old's UIDVALIDITY and other UIDs, first Work" },
		{ GATE_STRANGERS, &k.facts.strangers,
		  "3 messages on new were not copied from old, first in Work" },
		{ GATE_SUBSCRIPTIONS, &k.facts.unsubscribed,
		  "3 folders are subscribed on old and not on new, first Work" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		*rows[i].fact = (struct fact){ 3, "Work" };
		assert_item(rows[i].item, GATE_WAITS, rows[i].says);
		assert_non_null(items[rows[i].item].remedy);
		assert_flip(false, rows[i].says);
		*rows[i].fact = (struct fact){ 0 };
	}
	k.facts.in_doubt = 2;
	assert_item(GATE_DOUBT, GATE_WAITS, "2 messages in doubt");
	assert_flip(false, "2 messages in doubt");
}

static void test_uid_modes(void **state UNUSED)
{
	assert_item(GATE_UIDS, GATE_OK, "exact: 100 of 100 messages");
	k.facts.inexact = (struct fact){ 1, "INBOX" };
	s.gate.uids = RULE_REQUIRE;
	assert_item(
		GATE_UIDS, GATE_WAITS,
		"100 of 100 messages have old's UID, but in 1 folders new will give UIDs that "
		"old has given before, first INBOX");
	snprintf(k.facts.uids_why, FACT_TEXT_MAX, "there is mail");
	k.facts.other_uids = (struct fact){ 7, "INBOX" };
	s.gate.uids = RULE_REQUIRE;
	assert_item(
		GATE_UIDS, GATE_OK,
		"floor: 7 of 100 messages have another UID than on old, all above old's UIDNEXT: "
		"there is mail");
	k.facts.low_uids = (struct fact){ 1, "INBOX" };
	assert_item(GATE_UIDS, GATE_WAITS,
		    "plain: 7 of 100 messages have another UID than on old, in 1 folders below "
		    "old's UIDNEXT, first INBOX");
	assert_flip(false, "plain: 7 of 100");
	s.gate.uids = RULE_WARN;
	assert_item(GATE_UIDS, GATE_WARNS, "plain: 7 of 100");
	assert_non_null(items[GATE_UIDS].remedy);
	assert_flip(true, "");
	k.facts.by_pop3 = 1;
	s.gate.uids = RULE_REQUIRE;
	assert_item(GATE_UIDS, GATE_OK, "POP3");
}

static void test_names(void **state UNUSED)
{
	assert_item(GATE_NAMES, GATE_OK, "prefix \"\" and separator . on both sides");
	snprintf(k.facts.prefix[SIDE_OLD], FACT_TEXT_MAX, "INBOX.");
	assert_item(GATE_NAMES, GATE_WARNS,
		    "prefix \"INBOX.\" and separator . on old, \"\" and . on new");
	s.gate.names = RULE_REQUIRE;
	assert_item(GATE_NAMES, GATE_WAITS, "INBOX.");
	k.facts.prefix[SIDE_OLD][0] = '\0';
	k.facts.separator[SIDE_NEW][0] = '/';
	assert_item(GATE_NAMES, GATE_WAITS, "/ on new");
}

static void test_special_use(void **state UNUSED)
{
	k.facts.unused = (struct fact){ 1, "Gesendet" };
	assert_item(GATE_SPECIAL_USE, GATE_WARNS, "first Gesendet");
	s.gate.special_use = RULE_REQUIRE;
	assert_item(GATE_SPECIAL_USE, GATE_WAITS, "first Gesendet");
}

static void test_unseen_writes(void **state UNUSED)
{
	k.facts.unseen = 4;
	k.facts.unseen_at = NOW - 5000;
	assert_item(GATE_UNSEEN, GATE_WARNS, "4 messages changed or deleted on old 5 s ago");
	s.gate.unseen = RULE_REQUIRE;
	assert_item(GATE_UNSEEN, GATE_WAITS, "4 messages");
	assert_flip(true, ""); /* the last delta has looked at old twice */
	k.facts.unseen_at = NOW - DAY_MS - 1;
	assert_item(GATE_UNSEEN, GATE_OK, "in the last day");
}

static void test_pop3_ids(void **state UNUSED)
{
	assert_item(GATE_POP3_IDS, GATE_OK, "no node has seen");
	k.pop3 = (struct uidl_state){ .seen = NOW, .why = "refused" };
	s.gate.pop3_ids = RULE_REQUIRE;
	assert_item(GATE_POP3_IDS, GATE_WAITS, "there is no map of them: refused");
	k.pop3 = (struct uidl_state){
		.seen = NOW, .mapped_at = NOW, .entries = 8, .missing = 2, .why = "late"
	};
	assert_item(GATE_POP3_IDS, GATE_WAITS, "8 mapped, 2 missing: late");
	assert_flip(false, "pop3-ids");
	k.pop3.accepted = true;
	assert_item(GATE_POP3_IDS, GATE_OK, "taken as enough");
	k.pop3.accepted = false;
	k.pop3.mapped_at = NOW;
	k.pop3.complete = true;
	assert_item(GATE_POP3_IDS, GATE_OK, "8 unique ids are mapped");
}

static void test_password(void **state UNUSED)
{
	assert_item(GATE_PASSWORD, GATE_OK, "nobody looks");
	s.gate.shadow_login = true;
	s.gate.password = RULE_REQUIRE;
	assert_item(GATE_PASSWORD, GATE_WARNS, "not known");
	s.gate.password_unknown = RULE_REQUIRE;
	assert_item(GATE_PASSWORD, GATE_WAITS, "not known");
	k.password = (struct shadow_row){ .at = NOW - 5000, .accepted = true };
	assert_item(GATE_PASSWORD, GATE_OK, "took the user's password 5 s ago");
	k.password.accepted = false;
	assert_item(GATE_PASSWORD, GATE_WAITS, "refused the password that old took 5 s ago");
	s.gate.password = RULE_WARN;
	assert_item(GATE_PASSWORD, GATE_WARNS, "refused");
	assert_int_equal(gate_waivable("password"), GATE_PASSWORD);
}

static void test_server(void **state UNUSED)
{
	k.facts.certificate = (NOW + 15 * DAY_MS) / 1000;
	assert_item(GATE_SERVER, GATE_OK, "15 days");
	k.facts.certificate = (NOW + 13 * DAY_MS) / 1000;
	assert_item(GATE_SERVER, GATE_WARNS, "certificate ends in 13 days");
	snprintf(k.facts.lost, FACT_TEXT_MAX, "IDLE MOVE");
	assert_item(GATE_SERVER, GATE_WARNS, "in 13 days; new has not: IDLE MOVE");
	k.facts.certificate = 0;
	assert_item(GATE_SERVER, GATE_WARNS, "new has not: IDLE MOVE");
	s.gate.server = RULE_REQUIRE;
	assert_item(GATE_SERVER, GATE_WAITS, "new has not: IDLE MOVE");
}

static void test_room(void **state UNUSED)
{
	k.facts.room_bytes = 5 * MIB;
	k.facts.room_messages = 5;
	assert_item(GATE_QUOTA, GATE_OK, "room for 5 MiB more");
	k.facts.room_messages = 4;
	assert_item(GATE_QUOTA, GATE_WAITS, "room for 4 messages more; 5 are wanted");
	k.facts.room_messages = 5;
	k.facts.room_bytes = 5 * MIB - 1;
	assert_item(GATE_QUOTA, GATE_WAITS, "room for 4 MiB more; 5 are wanted");
	s.gate.quota_margin = 0;
	assert_item(GATE_QUOTA, GATE_OK, "room for 4 MiB");
}

/* What is still to come needs room too. */
static void test_room_for_what_is_to_come(void **state UNUSED)
{
	s.gate.quota_margin = 0;
	u.progress.verified = 90;
	k.facts.room_messages = 9;
	(void)gate_check(&u, &v, items);
	assert_false(items[GATE_QUOTA].ok);
	assert_non_null(strstr(items[GATE_QUOTA].text, "10 are wanted"));
}

static void test_the_last_three_deltas(void **state UNUSED)
{
	u.progress.pass_took = 500;
	k.facts.took_ms[0] = 500;
	k.facts.took_ms[1] = 5999;
	assert_item(GATE_SHORT, GATE_OK, "the last 2 passes took at most 5999 ms");
	k.facts.took_ms[2] = 6000;
	assert_item(GATE_SHORT, GATE_WAITS, "the last 3 passes took at most 6000 ms, 6000 fit");
	assert_true(gate_wants_pass(items, &v));
}

/* Who may have waived it is read where all else is open: until then it keeps nobody. */
static void test_a_last_pass_that_was_long_may_be_waived(void **state UNUSED)
{
	u.progress.pass_took = 6000;
	assert_item(GATE_SHORT, GATE_WAITS, "the last pass took 6000 ms");
	k.waived[GATE_SHORT].on = true;
	assert_item(GATE_SHORT, GATE_WAIVED, "the last pass took 6000 ms");
	v.known = NULL;
	assert_true(gate_check(&u, &v, items));
	assert_true(gate_wants_pass(items, &v));
}

/* Of what is known of a user only that is about him, not about new. */
static void test_a_waiver_counts_on_the_way_back(void **state UNUSED)
{
	u.state = USER_RETURNING;
	u.progress.pass_took = 6000;
	k.facts = (struct facts){ 0 };
	s.gate.phases = RULE_REQUIRE;
	assert_item(GATE_SHORT, GATE_WAITS, "the last pass took 6000 ms");
	k.waived[GATE_SHORT].on = true;
	assert_item(GATE_SHORT, GATE_WAIVED, "the last pass took 6000 ms");
	k.facts = (struct facts){ .known = true, .strangers = { 3, "Work" } };
	assert_true(gate_check(&u, &v, items));
	assert_true(items[GATE_STRANGERS].ok);
}

static void test_phases(void **state UNUSED)
{
	static char name[] = "anna@example.com";

	assert_item(GATE_PHASES, GATE_OK, "no domain");
	u.name = name;
	assert_item(GATE_PHASES, GATE_OK, "nobody follows the plan of example.com");
	k.plan.followed = true;
	k.plan.of[PHASE_BRAND].done = true;
	k.plan.of[PHASE_PASSWORDS_FROZEN].done = true;
	assert_item(GATE_PHASES, GATE_WARNS,
		    "the plan of example.com is open at accounts-frozen, webmail-closed");
	s.gate.phases = RULE_REQUIRE;
	assert_item(GATE_PHASES, GATE_WAITS, "open at accounts-frozen, webmail-closed");
	assert_flip(true, ""); /* the engine asks before it begins, not again in the pause */
	k.waived[GATE_PHASES].on = true;
	assert_item(GATE_PHASES, GATE_WAIVED, "open at");
	k.waived[GATE_PHASES].on = false;
	k.plan.of[PHASE_ACCOUNTS_FROZEN].done = k.plan.of[PHASE_WEBMAIL_CLOSED].done = true;
	assert_item(GATE_PHASES, GATE_OK, "nothing in the plan");
	k.plan = (struct phase_words){ 0 };
	assert_item(GATE_PHASES, GATE_WAITS, "brand, accounts-frozen, passwords-frozen");
}

static void test_waivers(void **state UNUSED)
{
	k.facts.strangers = (struct fact){ 1, "Junk" };
	k.waived[GATE_STRANGERS].on = true;
	snprintf(k.waived[GATE_STRANGERS].text, GATE_NOTE_MAX, "by operator: it is spam");
	assert_item(GATE_STRANGERS, GATE_WAIVED, "waived by operator: it is spam");
	assert_non_null(strstr(items[GATE_STRANGERS].text, "1 messages on new"));
	assert_flip(true, "");
	k.facts.strangers = (struct fact){ 0 };
	assert_item(GATE_STRANGERS, GATE_OK, "no mail on new");
	/* What is not a matter of taste is nobody's to waive. */
	k.facts.in_doubt = 1;
	k.waived[GATE_DOUBT].on = true;
	assert_item(GATE_DOUBT, GATE_WAITS, "1 messages");
	assert_int_equal(gate_waivable("doubt"), -1);
	assert_int_equal(gate_waivable("verified"), -1);
	assert_int_equal(gate_waivable("nonsense"), -1);
	assert_int_equal(gate_waivable("uids"), GATE_UIDS);
	assert_non_null(strstr(gate_waivable_names(), "strangers, subscriptions"));
}

/* ---- facts */

static void test_facts_come_back(void **state UNUSED)
{
	struct facts f = { .known = true,
			   .paired = 7,
			   .strangers = { 2, "Entw\303\274rfe" },
			   .room_bytes = FACT_UNKNOWN,
			   .took_ms = { 1, 2, 3 },
			   .separator = { "/", "" } },
		     g;
	struct buf b = { 0 };
	struct err e = { 0 };

	facts_write(&f, &b);
	buf_add(&b, "", 1);
	assert_int_equal(facts_parse(buf_slice(&b).p, &g, &e), 0);
	assert_memory_equal(&f, &g, sizeof f);
	buf_release(&b);
}

static void test_bad_facts(void **state UNUSED)
{
	static const char *const bad[] = { "", "[]", "{}", "{\"paired\":1}", "{\"paired\":1,",
					   "7" };
	struct facts f;
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(facts_parse(bad[i], &f, &e), -1);
		assert_false(f.known);
	}
	assert_int_equal(facts_read(NULL, &f, &e), 0);
	assert_false(f.known);
}

static void test_times_of_deltas(void **state UNUSED)
{
	const struct facts before = { .took_ms = { 1, 2, 3 } };
	const struct job_result r = { .took_ms = 9 };
	const struct facts_witness nobody = { 0 };
	struct facts f = { 0 };

	u.state = USER_SYNCING; /* it copies yet */
	facts_carry_on(&f, &before, &u, &r, &nobody, NOW);
	assert_int_equal(f.took_ms[0], 0);
	u.state = USER_READY;
	facts_carry_on(&f, &before, &u, &r, &nobody, NOW);
	assert_true(f.took_ms[0] == 9 && f.took_ms[1] == 1 && f.took_ms[2] == 2);
}

/* Nodes tell of their sessions once a second: what a pass finds is judged when they have. */
static void test_who_was_there(void **state UNUSED)
{
	static const struct facts_witness nobody, found_seen = { .of_found = true },
						  pass_seen = { .of_pass = true };
	const struct facts before = { .unseen = 1, .unseen_at = 5 };
	const struct job_result r = { .flags = 2, .deleted = 1 }, none = { .copied = 4 };
	int64_t told = NOW + FACTS_TOLD_MS;
	struct facts found = { 0 }, more = { 0 }, f = { 0 };

	facts_carry_on(&f, &before, &u, &none, &nobody, NOW); /* mail may come at any time */
	assert_true(f.unseen == 1 && f.unseen_at == 5 && f.found == 0);
	facts_carry_on(&f, &before, &u, &r, &pass_seen, NOW); /* a node's session */
	assert_true(f.unseen == 1 && f.found == 0);
	facts_carry_on(&found, &before, &u, &r, &nobody, NOW);
	assert_true(found.unseen == 1 && found.found == 3);
	u.progress.pass_ended = NOW; /* the next one comes at once */
	facts_carry_on(&more, &found, &u, &r, &nobody, told - 1);
	assert_true(more.unseen == 1 && more.found == 6);
	u.progress.pass_ended = told - 1;
	facts_carry_on(&f, &more, &u, &none, &found_seen, told); /* it was told late */
	assert_true(f.unseen == 1 && f.unseen_at == 5 && f.found == 0);
	facts_carry_on(&f, &more, &u, &none, &pass_seen, told); /* it came afterwards */
	assert_true(f.unseen == 6 && f.unseen_at == NOW && f.found == 0);
	facts_carry_on(&f, &more, &u, &r, &nobody, told); /* and the next question */
	assert_true(f.unseen == 6 && f.found == 3 && f.found_at == told);
}

static void test_a_move_does_not_forget_what_was_found(void **state UNUSED)
{
	const struct facts before = { .found = 3, .found_at = NOW };
	const struct facts_witness nobody = { 0 };
	const struct job_result none = { .copied = 4 };
	struct facts f = { 0 };

	u.state = USER_SYNCING;
	facts_carry_on(&f, &before, &u, &none, &nobody, NOW + FACTS_TOLD_MS);
	assert_true(f.unseen == 3 && f.unseen_at == NOW);
}

/* No cutover in between; and a pass as soon as it can tell. */
static void test_changes_that_are_not_judged_yet(void **state UNUSED)
{
	k.facts.found = 3;
	k.facts.found_at = NOW - FACTS_TOLD_MS + 1;
	assert_item(GATE_UNSEEN, GATE_WARNS, "3 messages changed or deleted on old");
	assert_false(gate_wants_pass(items, &v));
	s.gate.unseen = RULE_REQUIRE;
	assert_item(GATE_UNSEEN, GATE_WAITS, "3 messages changed or deleted on old");
	assert_false(gate_wants_pass(items, &v));
	k.facts.found_at--;
	assert_item(GATE_UNSEEN, GATE_WAITS, "whether a node saw it");
	assert_true(gate_wants_pass(items, &v));
}

static void hear(enum side side, int at, const char *who, int64_t ago_ms)
{
	v.trouble.lasts_ms = 120000;
	snprintf(v.trouble.heard[side][at].user, sizeof v.trouble.heard[side][at].user, "%s",
		 who);
	v.trouble.heard[side][at].at = NOW - ago_ms;
}

static void test_one_user_s_errors_are_his(void **state UNUSED)
{
	hear(SIDE_NEW, 0, "anna", 5000);
	assert_item(
		GATE_SERVERS, GATE_WAITS,
		"the new server answered anna with an internal error 5 s ago: what it lists "
		"for this user is not believed for 115 s more");
	hear(SIDE_NEW, 0, "bob", 5000);
	assert_item(GATE_SERVERS, GATE_OK, "none is in trouble");
	hear(SIDE_NEW, 0, "anna", 120000);
	assert_item(GATE_SERVERS, GATE_OK, "none is in trouble");
}

static void test_a_server_in_trouble_is_not_left(void **state UNUSED)
{
	hear(SIDE_OLD, 0, "bob", 5000);
	hear(SIDE_OLD, 1, "carl", 20000);
	assert_item(GATE_SERVERS, GATE_WAITS,
		    "the old server answered several users with internal errors, the last ones "
		    "bob (5 s ago) and carl: what it lists is not believed for 100 s more");
	hear(SIDE_OLD, 1, "carl", 120000); /* bob alone is left of them */
	assert_item(GATE_SERVERS, GATE_OK, "none is in trouble");
	u.state = USER_RETURNING;
	hear(SIDE_OLD, 1, "carl", 20000);
	assert_item(GATE_SERVERS, GATE_WAITS, "the old server answered several");
}

static void test_a_return_leads_out_of_it(void **state UNUSED)
{
	u.state = USER_RETURNING;
	hear(SIDE_NEW, 0, "anna", 5000);
	hear(SIDE_NEW, 1, "bob", 5000);
	assert_item(GATE_SERVERS, GATE_OK, "none is in trouble");
}

#define T(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_open),
		T(test_facts_must_be_there),
		T(test_a_node_that_has_gone_holds_up_a_return),
		T(test_who_came_back_needs_a_pass),
		T(test_counts_of_facts),
		T(test_uid_modes),
		T(test_names),
		T(test_special_use),
		T(test_unseen_writes),
		T(test_pop3_ids),
		T(test_password),
		T(test_server),
		T(test_one_user_s_errors_are_his),
		T(test_a_server_in_trouble_is_not_left),
		T(test_a_return_leads_out_of_it),
		T(test_room),
		T(test_room_for_what_is_to_come),
		T(test_the_last_three_deltas),
		T(test_a_last_pass_that_was_long_may_be_waived),
		T(test_a_waiver_counts_on_the_way_back),
		T(test_phases),
		T(test_waivers),
		T(test_facts_come_back),
		T(test_bad_facts),
		T(test_times_of_deltas),
		T(test_who_was_there),
		T(test_changes_that_are_not_judged_yet),
		T(test_a_move_does_not_forget_what_was_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
