/* Hides: jansson, where lines between processes are read. */
#include "sync/object.h"

int object_load(struct slice line, size_t max, json_t **out, struct err *e)
{
	json_error_t je;

	if (line.n > max)
		return err_set(e, ERR_LIMIT, "line of more than %zu bytes", max);
	*out = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &je);
	/* je.text may quote the line, and with it a password. */
	if (!*out)
		return err_set(e, ERR_INPUT, "no JSON at byte %d", je.position);
	if (!json_is_object(*out)) {
		json_decref(*out);
		return err_set(e, ERR_INPUT, "not a JSON object");
	}
	return 0;
}

json_t *object_take(struct object *o, const char *key)
{
	json_t *v = json_object_get(o->json, key);

	if (v)
		o->used++;
	return v;
}

int object_whole(const struct object *o)
{
	if (o->used != json_object_size(o->json))
		return err_set(o->e, ERR_INPUT, "%s: unknown key in it", o->what);
	return 0;
}

int object_wrong(const struct object *o, const char *key, const char *must)
{
	return err_set(o->e, ERR_INPUT, "%s: \"%s\" must be %s", o->what, key, must);
}

int object_string(struct object *o, const char *key, size_t max, bool optional, char **out)
{
	json_t *v = object_take(o, key);
	size_t n;

	if (optional && (!v || json_is_null(v)))
		return 0;
	if (!json_is_string(v))
		return object_wrong(o, key, "a string");
	n = json_string_length(v);
	if (n == 0 || n > max)
		return object_wrong(o, key, "of a sensible length");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)json_string_value(v)[i] < 0x20)
			return object_wrong(o, key, "without control characters");
	*out = mem_strn(json_string_value(v), n);
	return 0;
}

int object_number(struct object *o, const char *key, int64_t min, int64_t max,
		       int64_t *out)
{
	json_t *v = object_take(o, key);

	if (!json_is_integer(v))
		return object_wrong(o, key, "a whole number");
	*out = json_integer_value(v);
	if (*out < min || *out > max)
		return object_wrong(o, key, "within its limits");
	return 0;
}

int object_optional(struct object *o, const char *key, int64_t max, int64_t *out)
{
	*out = 0;
	return json_object_get(o->json, key) ? object_number(o, key, 0, max, out) : 0;
}

int object_int(struct object *o, const char *key, int min, int max, int *out)
{
	int64_t v = 0;

	if (object_number(o, key, min, max, &v) < 0)
		return -1;
	*out = (int)v;
	return 0;
}

int object_bool(struct object *o, const char *key, bool *out)
{
	json_t *v = object_take(o, key);

	if (!json_is_boolean(v))
		return object_wrong(o, key, "true or false");
	*out = json_is_true(v);
	return 0;
}

int object_name(struct object *o, const char *key, const char *(*name)(int), int count,
		     int *out)
{
	json_t *v = object_take(o, key);

	for (int i = 0; json_is_string(v) && i < count; i++) {
		if (strcmp(name(i), json_string_value(v)) == 0) {
			*out = i;
			return 0;
		}
	}
	return object_wrong(o, key, "a name it may have");
}
