/*
 * Hides: how one response is put together from lines and literals, and what libetpan may see of
 * it. Each rule here answers something that crashed, hung or swelled the stock parser.
 */
#include "sync/frame.h"

#include <inttypes.h>
#include <strings.h>
#include <libetpan/libetpan.h>

/* Exported by the library, but its header is not installed. */
int mailimap_response_data_parse(mailstream *fd, MMAPString *buffer,
				 struct mailimap_parser_context *context, size_t *at,
				 struct mailimap_response_data **result, size_t progress_rate,
				 progress_function *progress);

#define TEXT_KEEP (64 * 1024) /* a text buffer that grew beyond this is given back */

struct frame_reader {
	struct transport *t;
	const struct frame_sink *sink;
	size_t line_max;
	MMAPString *text; /* the response so far */
	struct mailimap_response_data *data;
	int depth;
	bool stray_brace, too_deep;
	int64_t unknown;
};

struct frame_reader *frame_reader_new(struct transport *t)
{
	struct frame_reader *r = mem_new(sizeof *r);

	r->t = t;
	r->line_max = FRAME_LINE_MAX;
	r->text = mmap_string_new("");
	ASSERT(r->text);
	return r;
}

static void data_free(struct frame_reader *r)
{
	if (r->data)
		mailimap_response_data_free(r->data);
	r->data = NULL;
}

void frame_reader_free(struct frame_reader **r)
{
	if (!*r)
		return;
	data_free(*r);
	mmap_string_free((*r)->text);
	mem_free(r);
}

void frame_set_sink(struct frame_reader *r, const struct frame_sink *sink)
{
	r->sink = sink;
}

void frame_set_line_max(struct frame_reader *r, size_t max)
{
	r->line_max = max;
}

int64_t frame_unknown(const struct frame_reader *r)
{
	return r->unknown;
}

static int fail(struct frame_reader *r, enum err_kind kind, const char *what, struct err *e)
{
	err_set(e, kind, "%s", what);
	return transport_poison(r->t, e);
}

static void restart(struct frame_reader *r)
{
	data_free(r);
	if (r->text->allocated_len > TEXT_KEEP) {
		mmap_string_free(r->text);
		r->text = mmap_string_new("");
		ASSERT(r->text);
	}
	mmap_string_truncate(r->text, 0);
	r->depth = 0;
	r->stray_brace = r->too_deep = false;
}

/* Waits until the input has something; it is never empty afterwards. */
static int input_wait(struct frame_reader *r, struct slice *in, struct err *e)
{
	*in = transport_input(r->t);
	if (in->n == 0 && transport_more(r->t, e) < 0)
		return -1;
	*in = transport_input(r->t);
	return 0;
}

static int text_add(struct frame_reader *r, struct slice s, struct err *e)
{
	if (r->text->len + s.n > r->line_max)
		return fail(r, ERR_LIMIT, "the server's line is too long", e);
	ASSERT(mmap_string_append_len(r->text, s.p, s.n));
	transport_take(r->t, s.n);
	return 0;
}

/* Appends one line with its end to the text. */
static int line_add(struct frame_reader *r, struct err *e)
{
	const char *lf;

	do {
		struct slice in;

		if (input_wait(r, &in, e) < 0)
			return -1;
		lf = memchr(in.p, '\n', in.n);
		if (lf)
			in.n = (size_t)(lf - in.p) + 1;
		if (text_add(r, in, e) < 0)
			return -1;
	} while (!lf);
	return 0;
}

/*
 * Looks over a piece of text between literals. libetpan recurses with each parenthesis, and
 * takes "{ 99" anywhere outside quotes for a literal to be allocated.
 */
static void scan(struct frame_reader *r, struct slice piece)
{
	bool quoted = false;

	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == '{')
			r->stray_brace = true;
		else if (c == '(' && ++r->depth > FRAME_DEPTH_MAX)
			r->too_deep = true;
		else if (c == ')' && r->depth > 0)
			r->depth--;
	}
}

/* Does the text before a literal end in an item BODY[…] or BODY[…]<n>, and a space? */
static bool is_body(struct slice before)
{
	size_t i = before.n;

	if (i == 0 || before.p[0] != '*' || before.p[i - 1] != ' ')
		return false;
	i--;
	if (i > 0 && before.p[i - 1] == '>')
		while (i > 0 && before.p[i - 1] != ']')
			i--;
	if (i == 0 || before.p[i - 1] != ']')
		return false;
	while (i > 0 && before.p[i - 1] != '[')
		i--;
	return i >= 6 && strncasecmp(before.p + i - 5, "BODY[", 5) == 0 &&
	       (before.p[i - 6] == ' ' || before.p[i - 6] == '(');
}

static int body_stream(struct frame_reader *r, struct slice before, uint64_t left,
		       struct err *e)
{
	const struct frame_sink *sink = r->sink;

	transport_message(r->t);
	if (sink->begin(sink->arg, before, left, e) < 0)
		return transport_poison(r->t, e);
	while (left > 0) {
		struct slice in;

		if (input_wait(r, &in, e) < 0)
			return err_wrap(e, "in a message, %" PRIu64 " bytes before its end",
					left);
		in.n = (size_t)MIN((uint64_t)in.n, left);
		if (sink->bytes(sink->arg, in, e) < 0)
			return transport_poison(r->t, e);
		transport_take(r->t, in.n);
		left -= in.n;
	}
	return sink->end(sink->arg, e) < 0 ? transport_poison(r->t, e) : 0;
}

static int literal_add(struct frame_reader *r, uint64_t left, struct err *e)
{
	if (left > FRAME_LITERAL_MAX)
		return fail(r, ERR_LIMIT, "the server's literal is too large", e);
	while (left > 0) {
		struct slice in;

		if (input_wait(r, &in, e) < 0)
			return err_wrap(e, "in a literal");
		in.n = (size_t)MIN((uint64_t)in.n, left);
		if (text_add(r, in, e) < 0)
			return -1;
		left -= in.n;
	}
	return 0;
}

/* Where the brace group at the end of the text starts. */
static size_t brace_at(const struct frame_reader *r)
{
	const char *p = r->text->str;

	return (size_t)((const char *)memrchr(p, '{', r->text->len) - p);
}

/* A literal follows the text: to the sink, leaving "" in its place, or into the text. */
static int literal_take(struct frame_reader *r, uint64_t size, struct frame *out, struct err *e)
{
	struct slice before = { r->text->str, brace_at(r) };

	/* A body may be of any size (RFC 9051 4.3): the parser never sees it. */
	if (!r->sink || !is_body(before))
		return literal_add(r, size, e);
	if (body_stream(r, before, size, e) < 0)
		return -1;
	mmap_string_truncate(r->text, before.n);
	ASSERT(mmap_string_append(r->text, "\"\""));
	out->bodies++;
	return 0;
}

/* Reads lines and literals until the response is whole; the text ends in CRLF then. */
static int gather(struct frame_reader *r, struct frame *out, struct err *e)
{
	for (;;) {
		size_t start = r->text->len;
		struct imap_line line;
		struct slice piece;
		enum wire w;

		if (line_add(r, e) < 0)
			return -1;
		piece = (struct slice){ r->text->str + start, r->text->len - start };
		w = start == 0 ? imap_reply_line(piece.p, piece.n, r->line_max + 1, &line)
			       : imap_line(piece.p, piece.n, r->line_max + 1, &line);
		if (w != WIRE_DONE)
			return fail(r, ERR_PROTOCOL, "the server's line ends in a doubtful {n}",
				    e);
		if (line.tail == LIT_NONE) {
			scan(r, piece);
			return 0;
		}
		piece.n = brace_at(r) - start;
		scan(r, piece);
		if (literal_take(r, line.literal, out, e) < 0)
			return -1;
	}
}

/* Cuts the line end off for *line, and makes it a CRLF for the parser. */
static struct slice line_end(struct frame_reader *r)
{
	size_t n = r->text->len - 1;

	if (n > 0 && r->text->str[n - 1] == '\r')
		n--;
	mmap_string_truncate(r->text, n);
	ASSERT(mmap_string_append(r->text, "\r\n"));
	return (struct slice){ r->text->str, n };
}

/* Only these kinds are handed to libetpan. */
static bool is_known(struct slice text)
{
	static const char *const kinds[] = { "LIST ",	   "LSUB ",	 "STATUS ", "SEARCH",
					     "FLAGS ",	   "VANISHED ",	 "ENABLED", "QUOTA ",
					     "QUOTAROOT ", "CAPABILITY " };

	if (text.n > 0 && text.p[0] >= '0' && text.p[0] <= '9')
		return true;
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (slice_starts_nocase(text, kinds[i]))
			return true;
	return false;
}

static bool parse(struct frame_reader *r)
{
	struct mailimap_parser_context context = { 0 };
	size_t at = 0;

	if (mailimap_response_data_parse(NULL, r->text, &context, &at, &r->data, 0, NULL) !=
	    MAILIMAP_NO_ERROR)
		r->data = NULL;
	return r->data != NULL;
}

/* Bytes of the item "INTERNALDATE NIL" or "INTERNALDATE "…"" that s begins with; 0: it does
 * not.
 */
static size_t date_item(struct slice s)
{
	static const char name[] = "INTERNALDATE ";
	const size_t n = sizeof name - 1;
	const char *quote;

	if (!slice_starts_nocase(s, name))
		return 0;
	s = (struct slice){ s.p + n, s.n - n };
	if (slice_starts_nocase(s, "NIL"))
		return n + 3;
	quote = s.n > 1 && s.p[0] == '"' ? memchr(s.p + 1, '"', s.n - 1) : NULL;
	return quote ? n + (size_t)(quote - s.p) + 1 : 0;
}

/*
 * A message without a date is better than none: some servers have NIL there, or what is no
 * date. Cuts the item out of a FETCH answer; false: there is none.
 */
static bool cut_date(struct frame_reader *r, struct frame *out)
{
	struct slice line = out->line;

	for (size_t i = 1; i < line.n; i++) {
		struct slice rest = { line.p + i, line.n - i };
		size_t n = strchr("( ", line.p[i - 1]) ? date_item(rest) : 0;

		if (n == 0)
			continue;
		if (n < rest.n && rest.p[n] == ' ') {
			n++;
		} else if (line.p[i - 1] == ' ') {
			i--;
			n++;
		}
		mmap_string_erase(r->text, i, n);
		out->line = (struct slice){ r->text->str, line.n - n };
		return imap_reply(out->line, &out->reply) == WIRE_DONE;
	}
	return false;
}

static enum frame_kind data_parse(struct frame_reader *r, struct frame *out)
{
	if (is_known(out->reply.text) && (parse(r) || (cut_date(r, out) && parse(r)))) {
		out->data = r->data;
		return FRAME_DATA;
	}
	r->unknown++;
	return FRAME_OTHER;
}

static int classify(struct frame_reader *r, struct frame *out, struct err *e)
{
	bool sound = imap_reply(out->line, &out->reply) == WIRE_DONE;

	if (!sound && !slice_starts_nocase(out->line, "* "))
		return fail(r, ERR_PROTOCOL, "the server sent what is no IMAP", e);
	if (sound && out->reply.kind == REPLY_CONTINUE)
		out->kind = FRAME_CONTINUE;
	else if (sound && out->reply.kind == REPLY_TAGGED)
		out->kind = FRAME_TAGGED;
	else if (sound && out->reply.status != STATUS_NONE)
		out->kind = FRAME_STATUS;
	else if (r->too_deep)
		return fail(r, ERR_PROTOCOL, "the server's answer is nested too deep", e);
	else if (r->stray_brace)
		return fail(r, ERR_PROTOCOL, "the server sent a \"{\" that announces nothing",
			    e);
	else if (sound)
		out->kind = data_parse(r, out);
	else { /* a NUL in it */
		r->unknown++;
		out->kind = FRAME_OTHER;
	}
	return 0;
}

int frame_next(struct frame_reader *r, struct frame *out, struct err *e)
{
	struct slice in;

	*out = (struct frame){ 0 };
	restart(r);
	transport_inside(r->t, false);
	if (input_wait(r, &in, e) < 0)
		return -1;
	transport_inside(r->t, true);
	if (gather(r, out, e) < 0)
		return -1;
	out->line = line_end(r);
	return classify(r, out, e);
}
