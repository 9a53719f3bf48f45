/* POP3 lines, commands and replies, and the dot that ends an answer, whatever the split. */
#include "common/wire/pop3.h"

#include "common/mem.h"

#define LIMIT 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice first_line(const char *p, size_t n)
{
	size_t len;

	if (pop3_line(p, n, LIMIT, &len) != WIRE_DONE)
		return (struct slice){ p, 0 };
	ASSERT(len > 0 && len <= n && len <= LIMIT);
	len--;
	if (len > 0 && p[len - 1] == '\r')
		len--;
	return (struct slice){ p, len };
}

/* In one piece and byte by byte the dot is found at the same place. */
static void check_dots(const char *p, size_t n)
{
	struct pop3_dots whole = { 0 }, bytes = { 0 };
	bool done = false, done_too = false;
	size_t end = pop3_dots_feed(&whole, p, n, &done), at = 0;

	ASSERT(end <= n && (done || end == n));
	while (at < n && !done_too)
		at += pop3_dots_feed(&bytes, p + at, 1, &done_too);
	ASSERT(at == end && done == done_too);
}

/* A message comes out the same in one piece and byte by byte; where there is no bare LF, it
 * ends where pop3_dots says. */
static size_t read_body(struct pop3_body *b, const char *p, size_t n, size_t most,
			struct buf *to, bool *done)
{
	size_t at = 0;

	for (*done = false; at < n && !*done;) {
		struct slice out;
		size_t eaten = pop3_body_feed(b, p + at, MIN(n - at, most), &out, done);

		ASSERT(eaten <= MIN(n - at, most) && (eaten || out.n));
		buf_add(to, out.p, out.n);
		at += eaten;
	}
	ASSERT(b->size == buf_len(to));
	return at;
}

static bool has_bare_lf(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			return true;
	return false;
}

static void check_body(const char *p, size_t n, uint64_t expected)
{
	struct pop3_body whole = { .expected = expected, .lf = expected % 2 }, bytes = whole;
	struct pop3_dots dots = { 0 };
	struct buf a = { 0 }, b = { 0 };
	bool done, done_too, dots_done = false;
	size_t end = read_body(&whole, p, n, SIZE_MAX, &a, &done);

	ASSERT(read_body(&bytes, p, n, 1, &b, &done_too) == end && done == done_too);
	ASSERT(buf_len(&a) == buf_len(&b));
	ASSERT(!buf_len(&a) || memcmp(buf_slice(&a).p, buf_slice(&b).p, buf_len(&a)) == 0);
	if (!has_bare_lf(p, n) && n)
		ASSERT(pop3_dots_feed(&dots, p, n, &dots_done) == end && dots_done == done);
	buf_release(&a);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t number;
	struct slice rest;
	struct slice line;
	struct pop3_command c;
	struct pop3_reply r;

	if (size == 0)
		return 0;
	line = first_line((const char *)data, size);
	if (pop3_command(line, &c) == WIRE_DONE) {
		ASSERT(c.name.n > 0 && c.verb < POP3_VERBS && c.name.n + c.args.n <= line.n);
		(void)pop3_is_multiline(&c);
	}
	if (pop3_reply(line, &r) == WIRE_DONE)
		ASSERT(r.code.n + r.text.n <= line.n);
	if (pop3_listed(line, &number, &rest) == WIRE_DONE)
		ASSERT(number > 0 && rest.n > 0 && rest.n < line.n);
	check_dots((const char *)data, size);
	check_body((const char *)data + 1, size - 1, data[0] % 16);
	return 0;
}
