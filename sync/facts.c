/* Hides: the JSON of the facts: one table, both ways. */
#include "sync/facts.h"

#define NUMBER(key, field)                            \
	{                                             \
		key, offsetof(struct facts, field), 0 \
	}
#define TEXT(key, field)                                                             \
	{                                                                            \
		key, offsetof(struct facts, field), sizeof((struct facts *)0)->field \
	}
#define FACT(key, field) NUMBER(key, field.count), TEXT(key "_in", field.where)

static const struct {
	const char *key;
	size_t at, size; /* of a text; 0: a number */
} rows[] = {
	NUMBER("in_doubt", in_doubt),
	NUMBER("paired", paired),
	FACT("other_uids", other_uids),
	FACT("low_uids", low_uids),
	FACT("inexact", inexact),
	TEXT("uids_why", uids_why),
	FACT("same_validity", same_validity),
	FACT("strangers", strangers),
	FACT("unsubscribed", unsubscribed),
	FACT("unused", unused),
	FACT("moved", moved),
	NUMBER("by_pop3", by_pop3),
	NUMBER("room_bytes", room_bytes),
	NUMBER("room_messages", room_messages),
	NUMBER("certificate", certificate),
	TEXT("old_prefix", prefix[SIDE_OLD]),
	TEXT("new_prefix", prefix[SIDE_NEW]),
	TEXT("old_separator", separator[SIDE_OLD]),
	TEXT("new_separator", separator[SIDE_NEW]),
	TEXT("lost", lost),
	NUMBER("took_1", took_ms[0]),
	NUMBER("took_2", took_ms[1]),
	NUMBER("took_3", took_ms[2]),
	NUMBER("unseen", unseen),
	NUMBER("unseen_at", unseen_at),
	NUMBER("found", found),
	NUMBER("found_at", found_at),
};
_Static_assert(FACT_DELTAS == 3, "a row for each");

static void *at(const struct facts *f, size_t i)
{
	return (char *)(uintptr_t)f + rows[i].at;
}

/* Folders' names may hold anything; what is cut may end within a character. */
static json_t *text_of(const char *s)
{
	json_t *j = json_string(s);
	char *tame;

	if (j)
		return j;
	tame = mem_str(s);
	for (char *p = tame; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(tame);
	free(tame);
	return j;
}

void facts_write(const struct facts *f, struct buf *out)
{
	json_t *j = json_object();
	char *text;

	for (size_t i = 0; i < COUNT(rows); i++)
		json_object_set_new(j, rows[i].key,
				    rows[i].size ? text_of(at(f, i))
						 : json_integer(*(int64_t *)at(f, i)));
	text = json_dumps(j, JSON_COMPACT);
	ASSERT(text);
	buf_add_str(out, text);
	free(text);
	json_decref(j);
}

static int take(const json_t *v, size_t i, struct facts *out, struct err *e)
{
	if (rows[i].size) {
		if (!json_is_string(v) || json_string_length(v) >= rows[i].size)
			return err_set(e, ERR_INPUT, "facts: \"%s\" must be a short text",
				       rows[i].key);
		snprintf(at(out, i), rows[i].size, "%s", json_string_value(v));
		return 0;
	}
	if (!json_is_integer(v) || json_integer_value(v) < FACT_UNKNOWN ||
	    json_integer_value(v) > FACT_COUNT_MAX)
		return err_set(e, ERR_INPUT, "facts: \"%s\" must be a count", rows[i].key);
	*(int64_t *)at(out, i) = json_integer_value(v);
	return 0;
}

int facts_read(const json_t *object, struct facts *out, struct err *e)
{
	*out = (struct facts){ 0 };
	if (!object)
		return 0;
	if (!json_is_object(object) || json_object_size(object) != COUNT(rows))
		return err_set(e, ERR_INPUT, "facts: not the object it must be");
	for (size_t i = 0; i < COUNT(rows); i++)
		if (take(json_object_get(object, rows[i].key), i, out, e) < 0)
			return -1;
	out->known = true;
	return 0;
}

int facts_parse(const char *text, struct facts *out, struct err *e)
{
	json_error_t je;
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &je);
	int rc;

	*out = (struct facts){ 0 };
	if (!j)
		return err_set(e, ERR_INPUT, "facts: no JSON at byte %d", je.position);
	rc = facts_read(j, out, e);
	json_decref(j);
	return rc;
}

void fact_add(struct fact *f, int64_t count, const char *where)
{
	if (count > 0 && f->count == 0)
		snprintf(f->where, sizeof f->where, "%s", where);
	f->count += count;
}
