/*
 * Which folder of one side is which of the other. A pure function over what the servers list:
 * it asks nothing, creates nothing, and gives the same answer every time.
 *
 *  - a pair that the journal knows stays what it is;
 *  - INBOX is INBOX, however written;
 *  - prefixes and separators are exchanged, each part of a name stays as it is on the wire, and
 *    children go where their parent goes;
 *  - a special folder (\Sent …) whose name the other side does not have goes onto the other
 * side's folder with the same attribute, if there is one;
 *  - two folders never become one, not even where the other side ignores case: the later one
 * gets a number. That, and each byte that had to be replaced, is noted for people;
 *  - other users' and shared folders are left out.
 */
#ifndef SYNC_FOLDERS_H
#define SYNC_FOLDERS_H

#include "common/user_state.h"
#include "sync/mailbox.h"

struct folder_side {
	const struct folder_list *list;
	const struct namespace_info *space;
};

struct folder_pair {
	char *name[SIDES];
	bool container;	 /* holds no mail on the side that counts: only its subscription matters
			  */
	bool exists;	 /* on the other side, and can hold mail */
	bool subscribed; /* on the side that counts */
	enum special_use use;
};

struct folder_map {
	struct folder_pair *at; /* parents before children */
	size_t count;
	struct buf
		notes; /* lines for people, each with its newline: what did not keep its name */
	unsigned renamed; /* how many of them */
};
void folder_map_release(struct folder_map *m);

/* The names of one pair known from before. Borrowed. */
struct folder_known {
	const char *name[SIDES];
};

/* Maps every folder of `from`. */
void folders_map(const struct folder_side side[SIDES], enum side from,
		 const struct folder_known *known, size_t known_count, struct folder_map *out);

#endif
