/*
 * The rules of a migration on one page: which states a user may be in, which moves are legal,
 * and where a login goes meanwhile. Pure: nothing else in the program decides a side.
 *
 *   pending → provisioned → syncing ⇄ ready → freezing → finalizing → trailing → done
 *                                      ↑  undo  │           │           │        │
 *                                      ├────────┴───────────┘           │        │
 *                                      │        flip back               ⇅        │
 *                                      └── finalizing ← freezing ←── returning ←─┘
 */
#ifndef COMMON_USER_STATE_H
#define COMMON_USER_STATE_H

#include "common/mem.h"

enum user_state {
	USER_PENDING,
	USER_PROVISIONED,
	USER_SYNCING,
	USER_READY,
	USER_FREEZING,
	USER_FINALIZING,
	USER_TRAILING,
	USER_DONE,
	USER_RETURNING,
	USER_STATES
};

/* The two servers. */
enum side { SIDE_OLD, SIDE_NEW, SIDES };

/* What happens to a login. */
enum route_to { ROUTE_OLD, ROUTE_NEW, ROUTE_HOLD, ROUTES };

/* Which way a cutover goes; means something in freezing and finalizing only. */
enum direction { DIR_FORWARD, DIR_BACK, DIRECTIONS };

const char *user_state_name(enum user_state s);
const char *side_name(enum side s);
const char *route_name(enum route_to r);
const char *direction_name(enum direction d);
/* By name; -1 if there is none. */
int user_state_find(const char *name);
int direction_find(const char *name);

/* Where logins go in this state. */
enum route_to user_route(enum user_state s);
/* The side whose mail counts: where logins go or, while they are held, the side being left. */
enum side user_side(enum user_state s, enum direction d);
bool user_is_held(enum user_state s);
/* True when the old side can no longer be written to through us: such sessions outlive a lost
 * store. */
bool user_is_final(enum user_state s);

/*
 * May a user in `from` (with direction d, which counts only in freezing and finalizing) go to
 * `to`? A move into freezing names the direction that `from` implies: ready forward, returning
 * back.
 */
bool user_may_move(enum user_state from, enum direction d, enum user_state to);
enum direction user_freeze_direction(enum user_state from);
/* Where an undone cutover leads back to, and where a done one leads to. */
enum user_state user_undo_state(enum direction d);
enum user_state user_flip_state(enum direction d);
bool user_move_is_flip(enum user_state from, enum direction d, enum user_state to);
bool user_move_is_undo(enum user_state from, enum direction d, enum user_state to);

#endif
