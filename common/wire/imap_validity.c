/* Hides: the few places where these numbers stand. */
#include "common/wire/imap_validity.h"

#include <inttypes.h>
#include <strings.h> /* strncasecmp */

#include "common/wire/imap.h"

#define DIGITS_MAX 10 /* of a UIDVALIDITY */
#define MODSEQ	   "* OK [HIGHESTMODSEQ "
#define NO_MODSEQ  "* OK [NOMODSEQ] No modification sequences here.\r\n"

enum match { MATCH_NO, MATCH_SO_FAR, MATCH_YES };

static const char *const untagged[] = { "STATUS ", "OK [UIDVALIDITY ", "OK [COPYUID ",
					"OK [APPENDUID ", "OK [HIGHESTMODSEQ " };
static const char *const tagged[] = { "OK [APPENDUID ", "OK [COPYUID " };

static enum match take_text(struct slice *s, const char *text)
{
	size_t n = strlen(text), look = MIN(n, s->n);

	if (look && strncasecmp(s->p, text, look) != 0)
		return MATCH_NO;
	if (look == n)
		*s = (struct slice){ s->p + n, s->n - n };
	return look == n ? MATCH_YES : MATCH_SO_FAR;
}

/* One of these; *s is what follows it. */
static enum match take_any(struct slice *s, const char *const *texts, size_t count)
{
	enum match best = MATCH_NO;

	for (size_t i = 0; i < count; i++) {
		enum match m = take_text(s, texts[i]);

		if (m == MATCH_YES)
			return m;
		best = MAX(best, m);
	}
	return best;
}

/* The beginning up to the number, or in STATUS up to the folder's name. */
static enum match take_head(struct slice *s, bool *is_status)
{
	const char *space = s->n ? memchr(s->p, ' ', MIN(s->n, (size_t)IMAP_TAG_MAX + 1)) :
				   NULL;
	const char *lf = s->n ? memchr(s->p, '\n', s->n) : NULL;
	bool star = s->n && s->p[0] == '*';
	enum match m;

	if (s->n && s->p[0] == '+')
		return MATCH_NO;
	if (!space)
		return lf || s->n > IMAP_TAG_MAX ? MATCH_NO : MATCH_SO_FAR;
	if (lf && lf < space)
		return MATCH_NO;
	*s = (struct slice){ space + 1, s->n - (size_t)(space + 1 - s->p) };
	*is_status = star && take_text(&(struct slice){ s->p, s->n }, "STATUS ") == MATCH_YES;
	m = star ? take_any(s, untagged, COUNT(untagged)) :
		   take_any(s, tagged, COUNT(tagged));
	return m;
}

/* Bytes of a literal that the line announces at its end: false if it does not. */
static bool ends_in_literal(struct slice line, uint64_t *n)
{
	size_t end = line.n, at;

	while (end && (line.p[end - 1] == '\n' || line.p[end - 1] == '\r'))
		end--;
	if (end == 0 || line.p[end - 1] != '}')
		return false;
	for (at = end - 1; at > 0 && line.p[at - 1] != '{';)
		at--;
	return at > 0 && slice_u64((struct slice){ line.p + at, end - 1 - at },
				   IMAP_VALIDITY_MAX, n) == 0;
}

/* The whole response, with its literals. */
static enum wire whole(const char *p, size_t n, size_t *len)
{
	size_t at = 0;

	for (;;) {
		const char *lf = at < n ? memchr(p + at, '\n', n - at) : NULL;
		uint64_t literal = 0;
		size_t line = at;

		if (!lf)
			return n < IMAP_VALIDITY_MAX ? WIRE_MORE : WIRE_BAD;
		at = (size_t)(lf - p) + 1;
		*len = at;
		if (!ends_in_literal((struct slice){ p + line, at - line }, &literal))
			return at <= IMAP_VALIDITY_MAX ? WIRE_DONE : WIRE_BAD;
		at += (size_t)literal;
		if (at > IMAP_VALIDITY_MAX)
			return WIRE_BAD;
	}
}

/* A status line, in whose text nothing announces a literal. */
static enum wire whole_line(const char *p, size_t n, size_t *len)
{
	const char *lf = memchr(p, '\n', MIN(n, (size_t)IMAP_VALIDITY_MAX));

	if (!lf)
		return n < IMAP_VALIDITY_MAX ? WIRE_MORE : WIRE_BAD;
	*len = (size_t)(lf - p) + 1;
	return WIRE_DONE;
}

/* Up to the end of the number at p[at]. */
static enum wire up_to_number(const char *p, size_t n, size_t at, size_t *len)
{
	size_t end = at;

	while (end < n && end - at <= DIGITS_MAX && p[end] >= '0' && p[end] <= '9')
		end++;
	if (end - at > DIGITS_MAX)
		return WIRE_BAD;
	if (end == n)
		return WIRE_MORE;
	*len = end;
	return end > at ? WIRE_DONE : WIRE_BAD;
}

enum wire imap_validity_look(const char *p, size_t n, size_t *len)
{
	struct slice s = { p, n };
	bool is_status;

	switch (take_head(&s, &is_status)) {
	case MATCH_NO:
		return WIRE_BAD;
	case MATCH_SO_FAR:
		return WIRE_MORE;
	case MATCH_YES:
		break;
	}
	if (is_status)
		return whole(p, n, len);
	if (slice_starts_nocase((struct slice){ p, n }, MODSEQ))
		return whole_line(p, n, len);
	return up_to_number(p, n, (size_t)(s.p - p), len);
}

/* ---- other numbers */

/* The number at *at, of digits alone; it is written as fn has it, and *at put behind it. */
static void show_number(struct slice r, size_t *at, imap_validity_fn *fn, const void *arg,
			struct buf *out)
{
	size_t end = *at;
	uint64_t own;

	while (end < r.n && r.p[end] >= '0' && r.p[end] <= '9')
		end++;
	if (slice_u64((struct slice){ r.p + *at, end - *at }, UINT32_MAX, &own) < 0)
		return;
	buf_printf(out, "%" PRIu32, fn((uint32_t)own, arg));
	*at = end;
}

/* Behind a folder's name: an atom, a quoted string, or a literal. */
static size_t skip_name(struct slice r, size_t at)
{
	uint64_t literal = 0;
	const char *lf;

	if (at < r.n && r.p[at] == '{') {
		lf = memchr(r.p + at, '\n', r.n - at);
		if (!lf || !ends_in_literal((struct slice){ r.p + at,
							    (size_t)(lf + 1 - r.p) - at },
					    &literal))
			return r.n;
		return MIN((size_t)(lf + 1 - r.p) + (size_t)literal, r.n);
	}
	if (at < r.n && r.p[at] == '"') {
		for (at++; at < r.n && r.p[at] != '"'; at++)
			at += r.p[at] == '\\';
		return MIN(at + 1, r.n);
	}
	while (at < r.n && r.p[at] != ' ')
		at++;
	return at;
}

/* In "(MESSAGES 3 UIDVALIDITY 7)". */
static void rewrite_status(struct slice r, size_t at, imap_validity_fn *fn, const void *arg,
			   struct buf *out)
{
	static const char word[] = "UIDVALIDITY ";
	size_t sent = 0;

	for (at = skip_name(r, at); at < r.n; at++) {
		struct slice rest = { r.p + at, r.n - at };

		if ((r.p[at - 1] != ' ' && r.p[at - 1] != '(') ||
		    take_text(&rest, word) != MATCH_YES)
			continue;
		at += sizeof word - 1;
		buf_add(out, r.p + sent, at - sent);
		sent = at;
		show_number(r, &sent, fn, arg, out);
	}
	buf_add(out, r.p + sent, r.n - sent);
}

void imap_validity_rewrite(struct slice response, imap_validity_fn *fn, const void *arg,
			   struct buf *out)
{
	struct slice s = response;
	bool is_status = false;
	size_t at;

	if (take_head(&s, &is_status) != MATCH_YES) {
		buf_add(out, response.p, response.n);
		return;
	}
	at = (size_t)(s.p - response.p);
	if (is_status) {
		rewrite_status(response, at, fn, arg, out);
		return;
	}
	if (slice_starts_nocase(response, MODSEQ)) {
		buf_add_str(out, NO_MODSEQ);
		return;
	}
	buf_add(out, response.p, at);
	show_number(response, &at, fn, arg, out);
	buf_add(out, response.p + at, response.n - at);
}

/* ---- what must not be used with other numbers */

static bool is_of_modseq(struct slice word)
{
	static const char *const words[] = { "CONDSTORE",      "QRESYNC",	"MODSEQ",
					     "HIGHESTMODSEQ",  "CHANGEDSINCE", "VANISHED",
					     "UNCHANGEDSINCE" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (slice_is_nocase(word, words[i]))
			return true;
	return false;
}

static bool is_word_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
	       c == '.' || c == '/' || (c >= '0' && c <= '9');
}

/* Behind its tag and verb: those are the client's and the caller's. */
bool imap_asks_modseq(struct slice line)
{
	bool quoted = false;
	size_t at = 0;

	while (at < line.n) {
		size_t end = at;

		if (quoted || !is_word_char(line.p[at])) {
			if (line.p[at] == '"')
				quoted = !quoted;
			at += quoted && line.p[at] == '\\' ? 2 : 1;
			continue;
		}
		while (end < line.n && is_word_char(line.p[end]))
			end++;
		if (is_of_modseq((struct slice){ line.p + at, end - at }))
			return true;
		at = end;
	}
	return false;
}

/* MULTISEARCH tells UIDVALIDITYs in "* ESEARCH" (RFC 7377 2.1), CATENATE takes them in URLs (RFC 4469). */
static bool is_hidden(struct slice word)
{
	return is_of_modseq(word) || slice_is_nocase(word, "MULTISEARCH") ||
	       slice_is_nocase(word, "CATENATE");
}

/* A space in front of it goes, too; where there is none, the one behind. */
void imap_validity_filter(struct slice list, struct buf *out)
{
	bool space = false;
	size_t at = 0;

	while (at < list.n) {
		size_t end = at;

		while (end < list.n && is_word_char(list.p[end]))
			end++;
		if (end > at && is_hidden((struct slice){ list.p + at, end - at })) {
			at = end + (!space && end < list.n && list.p[end] == ' ');
			space = false;
			continue;
		}
		if (space)
			buf_add(out, " ", 1);
		space = end == at && list.p[at] == ' ';
		if (end == at && !space)
			buf_add(out, list.p + at, 1);
		buf_add(out, list.p + at, end - at);
		at = MAX(end, at + 1);
	}
	if (space)
		buf_add(out, " ", 1);
}
