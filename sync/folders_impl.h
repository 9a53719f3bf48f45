/*
 * What the files of the mapping share; private to them.
 *
 *	folders.c		who is mapped, in which order, and what each one chooses
 *	folders_reserve.c	what is settled before: known pairs, rules, special folders
 *	folders_plain.c		how a name becomes one of the other side, also of a server that
 *refuses
 */
#ifndef SYNC_FOLDERS_IMPL_H
#define SYNC_FOLDERS_IMPL_H

#include "sync/folders.h"

#define FOLDER_REPLACEMENT \
	'_' /* for a byte that would be a separator on the other side, before a number */

struct folder_in {
	const struct folder_info *info;
	struct slice path; /* without the personal prefix */
	int depth;
	bool is_inbox;
	enum special_use use; /* by attribute, else by its name */
	const char *chosen;   /* wire name there, reserved: known, a rule's, or a special's */
	enum folder_why why;  /* of it */
	bool is_known;	      /* in the journal */
	bool is_special;      /* the one for its use */
	int claim; /* to its plain name: 2 the other side has it, 1 nothing in it must be
		      replaced */
	size_t at; /* place in the map */
};

/* A folder of the other side by what a server may take for the same name. */
struct likeness {
	char *folded;
	const char *name;
};

struct mapping {
	const struct folder_side *from_side, *to_side;
	enum side from, to;
	const struct folder_wishes *wishes;
	struct folder_in *in;
	size_t count;
	struct name_index known; /* of wishes->known, by the name on `from` */
	char **owned;		 /* names that `chosen` points to */
	size_t owned_count;
	struct likeness *alike; /* of the other side's list, by folded */
	void *taken;		/* names of the other side; not owned */
	void *by_path;		/* folder_in by path, for children */
	struct folder_map *out;
};

/* folders.c */
int mapping_compare_paths(const void *a, const void *b); /* of struct folder_in */
bool mapping_is_taken(const struct mapping *m, const char *name);
void mapping_take(struct mapping *m, const char *name);
bool mapping_is_refused(const struct mapping *m, const char *name);
/* Neither taken nor refused. */
bool mapping_is_free(const struct mapping *m, const char *name);
/* A folder there that nobody has, and that differs in case or accents only; NULL: none. */
const char *mapping_written(const struct mapping *m, const char *name);
const struct folder_info *mapping_there(const struct mapping *m, const char *name);

/* folders_reserve.c */
bool space_is_shared(const struct namespace_info *space, const char *name);
/* A folder's name without the personal prefix. */
struct slice space_path(const struct namespace_info *space, const char *name);
/* The separator of the folder itself, else of the namespace. */
char space_separator(const struct namespace_info *space, const struct folder_info *f);
int space_depth(struct slice path, char separator);
/* Are all personal folders below INBOX? Then a folder INBOX is no parent of its "children". */
bool space_is_below_inbox(const struct namespace_info *space);
/* By attribute, else by name where special folders are: at the top. */
enum special_use folder_use(const struct folder_side *s, const struct folder_info *f);
void mapping_reserve(struct mapping *m);

/* folders_plain.c. The name it would get if nothing stood in the way; allocated, as all are. */
char *mapping_plain_name(const struct mapping *m, const struct folder_in *f,
			 enum folder_why *why);
/* When the server refused the plain name; NULL: it refused all. */
char *mapping_refused_name(const struct mapping *m, const struct folder_in *f,
			   const char *plain);
/* name, name_2 …: the first that is free; NULL if none is. Takes name. */
char *mapping_free_one(const struct mapping *m, char *name, unsigned most);

#endif
