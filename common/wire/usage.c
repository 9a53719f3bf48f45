/* Hides: by which words of a command an extension is known. */
#include "common/wire/usage.h"

static const char *const names[] = {
	[USAGE_ACL] = "ACL",
	[USAGE_BINARY] = "BINARY",
	[USAGE_COMPRESS] = "COMPRESS",
	[USAGE_CONDSTORE] = "CONDSTORE",
	[USAGE_CREATE_SPECIAL_USE] = "CREATE-SPECIAL-USE",
	[USAGE_ENABLE] = "ENABLE",
	[USAGE_ESEARCH] = "ESEARCH",
	[USAGE_ID] = "ID",
	[USAGE_IDLE] = "IDLE",
	[USAGE_LIST_EXTENDED] = "LIST-EXTENDED",
	[USAGE_LIST_STATUS] = "LIST-STATUS",
	[USAGE_LITERAL_PLUS] = "LITERAL+",
	[USAGE_METADATA] = "METADATA",
	[USAGE_MOVE] = "MOVE",
	[USAGE_NAMESPACE] = "NAMESPACE",
	[USAGE_NOTIFY] = "NOTIFY",
	[USAGE_PREVIEW] = "PREVIEW",
	[USAGE_QRESYNC] = "QRESYNC",
	[USAGE_QUOTA] = "QUOTA",
	[USAGE_REPLACE] = "REPLACE",
	[USAGE_SORT] = "SORT",
	[USAGE_SPECIAL_USE] = "SPECIAL-USE",
	[USAGE_STATUS_SIZE] = "STATUS",
	[USAGE_THREAD] = "THREAD",
	[USAGE_UIDPLUS] = "UIDPLUS",
	[USAGE_UNSELECT] = "UNSELECT",
	[USAGE_UTF8] = "UTF8",
	[USAGE_IMAP_SESSIONS] = "sessions",
	[USAGE_TOP] = "TOP",
	[USAGE_UIDL] = "UIDL",
	[USAGE_POP3_SESSIONS] = "sessions",
};
_Static_assert(COUNT(names) == USAGES, "a name for each");

/* word NULL: the verb alone says it. deep: the word stands in parentheses. */
static const struct rule {
	const char *verb, *word;
	bool deep;
	enum usage use;
} rules[] = {
	{ "IDLE", NULL, false, USAGE_IDLE },
	{ "ID", NULL, false, USAGE_ID },
	{ "MOVE", NULL, false, USAGE_MOVE },
	{ "SORT", NULL, false, USAGE_SORT },
	{ "THREAD", NULL, false, USAGE_THREAD },
	{ "NOTIFY", NULL, false, USAGE_NOTIFY },
	{ "REPLACE", NULL, false, USAGE_REPLACE },
	{ "COMPRESS", NULL, false, USAGE_COMPRESS },
	{ "UNSELECT", NULL, false, USAGE_UNSELECT },
	{ "NAMESPACE", NULL, false, USAGE_NAMESPACE },
	{ "GETQUOTA", NULL, false, USAGE_QUOTA },
	{ "GETQUOTAROOT", NULL, false, USAGE_QUOTA },
	{ "SETQUOTA", NULL, false, USAGE_QUOTA },
	{ "GETACL", NULL, false, USAGE_ACL },
	{ "SETACL", NULL, false, USAGE_ACL },
	{ "DELETEACL", NULL, false, USAGE_ACL },
	{ "LISTRIGHTS", NULL, false, USAGE_ACL },
	{ "MYRIGHTS", NULL, false, USAGE_ACL },
	{ "GETMETADATA", NULL, false, USAGE_METADATA },
	{ "SETMETADATA", NULL, false, USAGE_METADATA },
	{ "ENABLE", NULL, false, USAGE_ENABLE },
	{ "ENABLE", "CONDSTORE", false, USAGE_CONDSTORE },
	{ "ENABLE", "QRESYNC", false, USAGE_QRESYNC },
	{ "ENABLE", "UTF8=ACCEPT", false, USAGE_UTF8 },
	{ "SELECT", "CONDSTORE", true, USAGE_CONDSTORE },
	{ "SELECT", "QRESYNC", true, USAGE_QRESYNC },
	{ "EXAMINE", "CONDSTORE", true, USAGE_CONDSTORE },
	{ "EXAMINE", "QRESYNC", true, USAGE_QRESYNC },
	{ "STATUS", "HIGHESTMODSEQ", true, USAGE_CONDSTORE },
	{ "STATUS", "SIZE", true, USAGE_STATUS_SIZE },
	{ "STORE", "UNCHANGEDSINCE", true, USAGE_CONDSTORE },
	{ "FETCH", "CHANGEDSINCE", true, USAGE_CONDSTORE },
	{ "FETCH", "MODSEQ", true, USAGE_CONDSTORE },
	{ "FETCH", "VANISHED", true, USAGE_QRESYNC },
	{ "FETCH", "PREVIEW", true, USAGE_PREVIEW },
	{ "FETCH", "BINARY", true, USAGE_BINARY },
	{ "FETCH", "BINARY.PEEK", true, USAGE_BINARY },
	{ "FETCH", "BINARY.SIZE", true, USAGE_BINARY },
	{ "SEARCH", "RETURN", false, USAGE_ESEARCH },
	{ "LIST", "STATUS", true, USAGE_LIST_STATUS },
	{ "LIST", "SPECIAL-USE", true, USAGE_SPECIAL_USE },
	{ "LIST", "RETURN", false, USAGE_LIST_EXTENDED },
	{ "LIST", "SUBSCRIBED", true, USAGE_LIST_EXTENDED },
	{ "CREATE", "USE", true, USAGE_CREATE_SPECIAL_USE },
};

const char *usage_name(enum usage u)
{
	return names[u];
}

bool usage_is_pop3(enum usage u)
{
	return u >= USAGE_TOP;
}

/* Takes the next word off *s, outside quotes; *depth counts the parentheses around it. */
static bool next_word(struct slice *s, struct slice *word, int *depth)
{
	size_t i = 0, n;

	for (; i < s->n; i++) {
		char c = s->p[i];

		if (c == '"') {
			for (i++; i < s->n && s->p[i] != '"'; i++)
				if (s->p[i] == '\\')
					i++;
		} else if (c == '(' || c == ')') {
			*depth += c == '(' ? 1 : -1;
		} else if (c != ' ') {
			break;
		}
	}
	i = MIN(i, s->n);
	for (n = 0; i + n < s->n && !strchr(" ()[\"", s->p[i + n]); n++)
		;
	*word = (struct slice){ s->p + i, n };
	/* What is in brackets belongs to the word in front. */
	n += i + n < s->n && s->p[i + n] == '[';
	*s = (struct slice){ s->p + i + n, s->n - i - n };
	return word->n > 0 || n > 0;
}

static bool has_word(struct slice rest, const char *word, bool deep)
{
	struct slice w;
	int depth = 0;

	while (next_word(&rest, &w, &depth))
		if (slice_is_nocase(w, word) && (depth > 0) == deep)
			return true;
	return false;
}

/* "UID FETCH 1 …": the verb is the second word. */
static struct slice take_verb(struct slice *rest)
{
	const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
	size_t n = space ? (size_t)(space - rest->p) : rest->n;
	struct slice verb = { rest->p, n };

	*rest = (struct slice){ rest->p + n, rest->n - n };
	return verb;
}

static bool ends_in_plus_literal(struct slice rest)
{
	return rest.n > 3 && memcmp(rest.p + rest.n - 2, "+}", 2) == 0;
}

uint64_t usage_of_imap(const struct imap_command *c)
{
	struct slice verb = c->verb, rest = c->rest;
	uint64_t bits = 0;

	if (slice_is_nocase(verb, "UID")) {
		verb = take_verb(&rest);
		if (slice_is_nocase(verb, "EXPUNGE"))
			bits |= USAGE_BIT(USAGE_UIDPLUS);
	}
	if (ends_in_plus_literal(rest))
		bits |= USAGE_BIT(USAGE_LITERAL_PLUS);
	for (size_t i = 0; i < COUNT(rules); i++)
		if (slice_is_nocase(verb, rules[i].verb) &&
		    (!rules[i].word || has_word(rest, rules[i].word, rules[i].deep)))
			bits |= USAGE_BIT(rules[i].use);
	return bits;
}

uint64_t usage_of_pop3(const struct pop3_command *c)
{
	return c->verb == POP3_TOP    ? USAGE_BIT(USAGE_TOP)
	       : c->verb == POP3_UIDL ? USAGE_BIT(USAGE_UIDL)
				      : 0;
}
