/*
 * Hides: which words what is posted may have, and of which type.
 *
 * What is misspelt, or written otherwise than it is taken, would count as not said: of a go at a
 * time there would be a go at once, of a dry run a real one.
 */
#include "admin/api_parts.h"

/* "note" is a text, "go?" true or false, "rate#" a whole number. */
static const struct {
	const char *path, *words;
} bodies[] = {
	{ "/v1/report/final", "" },
	{ "/v1/phases", "domain item note undo?" },
	{ "/v1/import", "csv file folder" },
	{ "/v1/sync", "user wave all?" },
	{ "/v1/cutover", "user wave go? at latest rate# first_hour# quiet_s# dry_run?" },
	{ "/v1/pause", "wave note" },
	{ "/v1/resume", "wave note" },
	{ "/v1/rollback", "user wave note go?" },
	{ "/v1/waive", "user wave check folder uid# kind all? count# note undo?" },
	{ "/v1/retry", "user wave" },
	{ "/v1/verify", "user wave level sample#" },
	{ "/v1/provision", "user wave all? dry_run?" },
	{ "/v1/pull", "user wave dry_run? undo? stuck? job" },
	{ "/v1/drop", "user force? seconds#" },
	{ "/v1/drain", "node all? seconds# undo?" },
	{ "/v1/forget", "node" },
	{ "/v1/reload", "" },
	{ "/v1/rebuild", "" },
	{ "/v1/requests", "verb level" },
	{ "/v1/trace", "user seconds# bytes# stop?" },
};

static const char *words_of(const char *path)
{
	for (size_t i = 0; i < COUNT(bodies); i++)
		if (strcmp(bodies[i].path, path) == 0)
			return bodies[i].words;
	BUG("nobody says what %s takes", path);
}

/* ---- words */

static const struct word_type {
	char mark; /* after the word */
	const char *name, *text;
} types[] = {
	{ '\0', "string", "a text" },
	{ '?', "boolean", "true or false" },
	{ '#', "integer", "a whole number" },
};

static const struct word_type *type_of(char mark)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (types[i].mark && types[i].mark == mark)
			return &types[i];
	return &types[0];
}

/* The next of them, and its type; an empty one: there are no more. */
static struct slice next_word(const char **at, const struct word_type **type)
{
	struct slice word;

	*at += strspn(*at, " ");
	word = (struct slice){ *at, strcspn(*at, " ?#") };
	*type = type_of((*at)[word.n]);
	*at += strcspn(*at, " ");
	return word;
}

static const struct word_type *find(const char *words, const char *key)
{
	const struct word_type *type;
	struct slice word;

	while ((word = next_word(&words, &type)).n)
		if (strlen(key) == word.n && memcmp(key, word.p, word.n) == 0)
			return type;
	return NULL;
}

static bool is_of(const json_t *value, const struct word_type *type)
{
	switch (type->mark) {
	case '?':
		return json_is_boolean(value);
	case '#':
		return json_is_integer(value);
	default:
		return json_is_string(value);
	}
}

/* ---- bodies */

int api_check_words(struct api_call *c, const char *path)
{
	const char *words = words_of(path);
	const char *remedy = "GET /v1 lists what each route takes", *key;
	json_t *value;

	json_object_foreach (c->in, key, value) {
		const struct word_type *type = find(words, key);

		if (!type)
			return api_refuse(c, 400, remedy, "nothing is known of \"%.40s\" here",
					  key);
		if (!is_of(value, type))
			return api_refuse(c, 400, remedy, "\"%.40s\" must be %s", key,
					  type->text);
	}
	return 0;
}

json_t *api_json_words(const char *path)
{
	const char *words = words_of(path);
	json_t *j = json_object();
	const struct word_type *type;
	struct slice word;

	while ((word = next_word(&words, &type)).n)
		json_object_setn_new(j, word.p, word.n, json_string(type->name));
	return j;
}
