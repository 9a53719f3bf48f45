/* The store: nodes and their leases, and what they tell of certificates and servers. */
#include "common/store_node.h"
#include "common/store_session.h"
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
	const struct CMUnitTest tests[] = {
		TEST(test_leases),
		TEST(test_node_marks),
		TEST(test_quiet),
		TEST(test_a_return_waits_for_the_silent),
		TEST(test_freeze_forgets_answers),
		TEST(test_waiting_is_bounded),
		TEST(test_latency),
		TEST(test_the_last_users_who_heard_of_trouble),
		TEST(test_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
