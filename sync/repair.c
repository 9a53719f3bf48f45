/*
 * Hides: one message on its way through the repairs, in this order: bytes (NUL), line ends,
 * header lines, long lines. Each hands on to the next; those not asked for hand on as it is.
 */
#include "sync/repair.h"

#include <inttypes.h>

#define OUT_CHUNK 4096
#define WORD_TEXT                                                                   \
	54 /* of an encoded word, without charset and marks: 75 in all (RFC 2047 2) \
	    */
#define FROM_LINE     "X-From-Line: "
#define UNPARSED_LINE "X-Unparsed-Header: "

static const unsigned rungs[] = {
	REPAIR_NUL,
	REPAIR_NEWLINES,
	REPAIR_HEADER,
	REPAIR_EIGHT_BIT,
	REPAIR_NUL | REPAIR_NEWLINES,
	REPAIR_NUL | REPAIR_NEWLINES | REPAIR_HEADER,
	REPAIR_NUL | REPAIR_NEWLINES | REPAIR_HEADER | REPAIR_EIGHT_BIT,
	REPAIR_NUL | REPAIR_NEWLINES | REPAIR_HEADER | REPAIR_EIGHT_BIT | REPAIR_LINES,
};
_Static_assert(COUNT(rungs) == REPAIR_RUNGS, "a row for every rung");

static const struct {
	unsigned step;
	const char *what;
} changes[] = {
	[CHANGE_NUL] = { REPAIR_NUL, "NUL made 0x80" },
	[CHANGE_NEWLINE] = { REPAIR_NEWLINES, "line end made CRLF" },
	[CHANGE_LAST_LINE] = { REPAIR_NEWLINES, "line end added at the end" },
	[CHANGE_FROM_LINE] = { REPAIR_HEADER, "line \"From \" made a field" },
	[CHANGE_FIELD] = { REPAIR_HEADER, "line of the header made a field" },
	[CHANGE_EMPTY_LINE] = { REPAIR_HEADER, "empty line put in behind the header" },
	[CHANGE_ENCODED] = { REPAIR_EIGHT_BIT, "8-bit word of the header encoded" },
	[CHANGE_WRAPPED] = { REPAIR_LINES, "line end put into a long line" },
};
_Static_assert(COUNT(changes) == REPAIR_CHANGES, "a row for every change");

enum line_kind { LINE_FIELD, LINE_FOLDED, LINE_EMPTY, LINE_OTHER };

struct repair {
	unsigned steps;
	repair_out_fn *out;
	void *arg;
	char chunk[OUT_CHUNK];
	size_t chunk_n;
	int failed; /* out said no */
	struct err why;

	uint64_t at; /* offset of the byte at work, in the original */
	struct {
		uint64_t count;
		uint64_t place[REPAIR_PLACES_MAX];
	} change[REPAIR_CHANGES];

	/* line ends */
	int crs;	 /* CRs that wait for what follows */
	uint64_t cr_at;	 /* the first of them */
	bool line_begun; /* something stands on the line */
	bool ends_in_header;

	/* header lines */
	struct buf line; /* without what was handed on already */
	uint64_t line_at;
	bool in_header, first_line, too_long;
	bool suspect; /* held back: the line before is no field */
	struct buf held;
	uint64_t held_at;

	/* long lines */
	struct buf wrap; /* the line so far, of those that may still need an end */
	size_t wrap_put; /* bytes of it that are out already */
	bool wrap_header, wrap_empty;
};

unsigned repair_rung(int rung)
{
	ASSERT(rung >= 0 && rung < REPAIR_RUNGS);
	return rungs[rung];
}

struct repair *repair_new(unsigned steps, repair_out_fn *out, void *arg)
{
	struct repair *r = mem_new(sizeof *r);

	r->steps = steps;
	r->out = out;
	r->arg = arg;
	r->ends_in_header = r->in_header = r->first_line = true;
	r->wrap_header = r->wrap_empty = true;
	return r;
}

void repair_free(struct repair **r)
{
	if (!*r)
		return;
	buf_release(&(*r)->line);
	buf_release(&(*r)->held);
	buf_release(&(*r)->wrap);
	mem_free(r);
}

static bool does(const struct repair *r, unsigned step)
{
	return r->steps & step;
}

static void note(struct repair *r, enum repair_change c, uint64_t at)
{
	if (r->change[c].count < REPAIR_PLACES_MAX)
		r->change[c].place[r->change[c].count] = at;
	r->change[c].count++;
}

/* ---- out */

static void flush(struct repair *r)
{
	if (r->chunk_n && !r->failed)
		r->failed = r->out((struct slice){ r->chunk, r->chunk_n }, r->arg, &r->why);
	r->chunk_n = 0;
}

static void put(struct repair *r, struct slice s)
{
	while (s.n > 0) {
		size_t n = MIN(s.n, OUT_CHUNK - r->chunk_n);

		memcpy(r->chunk + r->chunk_n, s.p, n);
		r->chunk_n += n;
		s = (struct slice){ s.p + n, s.n - n };
		if (r->chunk_n == OUT_CHUNK)
			flush(r);
	}
}

/* ---- long lines */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Where a line of REPAIR_WRAP bytes is best broken: at its last space, else at its end. */
static size_t break_at(struct slice line, bool header)
{
	for (size_t i = line.n - 1; i > 0; i--)
		if (is_blank(line.p[i]))
			return header ? i : i + 1;
	for (size_t i = line.n; i > line.n - 4; i--) /* not inside a character of UTF-8 */
		if (((unsigned char)line.p[i - 1] & 0xc0) != 0x80)
			return (unsigned char)line.p[i - 1] < 0x80 ? i : i - 1;
	return line.n;
}

static void wrap_line(struct repair *r)
{
	struct slice s = buf_slice(&r->wrap);
	size_t n = break_at(s, r->wrap_header);

	put(r, (struct slice){ s.p, n });
	put(r, SLICE("\r\n"));
	note(r, CHANGE_WRAPPED, r->at);
	r->wrap_put = r->wrap_header && (n == s.n || !is_blank(s.p[n]));
	if (r->wrap_put)
		put(r, SLICE(" "));
	buf_drain(&r->wrap, n);
}

static void wrap_char(struct repair *r, char c)
{
	if (c == '\n') {
		put(r, buf_slice(&r->wrap));
		put(r, SLICE("\n"));
		buf_drain(&r->wrap, buf_len(&r->wrap));
		r->wrap_put = 0;
		if (r->wrap_empty)
			r->wrap_header = false;
		r->wrap_empty = true;
		return;
	}
	if (c != '\r') {
		r->wrap_empty = false;
		if (buf_len(&r->wrap) + r->wrap_put >= REPAIR_WRAP)
			wrap_line(r);
	}
	buf_add(&r->wrap, &c, 1);
}

static void to_wrap(struct repair *r, struct slice s)
{
	if (!does(r, REPAIR_LINES)) {
		put(r, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		wrap_char(r, s.p[i]);
}

/* ---- 8-bit words of a header line */

static bool is_eight_bit(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* Is it UTF-8, as far as its shape goes? What is not is called unknown-8bit (RFC 1428 3). */
static bool looks_utf8(struct slice s)
{
	size_t more = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (more > 0 ? (c & 0xc0) != 0x80 : c >= 0x80 && (c < 0xc2 || c > 0xf4))
			return false;
		more = more > 0 ? more - 1 : c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	}
	return more == 0;
}

static void add_q(struct buf *out, char c)
{
	bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

	if (plain)
		buf_add(out, &c, 1);
	else if (c == ' ')
		buf_add_str(out, "_");
	else
		buf_printf(out, "=%02X", (unsigned char)c);
}

/* Bytes for one encoded word: whole characters, at three of text for a byte. */
static size_t word_size(struct slice s, bool utf8)
{
	size_t n = 0, k;

	while (n < s.n) {
		for (k = n + 1; utf8 && k < s.n && ((unsigned char)s.p[k] & 0xc0) == 0x80;)
			k++;
		if (n > 0 && 3 * k > WORD_TEXT)
			break;
		n = k;
	}
	return n;
}

static void encode_word(struct buf *out, struct slice s)
{
	bool utf8 = looks_utf8(s);

	for (size_t n; s.n > 0; s = (struct slice){ s.p + n, s.n - n }) {
		n = word_size(s, utf8);
		buf_add_str(out, utf8 ? "=?UTF-8?Q?" : "=?unknown-8bit?Q?");
		for (size_t i = 0; i < n; i++)
			add_q(out, s.p[i]);
		buf_add_str(out, n < s.n ? "?= " : "?=");
	}
}

/* The value of a field, with its line end. Blanks between two encoded words do not count (RFC
 * 2047 6.2), so the second one carries them. */
static void encode_value(struct repair *r, struct slice s, uint64_t at, struct buf *out)
{
	bool was_encoded = false;

	for (size_t i = 0; i < s.n;) {
		size_t word = i, end;
		struct slice w;

		while (word < s.n &&
		       (is_blank(s.p[word]) || s.p[word] == '\r' || s.p[word] == '\n'))
			word++;
		for (end = word;
		     end < s.n && !is_blank(s.p[end]) && s.p[end] != '\r' && s.p[end] != '\n';)
			end++;
		w = (struct slice){ s.p + word, end - word };
		if (!is_eight_bit(w)) {
			buf_add(out, s.p + i, end - i);
			was_encoded = false;
		} else if (was_encoded) {
			buf_add_str(out, " ");
			encode_word(out, (struct slice){ s.p + i, end - i });
		} else {
			buf_add(out, s.p + i, word - i);
			encode_word(out, w);
			was_encoded = true;
		}
		if (w.n && was_encoded)
			note(r, CHANGE_ENCODED, at + word);
		i = end;
	}
}

static size_t name_size(struct slice line)
{
	size_t i = 0;

	while (i < line.n && line.p[i] > 0x20 && line.p[i] < 0x7f && line.p[i] != ':')
		i++;
	return i;
}

/* Bytes up to and with the colon; 0: the line is no field (RFC 5322 2.2, with blanks as
 * in 4.5). */
static size_t field_name(struct slice line)
{
	size_t i = name_size(line);

	if (i == 0)
		return 0;
	while (i < line.n && is_blank(line.p[i]))
		i++;
	return i < line.n && line.p[i] == ':' ? i + 1 : 0;
}

static void put_header_line(struct repair *r, struct slice line, uint64_t at)
{
	size_t name = field_name(line);
	struct slice value = { line.p + name, line.n - name };
	struct buf out = { 0 };

	if (!does(r, REPAIR_EIGHT_BIT) || !is_eight_bit(value)) {
		to_wrap(r, line);
		return;
	}
	buf_add(&out, line.p, name);
	encode_value(r, value, at + name, &out);
	to_wrap(r, buf_slice(&out));
	buf_release(&out);
}

/* ---- header lines */

static enum line_kind kind_of(const struct repair *r, struct slice line)
{
	if (line.n == 0 || line.p[0] == '\n' ||
	    (line.n > 1 && line.p[0] == '\r' && line.p[1] == '\n'))
		return LINE_EMPTY;
	if (is_blank(line.p[0]))
		return r->first_line ? LINE_OTHER : LINE_FOLDED;
	return field_name(line) ? LINE_FIELD : LINE_OTHER;
}

static void release_held(struct repair *r)
{
	to_wrap(r, SLICE(UNPARSED_LINE));
	put_header_line(r, buf_slice(&r->held), r->held_at);
	note(r, CHANGE_FIELD, r->held_at);
	buf_drain(&r->held, buf_len(&r->held));
	r->suspect = false;
}

/* Two lines in a row that are no fields, or one at the end: the body has begun. */
static void begin_body(struct repair *r, uint64_t at)
{
	to_wrap(r, SLICE("\r\n"));
	note(r, CHANGE_EMPTY_LINE, at);
	to_wrap(r, buf_slice(&r->held));
	buf_drain(&r->held, buf_len(&r->held));
	r->suspect = false;
	r->in_header = false;
}

static void mend_line(struct repair *r, struct slice line)
{
	enum line_kind kind = kind_of(r, line);

	if (r->first_line && slice_starts_nocase(line, "From ")) {
		to_wrap(r, SLICE(FROM_LINE));
		note(r, CHANGE_FROM_LINE, r->line_at);
		put_header_line(r, (struct slice){ line.p + 5, line.n - 5 }, r->line_at + 5);
		return;
	}
	if (r->suspect && kind == LINE_OTHER) {
		begin_body(r, r->held_at);
		to_wrap(r, line);
		return;
	}
	if (r->suspect)
		release_held(r);
	if (kind == LINE_OTHER) {
		buf_add(&r->held, line.p, line.n);
		r->held_at = r->line_at;
		r->suspect = true;
		return;
	}
	r->in_header = kind != LINE_EMPTY;
	put_header_line(r, line, r->line_at);
}

/* A whole line of the header, or the end of the message in the middle of one. */
static void end_line(struct repair *r)
{
	struct slice line = buf_slice(&r->line);

	if (r->too_long)
		to_wrap(r, line);
	else if (does(r, REPAIR_HEADER))
		mend_line(r, line);
	else {
		r->in_header = kind_of(r, line) != LINE_EMPTY;
		put_header_line(r, line, r->line_at);
	}
	buf_drain(&r->line, line.n);
	r->first_line = r->too_long = false;
}

static void header_char(struct repair *r, char c)
{
	if (!r->in_header) {
		to_wrap(r, (struct slice){ &c, 1 });
		return;
	}
	if (buf_len(&r->line) == 0 && !r->too_long)
		r->line_at = r->at;
	buf_add(&r->line, &c, 1);
	if (c == '\n') {
		end_line(r);
	} else if (buf_len(&r->line) >= REPAIR_LINE_MAX) {
		if (r->suspect)
			release_held(r);
		to_wrap(r, buf_slice(&r->line));
		buf_drain(&r->line, buf_len(&r->line));
		r->too_long = true;
	}
}

static void end_header(struct repair *r)
{
	bool cut = buf_len(&r->line) > 0;

	if (!r->in_header)
		return;
	if (cut)
		end_line(r);
	if (!does(r, REPAIR_HEADER) || !r->in_header || r->at == 0)
		return;
	if (r->suspect) {
		begin_body(r, r->held_at);
		return;
	}
	to_wrap(r, cut ? SLICE("\r\n\r\n") : SLICE("\r\n"));
	note(r, CHANGE_EMPTY_LINE, r->at);
}

/* ---- line ends */

static void new_line(struct repair *r, bool changed, uint64_t at)
{
	if (changed)
		note(r, CHANGE_NEWLINE, at);
	header_char(r, '\r');
	header_char(r, '\n');
	if (!r->line_begun)
		r->ends_in_header = false;
	r->line_begun = false;
}

/* CRs that no LF followed. */
static void lone_crs(struct repair *r)
{
	for (; r->crs > 0; r->crs--) {
		bool begun = r->line_begun;

		new_line(r, true, r->cr_at++);
		if (begun && r->ends_in_header) {
			header_char(r, ' ');
			r->line_begun = true;
		}
	}
}

static void newline_char(struct repair *r, char c)
{
	if (!does(r, REPAIR_NEWLINES)) {
		header_char(r, c);
		return;
	}
	if (c == '\r') {
		if (r->crs++ == 0)
			r->cr_at = r->at;
	} else if (c == '\n') {
		bool changed = r->crs != 1;

		r->crs = 0;
		new_line(r, changed, r->at);
	} else {
		lone_crs(r);
		r->line_begun = true;
		header_char(r, c);
	}
}

static void end_newlines(struct repair *r)
{
	if (!does(r, REPAIR_NEWLINES))
		return;
	if (r->crs > 0) {
		r->crs = 0;
		new_line(r, true, r->cr_at);
	} else if (r->line_begun) {
		note(r, CHANGE_LAST_LINE, r->at);
		header_char(r, '\r');
		header_char(r, '\n');
	}
}

/* ---- the whole */

static int state_of(const struct repair *r, struct err *e)
{
	if (r->failed && e)
		*e = r->why;
	return r->failed ? -1 : 0;
}

int repair_feed(struct repair *r, struct slice bytes, struct err *e)
{
	for (size_t i = 0; i < bytes.n && !r->failed; i++, r->at++) {
		char c = bytes.p[i];

		if (c == '\0' && does(r, REPAIR_NUL)) {
			note(r, CHANGE_NUL, r->at);
			c = '\x80';
		}
		newline_char(r, c);
	}
	return state_of(r, e);
}

int repair_end(struct repair *r, struct err *e)
{
	end_newlines(r);
	end_header(r);
	put(r, buf_slice(&r->wrap));
	flush(r);
	return state_of(r, e);
}

unsigned repair_done(const struct repair *r)
{
	unsigned done = 0;

	for (int i = 0; i < REPAIR_CHANGES; i++)
		if (r->change[i].count)
			done |= changes[i].step;
	return done;
}

uint64_t repair_count(const struct repair *r, enum repair_change c)
{
	return r->change[c].count;
}

void repair_receipt(const struct repair *r, struct buf *out)
{
	for (int i = 0; i < REPAIR_CHANGES; i++) {
		uint64_t n = r->change[i].count;

		if (n == 0)
			continue;
		buf_printf(out, "%s%" PRIu64 " %s at", buf_len(out) ? "; " : "", n,
			   changes[i].what);
		for (uint64_t k = 0; k < n && k < REPAIR_PLACES_MAX; k++)
			buf_printf(out, "%s %" PRIu64, k ? "," : "", r->change[i].place[k]);
		if (n > REPAIR_PLACES_MAX)
			buf_add_str(out, " …");
	}
}
