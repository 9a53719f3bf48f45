/* The store: what nodes write and read, sessions, requests, traces, nudges. */
#include "common/store_sums.h"
#include "tests/unit/store_stage.h"

static char seen_build[32];

static int see_node(const struct node_row *n, void *arg)
{
	struct node_row *out = arg;

	*out = *n;
	snprintf(seen_build, sizeof seen_build, "%s", n->build);
	out->node = out->build = NULL;
	return 0;
}

static struct node_row the_node(void)
{
	struct node_row n = { 0 };

	OK(store_nodes_each(st, see_node, &n, &err));
	return n;
}

static void test_leases(void **state UNUSED)
{
	int64_t first, second, now;
	struct node_row n;

	clock_test_freeze();
	OK(store_node_join(st, "p1", &first, &err));
	n = the_node();
	now = store_now_ms(st);
	assert_true(n.incarnation == first && n.pid == getpid() && n.started == now);
	assert_true(n.lease_until == now + STORE_LEASE_MS && n.counts && !n.lapsed &&
		    n.seen == 0);
	clock_test_advance(STORE_LEASE_MS - 1);
	assert_false(the_node().lapsed);
	clock_test_advance(1);
	assert_true(the_node().lapsed && the_node().counts);
	clock_test_advance(STORE_FENCE_MS - STORE_LEASE_MS - 1);
	assert_true(the_node().counts);
	clock_test_advance(1); /* STORE_FENCE_MS after the last renewal */
	assert_false(the_node().counts);
	assert_int_equal(store_node_renew(st, "p1", first, 42, &err), 1);
	n = the_node();
	assert_true(n.counts && !n.lapsed && n.seen == 42);
	/* Started again: the one before has lost its name, and may not take the row away. */
	OK(store_node_join(st, "p1", &second, &err));
	assert_true(second > first);
	assert_int_equal(store_node_renew(st, "p1", first, 43, &err), 0);
	OK(store_node_leave(st, "p1", first, &err));
	assert_int_equal(the_node().incarnation, second);
	OK(store_node_leave(st, "p1", second, &err));
	assert_int_equal(ask("SELECT COUNT(*) FROM nodes"), 0);
}

static void test_node_marks(void **state UNUSED)
{
	struct session_row s = { .id = "a", .proto = "imap", .state = "RELAY" };
	int64_t first, second;

	OK(store_node_join(st, "p1", &first, &err));
	OK(store_node_mark(st, "p1", first, "0.1-abcd", false, &err));
	assert_false(the_node().leaving);
	assert_string_equal(seen_build, "0.1-abcd");
	assert_int_equal(the_node().sessions, 0);
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	OK(store_node_mark(st, "p1", first, "0.1-abcd", true, &err));
	assert_true(the_node().leaving);
	assert_int_equal(the_node().sessions, 1);
	/* The next of its name serves, and hears nothing of the one before. */
	OK(store_node_join(st, "p1", &second, &err));
	OK(store_node_mark(st, "p1", first, "0.1-abcd", true, &err));
	assert_false(the_node().leaving);
	assert_string_equal(seen_build, "");
	assert_int_equal(the_node().sessions, 0);
}

static struct quiet quiet_for(const char *name, int64_t change)
{
	struct quiet q;

	OK(store_quiet(st, name, change, &q, &err));
	return q;
}

/* Who lives on new is served on by a node that was cut off, however long ago. */
static void test_a_return_waits_for_the_silent(void **state UNUSED)
{
	int64_t p1;
	struct quiet q;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_TRAILING);
	OK(store_node_join(st, "p1", &p1, &err));
	clock_test_advance(2 * STORE_FENCE_MS);
	go_to("anna", USER_RETURNING);
	go_to("anna", USER_FREEZING);
	q = quiet_for("anna", numbers_of("anna").change);
	assert_true(q.nodes == 1 && q.lapsed == 1);
	assert_string_equal(q.waiting,
			    "p1: silent for 120 s, `mailferry forget` if it is off for good");
	OK(store_node_join(st, "p2", &p1, &err));
	assert_int_equal(store_node_forget(st, "p2", &err), 0); /* it is there */
	assert_int_equal(store_node_forget(st, "p1", &err), 1);
	q = quiet_for("anna", numbers_of("anna").change);
	assert_true(q.nodes == 1 && q.lapsed == 0);
	/* Forward nobody waits for one that is gone. */
	clock_test_advance(2 * STORE_FENCE_MS);
	add_user("bert");
	go_up_to("bert", USER_FREEZING);
	q = quiet_for("bert", numbers_of("bert").change);
	assert_int_equal(q.nodes, 0);
}

static void test_quiet(void **state UNUSED)
{
	int64_t p1, p2, change;
	struct quiet q;

	clock_test_freeze();
	add_user("anna");
	go_up_to("anna", USER_FREEZING);
	change = numbers_of("anna").change;
	q = quiet_for("anna", change);
	assert_true(q.nodes == 0 && q.acked == 0 && q.lapsed == 0);
	OK(store_node_join(st, "p1", &p1, &err));
	OK(store_node_join(st, "p2", &p2, &err));
	OK(store_blocker(st, "p2", "anna", "session k3f9 APPEND 18/50 MB", &err));
	OK(store_ack(st, "gone", "anna", change, &err)); /* no such node: does not count */
	OK(store_ack(st, "p1", "bob", change, &err));
	OK(store_ack(st, "p2", "anna", change - 1, &err)); /* an earlier freeze */
	OK(store_blocker(st, "p2", "anna", "session k3f9 APPEND 19/50 MB", &err));
	q = quiet_for("anna", change);
	assert_true(q.nodes == 2 && q.acked == 0 && q.lapsed == 0);
	assert_string_equal(q.waiting, "p1: no answer yet; p2: session k3f9 APPEND 19/50 MB");
	OK(store_ack(st, "p1", "anna", change, &err));
	OK(store_ack(st, "p2", "anna", change, &err));
	q = quiet_for("anna", change);
	assert_true(q.nodes == 2 && q.acked == 2);
	assert_string_equal(q.waiting, "");
	assert_int_equal(ask("SELECT COUNT(*) FROM blockers"), 0);
	/* Silent: it acknowledged, but the lease is over. Then it counts no more. */
	clock_test_advance(STORE_LEASE_MS);
	assert_int_equal(store_node_renew(st, "p1", p1, 0, &err), 1);
	q = quiet_for("anna", change);
	assert_true(q.nodes == 2 && q.acked == 2 && q.lapsed == 1);
	assert_string_equal(q.waiting, "p2: silent for 5 s");
	clock_test_advance(STORE_FENCE_MS - STORE_LEASE_MS);
	assert_int_equal(store_node_renew(st, "p1", p1, 0, &err), 1);
	q = quiet_for("anna", change);
	assert_true(q.nodes == 1 && q.acked == 1 && q.lapsed == 0);
	/* Started again: what the one before said does not count. */
	OK(store_node_join(st, "p1", &p1, &err));
	assert_int_equal(quiet_for("anna", change).acked, 0);
}

static void test_freeze_forgets_answers(void **state UNUSED)
{
	add_user("anna");
	go_up_to("anna", USER_READY);
	OK(store_ack(st, "p1", "anna", 1, &err));
	OK(store_blocker(st, "p2", "anna", "x", &err));
	OK(store_blocker(st, "p2", "bob", "x", &err));
	OK(store_blocker(st, "p2", "carl", "x", &err));
	OK(store_blocker(st, "p2", "carl", NULL, &err));
	go_to("anna", USER_FREEZING);
	assert_int_equal(ask("SELECT COUNT(*) FROM acks"), 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM blockers"), 1);
}

static void test_waiting_is_bounded(void **state UNUSED)
{
	int64_t incarnation;
	char node[16];

	for (int i = 0; i < 40; i++) {
		snprintf(node, sizeof node, "proxy-%02d", i);
		OK(store_node_join(st, node, &incarnation, &err));
	}
	assert_int_equal(quiet_for("anna", 1).nodes, 40);
	assert_int_equal(strlen(quiet_for("anna", 1).waiting),
			 sizeof(struct quiet){ 0 }.waiting - 1);
}

/* ---- what nodes and operators tell each other */

static int join_session(const struct session_row *s, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s/%s %s %s %lld; ", s->node, s->id, s->name, s->doing,
		 (long long)s->bytes_down);
	return 0;
}

static void assert_sessions(const struct session_filter *f, const char *expected)
{
	char all[256] = "";

	OK(store_sessions_each(st, f, join_session, all, &err));
	assert_string_equal(all, expected);
}

static void test_sessions(void **state UNUSED)
{
	struct session_row rows[] = {
		{ .id = "s1",
		  .name = "anna",
		  .proto = "imap",
		  .state = "RELAY",
		  .doing = "IDLE" },
		{ .id = "s2", .name = "bob", .proto = "pop3", .state = "PARK" },
	};
	struct session_filter anna = { .name = "anna" }, bob = { .name = "bob" };
	int64_t incarnation;

	OK(store_sessions_write(st, "p1", rows, 0, &err));
	OK(store_sessions_write(st, "p1", rows, 2, &err));
	OK(store_sessions_write(st, "p2", rows, 1, &err));
	rows[0].bytes_down = 1LL << 33;
	rows[1].gone = true;
	OK(store_sessions_write(st, "p1", rows, 2, &err));
	assert_sessions(NULL, "p1/s1 anna IDLE 8589934592; p2/s1 anna IDLE 0; ");
	assert_sessions(&bob, "");
	OK(store_node_join(st, "p1", &incarnation, &err));
	assert_sessions(&anna, "p2/s1 anna IDLE 0; ");
}

static bool was_there(int64_t since, int64_t until)
{
	bool there;

	OK(store_session_between(st, "anna", since, until, &there, &err));
	return there;
}

static void test_when_a_node_had_a_session(void **state UNUSED)
{
	struct session_row s = { .id = "s1", .name = "anna", .proto = "imap", .state = "RELAY" };
	int64_t now;

	clock_test_freeze();
	now = store_now_ms(st);
	s.since = now - 100;
	assert_false(was_there(0, now));
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_there(now - 50, now));
	assert_false(was_there(0, now - 101)); /* it came later */
	s.gone = true;
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_there(now - 50, now - 20) && was_there(now, now));
	assert_false(was_there(now + 1, now + 1)); /* it had ended */
	assert_false(was_there(0, now - 101));
}

static bool was_since_mark(int64_t until)
{
	bool there;

	OK(store_session_since_mark(st, "anna", until, &there, &err));
	return there;
}

static void test_the_first_session_since_it_was_asked(void **state UNUSED)
{
	struct session_row s = { .id = "s1", .name = "anna", .proto = "imap", .state = "RELAY", .since = 100 };

	OK(store_session_mark(st, "anna", &err));
	assert_false(was_since_mark(1000));
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_since_mark(100)); /* it is there */
	assert_false(was_since_mark(99));
	s.gone = true;
	for (s.since = 50; s.since < 500; s.since += 200)
		OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_since_mark(50));
	assert_false(was_since_mark(49));
	OK(store_session_mark(st, "anna", &err));
	assert_false(was_since_mark(1000));
	OK(store_sessions_write(st, "p1", &s, 1, &err));
	assert_true(was_since_mark(650));
	assert_false(was_since_mark(649));
}

static void test_sessions_filtered_in_pages(void **state UNUSED)
{
	static const struct session_row p1[] = {
		{ .id = "a", .name = "bob", .proto = "imap", .side = "old", .state = "RELAY" },
		{ .id = "b", .name = "anna", .proto = "pop3", .side = "new", .state = "RELAY" },
		{ .id = "c", .name = "anna", .proto = "imap", .side = "new", .state = "QUIET" },
		{ .id = "d",
		  .name = "annabel",
		  .proto = "imap",
		  .side = "new",
		  .state = "RELAY" },
	};
	static const struct session_row p2[] = {
		{ .id = "a", .name = "anna", .proto = "imap", .side = "old", .state = "RELAY" },
	};
	struct session_filter f = { 0 };

	OK(store_sessions_write(st, "p1", p1, COUNT(p1), &err));
	OK(store_sessions_write(st, "p2", p2, COUNT(p2), &err));
	assert_sessions(
		&f, "p1/b anna  0; p1/c anna  0; p2/a anna  0; p1/d annabel  0; p1/a bob  0; ");
	f.name = "anna";
	assert_sessions(&f, "p1/b anna  0; p1/c anna  0; p2/a anna  0; ");
	f.after.name = "anna", f.after.node = "p1", f.after.id = "b";
	assert_sessions(&f, "p1/c anna  0; p2/a anna  0; ");
	f.name = NULL;
	assert_sessions(&f, "p1/c anna  0; p2/a anna  0; p1/d annabel  0; p1/a bob  0; ");
	f = (struct session_filter){ .node = "p1", .proto = "imap", .side = "new" };
	assert_sessions(&f, "p1/c anna  0; p1/d annabel  0; ");
	f.state = "RELAY";
	assert_sessions(&f, "p1/d annabel  0; ");
	add_user("bob");
	f = (struct session_filter){ .wave = "1" };
	assert_sessions(&f, "p1/a bob  0; ");
}

static int join_hold(const struct hold_row *h, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s %s %s %lld %lld %s; ", h->node, h->name, h->proto,
		 (long long)(h->at - clock_real_ms()), (long long)h->held_ms, h->released_to);
	return 0;
}

static int join_stranger(const struct stranger_row *s, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s %lld %lld; ", s->name, (long long)s->logins,
		 (long long)(s->last_seen - s->first_seen));
	return 0;
}

static int join_usage(const struct usage_row *u, void *arg)
{
	size_t n = strlen(arg);

	snprintf((char *)arg + n, 256 - n, "%s %s %lld %lld; ", u->proto, u->extension,
		 (long long)u->sessions, (long long)(u->last_seen - clock_real_ms()));
	return 0;
}

/* The counts of all nodes add up. */
static void test_usage(void **state UNUSED)
{
	const struct usage_row first[] = { { "imap", "MOVE", 2, 0 }, { "pop3", "TOP", 1, 0 } };
	const struct usage_row second[] = { { "imap", "MOVE", 5, 0 },
					    { "imap", "IDLE", 1, 0 } };
	char text[256] = "";

	clock_test_freeze();
	OK(store_usage_add(st, first, 2, &err));
	clock_test_advance(50);
	OK(store_usage_add(st, second, 2, &err));
	OK(store_usage_each(st, join_usage, text, &err));
	assert_string_equal(text, "imap IDLE 1 0; imap MOVE 7 0; pop3 TOP 1 -50; ");
}

static void add_hold(const char *name, const char *proto, int64_t at, int64_t held_ms,
		     const char *to)
{
	OK(store_hold_add(st, "p1",
			  &(struct hold_row){ .name = name,
					      .proto = proto,
					      .at = clock_real_ms() + at,
					      .held_ms = held_ms,
					      .released_to = to },
			  &err));
}

static void import_with_alias(const char *name, const char *alias)
{
	const struct user_import row = { .name = name,
					 .login = { name, name },
					 .aliases = (const char *const[]){ alias, NULL } };
	struct import_count count;

	OK(store_users_import(st, &row, 1, &count, &err));
}

static void test_holds_and_strangers(void **state UNUSED)
{
	char holds[256] = "", strangers[256] = "";
	int64_t count;

	clock_test_freeze();
	add_hold("anna", "imap", -2000, 250, "new");
	add_hold("bob", "pop3", -1000, 18000, "refused");
	OK(store_holds_each(st, NULL, join_hold, holds, &err));
	assert_string_equal(holds,
			    "p1 anna imap -2000 250 new; p1 bob pop3 -1000 18000 refused; ");
	holds[0] = '\0';
	OK(store_holds_each(st, "bob", join_hold, holds, &err));
	assert_string_equal(holds, "p1 bob pop3 -1000 18000 refused; ");
	OK(store_stranger(st, "zoe", &err));
	clock_test_advance(77);
	OK(store_stranger(st, "zoe", &err));
	OK(store_stranger(st, "dan", &err));
	OK(store_strangers_each(st, join_stranger, strangers, &err));
	assert_string_equal(strangers, "dan 1 0; zoe 2 77; ");
	/* Who is imported afterwards, by name or by an alias, is none any more. */
	OK(store_stranger(st, "zoe.smith", &err));
	import_with_alias("zoe", "zoe.smith");
	strangers[0] = '\0';
	OK(store_strangers_each(st, join_stranger, strangers, &err));
	assert_string_equal(strangers, "dan 1 0; ");
	OK(store_strangers_count(st, &count, &err));
	assert_int_equal(count, 1);
}

static int join_certificate(const struct certificate_row *c, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s=%lld ", c->name, (long long)c->not_after);
	return 0;
}

static void test_certificates(void **state UNUSED)
{
	const struct certificate_row one[] = { { "", 900 },
					       { "a.test", 500 },
					       { "b.test", 700 } };
	const struct certificate_row two[] = { { "", 900 }, { "a.test", 400 } };
	int64_t incarnation;
	char all[256] = "";

	OK(store_node_join(st, "p2", &incarnation, &err));
	OK(store_certificates_write(st, "p1", one, COUNT(one), &err));
	OK(store_certificates_write(st, "p2", one, COUNT(one), &err));
	OK(store_certificates_write(st, "p2", two, COUNT(two), &err));
	OK(store_certificates_each(st, join_certificate, all, &err));
	assert_string_equal(all, "a.test=400 b.test=700 =900 ");
	OK(store_node_leave(st, "p2", incarnation, &err));
	OK(store_certificates_write(st, "p1", one, 1, &err));
	all[0] = '\0';
	OK(store_certificates_each(st, join_certificate, all, &err));
	assert_string_equal(all, "=900 ");
}

static int join_request(const struct request_row *q, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s(%s,%s) ", q->verb, q->name, q->args);
	return 0;
}

static void test_requests(void **state UNUSED)
{
	char all[256] = "";
	int64_t last = -1;

	OK(store_requests_last(st, &last, &err));
	assert_int_equal(last, 0);
	OK(store_request_add(st, "trace", "anna", "on", &err));
	OK(store_requests_last(st, &last, &err));
	OK(store_request_add(st, "loglevel", NULL, "debug", &err));
	OK(store_request_add(st, "drop", "bob", NULL, &err));
	OK(store_requests_after(st, last, join_request, all, &err));
	assert_string_equal(all, "loglevel(,debug) drop(bob,) ");
}

static int join_answer(const struct answer_row *a, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	if (a->request)
		snprintf(all + n, 256 - n, "%s %lld+%lld/%lld %s; ", a->node,
			 (long long)a->ended, (long long)a->cut, (long long)a->remain,
			 a->doing);
	else
		snprintf(all + n, 256 - n, "%s?; ", a->node);
	return 0;
}

static void assert_answers(int64_t request, const char *expected)
{
	char all[256] = "";

	OK(store_answers_each(st, request, join_answer, all, &err));
	assert_string_equal(all, expected);
}

/* Who is alive since before the request is waited for; who came later has nothing to say. */
static void test_answers(void **state UNUSED)
{
	struct answer_row a = { .ended = 1, .cut = 0, .remain = 2, .doing = "FETCH" };
	int64_t in, id, other;

	OK(store_node_join(st, "p1", &in, &err));
	OK(store_node_join(st, "p2", &in, &err));
	OK(store_node_join(st, "dead", &in, &err));
	do_sql("UPDATE nodes SET lease_until = 1 WHERE node = 'dead'");
	OK(store_request_ask(st, "drop", "anna", "0", &id, &err));
	OK(store_request_ask(st, "drop", "bob", "0", &other, &err));
	OK(store_node_join(st, "late", &in, &err));
	do_sql("UPDATE nodes SET started = started + 10 WHERE node = 'late'");
	assert_answers(id, "p1?; p2?; ");
	a.request = id;
	OK(store_answer(st, "p2", &a, &err));
	assert_answers(id, "p1?; p2 1+0/2 FETCH; ");
	a = (struct answer_row){ .request = id, .ended = 2, .cut = 1 };
	OK(store_answer(st, "p2", &a, &err));
	OK(store_answer(st, "p1", &(struct answer_row){ .request = id }, &err));
	assert_answers(id, "p1 0+0/0 ; p2 2+1/0 ; ");
	assert_answers(other, "p1?; p2?; ");
	OK(store_drain(st, "p2", 0, &other, &err));
	assert_answers(other, "p2?; ");

	do_sql("UPDATE answers SET at = 1 WHERE node = 'p1'");
	OK(store_request_add(st, "drop", "carl", "0", &err));
	assert_int_equal(ask("SELECT COUNT(*) FROM answers"), 1);
}

static int see_drain(const struct node_row *n, void *arg)
{
	int64_t *until = arg;

	if (strcmp(n->node, "p1") == 0)
		*until = n->drain_until;
	return 0;
}

static int64_t drained_until(void)
{
	int64_t until = -1;

	OK(store_nodes_each(st, see_drain, &until, &err));
	return until;
}

/* It outlives a crash, but not a clean end. */
static void test_drain(void **state UNUSED)
{
	int64_t in, id, last;
	char all[256] = "";

	OK(store_requests_last(st, &last, &err));
	OK(store_node_join(st, "p1", &in, &err));
	assert_int_equal(drained_until(), 0);
	OK(store_drain(st, "p2", 7, &id, &err));
	assert_int_equal(drained_until(), 0);
	OK(store_drain(st, NULL, 8, &id, &err));
	assert_int_equal(drained_until(), 8);
	OK(store_node_join(st, "p1", &in, &err));
	assert_int_equal(drained_until(), 8);
	OK(store_drain(st, "p1", 0, &id, &err));
	assert_int_equal(drained_until(), 0);
	OK(store_requests_after(st, last, join_request, all, &err));
	assert_string_equal(all, "drain(p2,7) drain(,8) drain(p1,0) ");
	OK(store_drain(st, "p1", 9, &id, &err));
	OK(store_node_leave(st, "p1", in, &err));
	OK(store_node_join(st, "p1", &in, &err));
	assert_int_equal(drained_until(), 0);
}

/* ---- traces */

static int see_trace(const struct trace_row *t, void *arg)
{
	*(struct trace_row *)arg = *t;
	((struct trace_row *)arg)->name = NULL;
	return 0;
}

static enum trace_end trace_end(int64_t id)
{
	struct trace_row t = { 0 };

	OK(store_traces_each(st, id, see_trace, &t, &err));
	assert_int_equal(t.id, id);
	return t.ended;
}

static int join_line(const struct trace_line *l, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 256 - n, "%s/%s %s %s; ", l->node, l->session, l->way, l->line);
	return 0;
}

static void test_trace_until_it_is_full(void **state UNUSED)
{
	static const struct trace_line lines[] = {
		{ .at = 1, .session = "a", .way = "C:", .line = "NOOP" },
		{ .at = 2, .session = "b", .way = "S:", .line = "12345" },
	};
	char all[256] = "";
	int64_t id, other, last;

	OK(store_requests_last(st, &last, &err));
	OK(store_trace_start(st, "anna", 60000, 10, &id, &err));
	assert_int_equal(store_trace_live(st, "anna", &err), 1);
	assert_int_equal(store_trace_live(st, "bob", &err), 0);
	assert_int_equal(store_trace_write(st, "p1", id, lines, 2, &err), 1);
	assert_int_equal(trace_end(id), TRACE_LIVE);
	assert_int_equal(store_trace_write(st, "p2", id, lines, 1, &err), 1);
	assert_int_equal(trace_end(id), TRACE_FULL);
	assert_int_equal(store_trace_write(st, "p2", id, lines, 1, &err), 0);
	OK(store_trace_lines_each(st, id, 0, join_line, all, &err));
	assert_string_equal(all, "p1/a C: NOOP; p1/b S: 12345; p2/a C: NOOP; ");
	OK(store_trace_start(st, "anna", 60000, 10, &other, &err));
	assert_int_equal(trace_end(other), TRACE_LIVE);
	all[0] = '\0';
	OK(store_requests_after(st, last, join_request, all, &err));
	assert_non_null(strstr(all, "trace(anna,1 "));
}

static void test_trace_has_one_end(void **state UNUSED)
{
	struct trace_row t = { 0 };
	int64_t first, second, id;
	char name[16];

	OK(store_trace_start(st, "anna", 60000, 10, &first, &err));
	OK(store_trace_start(st, "anna", 60000, 10, &second, &err));
	assert_int_equal(trace_end(first), TRACE_STOPPED);
	OK(store_traces_each(st, 0, see_trace, &t, &err));
	assert_int_equal(t.id, second);
	OK(store_trace_stop(st, "anna", &err));
	assert_int_equal(trace_end(second), TRACE_STOPPED);
	OK(store_trace_start(st, "anna", 60000, 10, &id, &err));
	do_sql("UPDATE traces SET until = 5 WHERE stopped = 0");
	assert_int_equal(trace_end(id), TRACE_TIME);
	assert_int_equal(store_trace_live(st, "anna", &err), 0);
	/* What is older than a day goes with the next one; too many at once are refused. */
	for (int i = 0; i < STORE_TRACES_MAX; i++) {
		snprintf(name, sizeof name, "u%d", i);
		OK(store_trace_start(st, name, 60000, 10, &id, &err));
	}
	assert_int_equal(ask("SELECT COUNT(*) FROM traces WHERE until = 5"), 0);
	assert_int_equal(store_trace_start(st, "one too many", 60000, 10, &id, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
}

/* ---- nudges */

static bool is_nudged(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool nudged = poll(&p, 1, 0) == 1;

	store_nudge_drain(fd);
	return nudged;
}

static void test_nudge(void **state UNUSED)
{
	int64_t incarnation;
	int fd, stale, n;

	OK(store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "stale", &stale, &err));
	close(stale);
	OK(store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "p1.nudge", &fd, &err));
	assert_false(is_nudged(fd));
	add_user("anna");
	assert_true(is_nudged(fd));
	assert_false(is_nudged(fd));
	go_to("anna", USER_PROVISIONED);
	assert_true(is_nudged(fd));
	assert_int_equal(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1), MOVE_LOST);
	assert_false(is_nudged(fd));
	OK(store_ack(st, "p1", "anna", 2, &err));
	assert_true(is_nudged(fd));
	OK(store_users_go(st, "anna", NULL, true, &n, &err));
	assert_true(is_nudged(fd));
	OK(store_request_add(st, "drop", "anna", "", &err));
	assert_true(is_nudged(fd));
	OK(store_node_join(st, "p1", &incarnation, &err));
	OK(store_node_renew(st, "p1", incarnation, 0, &err));
	assert_false(is_nudged(fd)); /* every second by every node: wakes nobody */
	OK(store_node_leave(st, "p1", incarnation, &err));
	assert_true(is_nudged(fd));
	/* Nobody takes them: never blocks. */
	for (int i = 0; i < 5000; i++)
		store_nudge(st);
	assert_true(is_nudged(fd));
	/* The follower after this one takes the name over. */
	close(fd);
	OK(store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "p1.nudge", &fd, &err));
	store_nudge(st);
	assert_true(is_nudged(fd));
	close(fd);
}

/* From another process, into a poll() that waits for it. */
static void test_nudge_wakes(void **state UNUSED)
{
	struct pollfd p = { .events = POLLIN };
	int status;
	pid_t pid;

	OK(store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "p1", &p.fd, &err));
	add_user("anna");
	store_nudge_drain(p.fd);
	store_close(&st);
	pid = fork();
	if (pid == 0) {
		st = open_store(false);
		_exit(move_by(st, "anna", USER_PENDING, USER_PROVISIONED, 1) != MOVE_DONE);
	}
	assert_int_equal(poll(&p, 1, 10000), 1);
	st = open_store(false);
	/* Nudged after the commit: what it is about can be read. */
	assert_int_equal(numbers_of("anna").state, USER_PROVISIONED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(p.fd);
}

static void test_nudge_names(void **state UNUSED)
{
	char longer[sizeof((struct sockaddr_un){ 0 }.sun_path)];
	int fd = -1;

	memset(longer, 'n', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(
		store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, longer, &fd, &err),
		-1);
	assert_non_null(strstr(err.text, "longer than the 107 bytes"));
	assert_int_equal(
		store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "../x", &fd, &err),
		-1);
	assert_int_equal(
		store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "", &fd, &err),
		-1);
	assert_int_equal(store_nudge_listen(&(struct store_opts){ .nudge_dir = "/nonexistent" },
					    "x", &fd, &err),
			 -1);
	assert_int_equal(fd, -1);
}

/* ---- trouble */

static int sum_latency(const struct latency_row *l, void *arg)
{
	int64_t *sum = arg;

	assert_int_equal(l->at, store_now_ms(st));
	*sum += l->commands * 1000 + l->typical_us + (l->side == SIDE_NEW ? 100000 : 0);
	return 0;
}

static void test_latency(void **state UNUSED)
{
	int64_t incarnation, sum = 0;

	clock_test_freeze();
	OK(store_node_join(st, "p1", &incarnation, &err));
	OK(store_latency_write(st, "p1", SIDE_OLD, 7, 900, &err));
	OK(store_latency_write(st, "p1", SIDE_OLD, 3, 40, &err)); /* the last one counts */
	OK(store_latency_write(st, "p1", SIDE_NEW, 2, 5, &err));
	OK(store_latency_each(st, sum_latency, &sum, &err));
	assert_int_equal(sum, 3040 + 102005);
	OK(store_node_leave(st, "p1", incarnation, &err)); /* it takes its figures with it */
	sum = 0;
	OK(store_latency_each(st, sum_latency, &sum, &err));
	assert_int_equal(sum, 0);
}

static int show_error(const struct server_error_row *x, void *arg)
{
	char *out = arg;
	size_t n = strlen(out);

	snprintf(out + n, 200 - n, "%s %s %lld; ", side_name(x->side), x->name,
		 (long long)(store_now_ms(st) - x->at));
	return 0;
}

static void assert_errors(const char *wanted)
{
	char out[200] = "";

	OK(store_server_errors_each(st, show_error, out, &err));
	assert_string_equal(out, wanted);
}

static void test_the_last_users_who_heard_of_trouble(void **state UNUSED)
{
	clock_test_freeze();
	assert_errors("");
	OK(store_server_error(st, SIDE_NEW, "anna", 10, &err));
	OK(store_server_error(st, SIDE_NEW, "anna", 20, &err)); /* told late */
	assert_errors("new anna 10; ");
	OK(store_server_error(st, SIDE_NEW, "anna", 5, &err));
	OK(store_server_error(st, SIDE_OLD, "anna", 9, &err));
	OK(store_server_error(st, SIDE_NEW, "bob", 7, &err));
	OK(store_server_error(st, SIDE_NEW, "carl", 6, &err));
	assert_errors("new anna 5; new carl 6; old anna 9; ");
	OK(store_server_error(st, SIDE_NEW, "bob", 7, &err)); /* told late */
	assert_errors("new anna 5; new carl 6; old anna 9; ");
}

int main(void)
{
	/* Those that need a clock that runs come first: it cannot be started again. */
	const struct CMUnitTest tests[] = {
		TEST(test_nudge_wakes),
		TEST(test_leases),
		TEST(test_node_marks),
		TEST(test_quiet),
		TEST(test_a_return_waits_for_the_silent),
		TEST(test_freeze_forgets_answers),
		TEST(test_waiting_is_bounded),
		TEST(test_sessions),
		TEST(test_sessions_filtered_in_pages),
		TEST(test_holds_and_strangers),
		TEST(test_usage),
		TEST(test_latency),
		TEST(test_when_a_node_had_a_session),
		TEST(test_the_first_session_since_it_was_asked),
		TEST(test_the_last_users_who_heard_of_trouble),
		TEST(test_answers),
		TEST(test_drain),
		TEST(test_trace_until_it_is_full),
		TEST(test_trace_has_one_end),
		TEST(test_certificates),
		TEST(test_requests),
		TEST(test_nudge),
		TEST(test_nudge_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
