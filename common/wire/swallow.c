/* Hides: how a refused command ends that is never held in memory as a whole. */
#include "common/wire/swallow.h"

#define TAIL_MAX 16 /* a line's last bytes, kept: "{n+}" CR LF with IMAP_LITERAL_DIGITS */

int imap_swallow_literal(struct imap_swallow *w, enum imap_literal tail, uint64_t literal)
{
	*w = (struct imap_swallow){ 0 };
	if (tail != LIT_PLUS)
		return 0;
	if (literal > IMAP_SWALLOW_MAX)
		return -1;
	w->literal = (size_t)literal;
	w->line = true;
	return 0;
}

void imap_swallow_line(struct imap_swallow *w, bool text)
{
	*w = (struct imap_swallow){ .line = true, .cut = true, .text = text };
}

bool imap_swallowing(const struct imap_swallow *w)
{
	return w->line;
}

/* A line whose beginning was dropped: whether its braces stand in quotes cannot be known. */
static bool may_announce(struct slice end)
{
	while (end.n && (end.p[end.n - 1] == '\n' || end.p[end.n - 1] == '\r'))
		end.n--;
	return end.n && end.p[end.n - 1] == '}';
}

static enum wire line_ends(struct imap_swallow *w, const char *p, size_t len)
{
	struct imap_line line;

	w->line = false;
	if (w->text)
		return WIRE_DONE;
	if (w->cut)
		return may_announce((struct slice){ p, len }) ? WIRE_BAD : WIRE_DONE;
	if (imap_line(p, len, len, &line) != WIRE_DONE)
		return WIRE_BAD;
	if (line.tail != LIT_PLUS)
		return WIRE_DONE;
	if (line.literal > IMAP_SWALLOW_MAX - w->eaten)
		return WIRE_BAD;
	w->literal = (size_t)line.literal;
	w->line = true;
	return WIRE_MORE;
}

static enum wire swallow_line(struct imap_swallow *w, const char *p, size_t n, size_t line_max,
			      size_t *take)
{
	const char *lf = n ? memchr(p, '\n', n) : NULL;
	size_t len = lf ? (size_t)(lf - p) + 1 : n;

	*take = 0;
	if (len > line_max)
		w->cut = true;
	if (lf) {
		*take = len;
		return line_ends(w, p, len);
	}
	if (w->cut && n > TAIL_MAX)
		*take = n - TAIL_MAX;
	return WIRE_MORE;
}

enum wire imap_swallow(struct imap_swallow *w, const char *p, size_t n, size_t line_max,
		       size_t *take)
{
	enum wire verdict = WIRE_MORE;
	size_t at = 0, some = 1;

	while (verdict == WIRE_MORE && some) {
		if (w->literal) {
			some = MIN(n - at, w->literal);
			w->literal -= some;
		} else {
			verdict = swallow_line(w, p + at, n - at, line_max, &some);
		}
		at += some;
		w->eaten += some;
		if (w->eaten > IMAP_SWALLOW_MAX)
			verdict = WIRE_BAD;
	}
	*take = at;
	if (verdict == WIRE_BAD)
		w->line = false;
	return verdict;
}
