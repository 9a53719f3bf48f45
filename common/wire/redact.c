/* Hides: which words of which commands are harmless. */
#include "common/wire/redact.h"

#include <ctype.h>

struct text {
	char *at;
	size_t n, size;
};

/* ---- writing */

static void put(struct text *t, char c)
{
	if (t->n + 1 < t->size)
		t->at[t->n++] = (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
	t->at[t->n] = '\0';
}

static void put_slice(struct text *t, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		put(t, s.p[i]);
}

static void put_hidden(struct text *t, size_t n)
{
	char text[40];

	snprintf(text, sizeof text, "(%zu bytes)", n);
	put_slice(t, slice_of(text));
}

static struct text text_new(char *out, size_t size)
{
	ASSERT(size > 0);
	out[0] = '\0';
	return (struct text){ .at = out, .size = size };
}

/* ---- words */

static struct slice take_word(struct slice *s)
{
	const char *space = s->n ? memchr(s->p, ' ', s->n) : NULL;
	struct slice word = { s->p, space ? (size_t)(space - s->p) : s->n };

	*s = (struct slice){ s->p + word.n, s->n - word.n };
	return word;
}

static void skip_space(struct slice *s)
{
	if (s->n && s->p[0] == ' ')
		*s = (struct slice){ s->p + 1, s->n - 1 };
}

/* Is the word in a list of words with single spaces between them? */
static bool is_one_of(struct slice word, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, " ");

		if (n == word.n && strncasecmp(list, word.p, n) == 0)
			return true;
		list += n + (list[n] == ' ');
	}
	return false;
}

static bool is_number(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isdigit((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

/* The length of a quoted string that s begins with; all of s if it does not end. */
static size_t quoted_length(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return s.n;
}

/* Everything but quoted strings. */
static void put_without_strings(struct text *t, struct slice s)
{
	while (s.n) {
		size_t n = s.p[0] == '"' ? quoted_length(s) : 1;

		if (n == 1 && s.p[0] != '"')
			put(t, s.p[0]);
		else
			put_slice(t, slice_of("\"…\""));
		s = (struct slice){ s.p + n, s.n - n };
	}
}

/* ---- searches */

/* Keys that stand for themselves, and what may follow them; a key of `private` takes a text. */
static const char search_words[] =
	"ALL ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN NOT OR "
	"BEFORE ON SINCE SENTBEFORE SENTON SENTSINCE LARGER SMALLER UID MODSEQ OLDER YOUNGER RETURN MIN MAX COUNT SAVE "
	"PARTIAL CHARSET US-ASCII UTF-8 REVERSE ARRIVAL DATE SIZE SUBJECT FROM TO CC BCC BODY TEXT HEADER KEYWORD "
	"UNKEYWORD DISPLAYFROM DISPLAYTO REFERENCES ORDEREDSUBJECT REFS FUZZY EMAILID THREADID IN MAILBOXES PERSONAL";
static const char search_private[] =
	"SUBJECT FROM TO CC BCC BODY TEXT HEADER KEYWORD UNKEYWORD EMAILID THREADID MAILBOXES";

/* Sequence sets and dates. */
static bool is_harmless(struct slice w)
{
	size_t letters = 0;

	for (size_t i = 0; i < w.n; i++) {
		if (isalpha((unsigned char)w.p[i]))
			letters++;
		else if (!isdigit((unsigned char)w.p[i]) && !strchr(",:*-$", w.p[i]))
			return false;
	}
	return w.n > 0 && (letters == 0 || (letters == 3 && isdigit((unsigned char)w.p[0])));
}

static bool is_bracket(char c)
{
	return c == '(' || c == ')' || c == ' ';
}

/* A string, a literal's place, a bracket or a word; returns its length. */
static size_t token_length(struct slice s)
{
	size_t n = 0;

	if (s.p[0] == '"')
		return quoted_length(s);
	if (s.p[0] == '{') {
		const char *end = memchr(s.p, '}', s.n);

		return end ? (size_t)(end - s.p) + 1 : s.n;
	}
	if (is_bracket(s.p[0]))
		return 1;
	while (n < s.n && !is_bracket(s.p[n]) && s.p[n] != '"')
		n++;
	return n;
}

static void put_search(struct text *t, struct slice s)
{
	bool private = false;

	while (s.n) {
		struct slice w = { s.p, token_length(s) };

		if (is_bracket(w.p[0]) || w.p[0] == '{')
			put_slice(t, w);
		else if (!private && (is_one_of(w, search_words) || is_harmless(w)))
			put_slice(t, w);
		else
			put_slice(t, slice_of("…"));
		/* Criteria of SORT stand in brackets and take nothing: then too much is hidden.
		 */
		if (w.p[0] != ' ')
		private = is_one_of(w, search_private);
		s = (struct slice){ s.p + w.n, s.n - w.n };
	}
}

/* ---- IMAP */

static const char shown_commands[] =
	"CAPABILITY NOOP LOGOUT IDLE CHECK CLOSE UNSELECT EXPUNGE NAMESPACE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE "
	"UNSUBSCRIBE LIST LSUB XLIST STATUS APPEND COPY MOVE FETCH STORE ENABLE ID GETQUOTA GETQUOTAROOT GETACL MYRIGHTS "
	"LISTRIGHTS STARTTLS COMPRESS";
static const char search_commands[] = "SEARCH SORT THREAD ESEARCH";
static const char secret_commands[] = "LOGIN AUTHENTICATE";

static void put_arguments(struct text *t, struct slice verb, struct slice rest)
{
	put_slice(t, verb);
	if (is_one_of(verb, shown_commands))
		put_slice(t, rest);
	else if (is_one_of(verb, search_commands))
		put_search(t, rest);
	else
		put_slice(t, slice_of(" (hidden)"));
}

void redact_imap_client(struct slice line, char *out, size_t size)
{
	struct text t = text_new(out, size);
	struct slice rest = line, tag = take_word(&rest), verb, second;

	if (slice_is_nocase(line, "DONE")) {
		put_slice(&t, line);
		return;
	}
	skip_space(&rest);
	verb = take_word(&rest);
	if (slice_is_nocase(verb, "UID")) {
		second = rest;
		skip_space(&second);
		verb = take_word(&second);
		rest = second;
		if (is_one_of(verb, shown_commands) || is_one_of(verb, search_commands)) {
			put_slice(&t, tag);
			put_slice(&t, slice_of(" UID "));
			put_arguments(&t, verb, rest);
			return;
		}
	} else if (is_one_of(verb, shown_commands) || is_one_of(verb, search_commands) ||
		   is_one_of(verb, secret_commands)) {
		put_slice(&t, tag);
		put(&t, ' ');
		put_arguments(&t, verb, rest);
		return;
	}
	put_hidden(&t, line.n);
}

static const char status_words[] = "OK NO BAD BYE PREAUTH";
static const char shown_data[] =
	"LIST LSUB XLIST STATUS NAMESPACE QUOTA QUOTAROOT ID ACL MYRIGHTS LISTRIGHTS CAPABILITY FLAGS ENABLED";
static const char plain_data[] =
	"SEARCH ESEARCH SORT THREAD VANISHED FETCH EXISTS RECENT EXPUNGE";

static void put_data(struct text *t, struct slice rest)
{
	struct slice whole = rest, word = take_word(&rest);

	if (is_number(word)) {
		put_slice(t, word);
		put(t, ' ');
		skip_space(&rest);
		whole = rest;
		word = take_word(&rest);
	}
	if (is_one_of(word, status_words) || is_one_of(word, shown_data))
		put_slice(t, whole);
	else if (is_one_of(word, plain_data))
		put_without_strings(t, whole);
	else
		put_hidden(t, whole.n);
}

void redact_imap_server(struct slice line, char *out, size_t size)
{
	struct text t = text_new(out, size);
	struct slice rest = line, tag = take_word(&rest), word;

	skip_space(&rest);
	if (slice_is(tag, "*")) {
		put_slice(&t, slice_of("* "));
		put_data(&t, rest);
		return;
	}
	if (tag.n && tag.p[0] == '+') {
		put_slice(&t, slice_of("+ "));
		put_hidden(&t, rest.n);
		return;
	}
	word = rest;
	word = take_word(&word);
	if (is_one_of(word, "OK NO BAD"))
		put_slice(&t, line);
	else
		put_hidden(&t, line.n);
}

/* ---- POP3 */

void redact_pop3_client(struct slice line, char *out, size_t size)
{
	struct text t = text_new(out, size);
	struct pop3_command c;

	if (pop3_command(line, &c) != WIRE_DONE)
		c.verb = POP3_UNKNOWN;
	switch (c.verb) {
	case POP3_USER:
	case POP3_PASS:
	case POP3_AUTH:
	case POP3_APOP:
		put_slice(&t, c.name);
		put_slice(&t, slice_of(" (hidden)"));
		break;
	case POP3_UNKNOWN:
	case POP3_VERBS:
		put_hidden(&t, line.n);
		break;
	case POP3_CAPA:
	case POP3_STLS:
	case POP3_NOOP:
	case POP3_QUIT:
	case POP3_STAT:
	case POP3_LIST:
	case POP3_RETR:
	case POP3_DELE:
	case POP3_RSET:
	case POP3_TOP:
	case POP3_UIDL:
	case POP3_LAST:
	case POP3_UTF8:
	case POP3_LANG:
		put_slice(&t, line);
		break;
	}
}

void redact_pop3_server(struct slice line, char *out, size_t size)
{
	struct text t = text_new(out, size);
	struct pop3_reply r;

	if (pop3_reply(line, &r) == WIRE_DONE)
		put_slice(&t, line);
	else
		put_hidden(&t, line.n);
}

bool redact_pop3_shows_lines(enum pop3_verb v)
{
	return v == POP3_LIST || v == POP3_UIDL || v == POP3_CAPA || v == POP3_LANG;
}

void redact_text(struct slice line, char *out, size_t size)
{
	struct text t = text_new(out, size);

	put_slice(&t, line);
}
