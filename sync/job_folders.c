/* Hides: how rules look in a job's line. */
#include "sync/job_folders.h"

static int add_bytes(const char *p, size_t n, void *arg)
{
	buf_add(arg, p, n);
	return 0;
}

void job_folders_write(const struct folder_rules *r, struct buf *out)
{
	json_t *map = json_array(), *skip = json_array(), *all;

	for (size_t i = 0; i < r->map_count; i++)
		json_array_append_new(map, json_pack("[s, s]", r->map[i].old, r->map[i].new));
	for (size_t i = 0; i < r->skip_count; i++)
		json_array_append_new(skip, json_string(r->skip[i]));
	all = json_pack("{s:b, s:o, s:o}", "shared", r->shared, "map", map, "skip", skip);
	ASSERT(all && json_dump_callback(all, add_bytes, out, JSON_COMPACT) == 0);
	json_decref(all);
}

/* A name's text; NULL: none that is fit to be one. */
static const char *name_of(const json_t *j)
{
	const char *s = json_string_value(j);

	return s && *s && strlen(s) <= FOLDER_RULE_NAME_MAX &&
			       strlen(s) == json_string_length(j)
		       ? s
		       : NULL;
}

static int read_map(const json_t *list, struct folder_rules *out)
{
	const json_t *pair;
	size_t i;

	json_array_foreach (list, i, pair) {
		const char *old = name_of(json_array_get(pair, 0));
		const char *new = name_of(json_array_get(pair, 1));

		if (!old || !new || json_array_size(pair) != 2 || i >= FOLDER_RULES_MAX)
			return -1;
		folder_rules_add_map(out, old, new);
	}
	return 0;
}

static int read_skip(const json_t *list, struct folder_rules *out)
{
	const json_t *pattern;
	size_t i;

	json_array_foreach (list, i, pattern) {
		if (!name_of(pattern) || i >= FOLDER_RULES_MAX)
			return -1;
		folder_rules_add_skip(out, name_of(pattern));
	}
	return 0;
}

int job_folders_read(const json_t *j, struct folder_rules *out)
{
	const json_t *shared = json_object_get(j, "shared"), *map = json_object_get(j, "map"),
		     *skip = json_object_get(j, "skip");

	*out = (struct folder_rules){ .shared = json_is_true(shared) };
	if (!json_is_boolean(shared) || !json_is_array(map) || !json_is_array(skip) ||
	    json_object_size(j) != 3)
		return -1;
	return read_map(map, out) < 0 || read_skip(skip, out) < 0 ? -1 : 0;
}
