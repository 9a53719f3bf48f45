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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
	check_dots((const char *)data, size);
	return 0;
}
