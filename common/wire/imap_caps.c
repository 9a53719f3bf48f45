/* Hides: which IMAP extensions pass through us, and where a server's line lists them or leads
 * past us. */
#include "common/wire/imap.h"

#include <strings.h> /* strncasecmp */

/*
 * What we know and can relay unread. A star ends a name whose rest does not matter. Not here:
 * - COMPRESS, UNAUTHENTICATE: they blind us, or change the user behind our back (RFC 8437 8);
 * - STARTTLS, AUTH=, LOGINDISABLED: over once a user is in;
 * - LOGIN-REFERRALS, MAILBOX-REFERRALS, URLAUTH, JMAPACCESS: they name a server, past us;
 * - OBJECTID: ids of two servers may collide (RFC 8474 8.2).
 */
/* clang-format off */
static const char *const allowed[] = {
	"ACL", "APPENDLIMIT", "APPENDLIMIT=*", "BINARY", "CATENATE", "CHILDREN",
	"CONDSTORE", "CONTEXT=*", "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH", "ESORT",
	"I18NLEVEL=*", "ID", "IDLE", "IMAP4REV1", "IMAP4REV2", "INPROGRESS",
	"LIST-EXTENDED", "LIST-METADATA", "LIST-MYRIGHTS", "LIST-STATUS", "LITERAL+",
	"LITERAL-", "METADATA", "METADATA-SERVER", "MOVE", "MULTIAPPEND", "MULTISEARCH",
	"NAMESPACE", "NOTIFY", "PARTIAL", "PREVIEW", "PREVIEW=FUZZY", "QRESYNC",
	"QUOTA", "QUOTA=*", "QUOTASET", "REPLACE", "RIGHTS=*", "SASL-IR", "SAVEDATE",
	"SEARCH=FUZZY", "SEARCHRES", "SNIPPET=FUZZY", "SORT", "SORT=DISPLAY", "SPECIAL-USE",
	"STATUS=SIZE", "THREAD=*", "UIDPLUS", "UNSELECT", "UTF8=ACCEPT", "WITHIN",
};
/* clang-format on */

static const char *const refused[] = {
	"AUTHENTICATE",	 "COMPRESS", "LOGIN", "STARTTLS", "UNAUTHENTICATE", "GENURLAUTH",
	"GETJMAPACCESS", "RESETKEY", "RLIST", "RLSUB",	  "URLFETCH",
};

static const char *const status_words[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };

static bool is_word_char(char c)
{
	return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\]", c);
}

static bool matches(struct slice name, const char *pattern)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return name.n >= n - 1 && strncasecmp(name.p, pattern, n - 1) == 0;
	return slice_is_nocase(name, pattern);
}

bool imap_capability_allowed(struct slice name)
{
	if (name.n == 0)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_word_char(name.p[i]))
			return false;
	for (size_t i = 0; i < COUNT(allowed); i++)
		if (matches(name, allowed[i]))
			return true;
	return false;
}

/* Takes the next word off *list; false at its end. */
static bool next_word(struct slice *list, struct slice *word)
{
	size_t start = 0, end;

	while (start < list->n && list->p[start] == ' ')
		start++;
	for (end = start; end < list->n && list->p[end] != ' '; end++)
		;
	*word = (struct slice){ list->p + start, end - start };
	*list = (struct slice){ list->p + end, list->n - end };
	return word->n > 0;
}

void imap_capability_filter(struct slice list, struct buf *out)
{
	struct slice word;
	bool first = true;

	while (next_word(&list, &word)) {
		if (!imap_capability_allowed(word))
			continue;
		if (!first)
			buf_add(out, " ", 1);
		buf_add(out, word.p, word.n);
		first = false;
	}
}

bool imap_capability_has(struct slice list, const char *word)
{
	struct slice w;

	while (next_word(&list, &w))
		if (slice_is_nocase(w, word))
			return true;
	return false;
}

/* ---- lines that carry a list */

enum match { MATCH_NO, MATCH_SO_FAR, MATCH_YES };

/* Takes text off the front of *s. SO_FAR: s ends first. */
static enum match take_text(struct slice *s, const char *text)
{
	size_t n = strlen(text), look = MIN(n, s->n);

	if (look && strncasecmp(s->p, text, look) != 0)
		return MATCH_NO;
	*s = (struct slice){ s->p + look, s->n - look };
	return look == n ? MATCH_YES : MATCH_SO_FAR;
}

/* Takes a server line's tag or star, and the space behind. */
static enum match take_tag(struct slice *s, bool *untagged)
{
	size_t n = 0;

	*untagged = s->n && s->p[0] == '*';
	if (*untagged)
		n = 1;
	else if (s->n && s->p[0] == '+')
		return MATCH_NO;
	while (!*untagged && n < s->n && s->p[n] > 0x20 && s->p[n] < 0x7f)
		n++;
	if (n > IMAP_TAG_MAX)
		return MATCH_NO;
	if (n == s->n)
		return MATCH_SO_FAR;
	if (n == 0 || s->p[n] != ' ')
		return MATCH_NO;
	*s = (struct slice){ s->p + n + 1, s->n - n - 1 };
	return MATCH_YES;
}

/* The word CAPABILITY must end there: a list, a bracket or the line's end follows. */
static enum match take_capability(struct slice *s, const char *text, const char *ends)
{
	enum match m = take_text(s, text);

	if (m != MATCH_YES)
		return m;
	if (s->n == 0)
		return MATCH_SO_FAR;
	return s->p[0] != '\0' && strchr(ends, s->p[0]) ? MATCH_YES : MATCH_NO;
}

enum found { FOUND_DATA, FOUND_CODE, FOUND_REFERRAL };

/* Behind a status word: one of the two codes that we must read. */
static enum match find_code(struct slice *s, enum found *what)
{
	static const char *const codes[] = {
		[FOUND_CODE] = " [CAPABILITY", [FOUND_REFERRAL] = " [REFERRAL"
	};
	enum match best = MATCH_NO;

	for (*what = FOUND_CODE; *what <= FOUND_REFERRAL; (*what)++) {
		struct slice at = *s;
		enum match m = take_capability(&at, codes[*what], " ]\r\n");

		if (m == MATCH_YES) {
			*s = at;
			return m;
		}
		best = MAX(best, m);
	}
	return best;
}

/*
 * Does the line start like one with a list or a referral? SO_FAR: it ends before that is clear,
 * or before the list. YES: *s is what follows the word CAPABILITY or REFERRAL.
 */
static enum match find_list(struct slice *s, enum found *what)
{
	enum match m, best = MATCH_NO;
	bool untagged;
	struct slice at;

	m = take_tag(s, &untagged);
	if (m != MATCH_YES)
		return m;
	for (size_t i = 0; i < COUNT(status_words) + 1; i++) {
		at = *s;
		if (i < COUNT(status_words)) {
			m = take_text(&at, status_words[i]);
			m = m == MATCH_YES ? find_code(&at, what) : m;
		} else {
			*what = FOUND_DATA;
			m = untagged ? take_capability(&at, "CAPABILITY", " \r\n") : MATCH_NO;
		}
		if (m == MATCH_YES) {
			*s = at;
			return m;
		}
		best = MAX(best, m);
	}
	return best;
}

bool imap_capability_maybe(const char *p, size_t n)
{
	struct slice s = { p, n };
	enum found what;

	return find_list(&s, &what) != MATCH_NO;
}

/* What stood behind a code that was taken away: text still, and no code that was none before.
 */
static void add_text(struct buf *out, struct slice text)
{
	size_t i = 0;

	while (i < text.n && text.p[i] == ' ')
		i++;
	if (i < text.n && text.p[i] == '[')
		buf_add_str(out, " -");
	if (i == 0 && text.n)
		buf_add(out, " ", 1);
	buf_add(out, text.p, text.n);
}

bool imap_capability_rewrite(struct slice line, struct buf *out)
{
	struct slice s = line;
	const char *bracket;
	size_t list, end = line.n;
	enum found what;

	if (find_list(&s, &what) != MATCH_YES)
		return false;
	list = (size_t)(s.p - line.p);
	/* Without its bracket the code reaches to the line's end: a client may read it so too.
	 */
	bracket = what != FOUND_DATA ? memchr(s.p, ']', s.n) : NULL;
	if (bracket)
		end = (size_t)(bracket - line.p);
	if (what == FOUND_REFERRAL) {
		buf_add(out, line.p, list - strlen(" [REFERRAL"));
		if (bracket)
			add_text(out, (struct slice){ bracket + 1, line.n - end - 1 });
	} else {
		buf_add(out, line.p, list);
		buf_add(out, " ", 1);
		imap_capability_filter((struct slice){ s.p, end - list }, out);
		if (what == FOUND_CODE)
			buf_add(out, "]", 1);
		if (bracket)
			buf_add(out, bracket + 1, line.n - end - 1);
	}
	buf_add(out, "\r\n", 2);
	return true;
}

bool imap_command_refused(struct slice verb)
{
	for (size_t i = 0; i < COUNT(refused); i++)
		if (slice_is_nocase(verb, refused[i]))
			return true;
	return false;
}
