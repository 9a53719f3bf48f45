/* Hides: the words of many servers. */
#include "sync/hint.h"

#include <strings.h>

#define FRESH_LOGIN_MS 1000

/* The first row that is in the text counts. */
static const struct {
	const char *words;
	enum later_whom whom;
	bool fewer;
	int wait_ms; /* where the server names no time */
} sentences[] = {
	/* A token's life is over: the next job brings a new one. */
	{ "session expired", LATER_COMMAND, false, FRESH_LOGIN_MS },
	{ "token expired", LATER_COMMAND, false, FRESH_LOGIN_MS },
	{ "token has expired", LATER_COMMAND, false, FRESH_LOGIN_MS },
	/* Exchange: "Request is throttled. Suggested Backoff Time: 299961 milliseconds" */
	{ "suggested backoff time", LATER_USER, true, 0 },
	{ "throttled", LATER_USER, true, 0 },
	/* Gmail: "Account exceeded command or bandwidth limits" */
	{ "exceeded command or bandwidth", LATER_USER, true, 0 },
	{ "exceeded bandwidth", LATER_USER, true, 0 },
	/* Exchange after a login that it took: the mailbox cannot be reached, or must not be by
	 * IMAP, or the password was wrong after all */
	{ "authenticated but not connected", LATER_USER, false, 0 },
	/* Dovecot: "Maximum number of connections from user+IP exceeded" */
	{ "connections from user", LATER_USER, true, 0 },
	{ "connections per user", LATER_USER, true, 0 },
	{ "too many simultaneous connections", LATER_USER, true, 0 }, /* Gmail */
	{ "user has too many", LATER_USER, true, 0 },
	/* Courier, Cyrus, Zimbra, Yahoo, load balancers */
	{ "too many connections", LATER_HOST, true, 0 },
	{ "too many open connections", LATER_HOST, true, 0 },
	{ "too many concurrent", LATER_HOST, true, 0 },
	{ "too many imap connections", LATER_HOST, true, 0 },
	{ "too many logins", LATER_HOST, true, 0 },
	{ "too many sessions", LATER_HOST, true, 0 },
	{ "too many login", LATER_HOST, true, 0 },
	{ "number of connections", LATER_HOST, true, 0 },
	{ "connection limit", LATER_HOST, true, 0 },
	{ "connection rate", LATER_HOST, true, 0 },
	{ "rate limit", LATER_HOST, true, 0 },
	{ "server busy", LATER_HOST, true, 0 },
	{ "server is busy", LATER_HOST, true, 0 },
	{ "too busy", LATER_HOST, true, 0 },
	{ "server unavailable", LATER_HOST, false, 0 }, /* Exchange: "Server Unavailable. 15" */
	{ "overloaded", LATER_HOST, true, 0 },
};

static const struct {
	const char *word;
	enum later_whom whom;
	bool fewer;
} codes[] = {
	{ "THROTTLED", LATER_USER, true },  { "LIMIT", LATER_USER, true },
	{ "INUSE", LATER_COMMAND, false },  { "UNAVAILABLE", LATER_USER, false },
	{ "SERVERBUG", LATER_USER, false }, { "CONTACTADMIN", LATER_USER, false },
};

static bool contains(struct slice s, const char *words, size_t *behind)
{
	size_t n = strlen(words);

	for (size_t i = 0; i + n <= s.n; i++)
		if (strncasecmp(s.p + i, words, n) == 0) {
			*behind = i + n;
			return true;
		}
	return false;
}

static struct slice first_word(struct slice s)
{
	const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;

	return (struct slice){ s.p, space ? (size_t)(space - s.p) : s.n };
}

/* "Suggested Backoff Time: 299961 milliseconds", wherever it stands. */
static int64_t told_wait_ms(struct slice text)
{
	static const char words[] = "backoff time:";
	size_t at = 0, digits;
	uint64_t ms;

	if (!contains(text, words, &at))
		return 0;
	while (at < text.n && text.p[at] == ' ')
		at++;
	digits = at;
	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	if (digits == at)
		return 0;
	/* More digits than a number has: as long as we believe anybody. */
	if (slice_u64((struct slice){ text.p + at, digits - at }, HINT_WAIT_MAX_MS, &ms) < 0)
		return HINT_WAIT_MAX_MS;
	return (int64_t)ms;
}

struct later hint_read(struct slice code, struct slice text)
{
	struct later l = { .wait_ms = told_wait_ms(text) };
	struct slice word = first_word(code);
	size_t behind;

	/* "Too many login failures" is about the password. */
	if (slice_is_nocase(word, "AUTHENTICATIONFAILED"))
		return (struct later){ 0 };
	for (size_t i = 0; i < COUNT(sentences) && !l.whom; i++)
		if (contains(text, sentences[i].words, &behind)) {
			l.whom = sentences[i].whom;
			l.fewer = sentences[i].fewer;
			l.wait_ms = l.wait_ms ? l.wait_ms : sentences[i].wait_ms;
		}
	for (size_t i = 0; i < COUNT(codes) && !l.whom; i++)
		if (slice_is_nocase(word, codes[i].word)) {
			l.whom = codes[i].whom;
			l.fewer = codes[i].fewer;
		}
	return l;
}

bool hint_is_full(struct slice code, struct slice text)
{
	static const char *const sentences_full[] = { "quota exceeded",	 "over quota",
						      "mailbox is full", "quota limit",
						      "exceeds quota",	 "mailbox full" };
	size_t behind;

	/* Gmail: "[OVERQUOTA] Account exceeded bandwidth limits" is no full mailbox. */
	if (hint_read((struct slice){ 0 }, text).whom)
		return false;
	if (slice_is_nocase(first_word(code), "OVERQUOTA"))
		return true;
	for (size_t i = 0; i < COUNT(sentences_full); i++)
		if (contains(text, sentences_full[i], &behind))
			return true;
	return false;
}
