/* Hides: that it is searched from one end to the other. */
#include "sync/names.h"

static size_t names_find(const struct names *s, const char *name)
{
	size_t i = 0;

	while (i < s->n && strcmp(s->at[i], name) != 0)
		i++;
	return i;
}

bool names_has(const struct names *s, const char *name)
{
	return names_find(s, name) < s->n;
}

int names_add(struct names *s, const char *name, struct err *e)
{
	if (names_has(s, name))
		return 0;
	if (s->n >= NAMES_MAX)
		return err_set(e, ERR_LIMIT, "%d users are waiting already", NAMES_MAX);
	s->at = mem_grow(s->at, s->n + 1, sizeof *s->at);
	s->at[s->n++] = mem_str(name);
	return 0;
}

void names_drop(struct names *s, const char *name)
{
	size_t i = names_find(s, name);

	if (i == s->n)
		return;
	mem_free(&s->at[i]);
	s->at[i] = s->at[--s->n];
}

void names_release(struct names *s)
{
	for (size_t i = 0; i < s->n; i++)
		mem_free(&s->at[i]);
	mem_free(&s->at);
	s->n = 0;
}
