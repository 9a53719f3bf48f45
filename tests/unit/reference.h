/*
 * The slow reader: what is open after the first k bytes of a conversation, found by reading all
 * of them again from the start, with the grammar of RFC 3501, 9051 and 1939 written down rule
 * by rule. It shares nothing with the trackers of common/wire/ but the list of refused
 * commands; the property test and the fuzzers hold them against it.
 *
 * The conversation is one array of bytes in the order in which they came, each from the client
 * or from the server. The index of a byte is the time at which it came.
 */
#ifndef TESTS_UNIT_REFERENCE_H
#define TESTS_UNIT_REFERENCE_H

#include <strings.h> /* strncasecmp */

#include "common/mem.h"
#include "common/wire/imap.h"
#include "common/wire/pop3.h"

#define REF_TALK_MAX	16384
#define REF_ANSWERS_MAX 1024
#define REF_LINE_MAX	2000 /* the longest line of a client that passes */
#define REF_OPEN_MAX	   32 /* commands in flight over POP3 … */
#define REF_IMAP_OPEN_MAX 16 /* … and over IMAP; a client that pipelines more waits */
#define REF_NEVER	SIZE_MAX

struct ref_talk {
	size_t n;
	char who[REF_TALK_MAX]; /* 'C' or 'S' */
	char byte[REF_TALK_MAX];
};

struct ref {
	bool lost; /* the server said what no grammar knows: nothing is claimed */
	bool quiet, at_line, uploading;
	unsigned open, deletes;
};

/* One direction: its bytes, and when each came. */
struct ref_half {
	size_t n;
	char p[REF_TALK_MAX];
	size_t at[REF_TALK_MAX];
};

static inline void ref_split(const struct ref_talk *t, size_t k, char who, struct ref_half *h)
{
	h->n = 0;
	for (size_t i = 0; i < k; i++) {
		if (t->who[i] != who)
			continue;
		h->p[h->n] = t->byte[i];
		h->at[h->n++] = i;
	}
}

/* ---- what the server says */

struct ref_answer {
	char kind; /* '*', '+', or 't': tagged */
	struct slice tag;
	size_t at; /* when its last byte came */
};

struct ref_server {
	struct ref_answer answers[REF_ANSWERS_MAX];
	size_t count;
	bool at_line, lost;
};

/* A place in the text. A rule returns false where the text is over (`over`) or wrong. */
struct ref_place {
	const char *p;
	size_t n, i;
	bool over;
};

static inline bool ref_peek(struct ref_place *c, char *out)
{
	c->over = c->i == c->n;
	if (!c->over)
		*out = c->p[c->i];
	return !c->over;
}

static inline bool ref_char(struct ref_place *c, char want)
{
	char have;

	if (!ref_peek(c, &have) || have != want)
		return false;
	c->i++;
	return true;
}

/* CRLF; also LF alone, as some servers end lines. */
static inline bool ref_eol(struct ref_place *c)
{
	char have;

	if (!ref_peek(c, &have))
		return false;
	if (have == '\r')
		c->i++;
	return ref_char(c, '\n');
}

/* text: up to the end of the line, whatever is in it */
static inline bool ref_text_eol(struct ref_place *c)
{
	while (c->i < c->n && c->p[c->i] != '\n')
		c->i++;
	return ref_char(c, '\n');
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static inline bool ref_quoted(struct ref_place *c)
{
	char have;

	if (!ref_char(c, '"'))
		return false;
	while (ref_peek(c, &have) && have != '"') {
		c->i++;
		if (have == '\n')
			return false;
		if (have == '\\') {
			if (!ref_peek(c, &have) || have == '\n')
				return false;
			c->i++;
		}
	}
	return ref_char(c, '"');
}

/* literal = "{" number "}" CRLF *CHAR8; literal8 has a "~" in front */
static inline bool ref_literal(struct ref_place *c)
{
	uint64_t size = 0;
	size_t digits = 0;
	char have;

	if (!ref_char(c, '{'))
		return false;
	for (; ref_peek(c, &have) && have >= '0' && have <= '9'; digits++, c->i++)
		size = size * 10 + (uint64_t)(have - '0');
	if (c->over || digits == 0 || digits > 10 || !ref_char(c, '}') || !ref_eol(c))
		return false;
	c->over = size > c->n - c->i;
	c->i = c->over ? c->n : c->i + (size_t)size;
	return !c->over;
}

static inline bool ref_is_atom(char c)
{
	return (unsigned char)c > 0x20 && c != 0x7f && !strchr("(){\"[]", c);
}

static inline bool ref_values(struct ref_place *c, char until);

/* value = list / quoted / literal / atom, which may have a section: BODY[HEADER.FIELDS (A)] */
static inline bool ref_value(struct ref_place *c)
{
	char have;

	if (!ref_peek(c, &have))
		return false;
	if (have == '(' || have == '[') {
		c->i++;
		return ref_values(c, have == '(' ? ')' : ']');
	}
	if (have == '"')
		return ref_quoted(c);
	if (have == '~' && c->i + 1 < c->n && c->p[c->i + 1] == '{')
		c->i++;
	if (c->p[c->i] == '{')
		return ref_literal(c);
	if (!ref_is_atom(have))
		return false;
	while (ref_peek(c, &have) && ref_is_atom(have))
		c->i++;
	return !c->over;
}

/* Values with or without spaces between, up to the closing bracket, which it takes. */
static inline bool ref_values(struct ref_place *c, char until)
{
	char have;

	while (ref_peek(c, &have)) {
		if (have == until) {
			c->i++;
			return true;
		}
		if (have == ' ')
			c->i++;
		else if (!ref_value(c))
			return false;
	}
	return false;
}

static inline bool ref_data_eol(struct ref_place *c)
{
	char have;

	while (ref_peek(c, &have) && have != '\r' && have != '\n') {
		if (have == ' ')
			c->i++;
		else if (!ref_value(c))
			return false;
	}
	return !c->over && ref_eol(c);
}

static inline bool ref_word_is(struct slice w, const char *const *words)
{
	for (; *words; words++)
		if (w.n == strlen(*words) && strncasecmp(w.p, *words, w.n) == 0)
			return true;
	return false;
}

/* The word up to a space or the line's end, neither of which it takes. */
static inline bool ref_word(struct ref_place *c, struct slice *w)
{
	size_t start = c->i;
	char have;

	while (ref_peek(c, &have) && have != ' ' && have != '\r' && have != '\n')
		c->i++;
	*w = (struct slice){ c->p + start, c->i - start };
	return !c->over && w->n > 0;
}

/* response-data = "*" SP (status SP text / data) CRLF */
static inline bool ref_untagged(struct ref_place *c)
{
	static const char *const states[] = { "OK", "NO", "BAD", "BYE", "PREAUTH", NULL };
	size_t start;
	struct slice word;
	char have;

	if (!ref_char(c, '*') || !ref_char(c, ' '))
		return false;
	start = c->i;
	/* A word of data may be anything, a list too: look before reading it as a status. */
	if (!ref_peek(c, &have) || have == ' ')
		return false;
	if (ref_word(c, &word) && ref_word_is(word, states))
		return ref_text_eol(c);
	c->i = start;
	return ref_data_eol(c);
}

/* The characters of tags and names of commands. */
static inline size_t ref_name(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] > 0x20 && p[i] < 0x7f && !strchr("(){%*\"\\+", p[i]))
		i++;
	return i;
}

/* response-tagged = tag SP ("OK" / "NO" / "BAD") SP text CRLF */
static inline bool ref_tagged(struct ref_place *c, struct slice *tag)
{
	static const char *const states[] = { "OK", "NO", "BAD", NULL };
	struct slice word;

	if (!ref_word(c, tag))
		return false;
	if (ref_name(tag->p, tag->n) != tag->n)
		return false;
	if (!ref_char(c, ' ') || !ref_word(c, &word) || !ref_word_is(word, states))
		return false;
	return ref_text_eol(c);
}

static inline void ref_read_server(const struct ref_half *h, struct ref_server *out)
{
	struct ref_place c = { h->p, h->n, 0, false };

	out->count = 0;
	out->at_line = true;
	out->lost = false;
	while (c.i < c.n) {
		struct ref_answer a = { .kind = c.p[c.i] };
		bool whole;

		if (a.kind == '*')
			whole = ref_untagged(&c);
		else if (a.kind == '+')
			whole = ref_text_eol(&c);
		else
			whole = ref_tagged(&c, &a.tag);
		if (!whole) {
			out->at_line = false;
			out->lost = !c.over;
			return;
		}
		if (a.kind != '*' && a.kind != '+')
			a.kind = 't';
		a.at = h->at[c.i - 1];
		if (out->count == REF_ANSWERS_MAX) {
			out->lost = true;
			return;
		}
		out->answers[out->count++] = a;
	}
}

/* ---- what the client says */

enum ref_tail { REF_NO_LITERAL, REF_SYNC, REF_PLUS, REF_BAD };

/* Where a string may start: at the line's start or behind one of these. */
static inline bool ref_string_may_start(const char *p, size_t i)
{
	return i == 0 || (p[i - 1] && strchr(" ()[]<>\"", p[i - 1]));
}

/* NUL and CR are nowhere in a line (RFC 3501 9: CHAR, TEXT-CHAR). */
static inline bool ref_is_dirty(const char *p, size_t n)
{
	return n && (memchr(p, '\0', n) || memchr(p, '\r', n));
}

/*
 * The end of a client's line (without its line end). A line that ends like a literal must be
 * one by every reading of it: strings only where strings may start, no brace anywhere else.
 */
static inline enum ref_tail ref_tail_of(const char *p, size_t n, uint64_t *size)
{
	size_t i = 0, digits = 0, at = n;
	bool plus = false, odd = false;

	/* the brace group, read backwards */
	if (n && p[n - 1] == '}') {
		at = n - 1;
		plus = at && p[at - 1] == '+';
		at -= plus;
		for (; at && p[at - 1] >= '0' && p[at - 1] <= '9'; at--)
			digits++;
		at = digits && at && p[at - 1] == '{' ? at - 1 : n;
	}
	if (at == n)
		return REF_NO_LITERAL;
	/* what stands before it, read forwards */
	while (i < at) {
		if (p[i] == '"') {
			odd |= !ref_string_may_start(p, i);
			for (i++; i < at && p[i] != '"'; i++)
				i += p[i] == '\\';
			if (i >= at)
				return REF_BAD; /* open until the end */
		}
		odd |= p[i] == '{';
		i++;
	}
	if (at && p[at - 1] == '~')
		at--;
	if (odd || digits > 10 || !ref_string_may_start(p, at))
		return REF_BAD;
	*size = 0;
	for (i = at; p[i] != '}'; i++)
		if (p[i] >= '0' && p[i] <= '9')
			*size = *size * 10 + (uint64_t)(p[i] - '0');
	return plus ? REF_PLUS : REF_SYNC;
}

/* command = tag SP name [SP …] */
static inline bool ref_command(const char *p, size_t n, struct slice *tag, struct slice *verb)
{
	tag->p = p;
	tag->n = ref_name(p, n);
	if (tag->n == 0 || tag->n > 64 || tag->n + 1 >= n || p[tag->n] != ' ')
		return false;
	verb->p = p + tag->n + 1;
	verb->n = ref_name(verb->p, n - tag->n - 1);
	return verb->n && (verb->p + verb->n == p + n || verb->p[verb->n] == ' ');
}

struct ref_open {
	size_t passed, done;
};

struct ref_walk {
	const struct ref_half *client;
	const struct ref_server *server;
	bool claimed[REF_ANSWERS_MAX];
	struct ref_open commands[REF_TALK_MAX / 4];
	size_t count;
	size_t i;   /* in the client's bytes */
	size_t now; /* when the last of them passed */
	bool inside, dropping, idling;
};

/* One whole line at w->i that may pass now or at *ready; false: there is none (yet, or ever).
 */
static inline bool ref_line(const struct ref_walk *w, size_t *n, size_t *with_end,
			    size_t *ready)
{
	const char *p = w->client->p + w->i, *lf = memchr(p, '\n', w->client->n - w->i);

	if (!lf || (size_t)(lf - p) + 1 > REF_LINE_MAX)
		return false;
	*with_end = (size_t)(lf - p) + 1;
	*n = *with_end - 1 - (lf > p && lf[-1] == '\r');
	*ready = MAX(w->now, w->client->at[w->i + *with_end - 1]);
	return true;
}

/* When the server answers this tag first after that time; the answer is nobody else's then. */
static inline size_t ref_answered(struct ref_walk *w, struct slice tag, size_t after)
{
	for (size_t i = 0; i < w->server->count; i++) {
		const struct ref_answer *a = &w->server->answers[i];

		if (a->kind != 't' || a->at <= after || w->claimed[i] || a->tag.n != tag.n ||
		    memcmp(a->tag.p, tag.p, tag.n) != 0)
			continue;
		w->claimed[i] = true;
		return a->at;
	}
	return REF_NEVER;
}

static inline size_t ref_asked(const struct ref_walk *w, size_t after)
{
	for (size_t i = 0; i < w->server->count; i++)
		if (w->server->answers[i].kind == '+' && w->server->answers[i].at > after)
			return w->server->answers[i].at;
	return REF_NEVER;
}

static inline unsigned ref_open_at(const struct ref_walk *w, size_t now, size_t *first_done)
{
	unsigned open = 0;

	*first_done = REF_NEVER;
	for (size_t i = 0; i < w->count; i++) {
		if (w->commands[i].done <= now)
			continue;
		open++;
		*first_done = MIN(*first_done, w->commands[i].done);
	}
	return open;
}

/*
 * The rest of a command whose line announced a literal, its tag answered at done. True: the
 * command is over, w->i stands behind it; false: the conversation ends inside.
 */
static inline bool ref_rest(struct ref_walk *w, enum ref_tail tail, uint64_t size, size_t done)
{
	size_t n, with_end, ready, asked;
	bool bad;

	for (;;) {
		w->inside = true;
		if (tail == REF_SYNC) {
			if (w->dropping || done <= w->now)
				break; /* nobody will ask */
			asked = ref_asked(w, w->now);
			if (done < asked) {
				w->now = done;
				break; /* refused before it was asked for */
			}
			if (asked == REF_NEVER)
				return false;
			w->now = asked;
		}
		if (size > w->client->n - w->i) {
			if (w->client->n > w->i)
				w->now = MAX(w->now, w->client->at[w->client->n - 1]);
			w->i = w->client->n;
			return false;
		}
		w->i += (size_t)size;
		if (size)
			w->now = MAX(w->now, w->client->at[w->i - 1]);
		if (!ref_line(w, &n, &with_end, &ready))
			return false;
		tail = ref_tail_of(w->client->p + w->i, n, &size);
		bad = tail == REF_BAD || ref_is_dirty(w->client->p + w->i, n);
		if (bad && !w->dropping)
			return false; /* the session cannot go on */
		w->i += with_end;
		w->now = ready;
		if (tail == REF_NO_LITERAL || bad)
			break;
	}
	w->inside = w->dropping = false;
	return true;
}

/* IDLE has passed: its DONE follows once the server has asked, unless it is over before. */
static inline bool ref_idle(struct ref_walk *w, size_t done)
{
	size_t asked = ref_asked(w, w->now), n, with_end, ready;
	enum ref_tail tail;
	uint64_t size = 0;
	bool passes;

	w->idling = true;
	while (asked < done) {
		w->now = asked;
		if (!ref_line(w, &n, &with_end, &ready) || ready > done)
			break;
		tail = ref_tail_of(w->client->p + w->i, n, &size);
		passes = tail != REF_BAD && !ref_is_dirty(w->client->p + w->i, n);
		w->i += with_end;
		w->now = ready;
		if (passes) {
			w->idling = false;
			return true;
		}
		w->dropping = tail == REF_PLUS;
		if (w->dropping && !ref_rest(w, tail, size, REF_NEVER))
			return false;
		asked = w->now; /* still idle */
	}
	if (done == REF_NEVER)
		return false;
	w->now = MAX(w->now, done);
	w->idling = false;
	return true;
}

static inline bool ref_next_command(struct ref_walk *w)
{
	size_t n, with_end, ready, first_done, done;
	const char *p = w->client->p + w->i;
	struct slice tag, verb;
	enum ref_tail tail;
	uint64_t size = 0;
	bool bad;

	if (!ref_line(w, &n, &with_end, &ready))
		return false;
	tail = ref_tail_of(p, n, &size);
	bad = tail == REF_BAD || ref_is_dirty(p, n) || !ref_command(p, n, &tag, &verb);
	if (!bad && ref_open_at(w, ready, &first_done) == REF_IMAP_OPEN_MAX) {
		if (first_done == REF_NEVER)
			return false;
		ready = first_done;
	}
	w->i += with_end;
	w->now = ready;
	if (bad || imap_command_refused(verb)) {
		w->dropping = tail == REF_PLUS;
		return tail == REF_PLUS ? ref_rest(w, tail, size, REF_NEVER) : true;
	}
	done = ref_answered(w, tag, ready);
	w->commands[w->count++] = (struct ref_open){ ready, done };
	if (tail != REF_NO_LITERAL)
		return ref_rest(w, tail, size, done);
	if (verb.n == 4 && strncasecmp(verb.p, "IDLE", 4) == 0)
		return ref_idle(w, done);
	return true;
}

/* What is open after the first k bytes. */
static inline struct ref ref_imap(const struct ref_talk *t, size_t k)
{
	static struct ref_half client, server;
	static struct ref_server heard;
	static struct ref_walk w;
	struct ref out = { 0 };
	size_t unused;

	ref_split(t, k, 'C', &client);
	ref_split(t, k, 'S', &server);
	ref_read_server(&server, &heard);
	w.client = &client;
	w.server = &heard;
	memset(w.claimed, 0, heard.count);
	w.count = w.i = w.now = 0;
	w.inside = w.dropping = w.idling = false;
	while (ref_next_command(&w))
		;
	out.lost = heard.lost;
	out.at_line = heard.at_line;
	out.uploading = w.inside && !w.dropping;
	out.open = ref_open_at(&w, k, &unused);
	out.quiet =
		out.at_line && !out.uploading && (out.open == 0 || (out.open == 1 && w.idling));
	return out;
}

/* ---- POP3 */

struct ref_line {
	struct slice text; /* without its end */
	size_t at;	   /* when its last byte came */
};

/* The whole lines of one side. */
static inline size_t ref_lines(const struct ref_half *h, struct ref_line *out, size_t max)
{
	size_t count = 0, start = 0;

	for (size_t i = 0; i < h->n && count < max; i++) {
		size_t n = i - start;

		if (h->p[i] != '\n')
			continue;
		n -= n && h->p[i - 1] == '\r';
		out[count++] = (struct ref_line){ { h->p + start, n }, h->at[i] };
		start = i + 1;
	}
	return count;
}

static inline bool ref_pop3_is(struct slice line, const char *verb)
{
	size_t n = strlen(verb);

	return line.n >= n && strncasecmp(line.p, verb, n) == 0 &&
	       (line.n == n || line.p[n] == ' ');
}

/* RFC 1939 5, 7; 2449 5; 6856 3.2 */
static inline bool ref_pop3_multiline(struct slice line)
{
	size_t n = line.n;

	while (n && (line.p[n - 1] == ' ' || line.p[n - 1] == '\t'))
		n--;
	return ref_pop3_is(line, "RETR") || ref_pop3_is(line, "TOP") ||
	       ref_pop3_is(line, "CAPA") ||
	       (n == 4 && (ref_pop3_is(line, "LIST") || ref_pop3_is(line, "UIDL") ||
			   ref_pop3_is(line, "LANG")));
}

/* Does it go to the server at all? */
static inline bool ref_pop3_passes(struct slice line)
{
	struct pop3_command c;

	if (pop3_command(line, &c) != WIRE_DONE || memchr(line.p, '\r', line.n))
		return false;
	for (size_t i = 0; i < c.name.n; i++)
		if (c.name.p[i] <= 0x20 || c.name.p[i] == 0x7f)
			return false;
	return !pop3_command_refused(c.verb);
}

struct ref_pop3 {
	struct slice open[REF_OPEN_MAX]; /* oldest first */
	size_t count;
	bool many; /* inside an answer of many lines */
	bool touched, quit;
	unsigned deletes;
};

static inline void ref_pop3_hears(struct ref_pop3 *r, struct slice line)
{
	bool ok = line.n && line.p[0] == '+';
	struct slice command;

	if (r->count == 0)
		return; /* said unasked */
	command = r->open[0];
	r->many = r->many ? !(line.n == 1 && line.p[0] == '.')
			  : ok && ref_pop3_multiline(command);
	if (r->many)
		return;
	if (ref_pop3_is(command, "DELE") && ok)
		r->deletes++;
	if (ref_pop3_is(command, "RSET") && ok)
		r->deletes = 0;
	r->quit |= ref_pop3_is(command, "QUIT");
	memmove(r->open, r->open + 1, --r->count * sizeof *r->open);
}

/* False: it must wait. at_line: the server is not in the middle of anything. */
static inline bool ref_pop3_says(struct ref_pop3 *r, struct slice line, bool at_line)
{
	if (!ref_pop3_passes(line))
		return r->count == 0 && at_line; /* refused, in its turn */
	if (r->count == REF_OPEN_MAX)
		return false;
	r->open[r->count++] = line;
	r->touched |= ref_pop3_is(line, "RETR") || ref_pop3_is(line, "TOP") ||
		      ref_pop3_is(line, "DELE");
	return true;
}

static inline struct ref ref_pop3(const struct ref_talk *t, size_t k)
{
	static struct ref_half client, server;
	static struct ref_line said[REF_TALK_MAX], heard[REF_TALK_MAX];
	struct ref_pop3 r = { 0 };
	struct ref out = { .at_line = true };
	size_t n_said, n_heard, i = 0, j = 0;

	ref_split(t, k, 'C', &client);
	ref_split(t, k, 'S', &server);
	n_said = ref_lines(&client, said, REF_TALK_MAX);
	n_heard = ref_lines(&server, heard, REF_TALK_MAX);
	for (size_t now = 0; now < k; now++) {
		if (t->who[now] == 'S')
			out.at_line = t->byte[now] == '\n';
		if (j < n_heard && heard[j].at == now)
			ref_pop3_hears(&r, heard[j++].text);
		while (i < n_said && said[i].at <= now &&
		       ref_pop3_says(&r, said[i].text, out.at_line && !r.many))
			i++;
	}
	out.at_line = out.at_line && !r.many;
	out.open = (unsigned)r.count;
	out.deletes = r.deletes;
	out.quiet = r.count == 0 && out.at_line && (!r.touched || r.quit);
	return out;
}

#endif
