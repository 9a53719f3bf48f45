/* The store: users, their moves, their history, with several handles and several processes. */
#include "tests/unit/store_stage.h"

/* ---- users */

struct seen {
	int count, stop_at;
	char first[16], last[16];
	bool go_on; /* move each user on from inside */
};

static int see_user(const struct user *u, void *arg)
{
	struct seen *seen = arg;

	if (seen->count++ == 0)
		snprintf(seen->first, sizeof seen->first, "%s", u->name);
	snprintf(seen->last, sizeof seen->last, "%s", u->name);
	if (seen->go_on)
		go_to(u->name, u->state + 1);
	return seen->count == seen->stop_at ? 7 : 0;
}

static void add_many(int count)
{
	struct user_import *rows = mem_array((size_t)count, sizeof *rows);
	struct import_count done;
	char(*names)[16] = mem_array((size_t)count, sizeof *names);

	for (int i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "u%05d", i);
		rows[i] = row(names[i], NULL);
		rows[i].wave = i % 2 ? "odd" : "even";
	}
	OK(store_users_import(st, rows, (size_t)count, &done, &err));
	mem_free(&rows);
	mem_free(&names);
}

static void test_users_each(void **state UNUSED)
{
	struct user_filter f = { 0 };
	struct seen seen = { 0 };
	int64_t counts[USER_STATES];

	add_many(1203); /* more than two pages */
	OK(store_users_each(st, &f, see_user, &seen, &err));
	assert_int_equal(seen.count, 1203);
	assert_string_equal(seen.last, "u01202");

	seen = (struct seen){ 0 };
	f = (struct user_filter){ .wave = "odd", .after = "u00600", .limit = 5 };
	OK(store_users_each(st, &f, see_user, &seen, &err));
	assert_int_equal(seen.count, 5);
	assert_string_equal(seen.first, "u00601");
	assert_string_equal(seen.last, "u00609");

	seen = (struct seen){ .stop_at = 3, .go_on = true };
	f = (struct user_filter){ .state = USER_PENDING, .has_state = true };
	assert_int_equal(store_users_each(st, &f, see_user, &seen, &err), 7);
	assert_int_equal(seen.count, 3);
	OK(store_users_count(st, NULL, counts, &err));
	assert_int_equal(counts[USER_PENDING], 1200);
	assert_int_equal(counts[USER_PROVISIONED], 3);
	OK(store_users_count(st, "odd", counts, &err));
	assert_int_equal(counts[USER_PENDING], 600);
	assert_int_equal(counts[USER_PROVISIONED], 1);
	assert_int_equal(counts[USER_DONE], 0);
}

static void test_changes_after(void **state UNUSED)
{
	struct seen seen = { 0 };
	int64_t last = -5, top;

	OK(store_changes_after(st, 0, see_user, &seen, &last, &err));
	assert_true(seen.count == 0 && last == -5);
	add_many(1001);
	OK(store_changes_after(st, 0, see_user, &seen, &last, &err));
	assert_true(seen.count == 1001 && last == 1001);
	go_up_to("u00007", USER_SYNCING);
	go_up_to("u00003", USER_PROVISIONED);
	seen = (struct seen){ 0 };
	OK(store_changes_after(st, last, see_user, &seen, &last, &err));
	assert_int_equal(seen.count, 2); /* each once, as it is now, by change */
	assert_string_equal(seen.first, "u00007");
	assert_string_equal(seen.last, "u00003");
	OK(store_last_change(st, &top, &err));
	assert_true(last == 1004 && top == 1004);
}

/* ---- moves */

static void test_way_forward(void **state UNUSED)
{
	struct user u;
	int64_t now;
	int n;

	clock_test_freeze();
	add_user("anna");
	OK(store_users_go(st, "anna", NULL, true, &n, &err));
	go_up_to("anna", USER_FREEZING);
	now = store_now_ms(st);
	u = numbers_of("anna");
	assert_true(u.hold_until == now + 12000 && u.direction == DIR_FORWARD && u.epoch == 0);
	assert_true(u.go && u.state_since == now && u.change == 5);
	clock_test_advance(11999);
	go_to("anna", USER_FINALIZING);
	assert_int_equal(numbers_of("anna").hold_until, now + 12000);
	do_sql("UPDATE users SET strays = 5, last_stray = 6"); /* of an earlier flip */
	go_to("anna", USER_TRAILING);
	u = numbers_of("anna");
	assert_true(u.progress.strays == 0 && u.progress.last_stray == 0);
	assert_true(u.hold_until == 0 && u.epoch == 1 && !u.go && u.change == 7);
	assert_int_equal(u.progress.last_arrival, now + 11999);
	OK(store_users_go(st, "anna", NULL, true, &n, &err));
	assert_int_equal(n, 0);
	go_to("anna", USER_DONE);
	assert_int_equal(ask("SELECT COUNT(*) FROM history"), 7);
	assert_int_equal(ask("SELECT COUNT(*) FROM history h JOIN changes c ON c.id = h.change"
			     " AND c.name = h.name"),
			 7);
}

static void test_way_back(void **state UNUSED)
{
	struct user u;

	add_user("anna");
	go_up_to("anna", USER_TRAILING);
	do_sql("UPDATE users SET go = 1");
	go_to("anna", USER_RETURNING);
	assert_false(numbers_of("anna").go);
	go_to("anna", USER_FREEZING);
	assert_int_equal(numbers_of("anna").direction, DIR_BACK);
	go_to("anna", USER_RETURNING); /* undone */
	u = numbers_of("anna");
	assert_true(u.undos == 1 && u.hold_until == 0 && u.epoch == 1);
	go_to("anna", USER_FREEZING);
	go_to("anna", USER_FINALIZING);
	go_to("anna", USER_READY); /* flipped */
	u = numbers_of("anna");
	assert_true(u.undos == 0 && u.hold_until == 0 && u.epoch == 2 && u.next_try == 0);
}

static void test_rollback(void **state UNUSED)
{
	add_user("anna");
	assert_int_equal(store_user_return(st, "nobody", "test", "", &err), 0);
	assert_int_equal(store_user_return(st, "anna", "test", "", &err), 0);
	assert_int_equal(numbers_of("anna").state, USER_PENDING);
	go_up_to("anna", USER_DONE);
	assert_int_equal(store_user_return(st, "anna", "operator", "ticket 4711", &err), 1);
	assert_true(numbers_of("anna").state == USER_RETURNING && numbers_of("anna").go);
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE to_state = 'returning'"
			     " AND actor = 'operator' AND why = 'ticket 4711'"),
			 1);
	do_sql("UPDATE users SET go = 0");
	assert_int_equal(store_user_return(st, "anna", "operator", "again", &err), 1);
	assert_true(numbers_of("anna").state == USER_RETURNING && numbers_of("anna").go);
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE to_state = 'returning'"), 1);
}

static void test_rollback_of_many(void **state UNUSED)
{
	char anna[] = "anna", bob[] = "bob", nobody[] = "nobody", carl[] = "carl";
	char *names[] = { anna, bob, nobody, carl };
	bool done[COUNT(names)];

	add_user(anna);
	add_user(bob);
	add_user(carl);
	go_up_to(anna, USER_TRAILING);
	go_up_to(carl, USER_DONE);
	assert_int_equal(
		store_users_return(st, names, COUNT(names), "operator", "all", done, &err), 2);
	assert_true(done[0] && !done[1] && !done[2] && done[3]);
	assert_true(numbers_of(carl).state == USER_RETURNING && numbers_of(carl).go);
	assert_int_equal(numbers_of(bob).state, USER_PENDING);
	assert_true(numbers_of(anna).change != numbers_of(carl).change);
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE why = 'all'"), 2);
	assert_int_equal(store_users_stay(st, names, COUNT(names), "operator", done, &err), 2);
	assert_true(done[0] && !done[1] && !done[2] && done[3]);
	assert_int_equal(numbers_of(carl).state, USER_TRAILING);
}

static int stay(const char *name)
{
	char *one = (char *)(uintptr_t)name;
	bool done;

	return store_users_stay(st, &one, 1, "operator", &done, &err);
}

static void test_rollback_withdrawn(void **state UNUSED)
{
	add_user("anna");
	assert_int_equal(stay("nobody"), 0);
	go_up_to("anna", USER_TRAILING);
	assert_int_equal(stay("anna"), 0);
	assert_int_equal(store_user_return(st, "anna", "operator", "", &err), 1);
	go_to("anna", USER_FREEZING);
	assert_int_equal(stay("anna"), 1);
	assert_int_equal(stay("anna"), 0);
	assert_false(numbers_of("anna").go);
	go_to("anna", USER_RETURNING); /* undone */
	assert_int_equal(numbers_of("anna").undos, 1);
	assert_int_equal(stay("anna"), 1);
	assert_true(numbers_of("anna").state == USER_TRAILING && !numbers_of("anna").go);
	assert_true(numbers_of("anna").undos == 0 && numbers_of("anna").epoch == 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM history WHERE from_state = 'returning'"
			     " AND to_state = 'trailing' AND actor = 'operator'"),
			 1);
}

/* Two words about one wave: of those who are to come and of those who are led back. */
static void test_a_go_and_a_rollback_leave_each_other_alone(void **state UNUSED)
{
	char anna[] = "anna", bob[] = "bob", carl[] = "carl";
	char *names[] = { anna, bob, carl };
	bool done[COUNT(names)];
	int n;

	for (size_t i = 0; i < COUNT(names); i++)
		add_user(names[i]);
	do_sql("UPDATE users SET wave = '1'");
	OK(store_users_go(st, NULL, "1", true, &n, &err));
	go_up_to(bob, USER_TRAILING);
	go_up_to(carl, USER_TRAILING);
	assert_int_equal(store_users_return(st, names, 3, "operator", "", done, &err), 2);
	go_to(carl, USER_FREEZING);
	OK(store_users_go(st, NULL, "1", false, &n, &err));
	assert_int_equal(n, 1);
	assert_true(!numbers_of(anna).go && numbers_of(bob).go && numbers_of(carl).go);
	OK(store_users_go(st, NULL, "1", true, &n, &err));
	assert_int_equal(store_users_stay(st, names, 3, "operator", done, &err), 2);
	assert_true(numbers_of(anna).go && !numbers_of(bob).go && !numbers_of(carl).go);
	OK(store_users_go(st, carl, NULL, true, &n, &err)); /* not a new go for the way back */
	assert_int_equal(n, 0);
}

static void test_move_lost(void **state UNUSED)
{
	int64_t change = 0;
	struct user_move m = { .name = "anna",
			       .from = USER_PENDING,
			       .to = USER_PROVISIONED,
			       .change = 1,
			       .actor = "test",
			       .why = "" };

	add_user("anna");
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_DONE);
	assert_int_equal(change, 2);
	/* Both the state and the change must be as expected. */
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	m.change = 2;
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	m = (struct user_move){ .name = "anna",
				.from = USER_PROVISIONED,
				.to = USER_SYNCING,
				.change = 1,
				.actor = "test",
				.why = "" };
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	m.name = "nobody";
	assert_int_equal(store_user_move(st, &m, &change, &err), MOVE_LOST);
	assert_int_equal(change, 2);
	assert_int_equal(ask("SELECT COUNT(*) FROM history"), 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM changes"), 2);
}

static void test_undo_backs_off(void **state UNUSED)
{
	char anna[] = "anna", nobody[] = "nobody", *names[] = { anna, nobody };
	static const int64_t waits_min[] = { 10, 20, 40, 80 };
	struct progress pass = { .passes = 1 };
	struct user u;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_READY);
	for (int i = 0; i < (int)COUNT(waits_min); i++) {
		go_to("anna", USER_FREEZING);
		assert_stuck("anna", "");
		if (i % 2)
			go_to("anna", USER_FINALIZING);
		go_to("anna", USER_READY);
		/* A good pass in between does not make the next wait shorter. */
		OK(store_user_progress(st, "anna", &pass, &err));
		u = numbers_of("anna");
		assert_int_equal(u.undos, i + 1);
		assert_int_equal(u.next_try, store_now_ms(st) + waits_min[i] * 60000);
		assert_stuck("anna", i + 1 >= STORE_UNDOS_STUCK ? "because" : "");
	}
	OK(store_users_retry(st, &names[0], 1, &err));
	u = numbers_of("anna");
	assert_true(u.undos == 0 && u.next_try == 0 && u.attempts == 0);
	assert_stuck("anna", "");
	do_sql("UPDATE users SET attempts = 3 WHERE name = 'anna'");
	assert_int_equal(store_users_retry(st, names, COUNT(names), &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(numbers_of("anna").attempts, 3); /* all or none */
}

static void test_flip_is_dated(void **state UNUSED)
{
	int64_t before = store_now_ms(st);

	add_user("anna");
	go_up_to("anna", USER_FINALIZING);
	assert_int_equal(numbers_of("anna").flipped_at, 0);
	go_to("anna", USER_TRAILING);
	assert_in_range(numbers_of("anna").flipped_at, before, store_now_ms(st));
	do_sql("UPDATE users SET flipped_at = 1");
	go_to("anna", USER_DONE);
	go_to("anna", USER_RETURNING);
	go_to("anna", USER_FREEZING);
	go_to("anna", USER_FINALIZING);
	assert_int_equal(numbers_of("anna").flipped_at, 1);
	go_to("anna", USER_READY);
	assert_in_range(numbers_of("anna").flipped_at, before, store_now_ms(st));
}

static void test_flip_in_time_only(void **state UNUSED)
{
	struct user u;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_FINALIZING);
	u = numbers_of("anna");
	clock_test_advance(12000); /* now == hold_until: over */
	assert_int_equal(move_by(st, "anna", USER_FINALIZING, USER_TRAILING, u.change),
			 MOVE_LOST);
	assert_int_equal(numbers_of("anna").epoch, 0);
	assert_int_equal(move_by(st, "anna", USER_FINALIZING, USER_READY, u.change), MOVE_DONE);
}

static void test_flip_excludes_undo(void **state UNUSED)
{
	struct store *other = open_store(false);
	int64_t change;

	add_user("anna");
	add_user("bob");
	go_up_to("anna", USER_FINALIZING);
	change = numbers_of("anna").change;
	assert_int_equal(move_by(other, "anna", USER_FINALIZING, USER_READY, change),
			 MOVE_DONE);
	assert_int_equal(move_by(st, "anna", USER_FINALIZING, USER_TRAILING, change),
			 MOVE_LOST);
	go_up_to("bob", USER_FINALIZING);
	change = numbers_of("bob").change;
	assert_int_equal(move_by(st, "bob", USER_FINALIZING, USER_TRAILING, change), MOVE_DONE);
	assert_int_equal(move_by(other, "bob", USER_FINALIZING, USER_READY, change), MOVE_LOST);
	assert_int_equal(numbers_of("anna").state, USER_READY);
	assert_int_equal(numbers_of("bob").state, USER_TRAILING);
	store_close(&other);
}

#define HAMMERED 120

/* The child of a race: from wherever the user is, on; says on the pipe which changes it won. */
static NO_RETURN void hammer(int out, bool undo)
{
	struct store *mine = open_store(false);
	struct user u;
	int64_t change;

	do {
		if (store_user_get(mine, "anna", &u, &err) != 1)
			_exit(1);
		struct user_move m = { .name = "anna",
				       .from = u.state,
				       .change = u.change,
				       .hold_ms = 60000,
				       .retry_ms = 1,
				       .actor = "race",
				       .why = "" };

		m.to = u.state == USER_READY		   ? USER_FREEZING
		       : u.state == USER_FREEZING && !undo ? USER_FINALIZING
							   : USER_READY;
		change = u.change;
		user_release(&u);
		switch (store_user_move(mine, &m, &change, &err)) {
		case MOVE_FAILED:
			fprintf(stderr, "%s\n", err.text);
			_exit(1);
		case MOVE_LOST:
			break;
		case MOVE_DONE:
			if (write(out, &change, sizeof change) != sizeof change)
				_exit(1);
			break;
		}
	} while (change < HAMMERED);
	_exit(0); /* without closing: as if killed */
}

static void test_two_processes_race(void **state UNUSED)
{
	int pipes[2][2], status, wins = 0;
	bool won[HAMMERED + 3] = { false };
	pid_t pids[2];
	int64_t change;

	add_user("anna");
	go_up_to("anna", USER_READY);
	store_close(&st);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		pids[i] = fork();
		if (pids[i] == 0)
			hammer(pipes[i][1], i == 1);
		close(pipes[i][1]);
	}
	for (int i = 0; i < 2; i++) {
		while (read(pipes[i][0], &change, sizeof change) == sizeof change) {
			assert_in_range(change, 5, HAMMERED + 2);
			assert_false(won[change]); /* one winner each */
			won[change] = true;
			wins++;
		}
		close(pipes[i][0]);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* What was said to be done is there, though nobody closed the store. */
	st = open_store(false);
	change = numbers_of("anna").change;
	assert_int_equal(wins, change - 4);
	assert_int_equal(ask("SELECT COUNT(*) FROM history"), change - 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM history a JOIN history b ON b.id = a.id + 1"
			     " WHERE a.to_state <> b.from_state OR a.change >= b.change"),
			 0);
	if (!pg_url())
		assert_int_equal(ask("SELECT COUNT(*) FROM pragma_integrity_check"
				     " WHERE integrity_check <> 'ok'"),
				 0);
}

static int count_history(const struct history_row *h, void *arg)
{
	struct seen *seen = arg;

	assert_string_equal(h->actor, "test");
	assert_string_equal(h->why, "because");
	seen->count++;
	snprintf(seen->last, sizeof seen->last, "%s", h->to_state);
	return seen->count == seen->stop_at ? 7 : 0;
}

static void test_history(void **state UNUSED)
{
	static const struct history_filter all;
	struct seen seen = { 0 };

	add_user("anna");
	add_user("bob");
	go_up_to("anna", USER_SYNCING);
	go_up_to("bob", USER_READY);
	OK(store_history_each(st, &(struct history_filter){ .name = "anna" }, count_history,
			      &seen, &err));
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.last, "syncing");
	seen = (struct seen){ 0 };
	OK(store_history_each(st, &(struct history_filter){ .after = 1 }, count_history, &seen,
			      &err));
	assert_int_equal(seen.count, 4);
	seen = (struct seen){ .stop_at = 1 };
	assert_int_equal(store_history_each(st, &all, count_history, &seen, &err), 7);
	assert_int_equal(seen.count, 1);
}

static void assert_history(struct history_filter f, int count, const char *last)
{
	struct seen seen = { 0 };

	OK(store_history_each(st, &f, count_history, &seen, &err));
	assert_int_equal(seen.count, count);
	assert_string_equal(seen.last, last);
}

static void test_a_part_of_the_history(void **state UNUSED)
{
	add_user("anna");
	add_user("bob");
	go_up_to("anna", USER_READY);
	go_up_to("bob", USER_SYNCING);
	assert_history((struct history_filter){ .limit = 2 }, 2, "syncing");
	assert_history((struct history_filter){ .limit = 3, .newest = true }, 3, "syncing");
	assert_history((struct history_filter){ .name = "anna", .limit = 1 }, 1, "provisioned");
	assert_history((struct history_filter){ .name = "anna", .limit = 1, .newest = true }, 1,
		       "ready");
	assert_history((struct history_filter){ .limit = 9, .newest = true, .after = 4 }, 1,
		       "syncing");
}

static void test_go(void **state UNUSED)
{
	int n;

	add_many(4);
	go_up_to("u00001", USER_TRAILING);
	OK(store_users_go(st, NULL, "odd", true, &n, &err));
	assert_int_equal(n, 1); /* the other one is over there already */
	OK(store_users_go(st, "u00000", NULL, true, &n, &err));
	assert_int_equal(n, 1);
	OK(store_users_go(st, "u00000", NULL, true, &n, &err));
	assert_int_equal(n, 0);
	OK(store_users_go(st, "u00000", "odd", true, &n, &err));
	assert_int_equal(n, 0);
	OK(store_users_go(st, NULL, "even", false, &n, &err));
	assert_int_equal(n, 1);
	assert_true(numbers_of("u00003").go && !numbers_of("u00000").go);
}

static void test_progress_and_failures(void **state UNUSED)
{
	char no[] = "no";
	struct progress p = { .passes = 3,
			      .pass_ended = 4,
			      .pass_took = 5,
			      .pass_clean = true,
			      .pass_error = no,
			      .messages = 6,
			      .copied = 7,
			      .verified = 8,
			      .exceptions = 9,
			      .bytes = 1LL << 40,
			      .last_arrival = 11,
			      .quota = no,
			      .not_before = 12,
			      .strays = 13,
			      .last_stray = 14 };
	struct user u;

	clock_test_freeze();
	add_user("anna");
	OK(store_user_failed(st, "anna", 5000, "old server is away", &err));
	OK(store_user_failed(st, "anna", 6000, "", &err));
	OK(store_user_progress(st, "anna", &p, &err));
	u = user_of("anna");
	assert_true(u.attempts == 2 && u.next_try == store_now_ms(st) + 6000);
	assert_string_equal(u.stuck_reason, "old server is away");
	assert_string_equal(u.progress.pass_error, "no");
	assert_true(u.progress.passes == 3 && u.progress.pass_ended == 4 &&
		    u.progress.pass_took == 5);
	assert_true(u.progress.pass_clean && u.progress.messages == 6 &&
		    u.progress.copied == 7);
	assert_true(u.progress.verified == 8 && u.progress.exceptions == 9);
	assert_true(u.progress.bytes == 1LL << 40 && u.progress.last_arrival == 11);
	assert_string_equal(u.progress.quota, "no");
	assert_int_equal(u.progress.not_before, 12);
	assert_true(u.progress.strays == 13 && u.progress.last_stray == 14);
	user_release(&u);
	/* A good pass: no failures in a row any more. */
	p.pass_error = NULL;
	p.last_arrival = 10;
	OK(store_user_progress(st, "anna", &p, &err));
	assert_int_equal(numbers_of("anna").attempts, 0);
	assert_int_equal(numbers_of("anna").progress.last_arrival, 11);
	assert_stuck("anna", "");
	OK(store_user_failed(st, "anna", 1, "x", &err));
	go_to("anna", USER_PROVISIONED);
	assert_int_equal(numbers_of("anna").attempts, 0);
	assert_stuck("anna", "");
	assert_int_equal(store_user_progress(st, "nobody", &p, &err), -1);
	assert_int_equal(store_user_failed(st, "nobody", 1, "", &err), -1);
}

/* ---- nodes */

int main(void)
{
	/* Those that need a clock that runs come first: it cannot be started again. */
	const struct CMUnitTest tests[] = {
		TEST(test_two_processes_race),
		TEST(test_users_each),
		TEST(test_changes_after),
		TEST(test_way_forward),
		TEST(test_way_back),
		TEST(test_rollback),
		TEST(test_rollback_of_many),
		TEST(test_rollback_withdrawn),
		TEST(test_a_go_and_a_rollback_leave_each_other_alone),
		TEST(test_move_lost),
		TEST(test_undo_backs_off),
		TEST(test_flip_is_dated),
		TEST(test_flip_in_time_only),
		TEST(test_flip_excludes_undo),
		TEST(test_history),
		TEST(test_a_part_of_the_history),
		TEST(test_go),
		TEST(test_progress_and_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
