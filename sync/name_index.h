/*
 * Where a name stands in a row of names: users have thousands of folders. INBOX is one name
 * however it is written. Zeroed it is empty and valid; the names are borrowed.
 */
#ifndef SYNC_NAME_INDEX_H
#define SYNC_NAME_INDEX_H

#include "common/mem.h"

#define NAME_NONE SIZE_MAX

struct name_place {
	const char *name; /* NULL: free */
	size_t at;
};

struct name_index {
	struct name_place *places;
	size_t room, count; /* room: a power of two, or 0 */
};
void name_index_release(struct name_index *x);

/* A name that is in it already stays where it is. */
void name_index_add(struct name_index *x, const char *name, size_t at);
size_t name_index_find(const struct name_index *x, const char *name); /* or NAME_NONE */

#endif
