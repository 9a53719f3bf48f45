/* Hides: how UIDs are written in response codes. */
#include "sync/uid_code.h"

static bool take_number(struct slice *s, uint32_t *out)
{
	size_t n = 0;
	uint64_t v;

	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (slice_u64((struct slice){ s->p, n }, UINT32_MAX, &v) < 0 || v == 0)
		return false;
	*out = (uint32_t)v;
	*s = (struct slice){ s->p + n, s->n - n };
	return true;
}

static bool take_char(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = (struct slice){ s->p + 1, s->n - 1 };
	return true;
}

/* "first" or "first:last", adding to uids[*got…n). */
static bool take_range(struct slice *s, uint32_t *uids, size_t *got, size_t n)
{
	uint32_t first, last;

	if (!take_number(s, &first))
		return false;
	last = first;
	if (take_char(s, ':') && !take_number(s, &last))
		return false;
	if (last < first || last - first >= n - *got || (*got && first <= uids[*got - 1]))
		return false;
	while (first <= last && *got < n)
		uids[(*got)++] = first++;
	return true;
}

/* A set of n, and nothing behind it. */
static bool take_all(struct slice s, size_t n, uint32_t *uids)
{
	size_t got = 0;

	do
		if (got == n || !take_range(&s, uids, &got, n))
			return false;
	while (take_char(&s, ','));
	return s.n == 0 && got == n;
}

/* "WORD uidvalidity ", which is cut off. */
static bool take_head(struct slice *code, const char *word, uint32_t *uidvalidity)
{
	size_t n = strlen(word);

	if (!slice_starts_nocase(*code, word))
		return false;
	*code = (struct slice){ code->p + n, code->n - n };
	return take_number(code, uidvalidity) && take_char(code, ' ');
}

bool appenduid_read(struct slice code, size_t n, uint32_t *uidvalidity, uint32_t *uids)
{
	return take_head(&code, "APPENDUID ", uidvalidity) && take_all(code, n, uids);
}

bool copyuid_read(struct slice code, size_t n, uint32_t *uidvalidity, uint32_t *uids)
{
	const char *space;

	if (!take_head(&code, "COPYUID ", uidvalidity))
		return false;
	space = code.n ? memchr(code.p, ' ', code.n) : NULL;
	if (!space || !take_all((struct slice){ code.p, (size_t)(space - code.p) }, n, uids))
		return false;
	space++;
	return take_all((struct slice){ space, (size_t)(code.p + code.n - space) }, n, uids);
}
