/* Hides: nothing. The table is the design; see the header for the picture. */
#include "common/user_state.h"

#define TO(s) (1u << USER_##s)

static const struct {
	const char *name;
	enum route_to route;
	unsigned next; /* bit set of moves that are legal in either direction */
} rules[] = {
	[USER_PENDING] = { "pending", ROUTE_OLD, TO(PROVISIONED) },
	[USER_PROVISIONED] = { "provisioned", ROUTE_OLD, TO(SYNCING) },
	[USER_SYNCING] = { "syncing", ROUTE_OLD, TO(READY) },
	[USER_READY] = { "ready", ROUTE_OLD, TO(SYNCING) | TO(FREEZING) },
	[USER_FREEZING] = { "freezing", ROUTE_HOLD, TO(FINALIZING) },
	[USER_FINALIZING] = { "finalizing", ROUTE_HOLD, 0 },
	[USER_TRAILING] = { "trailing", ROUTE_NEW, TO(DONE) | TO(RETURNING) },
	[USER_DONE] = { "done", ROUTE_NEW, TO(RETURNING) },
	[USER_RETURNING] = { "returning", ROUTE_NEW, TO(FREEZING) | TO(TRAILING) },
};
_Static_assert(COUNT(rules) == USER_STATES, "a rule for every state");

/* What freezing and finalizing may lead to besides, by direction. */
static const struct {
	const char *name;
	enum user_state undo, flip;
	enum side leaving;
} ways[] = {
	[DIR_FORWARD] = { "forward", USER_READY, USER_TRAILING, SIDE_OLD },
	[DIR_BACK] = { "back", USER_RETURNING, USER_READY, SIDE_NEW },
};
_Static_assert(COUNT(ways) == DIRECTIONS, "both ways");

static const char *const side_names[] = { [SIDE_OLD] = "old", [SIDE_NEW] = "new" };
_Static_assert(COUNT(side_names) == SIDES, "both sides");

static const char *const route_names[] = {
	[ROUTE_OLD] = "old",
	[ROUTE_NEW] = "new",
	[ROUTE_HOLD] = "hold",
};
_Static_assert(COUNT(route_names) == ROUTES, "all routes");

const char *user_state_name(enum user_state s)
{
	return rules[s].name;
}

const char *side_name(enum side s)
{
	return side_names[s];
}

const char *route_name(enum route_to r)
{
	return route_names[r];
}

const char *direction_name(enum direction d)
{
	return ways[d].name;
}

int user_state_find(const char *name)
{
	for (int s = 0; s < USER_STATES; s++)
		if (strcmp(rules[s].name, name) == 0)
			return s;
	return -1;
}

int direction_find(const char *name)
{
	for (int d = 0; d < DIRECTIONS; d++)
		if (strcmp(ways[d].name, name) == 0)
			return d;
	return -1;
}

enum route_to user_route(enum user_state s)
{
	return rules[s].route;
}

bool user_is_held(enum user_state s)
{
	return rules[s].route == ROUTE_HOLD;
}

enum side user_side(enum user_state s, enum direction d)
{
	if (user_is_held(s))
		return ways[d].leaving;
	return rules[s].route == ROUTE_NEW ? SIDE_NEW : SIDE_OLD;
}

bool user_is_final(enum user_state s)
{
	return s == USER_TRAILING || s == USER_DONE;
}

bool user_may_move(enum user_state from, enum direction d, enum user_state to)
{
	return (rules[from].next & (1u << to)) || user_move_is_flip(from, d, to) ||
	       user_move_is_undo(from, d, to);
}

enum direction user_freeze_direction(enum user_state from)
{
	return from == USER_RETURNING ? DIR_BACK : DIR_FORWARD;
}

enum user_state user_undo_state(enum direction d)
{
	return ways[d].undo;
}

enum user_state user_flip_state(enum direction d)
{
	return ways[d].flip;
}

bool user_move_is_flip(enum user_state from, enum direction d, enum user_state to)
{
	return from == USER_FINALIZING && to == ways[d].flip;
}

bool user_move_is_undo(enum user_state from, enum direction d, enum user_state to)
{
	return user_is_held(from) && to == ways[d].undo;
}
