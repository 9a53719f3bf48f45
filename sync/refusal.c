/* Hides: the words of many servers. */
#include "sync/refusal.h"

#include <strings.h>

struct row {
	const char *word;
	enum refusal means;
};

static const struct row codes[] = {
	{ "TOOBIG", REFUSAL_SIZE },
	{ "NOPERM", REFUSAL_FOLDER },
	{ "NONEXISTENT", REFUSAL_FOLDER },
	{ "CLOSED", REFUSAL_FOLDER },
};

static const struct row words[] = {
	{ "permission denied", REFUSAL_FOLDER },
	{ "read-only", REFUSAL_FOLDER },
	{ "virus", REFUSAL_POLICY },
	{ "malware", REFUSAL_POLICY },
	{ "infected", REFUSAL_POLICY },
	{ "policy", REFUSAL_POLICY },
	{ "spam", REFUSAL_POLICY },
	{ "too large", REFUSAL_SIZE },
	{ "too big", REFUSAL_SIZE },
	{ "size limit", REFUSAL_SIZE },
	{ "maximum size", REFUSAL_SIZE },
	{ "maximum message size", REFUSAL_SIZE },
};

static bool holds(struct slice text, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= text.n; i++)
		if (strncasecmp(text.p + i, word, n) == 0)
			return true;
	return false;
}

static struct slice first_word(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != ' ')
		n++;
	return (struct slice){ s.p, n };
}

enum refusal refusal_of(const struct imap_reply *r)
{
	for (size_t i = 0; i < COUNT(codes); i++)
		if (slice_is_nocase(first_word(r->code), codes[i].word))
			return codes[i].means;
	for (size_t i = 0; i < COUNT(words); i++)
		if (holds(r->text, words[i].word))
			return words[i].means;
	return REFUSAL_CONTENT;
}
