/* Hides: that they are in order. */
#include "sync/names.h"

/* Where it is, or would be. */
static size_t names_find(const struct names *s, const char *name)
{
	size_t from = 0, to = s->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(s->at[middle], name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool is_at(const struct names *s, size_t i, const char *name)
{
	return i < s->n && strcmp(s->at[i], name) == 0;
}

bool names_has(const struct names *s, const char *name)
{
	return is_at(s, names_find(s, name), name);
}

int names_add(struct names *s, const char *name, struct err *e)
{
	size_t i = names_find(s, name);

	if (is_at(s, i, name))
		return 0;
	if (s->n >= NAMES_MAX)
		return err_set(e, ERR_LIMIT, "%d users are waiting already", NAMES_MAX);
	s->at = mem_grow(s->at, s->n + 1, sizeof *s->at);
	memmove(&s->at[i + 1], &s->at[i], (s->n++ - i) * sizeof *s->at);
	s->at[i] = mem_str(name);
	return 0;
}

void names_drop(struct names *s, const char *name)
{
	size_t i = names_find(s, name);

	if (!is_at(s, i, name))
		return;
	mem_free(&s->at[i]);
	memmove(&s->at[i], &s->at[i + 1], (--s->n - i) * sizeof *s->at);
}

void names_release(struct names *s)
{
	for (size_t i = 0; i < s->n; i++)
		mem_free(&s->at[i]);
	mem_free(&s->at);
	s->n = 0;
}
