/* Hides: where in a line the unique id stands. */
#include "common/wire/pop3_uidl.h"

bool pop3_uidl_legal(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] < 0x21 || id.p[i] > 0x7e)
			return false;
	return id.n > 0 && id.n <= POP3_UIDL_MAX;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t skip_blanks(struct slice s, size_t at)
{
	while (at < s.n && is_blank(s.p[at]))
		at++;
	return at;
}

static size_t skip_digits(struct slice s, size_t at)
{
	while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
		at++;
	return at;
}

/* Behind the number; empty where there is none. */
static struct slice find_id(struct slice line, bool single)
{
	struct slice none = { line.p, 0 }, id;
	size_t number = 0, at;

	if (single) {
		if (!slice_starts_nocase(line, "+OK") || line.n < 4 || !is_blank(line.p[3]))
			return none;
		number = 3;
	}
	number = skip_blanks(line, number);
	at = skip_digits(line, number);
	if (at == number || at == line.n || !is_blank(line.p[at]))
		return none;
	at = skip_blanks(line, at);
	id = (struct slice){ line.p + at, 0 };
	while (at + id.n < line.n && !is_blank(id.p[id.n]))
		id.n++;
	return pop3_uidl_legal(id) ? id : none;
}

enum wire pop3_uidl_line(const char *p, size_t n, bool single, size_t *len, struct slice *id)
{
	const char *lf = n ? memchr(p, '\n', MIN(n, (size_t)POP3_UIDL_LINE_MAX)) : NULL;
	struct slice line;

	*id = (struct slice){ p, 0 };
	*len = 0;
	if (!lf)
		return n < POP3_UIDL_LINE_MAX ? WIRE_MORE : WIRE_BAD;
	*len = (size_t)(lf - p) + 1;
	line = (struct slice){ p, *len - 1 };
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	*id = find_id(line, single);
	return WIRE_DONE;
}

enum wire pop3_uidl_pair(struct slice text, size_t *len, struct slice *new_id,
			 struct slice *old_id)
{
	const char *lf = text.n ? memchr(text.p, '\n', text.n) : NULL, *space;

	if (!lf)
		return text.n > 2 * POP3_UIDL_MAX + 1 ? WIRE_BAD : WIRE_MORE;
	*len = (size_t)(lf - text.p) + 1;
	space = memchr(text.p, ' ', *len);
	if (!space)
		return WIRE_BAD;
	*new_id = (struct slice){ text.p, (size_t)(space - text.p) };
	*old_id = (struct slice){ space + 1, (size_t)(lf - space) - 1 };
	return pop3_uidl_legal(*new_id) && pop3_uidl_legal(*old_id) ? WIRE_DONE : WIRE_BAD;
}
