/* Hides: a hash table with open addressing, at most half full. */
#include "sync/name_index.h"

#include <strings.h>

#define ROOM_MIN 16

static const char *spelled(const char *name)
{
	return strcasecmp(name, "INBOX") == 0 ? "INBOX" : name;
}

/* FNV-1a. */
static size_t hash_of(const char *name)
{
	uint64_t h = 14695981039346656037U;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211U;
	return (size_t)(h ^ h >> 32);
}

/* The name's own place, or the free one where it would be. */
static struct name_place *place_of(const struct name_index *x, const char *name)
{
	size_t i = hash_of(name) & (x->room - 1);

	while (x->places[i].name && strcmp(x->places[i].name, name) != 0)
		i = (i + 1) & (x->room - 1);
	return &x->places[i];
}

static void grow(struct name_index *x)
{
	struct name_index wider = { .room = x->room ? 2 * x->room : ROOM_MIN,
				    .count = x->count };

	wider.places = mem_array(wider.room, sizeof *wider.places);
	for (size_t i = 0; i < x->room; i++)
		if (x->places[i].name)
			*place_of(&wider, x->places[i].name) = x->places[i];
	free(x->places);
	*x = wider;
}

void name_index_release(struct name_index *x)
{
	free(x->places);
	*x = (struct name_index){ 0 };
}

void name_index_add(struct name_index *x, const char *name, size_t at)
{
	struct name_place *p;

	if (2 * (x->count + 1) > x->room)
		grow(x);
	name = spelled(name);
	p = place_of(x, name);
	if (p->name)
		return;
	*p = (struct name_place){ name, at };
	x->count++;
}

size_t name_index_find(const struct name_index *x, const char *name)
{
	const struct name_place *p = x->room ? place_of(x, spelled(name)) : NULL;

	return p && p->name ? p->at : NAME_NONE;
}
