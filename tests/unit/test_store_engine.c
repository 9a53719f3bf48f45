/* The store among several hosts: whose name a node's is, and which engine is at work. */
#include "tests/unit/store_stage.h"
#include "common/store_engine.h"
#include "common/store_node.h"

static struct store *open_at(const char *host)
{
	struct place place = { 0 };
	struct store_opts o = { .path = path, .url = pg_url(), .place = &place };
	struct store *s = NULL;

	snprintf(place.id, sizeof place.id, "id-of-%s", host);
	snprintf(place.host, sizeof place.host, "%s", host);
	OK(store_open(&s, &o, &err));
	return s;
}

/* ---- names of nodes */

static void test_a_name_belongs_to_one_host(void **state UNUSED)
{
	struct store *mx1 = open_at("mx1"), *mx2 = open_at("mx2");
	int64_t first, second;

	clock_test_freeze();
	OK(store_node_join(mx1, "proxy-1", &first, &err));
	clock_test_advance(STORE_LEASE_MS + 1000);
	assert_int_equal(store_node_join(mx2, "proxy-1", &second, &err), -1);
	assert_string_equal(
		err.text,
		"the name proxy-1 is taken: a node on host mx1 bears it (last heard of 6 s ago,"
		" forgotten after 60 s); give each host a name of its own with run: host");
	/* … and the refused one has taken nothing from it. */
	assert_int_equal(store_node_renew(mx1, "proxy-1", first, 0, &err), 1);
	/* The same place: its lock file says that the one before is dead. */
	OK(store_node_join(mx1, "proxy-1", &second, &err));
	/* Nobody counts on it any more. */
	clock_test_advance(STORE_FENCE_MS);
	OK(store_node_join(mx2, "proxy-1", &second, &err));
	store_close(&mx1);
	store_close(&mx2);
}

/* ---- the engine's lease */

static int64_t beat(struct store *s, int64_t epoch)
{
	OK(store_engine_beat(s, &epoch, &err));
	return epoch;
}

static char shown[128];

static int show_engine(const struct engine_row *g, void *arg UNUSED)
{
	size_t n = strlen(shown);

	snprintf(shown + n, sizeof shown - n, "%s%s %s", n ? ", " : "", g->host,
		 g->active   ? "at work"
		 : g->silent ? "silent"
			     : "stands by");
	return 0;
}

static void assert_engines(const char *expected)
{
	shown[0] = '\0';
	OK(store_engines_each(st, show_engine, NULL, &err));
	assert_string_equal(shown, expected);
}

static void test_one_engine_is_at_work(void **state UNUSED)
{
	struct store *mx1 = open_at("mx1"), *mx2 = open_at("mx2");
	int64_t first;

	clock_test_freeze();
	first = beat(mx1, 0);
	assert_true(first > 0);
	assert_int_equal(beat(mx2, 0), 0);
	assert_engines("mx1 at work, mx2 stands by");
	clock_test_advance(STORE_ENGINE_LEASE_MS - 1);
	assert_int_equal(beat(mx1, first), first);
	clock_test_advance(STORE_ENGINE_LEASE_MS - 1);
	assert_int_equal(beat(mx2, 0), 0);
	clock_test_advance(1);
	assert_int_equal(beat(mx2, 0), first + 1);
	assert_engines("mx2 at work, mx1 silent");
	assert_int_equal(beat(mx1, first), 0);
	/* A clean end: nobody has to wait. */
	OK(store_engine_leave(mx2, &err));
	assert_engines("mx1 stands by");
	assert_int_equal(beat(mx1, 0), first + 2);
	store_close(&mx1);
	store_close(&mx2);
}

static void test_an_engine_started_again_takes_its_own_lease(void **state UNUSED)
{
	struct store *dead = open_at("mx1"), *again = open_at("mx1");
	int64_t first;

	clock_test_freeze();
	first = beat(dead, 0);
	assert_int_equal(beat(again, 0), first + 1);
	assert_int_equal(beat(dead, first), 0);
	store_close(&dead);
	store_close(&again);
}

static void test_a_late_engine_writes_nothing(void **state UNUSED)
{
	struct store *late = open_at("mx1"), *next = open_at("mx2");
	struct progress p = { .passes = 7, .pass_clean = true };
	struct user u;

	clock_test_freeze();
	add_user("anna");
	assert_true(beat(late, 0) > 0);
	u = numbers_of("anna");
	assert_int_equal(move_by(late, "anna", USER_PENDING, USER_PROVISIONED, u.change),
			 MOVE_DONE);
	u = numbers_of("anna");
	/* Its lease has run out: even before another one has it. */
	clock_test_advance(STORE_ENGINE_LEASE_MS);
	assert_int_equal(move_by(late, "anna", USER_PROVISIONED, USER_SYNCING, u.change),
			 MOVE_LOST);
	assert_true(beat(next, 0) > 0);
	assert_int_equal(move_by(late, "anna", USER_PROVISIONED, USER_SYNCING, u.change),
			 MOVE_LOST);
	assert_int_equal(store_user_progress(late, "anna", &p, &err), -1);
	assert_non_null(strstr(err.text, "another engine has taken over"));
	err_clear(&err);
	assert_int_equal(store_user_failed(late, "anna", 1000, "why", &err), -1);
	err_clear(&err);
	assert_int_equal(store_facts_write(late, "anna", "{}", &err), -1);
	err_clear(&err);
	assert_int_equal(store_user_return(late, "anna", "operator", "", &err), -1);
	u = numbers_of("anna");
	assert_true(u.state == USER_PROVISIONED && u.progress.passes == 0 && u.attempts == 0);
	assert_int_equal(move_by(next, "anna", USER_PROVISIONED, USER_SYNCING, u.change),
			 MOVE_DONE);
	store_close(&late);
	store_close(&next);
}

/* It is stopped in the middle of a transaction, and holds the lock of all writers. A file's
 * lock nobody can take from it: there `mailferry run` kills what hangs. */
static void test_a_writer_that_stands_still(void **state UNUSED)
{
	struct store *stopped = open_at("mx1"), *next = open_at("mx2");

	if (pg_url()) {
		OK(db_begin(stopped->db, &err));
		assert_true(beat(next, 0) > 0);
		assert_int_equal(db_run(stopped->db, "DELETE FROM engines", NO_ARGS, &err), -1);
		db_rollback(stopped->db);
		assert_int_equal(ask("SELECT COUNT(*) FROM engines"), 1);
	}
	store_close(&stopped);
	store_close(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_name_belongs_to_one_host),
		TEST(test_one_engine_is_at_work),
		TEST(test_an_engine_started_again_takes_its_own_lease),
		TEST(test_a_late_engine_writes_nothing),
		TEST(test_a_writer_that_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
