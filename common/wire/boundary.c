/* Hides: the two small machines that know, byte by byte, what is open. */
#include "common/wire/boundary.h"

#include <strings.h>

enum { /* down_state */
       DOWN_START,
       DOWN_TAG,    /* in the first word of a tagged line */
       DOWN_STATUS, /* in the first bytes behind it */
       DOWN_STAR,   /* behind "*" */
       DOWN_WORD,   /* in the word behind "* " */
       DOWN_REST,   /* of a line that may end in a literal */
       DOWN_TEXT,   /* of a line that may not: status and continuation */
       DOWN_LITERAL
};

enum { /* down_kind */
       LINE_OTHER,
       LINE_TAGGED,
       LINE_PLUS
};

enum { /* down_brace */
       BRACE_NONE,
       BRACE_OPEN,
       BRACE_DIGITS,
       BRACE_CLOSED
};

#define HASH_START 14695981039346656037u

static uint64_t hash_byte(uint64_t h, char c)
{
	return (h ^ (unsigned char)c) * 1099511628211u;
}

static uint64_t hash_of(struct slice s)
{
	uint64_t h = HASH_START;

	for (size_t i = 0; i < s.n; i++)
		h = hash_byte(h, s.p[i]);
	return h;
}

/* What people are told that is open. The first stands for all that are not in the list. */
static const char *const verbs[] = {
	"command",     "APPEND",      "AUTHENTICATE", "CANCELUPDATE", "CAPABILITY",
	"CHECK",       "CLOSE",	      "COPY",	      "CREATE",	      "DELETE",
	"DELETEACL",   "ENABLE",      "ESEARCH",      "EXAMINE",      "EXPUNGE",
	"FETCH",       "GETACL",      "GETMETADATA",  "GETQUOTA",     "GETQUOTAROOT",
	"ID",	       "IDLE",	      "LIST",	      "LISTRIGHTS",   "LOGOUT",
	"LSUB",	       "MOVE",	      "MYRIGHTS",     "NAMESPACE",    "NOOP",
	"NOTIFY",      "RENAME",      "REPLACE",      "SEARCH",	      "SELECT",
	"SETACL",      "SETMETADATA", "SETQUOTA",     "SORT",	      "STATUS",
	"STORE",       "SUBSCRIBE",   "THREAD",	      "UID",	      "UNSELECT",
	"UNSUBSCRIBE", "XLIST",
};
_Static_assert(COUNT(verbs) <= UINT8_MAX, "an index has a byte");

static uint8_t find_verb(struct slice verb)
{
	for (uint8_t i = 1; i < COUNT(verbs); i++)
		if (slice_is_nocase(verb, verbs[i]))
			return i;
	return 0;
}

/* ---- client to server */

/* Behind a line: is its command over, or does more of it come? */
static void await_literal(struct boundary *b, const struct imap_line *line)
{
	/* Nobody will ask for it: the client has its refusal. */
	bool unasked = line->tail == LIT_SYNC && (b->swallow || b->answered);

	b->in_command = line->tail != LIT_NONE && !unasked;
	b->await_plus = b->in_command && line->tail == LIT_SYNC;
	b->literal = b->literal_size = b->in_command ? line->literal : 0;
	if (!b->in_command)
		b->swallow = false;
}

static enum boundary_up take_literal(struct boundary *b, size_t n, size_t *take)
{
	*take = n < b->literal ? n : (size_t)b->literal;
	b->literal -= *take;
	return b->swallow ? UP_DROP : UP_PASS;
}

/* NUL and a CR in mid-line are nowhere in a command (RFC 3501 9); some servers end a line
 * there. */
static bool is_clean(const char *p, size_t n)
{
	const char *cr = memchr(p, '\r', n);

	return !memchr(p, '\0', n) && (!cr || (size_t)(cr - p) + 2 == n);
}

/* A line that may not pass. In the middle of a command the server would wait for it. */
static enum boundary_up bad_line(struct boundary *b, const char *p, size_t n,
				 struct imap_command *command)
{
	if (!b->in_command) {
		(void)imap_command(p, n, command); /* for its tag, if it has one */
		return UP_BAD;
	}
	if (!b->swallow)
		return UP_BROKEN;
	b->in_command = b->swallow = false;
	return UP_DROP;
}

static enum boundary_up whole_line(struct boundary *b, const char *p,
				   const struct imap_line *line, struct imap_command *command)
{
	enum boundary_up verdict = b->swallow ? UP_DROP : UP_PASS;

	if (b->in_command) {
		await_literal(b, line);
		return verdict;
	}
	if (b->idling) { /* DONE, or what the server will refuse in its place */
		b->idling = false;
		return UP_PASS;
	}
	if (imap_command(p, line->len, command) != WIRE_DONE)
		return UP_BAD;
	return b->open == BOUNDARY_OPEN_MAX ? UP_FULL : UP_COMMAND;
}

enum boundary_up boundary_up(struct boundary *b, const char *p, size_t n, size_t max,
			     size_t *take, struct imap_command *command)
{
	struct imap_line line;
	enum wire w;

	*take = 0;
	*command = (struct imap_command){ 0 };
	if (n == 0)
		return UP_MORE;
	if (b->await_plus)
		return UP_WAIT;
	if (b->literal)
		return take_literal(b, n, take);
	w = imap_line(p, n, max, &line);
	if (w == WIRE_MORE)
		return UP_MORE;
	if (line.len == 0)
		return UP_BROKEN;
	*take = line.len;
	if (w == WIRE_BAD || !is_clean(p, line.len))
		return bad_line(b, p, line.len, command);
	return whole_line(b, p, &line, command);
}

void boundary_pass(struct boundary *b, const char *p, size_t take,
		   const struct imap_command *command)
{
	struct imap_line line;

	ASSERT(b->open < BOUNDARY_OPEN_MAX && !b->in_command);
	if (imap_line(p, take, take + 1, &line) != WIRE_DONE)
		BUG("a line that was whole is no longer");
	b->current = hash_of(command->tag);
	b->tags[b->open] = b->current;
	b->verbs[b->open++] = find_verb(command->verb);
	b->answered = false;
	await_literal(b, &line);
	b->idling = !b->in_command && slice_is_nocase(command->verb, "IDLE");
	b->await_plus |= b->idling;
}

void boundary_refuse(struct boundary *b, const char *p, size_t take)
{
	struct imap_line line;

	/* A client that waits for "+" hears NO instead and sends nothing. */
	if (imap_line(p, take, take + 1, &line) != WIRE_DONE || line.tail != LIT_PLUS)
		return;
	await_literal(b, &line);
	b->swallow = true;
	b->current = 0;
}

/* ---- server to client */

/*
 * The last command has had its answer. A server that never asked for the literal will not take
 * it, and what comes next is a new command; once it has asked, the literal is owed.
 */
static void answer_last(struct boundary *b, uint64_t tag)
{
	if (b->idling) {
		b->idling = b->await_plus = false;
	} else if (b->in_command && !b->swallow && b->current == tag) {
		b->answered = true;
		if (!b->await_plus)
			return;
		b->in_command = b->await_plus = false;
		b->literal = 0;
	}
}

static void complete(struct boundary *b, uint64_t tag)
{
	for (uint8_t i = 0; i < b->open; i++) {
		if (b->tags[i] != tag)
			continue;
		if (i == b->open - 1)
			answer_last(b, tag);
		b->open--;
		memmove(b->tags + i, b->tags + i + 1, (b->open - i) * sizeof *b->tags);
		memmove(b->verbs + i, b->verbs + i + 1, b->open - i);
		return;
	}
}

static void start_line(struct boundary *b, char c)
{
	b->down_quoted = b->down_escaped = false;
	b->down_brace = BRACE_NONE;
	b->down_tag = HASH_START;
	b->down_word = 0;
	if (c == '*') {
		b->down_state = DOWN_STAR;
	} else if (c == '+') {
		b->down_state = DOWN_TEXT;
		b->down_kind = LINE_PLUS;
	} else {
		b->down_state = DOWN_TAG;
		b->down_tag = hash_byte(b->down_tag, c);
	}
}

static bool is_status_word(const char *word, size_t n)
{
	static const char *const words[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };
	struct slice s = { word, n };

	for (size_t i = 0; i < COUNT(words); i++)
		if (slice_is_nocase(s, words[i]))
			return true;
	return false;
}

/* RFC 5530's codes of a server in trouble, as far as down_first holds them. */
static void status_byte(struct boundary *b, char c)
{
	static const char *const starts[] = { "NO [SERVERBUG]", "NO [UNAVAILABLE]",
					      "NO [CORRUPTION]" };

	b->down_first[b->down_word++] = c;
	if (b->down_word < sizeof b->down_first)
		return;
	for (size_t i = 0; i < COUNT(starts); i++)
		b->failed |= strncasecmp(b->down_first, starts[i], sizeof b->down_first) == 0;
	b->down_state = DOWN_TEXT;
}

/* The word behind "* " decides whether the line may carry literals: free text may not. */
static void word_byte(struct boundary *b, char c)
{
	if (c == ' ') {
		b->down_state =
			is_status_word(b->down_first, b->down_word) ? DOWN_TEXT : DOWN_REST;
	} else if (b->down_word == sizeof b->down_first) {
		b->down_state = DOWN_REST;
	} else {
		b->down_first[b->down_word++] = c;
	}
}

static void data_byte(struct boundary *b, char c)
{
	if (b->down_quoted) {
		if (b->down_escaped)
			b->down_escaped = false;
		else if (c == '\\')
			b->down_escaped = true;
		else if (c == '"')
			b->down_quoted = false;
		return;
	}
	if (c == '"') {
		b->down_quoted = true;
		b->down_brace = BRACE_NONE;
	} else if (c == '{') {
		b->down_brace = BRACE_OPEN;
		b->down_number = 0;
	} else if (b->down_brace == BRACE_OPEN || b->down_brace == BRACE_DIGITS) {
		if (c >= '0' && c <= '9' && b->down_number < UINT64_MAX / 20) {
			b->down_number = b->down_number * 10 + (uint64_t)(c - '0');
			b->down_brace = BRACE_DIGITS;
		} else if (c == '}' && b->down_brace == BRACE_DIGITS) {
			b->down_brace = BRACE_CLOSED;
		} else if (c != '+') {
			b->down_brace = BRACE_NONE;
		}
	} else if (c != '\r') {
		b->down_brace = BRACE_NONE;
	}
}

static void end_line(struct boundary *b)
{
	bool literal = (b->down_state == DOWN_REST || b->down_state == DOWN_WORD) &&
		       !b->down_quoted && b->down_brace == BRACE_CLOSED;

	b->down_quoted = b->down_escaped = false;
	b->down_brace = BRACE_NONE;
	if (literal) {
		b->down_literal = b->down_number;
		b->down_state = b->down_literal ? DOWN_LITERAL : DOWN_REST;
		return;
	}
	if (b->down_kind == LINE_TAGGED)
		complete(b, b->down_tag);
	else if (b->down_kind == LINE_PLUS)
		b->await_plus = false;
	b->down_kind = LINE_OTHER;
	b->down_state = DOWN_START;
}

static void line_byte(struct boundary *b, char c)
{
	switch (b->down_state) {
	case DOWN_START:
		start_line(b, c);
		break;
	case DOWN_TAG:
		if (c == ' ') {
			b->down_state = DOWN_STATUS;
			b->down_kind = LINE_TAGGED;
		} else {
			b->down_tag = hash_byte(b->down_tag, c);
		}
		break;
	case DOWN_STATUS:
		status_byte(b, c);
		break;
	case DOWN_STAR:
		b->down_state = DOWN_WORD;
		break;
	case DOWN_WORD:
		word_byte(b, c);
		data_byte(b, c);
		break;
	case DOWN_REST:
		data_byte(b, c);
		break;
	default: /* free text */
		break;
	}
}

size_t boundary_down(struct boundary *b, const char *p, size_t n)
{
	const char *lf;
	size_t i, len;

	if (b->down_state == DOWN_LITERAL) {
		len = n < b->down_literal ? n : (size_t)b->down_literal;
		b->down_literal -= len;
		if (b->down_literal == 0)
			b->down_state = DOWN_REST;
		return len;
	}
	lf = memchr(p, '\n', n);
	len = lf ? (size_t)(lf - p) : n;
	for (i = 0; i < len && b->down_state != DOWN_TEXT; i++)
		line_byte(b, p[i]);
	if (!lf)
		return n;
	end_line(b);
	return len + 1;
}

bool boundary_in_literal(const struct boundary *b)
{
	return b->down_state == DOWN_LITERAL;
}

bool boundary_at_line(const struct boundary *b)
{
	return b->down_state == DOWN_START;
}

/* ---- what is open */

bool boundary_quiet(const struct boundary *b)
{
	return !boundary_uploading(b) && boundary_at_line(b) &&
	       (b->open == 0 || (b->open == 1 && b->idling));
}

bool boundary_uploading(const struct boundary *b)
{
	return b->in_command && !b->swallow;
}

/* "18/50 MB": in the unit of the whole. */
static void describe_upload(const struct boundary *b, const char *verb, char *out, size_t size)
{
	static const char *const units[] = { "bytes", "KB", "MB", "GB" };
	uint64_t done = b->literal_size - b->literal, whole = b->literal_size;
	size_t unit = 0;

	for (; whole >= 10000 && unit + 1 < COUNT(units); unit++) {
		whole /= 1000;
		done /= 1000;
	}
	snprintf(out, size, "%s %llu/%llu %s", verb, (unsigned long long)done,
		 (unsigned long long)whole, units[unit]);
}

void boundary_describe(const struct boundary *b, char *out, size_t size)
{
	const char *first = verbs[b->verbs[0]];

	if (b->open == 0)
		snprintf(out, size, "%s", boundary_at_line(b) ? "" : "half an answer");
	else if (boundary_uploading(b) && !b->answered)
		describe_upload(b, verbs[b->verbs[b->open - 1]], out, size);
	else if (b->open > 1)
		snprintf(out, size, "%s and %d more", first, b->open - 1);
	else
		snprintf(out, size, "%s", first);
}
