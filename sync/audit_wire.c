/* Hides: the keys, and what may stand behind them. */
#include "sync/audit_wire.h"

#define COUNT_MAX ((json_int_t)1 << 53) /* JSON numbers are exact up to here */

static json_t *name_or_null(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();
	char *copy;

	if (j)
		return j;
	copy = mem_str(s);
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(copy);
	free(copy);
	return j;
}

static json_t *pair(int64_t old, int64_t new)
{
	return json_pack("[I, I]", (json_int_t)old, (json_int_t) new);
}

json_t *audit_wire_folder(const char *old_name, const char *new_name,
			  const struct audit_totals *t)
{
	json_t *found = json_array();

	for (int i = 0; i < AUDIT_FINDINGS; i++)
		json_array_append_new(found, json_integer(t->found[i]));
	return json_pack("{s:{s:o, s:o, s:o, s:o, s:I, s:I, s:b, s:o}}", "folder", "old",
			 name_or_null(old_name), "new", name_or_null(new_name), "messages",
			 pair(t->messages[SIDE_OLD], t->messages[SIDE_NEW]), "bytes",
			 pair(t->bytes[SIDE_OLD], t->bytes[SIDE_NEW]), "same",
			 (json_int_t)t->same, "sampled", (json_int_t)t->sampled, "moved",
			 t->moved, "found", found);
}

json_t *audit_wire_finding(enum audit_finding f, const char *folder, const uint32_t uid[SIDES])
{
	return json_pack("{s:{s:s, s:o, s:o}}", "finding", "what", audit_finding_name(f),
			 "folder", name_or_null(folder), "uid",
			 pair(uid[SIDE_OLD], uid[SIDE_NEW]));
}

static int wrong(struct err *e, const char *what)
{
	return err_set(e, ERR_PROTOCOL, "audit: \"%s\" is not as it must be", what);
}

static bool is_count(json_int_t n)
{
	return n >= 0 && n <= COUNT_MAX;
}

static int read_counts(const json_t *list, int64_t *out, size_t n)
{
	if (json_array_size(list) != n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_integer(v) || !is_count(json_integer_value(v)))
			return -1;
		out[i] = json_integer_value(v);
	}
	return 0;
}

static int read_folder(json_t *j, struct audit_item *out, struct err *e)
{
	json_t *old, *new, *messages, *bytes, *found;
	json_int_t same, sampled;
	int moved;
	struct audit_totals *t = &out->totals;

	if (json_unpack(j, "{s:o, s:o, s:o, s:o, s:I, s:I, s:b, s:o!}", "old", &old, "new",
			&new, "messages", &messages, "bytes", &bytes, "same", &same, "sampled",
			&sampled, "moved", &moved, "found", &found) < 0)
		return wrong(e, "folder");
	out->name[SIDE_OLD] = json_string_value(old);
	out->name[SIDE_NEW] = json_string_value(new);
	if (read_counts(messages, t->messages, SIDES) < 0 ||
	    read_counts(bytes, t->bytes, SIDES) < 0 ||
	    read_counts(found, t->found, AUDIT_FINDINGS) < 0 || !is_count(same) ||
	    !is_count(sampled) || (!out->name[SIDE_OLD] && !out->name[SIDE_NEW]))
		return wrong(e, "folder");
	out->is_folder = true;
	t->folders = 1;
	t->same = same;
	t->sampled = sampled;
	t->moved = moved;
	return 0;
}

static int read_finding(json_t *j, struct audit_item *out, struct err *e)
{
	const char *what;
	int64_t uid[SIDES];
	json_t *uids;
	int f = 0;

	if (json_unpack(j, "{s:s, s:s, s:o!}", "what", &what, "folder", &out->name[SIDE_OLD],
			"uid", &uids) < 0 ||
	    read_counts(uids, uid, SIDES) < 0)
		return wrong(e, "finding");
	while (f < AUDIT_FINDINGS &&
	       strcmp(what, audit_finding_name((enum audit_finding)f)) != 0)
		f++;
	if (f == AUDIT_FINDINGS || uid[SIDE_OLD] > UINT32_MAX || uid[SIDE_NEW] > UINT32_MAX)
		return wrong(e, "finding");
	out->what = (enum audit_finding)f;
	for (int s = 0; s < SIDES; s++)
		out->uid[s] = (uint32_t)uid[s];
	return 0;
}

int audit_wire_read(const json_t *j, struct audit_item *out, struct err *e)
{
	json_t *folder = json_object_get(j, "folder"), *finding = json_object_get(j, "finding");

	*out = (struct audit_item){ 0 };
	if (json_object_size(j) != 1 || (!folder && !finding))
		return wrong(e, "item");
	return folder ? read_folder(folder, out, e) : read_finding(finding, out, e);
}
