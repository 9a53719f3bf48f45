/* Hides: POP3's line, command and answer forms, and where a multi-line answer ends. */
#include "common/wire/pop3.h"

enum wire pop3_line(const char *p, size_t n, size_t max, size_t *len)
{
	size_t look = MIN(n, max);
	const char *lf = look ? memchr(p, '\n', look) : NULL;

	*len = 0;
	if (!lf)
		return n >= max ? WIRE_BAD : WIRE_MORE;
	*len = (size_t)(lf - p) + 1;
	return WIRE_DONE;
}

/* ---- commands */

static const char *const verbs[] = {
	[POP3_USER] = "USER", [POP3_PASS] = "PASS", [POP3_AUTH] = "AUTH", [POP3_CAPA] = "CAPA",
	[POP3_STLS] = "STLS", [POP3_NOOP] = "NOOP", [POP3_QUIT] = "QUIT", [POP3_APOP] = "APOP",
	[POP3_STAT] = "STAT", [POP3_LIST] = "LIST", [POP3_RETR] = "RETR", [POP3_DELE] = "DELE",
	[POP3_RSET] = "RSET", [POP3_TOP] = "TOP",   [POP3_UIDL] = "UIDL", [POP3_LAST] = "LAST",
	[POP3_UTF8] = "UTF8", [POP3_LANG] = "LANG",
};
_Static_assert(COUNT(verbs) == POP3_UNKNOWN, "a name for each verb");

static enum pop3_verb verb_find(struct slice name)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (slice_is_nocase(name, verbs[i]))
			return (enum pop3_verb)i;
	return POP3_UNKNOWN;
}

/* Splits at the first space: the word, and what follows that one space. */
static struct slice word_take(struct slice *s)
{
	const char *space = s->n ? memchr(s->p, ' ', s->n) : NULL;
	struct slice word = { s->p, space ? (size_t)(space - s->p) : s->n };
	size_t skip = word.n + (space ? 1 : 0);

	*s = (struct slice){ s->p + skip, s->n - skip };
	return word;
}

enum wire pop3_command(struct slice line, struct pop3_command *out)
{
	*out = (struct pop3_command){ .verb = POP3_UNKNOWN };
	if (line.n == 0 || line.p[0] == ' ' || memchr(line.p, '\0', line.n))
		return WIRE_BAD;
	out->name = word_take(&line);
	out->verb = verb_find(out->name);
	out->args = line;
	return WIRE_DONE;
}

const char *pop3_verb_name(enum pop3_verb v)
{
	return v < POP3_UNKNOWN ? verbs[v] : "?";
}

bool pop3_command_refused(enum pop3_verb v)
{
	return v == POP3_USER || v == POP3_PASS || v == POP3_AUTH || v == POP3_APOP ||
	       v == POP3_STLS || v == POP3_UNKNOWN;
}

static bool is_blank(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t')
			return false;
	return true;
}

bool pop3_is_multiline(const struct pop3_command *c)
{
	switch (c->verb) {
	case POP3_CAPA:
	case POP3_RETR:
	case POP3_TOP:
		return true;
	case POP3_LIST:
	case POP3_UIDL:
	case POP3_LANG: /* RFC 6856 3.2: the list of languages */
		return is_blank(c->args);
	case POP3_USER:
	case POP3_PASS:
	case POP3_AUTH:
	case POP3_STLS:
	case POP3_NOOP:
	case POP3_QUIT:
	case POP3_APOP:
	case POP3_STAT:
	case POP3_DELE:
	case POP3_RSET:
	case POP3_LAST:
	case POP3_UTF8:
	case POP3_UNKNOWN:
	case POP3_VERBS:
		break;
	}
	return false;
}

/* ---- answers */

enum wire pop3_reply(struct slice line, struct pop3_reply *out)
{
	struct slice word, text = line;
	const char *end;

	*out = (struct pop3_reply){ 0 };
	if (line.n == 0 || memchr(line.p, '\0', line.n))
		return WIRE_BAD;
	word = word_take(&text);
	out->ok = slice_is_nocase(word, "+OK");
	if (!out->ok && !slice_is_nocase(word, "-ERR"))
		return WIRE_BAD;
	/* RFC 2449 8: a code is the first thing of the text. */
	end = text.n && text.p[0] == '[' ? memchr(text.p, ']', text.n) : NULL;
	if (end) {
		out->code = (struct slice){ text.p + 1, (size_t)(end - text.p) - 1 };
		text = (struct slice){ end + 1, text.n - out->code.n - 2 };
		if (text.n && text.p[0] == ' ')
			text = (struct slice){ text.p + 1, text.n - 1 };
	}
	out->text = text;
	return WIRE_DONE;
}

/* ---- capabilities */

bool pop3_capa_allowed(struct slice line)
{
	static const char *const allowed[] = { "TOP",		"UIDL",	  "RESP-CODES",
					       "PIPELINING",	"EXPIRE", "LOGIN-DELAY",
					       "AUTH-RESP-CODE" };
	struct slice word = word_take(&line);

	for (size_t i = 0; i < COUNT(allowed); i++)
		if (slice_is_nocase(word, allowed[i]))
			return true;
	return false;
}

/* Takes a line off the front of the list; false at its end. */
static bool capa_line(struct slice *list, struct slice *line)
{
	const char *lf = list->n ? memchr(list->p, '\n', list->n) : NULL;
	size_t n = lf ? (size_t)(lf - list->p) : list->n, skip = n + (lf ? 1 : 0);

	*line = (struct slice){ list->p, n };
	*list = (struct slice){ list->p + skip, list->n - skip };
	return skip > 0;
}

bool pop3_capa_args(struct slice list, const char *word, struct slice *args)
{
	while (capa_line(&list, args))
		if (slice_is_nocase(word_take(args), word))
			return true;
	return false;
}

bool pop3_capa_has(struct slice list, const char *word)
{
	struct slice args;

	return pop3_capa_args(list, word, &args);
}

bool pop3_capa_sasl(struct slice list, const char *mech)
{
	struct slice line;

	while (capa_line(&list, &line)) {
		if (!slice_is_nocase(word_take(&line), "SASL"))
			continue;
		while (line.n)
			if (slice_is_nocase(word_take(&line), mech))
				return true;
	}
	return false;
}

/* ---- multi-line answers */

/* What was seen of the present line. */
enum { DOTS_NOTHING, DOTS_DOT, DOTS_DOT_CR, DOTS_OTHER };

size_t pop3_dots_feed(struct pop3_dots *d, const char *p, size_t n, bool *done)
{
	*done = false;
	for (size_t i = 0; i < n; i++) {
		const char *lf;

		if (d->state == DOTS_OTHER) {
			lf = memchr(p + i, '\n', n - i);
			if (!lf)
				return n;
			i = (size_t)(lf - p);
			d->state = DOTS_NOTHING;
		} else if (p[i] == '\n') {
			*done = d->state != DOTS_NOTHING;
			d->state = DOTS_NOTHING;
			if (*done)
				return i + 1;
		} else if (d->state == DOTS_NOTHING && p[i] == '.') {
			d->state = DOTS_DOT;
		} else if (d->state == DOTS_DOT && p[i] == '\r') {
			d->state = DOTS_DOT_CR;
		} else {
			d->state = DOTS_OTHER;
		}
	}
	return n;
}

/* ---- lines of LIST and UIDL */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice trimmed(struct slice s)
{
	while (s.n && is_space(s.p[0]))
		s = (struct slice){ s.p + 1, s.n - 1 };
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

enum wire pop3_listed(struct slice line, uint32_t *number, struct slice *rest)
{
	struct slice s = trimmed(line);
	size_t digits = 0;
	uint64_t n;

	while (digits < s.n && !is_space(s.p[digits]))
		digits++;
	*rest = trimmed((struct slice){ s.p + digits, s.n - digits });
	if (slice_u64((struct slice){ s.p, digits }, UINT32_MAX, &n) < 0 || n == 0 ||
	    rest->n == 0)
		return WIRE_BAD;
	*number = (uint32_t)n;
	return WIRE_DONE;
}

/* ---- messages */

/* Where the last byte stands. A dot that is held back shows in the state alone. */
enum {
	BODY_LINE,	 /* a line begins */
	BODY_DOT,	 /* … with a dot, not handed out: put in, or the end */
	BODY_DOT_CR,	 /* … and CR */
	BODY_TEXT,	 /* inside a line */
	BODY_CR,	 /* behind a CR */
	BODY_BARE_LF,	 /* behind a LF without CR */
	BODY_BARE_DOT,	 /* … and a dot where the message may be over, not handed out */
	BODY_BARE_DOT_CR /* … and CR */
};

static int behind(const struct pop3_body *b, bool cr, char c)
{
	if (c != '\n')
		return c == '\r' ? BODY_CR : BODY_TEXT;
	return cr || b->lf ? BODY_LINE : BODY_BARE_LF;
}

/* Handed out again are bytes that were held back; the next one is looked at afresh. */
static size_t give_back(struct pop3_body *b, struct slice held, int state, struct slice *out)
{
	*out = held;
	b->size += held.n;
	b->state = state;
	return 0;
}

/* One byte in a place where a dot means something: eaten (1), or looked at again (0). */
static size_t body_step(struct pop3_body *b, char c, struct slice *out, bool *done)
{
	switch (b->state) {
	case BODY_DOT:
		if (c == '\r' || (c == '\n' && b->lf)) {
			b->state = BODY_DOT_CR;
			*done = c == '\n';
			return 1;
		}
		return give_back(b, SLICE(""), BODY_TEXT, out);
	case BODY_DOT_CR:
	case BODY_BARE_DOT_CR:
		*done = c == '\n';
		if (*done)
			return 1;
		return give_back(b, b->state == BODY_DOT_CR ? SLICE("\r") : SLICE(".\r"),
				 BODY_CR, out);
	case BODY_BARE_DOT:
		if (c == '\r') {
			b->state = BODY_BARE_DOT_CR;
			return 1;
		}
		return give_back(b, SLICE("."), BODY_TEXT, out);
	default:
		break;
	}
	return 0;
}

/* Does the dot at the front of this place stay with us for a moment? */
static bool holds_dot(struct pop3_body *b)
{
	if (b->state == BODY_LINE)
		b->state = BODY_DOT;
	else if (b->state == BODY_BARE_LF && b->expected && b->size == b->expected)
		b->state = BODY_BARE_DOT;
	else
		return false;
	return true;
}

/* All up to a dot that begins a line. */
static size_t body_run(struct pop3_body *b, const char *p, size_t n, struct slice *out)
{
	size_t at = 0;

	while (at < n) {
		const char *lf;
		size_t end;

		if (p[at] == '.' && (b->state == BODY_LINE || b->state == BODY_BARE_LF))
			break;
		lf = memchr(p + at, '\n', n - at);
		end = lf ? (size_t)(lf - p) + 1 : n;
		b->state = behind(b, end - at > 1 ? p[end - 2] == '\r' : b->state == BODY_CR,
				  p[end - 1]);
		at = end;
	}
	*out = (struct slice){ p, at };
	b->size += at;
	return at;
}

size_t pop3_body_feed(struct pop3_body *b, const char *p, size_t n, struct slice *out,
		      bool *done)
{
	size_t at = 0;

	*done = false;
	*out = SLICE("");
	if (p[0] == '.' && holds_dot(b))
		return 1;
	if (p[0] == '.' && b->state == BODY_BARE_LF)
		b->state = BODY_TEXT;
	at = body_step(b, p[0], out, done);
	if (*done)
		b->state = BODY_LINE;
	return at || out->n ? at : body_run(b, p, n, out);
}
