/* Hides: improper names, Unicode's two ways to write an accent, and what servers dislike. */
#include "sync/folder_name.h"

#include <utf8proc.h>

#include "common/wire/utf7.h"

#define REPLACEMENT "_" /* for what cannot be part of a name */

static bool is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

static struct slice tail(struct slice s, size_t n)
{
	return (struct slice){ s.p + n, s.n - n };
}

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* ---- from the wire */

static bool add_utf8(struct slice s, struct buf *text)
{
	bool proper = true;
	uint32_t cp;

	while (s.n) {
		size_t n = utf8_next(s, &cp);

		if (n && !is_control(cp)) {
			buf_add(text, s.p, n);
		} else {
			buf_add_str(text, REPLACEMENT);
			proper = false;
		}
		s = tail(s, n ? n : 1);
	}
	return proper;
}

/* How many bytes the shift at the front takes if it is a proper one, then decoded; else 0. */
static size_t add_shift(struct slice s, struct buf *text)
{
	const char *end = memchr(s.p, '-', s.n);
	size_t n = end ? (size_t)(end - s.p) + 1 : 0;

	return n && utf7_decode((struct slice){ s.p, n }, text) == 0 ? n : 0;
}

static void add_repaired(struct slice s, struct buf *text)
{
	while (s.n) {
		size_t n = s.p[0] == '&' ? add_shift(s, text) : 0;

		if (n == 0) {
			n = 1;
			if (is_control((unsigned char)s.p[0]))
				buf_add_str(text, REPLACEMENT);
			else
				buf_add(text, s.p, 1);
		}
		s = tail(s, n);
	}
}

bool folder_name_text(struct slice wire, bool utf8, struct buf *text)
{
	if (utf8)
		return add_utf8(wire, text);
	if (!is_ascii(wire)) {
		(void)add_utf8(wire, text);
		return false;
	}
	if (utf7_decode(wire, text) == 0)
		return true;
	add_repaired(wire, text);
	return false;
}

/* ---- to the wire */

void folder_name_wire(struct slice text, bool utf8, struct buf *wire)
{
	if (utf8)
		buf_add(wire, text.p, text.n);
	else if (utf7_encode(text, wire) < 0)
		BUG("a folder's name that is no text");
}

static char *take_text(struct buf *b)
{
	char *out = mem_strn(buf_slice(b).p, buf_len(b));

	buf_release(b);
	return out;
}

char *folder_name_shown(const char *wire, bool utf8)
{
	struct buf b = { 0 };

	(void)folder_name_text(slice_of(wire), utf8, &b);
	return take_text(&b);
}

char *folder_name_sent(const char *text, bool utf8)
{
	struct buf b = { 0 };

	folder_name_wire(slice_of(text), utf8, &b);
	return take_text(&b);
}

/* ---- likeness */

char *folder_name_fold(const char *text)
{
	utf8proc_uint8_t *folded = NULL;
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, 0, &folded,
					  UTF8PROC_NULLTERM | UTF8PROC_STABLE |
						  UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);

	return n < 0 ? mem_str(text) : (char *)folded;
}

/* ---- what no server has reason to refuse */

/* Cyrus has a short list of what it takes; the others' are longer. */
static bool is_disliked(uint32_t cp, bool ascii)
{
	if (cp >= 0x80)
		return ascii;
	return !(cp >= '0' && cp <= '9') && !(cp >= 'A' && cp <= 'Z') &&
	       !(cp >= 'a' && cp <= 'z') && !strchr("-_.,+=@", (int)cp);
}

void folder_name_tame(struct slice text, bool ascii, struct buf *out)
{
	size_t start = buf_len(out);
	bool space = false;
	uint32_t cp;

	while (text.n) {
		size_t n = utf8_next(text, &cp);

		if (n == 0 || buf_len(out) - start + n + space > FOLDER_TAME_MAX)
			break;
		if (cp != ' ') {
			if (space && buf_len(out) > start)
				buf_add_str(out, " ");
			if (is_disliked(cp, ascii))
				buf_add_str(out, REPLACEMENT);
			else
				buf_add(out, text.p, n);
		}
		space = cp == ' ';
		text = tail(text, n);
	}
	if (buf_len(out) == start)
		buf_add_str(out, REPLACEMENT);
}
