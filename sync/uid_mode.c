/* Hides: nothing; which mode a folder can have. */
#include "sync/uid_mode.h"

#include "common/mem.h"

#include <string.h>

static const char *const names[] = { [UID_PLAIN] = "plain",
				     [UID_FLOOR] = "floor",
				     [UID_EXACT] = "exact" };
_Static_assert(COUNT(names) == UID_MODES, "a name for every mode");

const char *uid_mode_name(enum uid_mode m)
{
	return names[m];
}

enum uid_mode uid_mode_find(const char *name)
{
	int m = 0;

	while (m < UID_MODES && strcmp(names[m], name) != 0)
		m++;
	return (enum uid_mode)m;
}

/* Why it cannot be exact; NULL: it can. */
static const char *not_exact(const struct uid_case *c, int64_t gaps)
{
	if (c->wish != UID_EXACT)
		return "sync.uids says so";
	if (c->unequal)
		return "mail was copied before, and has other UIDs";
	if (c->strangers > 0)
		return "there is mail that was not copied";
	if (c->to_come && c->next > c->first)
		return "new has given that UID already";
	if (gaps > c->gaps_most)
		return "too many UIDs without a message (sync.uid_gaps)";
	return NULL;
}

static struct uid_choice floor_of(const struct uid_case *c, const char *why)
{
	int64_t headroom = MAX((int64_t)c->old_next * UIDS_HEADROOM_PERCENT / 100,
			       (int64_t)UIDS_HEADROOM);
	int64_t floor = c->old_next + headroom;
	struct uid_choice plain = { .mode = UID_PLAIN, .why = why };

	if (c->wish == UID_FLOOR)
		why = NULL;
	/* Once mail is there, nothing can be put below it any more. */
	if (c->unequal)
		return (struct uid_choice){ .mode = UID_FLOOR, .why = why };
	if (floor <= c->next)
		return (struct uid_choice){ UID_FLOOR, 0, 0, why };
	if (floor > UINT32_MAX / 2 || floor - c->next > c->floor_most) {
		plain.why = "too many UIDs were given on old (sync.uid_floor)";
		return plain;
	}
	return (struct uid_choice){ UID_FLOOR, floor - c->next, (uint32_t)floor, why };
}

struct uid_choice uids_choose(const struct uid_case *c)
{
	int64_t gaps = MAX((int64_t)c->old_next - c->next - c->to_come, (int64_t)0);
	const char *why;

	if (c->wish == UID_PLAIN)
		return (struct uid_choice){ .mode = UID_PLAIN };
	if (c->unequal && c->lowest < c->old_next)
		return (struct uid_choice){
			.mode = UID_PLAIN,
			.why = "mail was copied before, to UIDs that old has given to other mail"
		};
	why = not_exact(c, gaps);
	if (!why)
		return (struct uid_choice){ .mode = UID_EXACT, .to_burn = gaps };
	/* With nothing there and nothing to come there is nothing to be kept apart. */
	if (!c->to_come && !c->unequal && c->wish == UID_FLOOR)
		return (struct uid_choice){ .mode = UID_FLOOR };
	return floor_of(c, why);
}
