/*
 * The migration's rules, against tables written down by hand from the table of a user's life in
 * the design, not from the code: every pair of states, in both directions.
 */
#include "common/user_state.h"

#include <setjmp.h>
#include <cmocka.h>

/* Columns: pending provisioned syncing ready freezing finalizing trailing done returning. */
static const char legal[DIRECTIONS][USER_STATES][USER_STATES + 1] = {
	[DIR_FORWARD] = {
		[USER_PENDING] =     ".x.......",
		[USER_PROVISIONED] = "..x......",
		[USER_SYNCING] =     "...x.....",
		[USER_READY] =       "..x.x....",
		[USER_FREEZING] =    "...x.x...",
		[USER_FINALIZING] =  "...x..x..",
		[USER_TRAILING] =    ".......xx",
		[USER_DONE] =        "........x",
		[USER_RETURNING] =   "....x.x..",
	},
	[DIR_BACK] = {
		[USER_PENDING] =     ".x.......",
		[USER_PROVISIONED] = "..x......",
		[USER_SYNCING] =     "...x.....",
		[USER_READY] =       "..x.x....",
		[USER_FREEZING] =    ".....x..x",
		[USER_FINALIZING] =  "...x....x",
		[USER_TRAILING] =    ".......xx",
		[USER_DONE] =        "........x",
		[USER_RETURNING] =   "....x.x..",
	},
};

/* f flip, u undo; all others are neither. */
static char kind_of(enum user_state from, enum direction d, enum user_state to)
{
	static const struct {
		enum user_state from;
		enum direction d;
		enum user_state to;
		char kind;
	} special[] = {
		{ USER_FINALIZING, DIR_FORWARD, USER_TRAILING, 'f' },
		{ USER_FINALIZING, DIR_BACK, USER_READY, 'f' },
		{ USER_FREEZING, DIR_FORWARD, USER_READY, 'u' },
		{ USER_FINALIZING, DIR_FORWARD, USER_READY, 'u' },
		{ USER_FREEZING, DIR_BACK, USER_RETURNING, 'u' },
		{ USER_FINALIZING, DIR_BACK, USER_RETURNING, 'u' },
	};

	for (size_t i = 0; i < COUNT(special); i++)
		if (special[i].from == from && special[i].d == d && special[i].to == to)
			return special[i].kind;
	return '-';
}

static void test_every_move(void **state UNUSED)
{
	for (int d = 0; d < DIRECTIONS; d++)
		for (int from = 0; from < USER_STATES; from++)
			for (int to = 0; to < USER_STATES; to++) {
				bool may = user_may_move(from, d, to);
				char kind = kind_of(from, d, to);

				if (may != (legal[d][from][to] == 'x'))
					fail_msg("%s (%s) to %s: may move %d",
						 user_state_name(from), direction_name(d),
						 user_state_name(to), may);
				assert_int_equal(user_move_is_flip(from, d, to), kind == 'f');
				assert_int_equal(user_move_is_undo(from, d, to), kind == 'u');
			}
}

static void test_routes_and_sides(void **state UNUSED)
{
	static const struct {
		enum user_state state;
		enum route_to route;
		enum side forward, back; /* the side whose mail counts, by direction */
		bool final;
	} expected[USER_STATES] = {
		{ USER_PENDING, ROUTE_OLD, SIDE_OLD, SIDE_OLD, false },
		{ USER_PROVISIONED, ROUTE_OLD, SIDE_OLD, SIDE_OLD, false },
		{ USER_SYNCING, ROUTE_OLD, SIDE_OLD, SIDE_OLD, false },
		{ USER_READY, ROUTE_OLD, SIDE_OLD, SIDE_OLD, false },
		{ USER_FREEZING, ROUTE_HOLD, SIDE_OLD, SIDE_NEW, false },
		{ USER_FINALIZING, ROUTE_HOLD, SIDE_OLD, SIDE_NEW, false },
		{ USER_TRAILING, ROUTE_NEW, SIDE_NEW, SIDE_NEW, true },
		{ USER_DONE, ROUTE_NEW, SIDE_NEW, SIDE_NEW, true },
		{ USER_RETURNING, ROUTE_NEW, SIDE_NEW, SIDE_NEW, false },
	};

	for (size_t i = 0; i < USER_STATES; i++) {
		enum user_state s = expected[i].state;

		assert_int_equal(user_route(s), expected[i].route);
		assert_int_equal(user_is_held(s), expected[i].route == ROUTE_HOLD);
		assert_int_equal(user_side(s, DIR_FORWARD), expected[i].forward);
		assert_int_equal(user_side(s, DIR_BACK), expected[i].back);
		assert_int_equal(user_is_final(s), expected[i].final);
	}
}

static void test_ends_of_a_cutover(void **state UNUSED)
{
	assert_int_equal(user_freeze_direction(USER_READY), DIR_FORWARD);
	assert_int_equal(user_freeze_direction(USER_RETURNING), DIR_BACK);
	assert_int_equal(user_undo_state(DIR_FORWARD), USER_READY);
	assert_int_equal(user_undo_state(DIR_BACK), USER_RETURNING);
	assert_int_equal(user_flip_state(DIR_FORWARD), USER_TRAILING);
	assert_int_equal(user_flip_state(DIR_BACK), USER_READY);
}

/* Names are in the store and in people's scripts: they stay. */
static void test_names(void **state UNUSED)
{
	static const char *const names[USER_STATES] = {
		"pending",    "provisioned", "syncing", "ready",     "freezing",
		"finalizing", "trailing",    "done",	"returning",
	};

	for (int s = 0; s < USER_STATES; s++) {
		assert_string_equal(user_state_name(s), names[s]);
		assert_int_equal(user_state_find(names[s]), s);
	}
	assert_int_equal(user_state_find("Ready"), -1);
	assert_int_equal(user_state_find(""), -1);
	assert_string_equal(side_name(SIDE_OLD), "old");
	assert_string_equal(side_name(SIDE_NEW), "new");
	assert_string_equal(route_name(ROUTE_OLD), "old");
	assert_string_equal(route_name(ROUTE_NEW), "new");
	assert_string_equal(route_name(ROUTE_HOLD), "hold");
	assert_int_equal(direction_find("forward"), DIR_FORWARD);
	assert_int_equal(direction_find("back"), DIR_BACK);
	assert_int_equal(direction_find("sideways"), -1);
	assert_string_equal(direction_name(DIR_BACK), "back");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_move),
		cmocka_unit_test(test_routes_and_sides),
		cmocka_unit_test(test_ends_of_a_cutover),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
