/* The store: followers are woken. */
#include "common/store_node.h"
#include "common/store_request.h"
#include "tests/unit/store_stage.h"

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

int main(void)
{
	/* Those that need a clock that runs come first: it cannot be started again. */
	const struct CMUnitTest tests[] = {
		TEST(test_nudge_wakes),
		TEST(test_nudge),
		TEST(test_nudge_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
