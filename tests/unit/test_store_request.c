/* The store: what is asked of nodes and what they answer, and traces. */
#include "common/store_node.h"
#include "common/store_request.h"
#include "common/store_trace.h"
#include "tests/unit/store_stage.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers),
		TEST(test_drain),
		TEST(test_trace_until_it_is_full),
		TEST(test_trace_has_one_end),
		TEST(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
