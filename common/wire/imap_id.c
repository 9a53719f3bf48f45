/* Hides: how pairs of strings are read and written. */
#include "common/wire/imap_id.h"

#include "common/wire/imap.h"

enum wire imap_id_open(struct slice args, struct slice *pairs)
{
	*pairs = SLICE("");
	if (slice_is_nocase(args, "NIL"))
		return WIRE_DONE;
	if (args.n < 2 || args.p[0] != '(' || args.p[args.n - 1] != ')')
		return WIRE_BAD;
	*pairs = (struct slice){ args.p + 1, args.n - 2 };
	return WIRE_DONE;
}

static bool only_blanks(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ')
			return false;
	return true;
}

/* NIL as an atom: "NIL" in quotes is a text. */
static bool is_nil(struct slice rest)
{
	size_t skip = rest.n && rest.p[0] == ' ';

	return slice_starts_nocase((struct slice){ rest.p + skip, rest.n - skip }, "NIL");
}

enum wire imap_id_next(struct slice *pairs, struct imap_id_pair *out)
{
	struct slice rest = *pairs;
	size_t n;

	if (only_blanks(rest))
		return WIRE_MORE;
	if (imap_astring(&rest, out->field_bytes, sizeof out->field_bytes, &n) != WIRE_DONE)
		return WIRE_BAD;
	out->field = (struct slice){ out->field_bytes, n };
	out->nil = is_nil(rest);
	if (imap_astring(&rest, out->value_bytes, sizeof out->value_bytes, &n) != WIRE_DONE)
		return WIRE_BAD;
	out->nil = out->nil && n == 3;
	out->value = (struct slice){ out->value_bytes, out->nil ? 0 : n };
	*pairs = rest;
	return WIRE_DONE;
}

/* ---- writing */

static bool is_quotable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e) /* 8-bit is negative, or above */
			return false;
	return true;
}

static void add_quoted(struct buf *out, struct slice s)
{
	buf_add_str(out, "\"");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_str(out, "\\");
		buf_add(out, &s.p[i], 1);
	}
	buf_add_str(out, "\"");
}

static bool same_nocase(struct slice a, struct slice b)
{
	for (size_t i = 0; a.n == b.n && i < a.n; i++)
		if ((a.p[i] | 0x20) != (b.p[i] | 0x20))
			return false;
	return a.n == b.n;
}

static bool has_field(const struct imap_id_list *list, struct slice field)
{
	struct slice pairs = buf_slice(&list->text);
	struct imap_id_pair pair;

	while (imap_id_next(&pairs, &pair) == WIRE_DONE)
		if (same_nocase(pair.field, field))
			return true;
	return false;
}

bool imap_id_add(struct imap_id_list *list, struct slice field, const struct slice *value)
{
	struct slice v = value ? *value : SLICE("NIL");
	size_t most = 2 * (field.n + v.n) + sizeof " \"\" \"\""; /* every byte escaped */

	if (field.n == 0 || field.n > IMAP_ID_FIELD_MAX || v.n > IMAP_ID_VALUE_MAX ||
	    list->count >= IMAP_ID_PAIRS_MAX ||
	    buf_len(&list->text) + most > IMAP_ID_LIST_MAX || !is_quotable(field) ||
	    !is_quotable(v) || has_field(list, field))
		return false;
	if (list->count++)
		buf_add_str(&list->text, " ");
	add_quoted(&list->text, field);
	buf_add_str(&list->text, " ");
	if (value)
		add_quoted(&list->text, v);
	else
		buf_add_str(&list->text, "NIL");
	return true;
}

/* ---- claims */

bool imap_id_is_claim(struct slice field)
{
	return slice_starts_nocase(field, "x-");
}

bool imap_id_may_claim(struct slice args)
{
	if (args.n && args.p[args.n - 1] == '}')
		return true;
	for (size_t i = 1; i + 1 < args.n; i++)
		if ((args.p[i] == 'x' || args.p[i] == 'X') && args.p[i + 1] == '-' &&
		    (args.p[i - 1] == '"' || args.p[i - 1] == ' ' || args.p[i - 1] == '('))
			return true;
	return false;
}
