/* When a user is due for what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sync/planner.h"

#define NOW	 ((int64_t)1000000000)
#define DELTA_MS 300000
#define HOUR_MS	 3600000

static const struct settings settings = {
	.sync = { .delta_s = DELTA_MS / 1000, .retry_s = 60 },
	.cutover = { .budget_s = 12, .tries = 3, .parallel = 1 },
};

/* Ready, with the go, after a clean pass that took too long for the pause. */
static struct user with_go(int64_t took_ms, int64_t ended_ms_ago)
{
	return (struct user){
		.state = USER_READY,
		.go = true,
		.progress = { .passes = 1,
			      .pass_clean = true,
			      .pass_took = took_ms,
			      .pass_ended = NOW - ended_ms_ago },
	};
}

static enum plan_step step_of(const struct user *u)
{
	struct gate_view v = { .s = &settings, .now = NOW, .worker_free = true };

	return plan_user(u, &v, false).step;
}

static void test_with_the_go_a_pass_comes_soon(void **state UNUSED)
{
	struct user u = with_go(10000, PLAN_PASS_GAP_MS + 20000 - 1);

	assert_int_equal(step_of(&u), PLAN_REST);
	u.progress.pass_ended--;
	assert_int_equal(step_of(&u), PLAN_PASS);
}

/* A first pass takes hours: the next one is short, and the go must not put it off. */
static void test_with_the_go_it_is_never_later_than_without(void **state UNUSED)
{
	struct user u = with_go(HOUR_MS, DELTA_MS - 1);

	assert_int_equal(step_of(&u), PLAN_REST);
	u.progress.pass_ended--;
	assert_int_equal(step_of(&u), PLAN_PASS);
	u.go = false;
	assert_int_equal(step_of(&u), PLAN_PASS);
}

static void give_logins(struct user *u)
{
	static char name[] = "anna", file[] = "/anna.password";

	for (int s = 0; s < SIDES; s++) {
		u->login[s] = name;
		u->password_file[s] = file;
	}
}

/* On new since a second, after clean passes that led there; old is to be brought in step first.
 */
static void test_a_return_begins_with_a_pass_of_its_own(void **state UNUSED)
{
	struct user u = with_go(100, 2000);

	u.state = USER_RETURNING;
	give_logins(&u);
	u.state_since = NOW - 1000;
	assert_int_equal(step_of(&u), PLAN_PASS);
	u.progress.pass_ended = NOW - 500;
	assert_int_equal(step_of(&u), PLAN_CUTOVER);
	u.progress.pass_clean = false;
	assert_int_equal(step_of(&u), PLAN_REST); /* the gap between two passes */
}

/* In its pause, which was undone: nothing that old gets would come to the user any more. */
static void test_a_return_that_was_withdrawn_ends(void **state UNUSED)
{
	struct user u = with_go(100, 500);

	u.state = USER_RETURNING;
	give_logins(&u);
	u.state_since = NOW - 1000;
	u.undos = 1;
	u.next_try = NOW + 600000;
	u.go = false;
	assert_int_equal(step_of(&u), PLAN_STAY);
	u.state = USER_TRAILING;
	assert_int_not_equal(step_of(&u), PLAN_STAY);
}

/* An undo begins the state anew, but what was copied is copied. */
static void test_an_undone_return_is_tried_again_after_its_wait(void **state UNUSED)
{
	struct user u = with_go(100, 5000);

	u.state = USER_RETURNING;
	give_logins(&u);
	u.state_since = NOW - 1000;
	u.undos = 1;
	u.next_try = NOW + 1;
	assert_int_equal(step_of(&u), PLAN_REST);
	u.next_try = NOW;
	assert_int_equal(step_of(&u), PLAN_CUTOVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_the_go_a_pass_comes_soon),
		cmocka_unit_test(test_with_the_go_it_is_never_later_than_without),
		cmocka_unit_test(test_a_return_begins_with_a_pass_of_its_own),
		cmocka_unit_test(test_a_return_that_was_withdrawn_ends),
		cmocka_unit_test(test_an_undone_return_is_tried_again_after_its_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
