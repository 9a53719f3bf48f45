/*
 * Hides: where an IMAP line, literal, command and string end. Anything on which two servers
 * might disagree is refused: a command that we see as data and the backend as a command is
 * smuggled.
 */
#include "common/wire/imap.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 3501 9: tag = 1*<any ASTRING-CHAR except "+">. Atoms of commands are the same but for
 * "]". */
static bool is_tag_char(char c)
{
	return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\+", c);
}

/* How far the atom at the front reaches. */
static size_t tag_length(struct slice s)
{
	size_t i = 0;

	while (i < s.n && is_tag_char(s.p[i]))
		i++;
	return i;
}

static struct slice slice_from(struct slice s, size_t at)
{
	return (struct slice){ s.p + at, s.n - at };
}

static struct slice without_line_end(const char *p, size_t n)
{
	if (n && p[n - 1] == '\n')
		n--;
	if (n && p[n - 1] == '\r')
		n--;
	return (struct slice){ p, n };
}

/* ---- lines and literals */

/* May a string start behind this byte? In mid-atom some servers see one and others do not. */
static bool may_precede_string(char c)
{
	return strchr(" ()[]<>\"", c) != NULL && c != '\0';
}

/*
 * Is the end of the text inside quotes, did a quote open where only some servers see it open,
 * or is there a brace that no grammar knows, behind which servers skip the line and all it
 * announces?
 */
static bool is_odd(struct slice text)
{
	bool quoted = false, odd = false;

	for (size_t i = 0; i < text.n; i++) {
		if (quoted && text.p[i] == '\\')
			i++;
		else if (text.p[i] != '"')
			odd |= !quoted && text.p[i] == '{';
		else if (quoted)
			quoted = false;
		else {
			quoted = true;
			odd |= i > 0 && !may_precede_string(text.p[i - 1]);
		}
	}
	return quoted || odd;
}

/* Where a brace group "{digits}" or "{digits+}" at the end of text starts; text.n if there is
 * none. */
static size_t brace_group(struct slice text, struct slice *digits, bool *plus)
{
	size_t end = text.n, i;

	if (end < 3 || text.p[end - 1] != '}')
		return text.n;
	end--;
	*plus = text.p[end - 1] == '+';
	if (*plus)
		end--;
	for (i = end; i > 0 && is_digit(text.p[i - 1]); i--)
		;
	if (i == end || i == 0 || text.p[i - 1] != '{')
		return text.n;
	*digits = (struct slice){ text.p + i, end - i };
	return i - 1;
}

/* Does the line (without its end) announce a literal? */
static enum wire line_tail(struct slice text, struct imap_line *out)
{
	struct slice digits;
	bool plus;
	size_t at = brace_group(text, &digits, &plus);

	if (at == text.n)
		return WIRE_DONE;
	if (is_odd((struct slice){ text.p, at }))
		return WIRE_BAD;
	if (at > 0 && text.p[at - 1] == '~') /* literal8, RFC 3516 */
		at--;
	if (at > 0 && !may_precede_string(text.p[at - 1]))
		return WIRE_BAD;
	if (digits.n > IMAP_LITERAL_DIGITS || slice_u64(digits, UINT64_MAX, &out->literal) < 0)
		return WIRE_BAD;
	out->tail = plus ? LIT_PLUS : LIT_SYNC;
	return WIRE_DONE;
}

/* Finds the line's end; its text is without it. */
static enum wire line_find(const char *p, size_t n, size_t max, struct imap_line *out)
{
	size_t look = MIN(n, max);
	const char *lf = look ? memchr(p, '\n', look) : NULL;

	*out = (struct imap_line){ 0 };
	if (!lf)
		return n >= max ? WIRE_BAD : WIRE_MORE;
	out->len = (size_t)(lf - p) + 1;
	return WIRE_DONE;
}

enum wire imap_line(const char *p, size_t n, size_t max, struct imap_line *out)
{
	enum wire w = line_find(p, n, max, out);

	return w == WIRE_DONE ? line_tail(without_line_end(p, out->len), out) : w;
}

enum wire imap_reply_line(const char *p, size_t n, size_t max, struct imap_line *out)
{
	enum wire w = line_find(p, n, max, out);
	struct imap_reply reply;
	struct slice text;

	if (w != WIRE_DONE)
		return w;
	text = without_line_end(p, out->len);
	if (imap_reply(text, &reply) == WIRE_DONE &&
	    (reply.kind == REPLY_CONTINUE || reply.status != STATUS_NONE))
		return WIRE_DONE;
	return line_tail(text, out);
}

/* Does the literal fit behind what is there, with a line's end behind it? */
static bool literal_fits(const struct imap_line *line, size_t room)
{
	return line->literal < room &&
	       (line->tail == LIT_SYNC || line->literal <= IMAP_LITERAL_MINUS);
}

enum wire imap_extent(const char *p, size_t n, size_t max, struct imap_extent *out)
{
	struct imap_extent bad = { 0 };
	struct imap_line line;
	size_t at = 0;

	*out = (struct imap_extent){ 0 };
	if (n == 0)
		return max ? WIRE_MORE : WIRE_BAD;
	for (;;) {
		enum wire w = imap_line(p + at, n - at, max - at, &line);
		size_t seen = w == WIRE_DONE ? line.len : n - at;

		if (w == WIRE_BAD && line.len == 0)
			bad = (struct imap_extent){ .len = at, .excess = EXCESS_LINE };
		/* NUL is nowhere in a line (RFC 3501 9), and many a server stops reading at it.
		 */
		if (w == WIRE_BAD || (seen && memchr(p + at, '\0', seen)))
			goto bad;
		if (w == WIRE_MORE)
			return WIRE_MORE;
		at += line.len;
		if (line.tail == LIT_NONE)
			break;
		if (!literal_fits(&line, max - at)) {
			bad = (struct imap_extent){ .len = at,
						    .excess = EXCESS_LITERAL,
						    .tail = line.tail,
						    .literal = line.literal };
			goto bad;
		}
		out->want_plus = line.tail == LIT_SYNC;
		out->plus_at = at;
		if (line.literal > n - at)
			return WIRE_MORE;
		at += line.literal;
	}
	*out = (struct imap_extent){ .len = at };
	return WIRE_DONE;
bad:
	*out = bad;
	return WIRE_BAD;
}

/* ---- commands */

enum wire imap_command(const char *p, size_t n, struct imap_command *out)
{
	struct slice s = without_line_end(p, n);
	size_t tag = tag_length(s), verb;

	*out = (struct imap_command){ 0 };
	if (tag == 0 || tag > IMAP_TAG_MAX || (tag < s.n && s.p[tag] != ' '))
		return WIRE_BAD;
	out->tag = (struct slice){ s.p, tag };
	if (tag == s.n)
		return WIRE_BAD;
	s = slice_from(s, tag + 1);
	verb = tag_length(s);
	if (verb == 0 || (verb < s.n && s.p[verb] != ' '))
		return WIRE_BAD;
	out->verb = (struct slice){ s.p, verb };
	out->rest = slice_from(s, verb < s.n ? verb + 1 : verb);
	return WIRE_DONE;
}

/* Each of the three takes its form off the front of *s. */
static enum wire take_quoted(struct slice *s, char *out, size_t size, size_t *n)
{
	size_t i = 1;

	for (*n = 0; i < s->n && s->p[i] != '"'; i++) {
		char c = s->p[i];

		if (c == '\\') {
			if (++i == s->n || (s->p[i] != '"' && s->p[i] != '\\'))
				return WIRE_BAD;
			c = s->p[i];
		}
		if (c == '\r' || c == '\n' || c == '\0' || *n == size)
			return WIRE_BAD;
		out[(*n)++] = c;
	}
	if (i >= s->n)
		return WIRE_BAD;
	*s = slice_from(*s, i + 1);
	return WIRE_DONE;
}

static enum wire take_literal(struct slice *s, char *out, size_t size, size_t *n)
{
	struct imap_line line;

	if (imap_line(s->p, s->n, s->n, &line) != WIRE_DONE || line.tail == LIT_NONE)
		return WIRE_BAD;
	/* The line must be the brace group and nothing else. */
	if (memchr(s->p + 1, '{', line.len - 1))
		return WIRE_BAD;
	if (line.literal > s->n - line.len || line.literal > size)
		return WIRE_BAD;
	*n = (size_t)line.literal;
	if (*n && memchr(s->p + line.len, '\0', *n))
		return WIRE_BAD;
	if (*n)
		memcpy(out, s->p + line.len, *n);
	*s = slice_from(*s, line.len + *n);
	return WIRE_DONE;
}

/*
 * More than RFC 3501's ASTRING-CHAR: people type passwords unquoted, Exchange names have a
 * backslash, and servers take 8-bit. None of it makes the string's end doubtful.
 */
static bool is_loose_atom_char(char c)
{
	unsigned char u = (unsigned char)c;

	return u > 0x20 && u != 0x7f && !strchr("(){\"", c);
}

static enum wire take_atom(struct slice *s, char *out, size_t size, size_t *n)
{
	for (*n = 0; *n < s->n && is_loose_atom_char(s->p[*n]); (*n)++) {
		if (*n == size)
			return WIRE_BAD;
		out[*n] = s->p[*n];
	}
	if (*n == 0)
		return WIRE_BAD;
	*s = slice_from(*s, *n);
	return WIRE_DONE;
}

enum wire imap_astring(struct slice *rest, char *out, size_t size, size_t *n)
{
	struct slice s = *rest;
	enum wire w;

	*n = 0;
	if (s.n && s.p[0] == ' ')
		s = slice_from(s, 1);
	if (s.n == 0)
		return WIRE_BAD;
	if (s.p[0] == '"')
		w = take_quoted(&s, out, size, n);
	else if (s.p[0] == '{')
		w = take_literal(&s, out, size, n);
	else
		w = take_atom(&s, out, size, n);
	if (w != WIRE_DONE || (s.n && s.p[0] != ' ')) {
		*n = 0;
		return WIRE_BAD;
	}
	*rest = s;
	return WIRE_DONE;
}

/* ---- replies */

static const struct {
	const char *word;
	enum imap_status status;
	bool tagged; /* may stand behind a tag */
} statuses[] = {
	{ "OK", STATUS_OK, true },
	{ "NO", STATUS_NO, true },
	{ "BAD", STATUS_BAD, true },
	{ "BYE", STATUS_BYE, false },
	{ "PREAUTH", STATUS_PREAUTH, false },
};

/* The status word at the front, with what follows in *after; STATUS_NONE: no status. */
static enum imap_status status_take(struct slice s, bool tagged, struct slice *after)
{
	const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;
	struct slice word = { s.p, space ? (size_t)(space - s.p) : s.n };

	for (size_t i = 0; i < COUNT(statuses); i++) {
		if (!slice_is_nocase(word, statuses[i].word) || (tagged && !statuses[i].tagged))
			continue;
		*after = slice_from(s, space ? word.n + 1 : word.n);
		return statuses[i].status;
	}
	return STATUS_NONE;
}

/* RFC 3501 9: resp-text-code ends at the first "]". Without one it is text. */
static void code_take(struct slice s, struct imap_reply *out)
{
	const char *end = s.n && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;

	if (end) {
		size_t n = (size_t)(end - s.p);

		out->code = (struct slice){ s.p + 1, n - 1 };
		s = slice_from(s, n + 1);
		if (s.n && s.p[0] == ' ')
			s = slice_from(s, 1);
	}
	out->text = s;
}

enum wire imap_reply(struct slice line, struct imap_reply *out)
{
	struct slice after;
	size_t tag;

	*out = (struct imap_reply){ 0 };
	if (line.n == 0 || memchr(line.p, '\0', line.n))
		return WIRE_BAD;
	if (line.p[0] == '+') { /* some servers leave out the space, or all */
		out->kind = REPLY_CONTINUE;
		out->text = slice_from(line, line.n > 1 && line.p[1] == ' ' ? 2 : 1);
		return WIRE_DONE;
	}
	out->kind = line.p[0] == '*' ? REPLY_UNTAGGED : REPLY_TAGGED;
	tag = out->kind == REPLY_UNTAGGED ? 1 : tag_length(line);
	if (tag == 0 || tag > IMAP_TAG_MAX || tag + 1 >= line.n || line.p[tag] != ' ')
		return WIRE_BAD;
	if (out->kind == REPLY_TAGGED)
		out->tag = (struct slice){ line.p, tag };
	line = slice_from(line, tag + 1);
	out->status = status_take(line, out->kind == REPLY_TAGGED, &after);
	if (out->status != STATUS_NONE)
		code_take(after, out);
	else if (out->kind == REPLY_UNTAGGED)
		out->text = line;
	else
		return WIRE_BAD;
	return WIRE_DONE;
}

/* ---- writing */

static bool is_quotable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || (s.p[i] & 0x80))
			return false;
	return s.n <= IMAP_QUOTED_MAX;
}

void imap_write_astring(struct buf *out, struct slice s, bool literal_plus)
{
	ASSERT(s.n == 0 || !memchr(s.p, '\0', s.n));
	if (!is_quotable(s)) {
		buf_printf(out, literal_plus ? "{%zu+}\r\n" : "{%zu}\r\n", s.n);
		buf_add(out, s.p, s.n);
		return;
	}
	buf_add(out, "\"", 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add(out, "\\", 1);
		buf_add(out, s.p + i, 1);
	}
	buf_add(out, "\"", 1);
}
