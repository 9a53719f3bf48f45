/*
 * How the UIDs of copied mail stand to those that the messages had. Clients that act by UIDs
 * they remember from old (some do, before they look at UIDVALIDITY) then hit, on new:
 *
 *	exact	the right message: its UID is the same, and what old has given and taken away is
 *		given to nothing
 *	floor	nothing: all UIDs lie above those that old has given, with some headroom for what
 *		it gives until the user is moved
 *	plain	whatever stands there: they are those that new gives
 */
#ifndef SYNC_UID_MODE_H
#define SYNC_UID_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UIDS_HEADROOM	      10000 /* of a floor, at least; or … */
#define UIDS_HEADROOM_PERCENT 25    /* … of what old has given */

enum uid_mode { UID_PLAIN, UID_FLOOR, UID_EXACT, UID_MODES };
const char *uid_mode_name(enum uid_mode m); /* "plain", "floor", "exact" */
/* UID_MODES: none has that name. */
enum uid_mode uid_mode_find(const char *name);

/* A folder before its new mail is sent. */
struct uid_case {
	enum uid_mode wish;
	uint32_t gaps_most, floor_most; /* UIDs that may be used up for exact, for floor */
	uint32_t old_next;		/* old's UIDNEXT */
	uint32_t next;			/* new's */
	uint32_t first;			/* the lowest UID that is to come; 0: none */
	int64_t to_come;		/* messages */
	int64_t unequal;		/* messages that are there under another UID … */
	uint32_t lowest;		/* … and the lowest of these UIDs there */
	int64_t strangers;		/* messages on new that are not of old */
};
struct uid_choice {
	enum uid_mode mode;
	int64_t to_burn; /* UIDs that have to be used up, in all */
	uint32_t floor;	 /* FLOOR: the least UID to be given from now on; 0: any */
	const char *why; /* not what is wished; NULL: it is */
};
struct uid_choice uids_choose(const struct uid_case *c);

#endif
