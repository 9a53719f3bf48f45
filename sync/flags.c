/* Hides: the canonical spelling, and the table in which each text is kept once. */
#include "sync/flags.h"

#include <strings.h>

static const char *const system_flags[] = { "\\Answered", "\\Flagged", "\\Deleted", "\\Seen",
					    "\\Draft" };

struct flag_pool {
	char **texts; /* open hash table of 2^k places, NULL: free */
	size_t places, count;
};

struct flag_pool *flag_pool_new(void)
{
	struct flag_pool *p = mem_new(sizeof *p);

	p->places = 64;
	p->texts = mem_array(p->places, sizeof *p->texts);
	return p;
}

void flag_pool_free(struct flag_pool **pp)
{
	struct flag_pool *p = *pp;

	if (!p)
		return;
	for (size_t i = 0; i < p->places; i++)
		free(p->texts[i]);
	mem_free(&p->texts);
	mem_free(pp);
}

static size_t hash(const char *s)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return (size_t)h;
}

static char **place(char **texts, size_t places, const char *text)
{
	size_t i = hash(text) & (places - 1);

	while (texts[i] && strcmp(texts[i], text) != 0)
		i = (i + 1) & (places - 1);
	return &texts[i];
}

static void grow(struct flag_pool *p)
{
	size_t places = p->places * 2;
	char **texts = mem_array(places, sizeof *texts);

	for (size_t i = 0; i < p->places; i++)
		if (p->texts[i])
			*place(texts, places, p->texts[i]) = p->texts[i];
	mem_free(&p->texts);
	p->texts = texts;
	p->places = places;
}

static const char *intern(struct flag_pool *p, const char *text)
{
	char **at = place(p->texts, p->places, text);

	if (*at)
		return *at;
	if (++p->count * 2 > p->places) {
		grow(p);
		at = place(p->texts, p->places, text);
	}
	return *at = mem_str(text);
}

bool flags_next(struct slice *s, struct slice *word)
{
	while (s->n && *s->p == ' ') {
		s->p++;
		s->n--;
	}
	*word = (struct slice){ s->p, 0 };
	while (s->n && *s->p != ' ') {
		s->p++;
		s->n--;
		word->n++;
	}
	return word->n > 0;
}

/* RFC 3501 9: flag-keyword and flag-extension are atoms. */
static bool is_flag(struct slice w)
{
	size_t i = w.p[0] == '\\' ? 1 : 0;

	if (i == w.n || slice_is_nocase(w, "\\Recent"))
		return false;
	for (; i < w.n; i++)
		if (w.p[i] <= ' ' || w.p[i] >= 0x7f || strchr("(){%*\"\\]", w.p[i]))
			return false;
	return true;
}

static struct slice spelled(struct slice w)
{
	for (size_t i = 0; i < COUNT(system_flags); i++)
		if (slice_is_nocase(w, system_flags[i]))
			return slice_of(system_flags[i]);
	return w;
}

static int compare_words(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int c = memcmp(x->p, y->p, MIN(x->n, y->n));

	if (c)
		return c;
	return x->n < y->n ? -1 : x->n > y->n;
}

static bool same_word(struct slice a, struct slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static const char *join(struct flag_pool *p, struct slice *words, size_t n)
{
	char text[FLAGS_TEXT_MAX];
	size_t len = 0;

	qsort(words, n, sizeof *words, compare_words);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && same_word(words[i], words[i - 1]))
			continue;
		if (len + words[i].n + 2 > sizeof text)
			break;
		if (len)
			text[len++] = ' ';
		memcpy(text + len, words[i].p, words[i].n);
		len += words[i].n;
	}
	text[len] = '\0';
	return intern(p, text);
}

const char *flags_of(struct flag_pool *p, struct slice flags)
{
	struct slice words[FLAGS_MAX], w;
	size_t n = 0;

	while (n < FLAGS_MAX && flags_next(&flags, &w))
		if (is_flag(w))
			words[n++] = spelled(w);
	return join(p, words, n);
}

bool flags_have(const char *flags, const char *flag)
{
	struct slice s = slice_of(flags), w;

	while (flags_next(&s, &w))
		if (slice_is_nocase(w, flag))
			return true;
	return false;
}

static bool has_word(const char *flags, struct slice word)
{
	struct slice s = slice_of(flags), w;

	while (flags_next(&s, &w))
		if (w.n == word.n && strncasecmp(w.p, word.p, w.n) == 0)
			return true;
	return false;
}

const char *flags_that_fit(struct flag_pool *p, const char *flags, const char *permanent)
{
	struct slice words[FLAGS_MAX], s = slice_of(flags), w;
	bool any = !permanent || !*permanent || flags_have(permanent, "\\*");
	size_t n = 0;

	while (n < FLAGS_MAX && flags_next(&s, &w)) {
		/* \* allows new keywords, never a system flag that is not listed. */
		bool told = permanent && *permanent;

		if ((any && (w.p[0] != '\\' || !told)) || (told && has_word(permanent, w)))
			words[n++] = w;
	}
	return join(p, words, n);
}

bool flags_within(const char *a, const char *b)
{
	struct slice s = slice_of(a), w;

	while (flags_next(&s, &w))
		if (!has_word(b, w))
			return false;
	return true;
}

bool flags_same_system(const char *a, const char *b)
{
	for (size_t i = 0; i < COUNT(system_flags); i++)
		if (flags_have(a, system_flags[i]) != flags_have(b, system_flags[i]))
			return false;
	return true;
}
