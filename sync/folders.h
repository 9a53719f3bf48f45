/*
 * Which folder of one side is which of the other. A pure function over what the servers list:
 * it asks nothing, creates nothing, and gives the same answer every time.
 *
 *  - a pair that the journal knows stays what it is; INBOX is INBOX, however written;
 *  - then the operator's rules decide (config/folder_rules.h);
 *  - then what a folder is for: by attribute (\Sent …), else by a table of localized names. One
 *    folder of each side for each use: the one with the attribute, else the one with the other
 *    side's name, else the one with most mail. The others keep their names. A folder whose own
 *    name the other side has already stays under it;
 *  - prefixes, separators and encodings (sync/folder_name.h) are exchanged, and children go
 * where their parent goes. Each change of a name that this takes is told;
 *  - two folders never become one: where both would have the same name, the later gets a
 * number. Names that differ only in case or in how accents are written are twins: they are kept
 * if the server keeps them apart, which only it can tell (refused, below);
 *  - other users' and shared folders are left out unless asked for.
 */
#ifndef SYNC_FOLDERS_H
#define SYNC_FOLDERS_H

#include "common/user_state.h"
#include "config/folder_rules.h"
#include "sync/mailbox.h"

struct folder_side {
	const struct folder_list *list;
	const struct namespace_info *space;
};

/* Why a folder has its name on the other side. */
enum folder_why {
	FOLDER_SAME,	  /* as it was, with the other side's separator and prefix */
	FOLDER_KNOWN,	  /* from an earlier pass */
	FOLDER_RULE,	  /* the operator says so */
	FOLDER_ATTRIBUTE, /* both have it for the same use */
	FOLDER_LOCALIZED, /* both are for the same use by their names */
	FOLDER_WRITTEN,	  /* it is there, in another case or with other accents */
	FOLDER_REPLACED,  /* a part is not possible there */
	FOLDER_REPAIRED,  /* it was no proper name */
	FOLDER_NUMBERED,  /* the name is another's there */
	FOLDER_REFUSED,	  /* the server did not take the name */
	FOLDER_WHYS
};
const char *folder_why_name(enum folder_why w); /* "same", … */
const char *folder_why_text(enum folder_why w); /* for people */
/* Is it worth a person's look? */
bool folder_why_is_noted(enum folder_why w);

struct folder_pair {
	char *name[SIDES];
	enum folder_why why;
	bool container;	 /* holds no mail on the side that counts: only its subscription matters
			  */
	bool exists;	 /* on the other side, and can hold mail */
	bool is_known;	 /* from an earlier pass */
	bool subscribed; /* on the side that counts */
	bool hopeless;	 /* the server refused every name we could think of */
	enum special_use use; /* to be created for; USE_NONE also where another folder has it */
	const struct folder_info *info; /* on the side that counts; of its list */
};

/* Folders of the side that counts that stay behind. */
struct folder_left {
	const struct folder_info *info; /* of the list */
	bool shared;			/* else: by a rule */
};

struct folder_map {
	struct folder_pair *at; /* parents before children */
	size_t count;
	struct folder_left *left;
	size_t left_count;
};
void folder_map_release(struct folder_map *m);

/* The names of one pair known from before. Borrowed. */
struct folder_known {
	const char *name[SIDES];
};

/* What else counts. All borrowed; zero: nothing. */
struct folder_wishes {
	const struct folder_known *known;
	size_t known_count;
	const struct folder_rules *rules;
	const char *const *refused; /* names that the other side's server did not take */
	size_t refused_count;
};

/* Maps every folder of `from`. The map borrows from the lists. */
void folders_map(const struct folder_side side[SIDES], enum side from,
		 const struct folder_wishes *wishes, struct folder_map *out);

#endif
