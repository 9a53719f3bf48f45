/* IMAP lines, commands, strings, replies and capability lists: whatever the split, the same
 * answer. */
#include "common/wire/swallow.h"
#include "common/wire/usage.h"

#include "common/buf.h"
#include "common/mem.h"

#define LIMIT	   8192
#define SPLITS_MAX 512 /* larger inputs are not cut at every byte */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was found in a part must hold for the whole: DONE stays where it was, BAD stays bad. */
static void check_line(const char *p, size_t n)
{
	struct imap_line all, part;
	enum wire whole = imap_line(p, n, LIMIT, &all);

	ASSERT(whole != WIRE_DONE || (all.len > 0 && all.len <= n));
	for (size_t cut = 0; cut < n && n <= SPLITS_MAX; cut++) {
		enum wire w = imap_line(p, cut, LIMIT, &part);

		ASSERT(w == WIRE_MORE || w == whole);
		ASSERT(w != WIRE_DONE || (part.len == all.len && part.tail == all.tail &&
					  part.literal == all.literal));
	}
}

static void check_extent(const char *p, size_t n)
{
	struct imap_extent all, part;
	enum wire whole = imap_extent(p, n, LIMIT, &all);

	ASSERT(whole != WIRE_DONE || (all.len > 0 && all.len <= n && all.len <= LIMIT));
	for (size_t cut = 0; cut < n && n <= SPLITS_MAX; cut++) {
		enum wire w = imap_extent(p, cut, LIMIT, &part);

		ASSERT(w == WIRE_MORE || w == whole);
		ASSERT(w != WIRE_DONE || part.len == all.len);
	}
}

/* Feeds it in two parts, and what was not taken again; returns how many bytes went. */
static size_t swallow(struct imap_swallow *w, const char *p, size_t n, size_t cut,
		      enum wire *verdict)
{
	size_t gone = 0, take;

	*verdict = imap_swallow(w, p, cut, LIMIT, &take);
	ASSERT(take <= cut);
	gone = take;
	if (*verdict != WIRE_MORE)
		return gone;
	*verdict = imap_swallow(w, p + gone, n - gone, LIMIT, &take);
	ASSERT(take <= n - gone);
	return gone + take;
}

/* What is left of a refused command ends at the same byte however it came. */
static void check_swallow(const char *p, size_t n)
{
	struct imap_swallow start, w;
	enum wire whole, part;
	size_t all;

	if (imap_swallow_literal(&start, LIT_PLUS, n / 3) < 0)
		return;
	w = start;
	all = swallow(&w, p, n, n, &whole);
	ASSERT(imap_swallowing(&w) == (whole == WIRE_MORE));
	for (size_t cut = 0; cut < n && n <= SPLITS_MAX; cut++) {
		w = start;
		ASSERT(swallow(&w, p, n, cut, &part) == all || whole == WIRE_BAD);
		ASSERT(part == whole);
	}
}

static void check_command(const char *p, size_t n)
{
	struct imap_command c;
	char text[256];
	size_t len;

	if (imap_command(p, n, &c) != WIRE_DONE)
		return;
	ASSERT(c.tag.n > 0 && c.verb.n > 0);
	ASSERT(!memchr(c.tag.p, '\r', c.tag.n) && !memchr(c.tag.p, '\n', c.tag.n));
	imap_command_refused(c.verb);
	ASSERT(usage_of_imap(&c) < USAGE_BIT(USAGES));
	for (struct slice rest = c.rest; rest.n > 0;) {
		size_t before = rest.n;

		if (imap_astring(&rest, text, sizeof text, &len) != WIRE_DONE)
			break;
		ASSERT(rest.n < before && len <= sizeof text && !memchr(text, '\0', len));
	}
}

static void check_reply(const char *p, size_t n)
{
	const char *end = memchr(p, '\n', n);
	struct slice line = { p, end ? (size_t)(end - p) : n };
	struct imap_reply reply;
	struct buf out = { 0 };
	struct imap_line l;

	(void)imap_reply_line(p, n, LIMIT, &l);
	if (imap_reply(line, &reply) == WIRE_DONE)
		ASSERT(reply.kind != REPLY_TAGGED || reply.status != STATUS_NONE);
	if (imap_capability_rewrite(line, &out)) {
		struct slice s = buf_slice(&out);

		ASSERT(s.n >= 2 && memcmp(s.p + s.n - 2, "\r\n", 2) == 0);
		for (size_t cut = 0; cut < line.n && line.n <= SPLITS_MAX; cut++)
			ASSERT(imap_capability_maybe(p, cut));
	}
	buf_release(&out);
}

/* What we write as a string reads back as the same bytes. */
static void check_written(const char *p, size_t n)
{
	struct buf out = { 0 };
	struct slice rest;
	char text[SPLITS_MAX];
	size_t len;

	if (n > sizeof text || memchr(p, '\0', n))
		return;
	imap_write_astring(&out, (struct slice){ p, n }, true);
	rest = buf_slice(&out);
	ASSERT(imap_astring(&rest, text, sizeof text, &len) == WIRE_DONE);
	ASSERT(rest.n == 0 && len == n && memcmp(text, p, n) == 0);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;

	if (size == 0)
		return 0;
	check_line(p, size);
	check_extent(p, size);
	check_swallow(p, size);
	check_command(p, size);
	check_reply(p, size);
	check_written(p, size);
	return 0;
}
