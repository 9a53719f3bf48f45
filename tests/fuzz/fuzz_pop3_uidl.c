/*
 * Answers to UIDL with other ids: a map up to the first NUL, then one byte whose lowest bit
 * says whether the command had a number, then the server's bytes. What comes out does not
 * depend on the split, has as many lines, and without a map it is what went in.
 */
#include "common/uidl_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct uidl_map *make_map(const char *p, size_t n)
{
	struct uidl_map *m = NULL;
	struct buf text = { 0 };
	struct err e = { 0 };
	int64_t entries = 0;

	buf_add(&text, p, n);
	for (size_t i = 0; i < n; i++)
		entries += p[i] == '\n';
	if (uidl_map_new(&text, entries, &m, &e) < 0 && uidl_map_new(&text, 0, &m, &e) < 0)
		BUG("an empty map is one");
	return m;
}

static size_t relay(const struct uidl_map *m, struct pop3_boundary *b, const char *p, size_t n,
		    struct buf *out)
{
	size_t at = 0, took = 1;

	while (at < n && took && b->count) {
		if (uidl_is_answer(b)) {
			took = uidl_rewrite(m, b, p + at, n - at, out);
		} else {
			took = pop3_boundary_down(b, p + at, n - at);
			buf_add(out, p + at, took);
		}
		ASSERT(took <= n - at);
		at += took;
	}
	return at;
}

static struct pop3_boundary begin(bool single)
{
	struct pop3_boundary b = { .verbs = { POP3_UIDL }, .multiline = !single, .count = 1 };

	return b;
}

static size_t lines_of(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static void check_cut(const struct uidl_map *m, const char *p, size_t n, bool single,
		      size_t cut, struct slice whole, size_t took)
{
	struct pop3_boundary b = begin(single);
	struct buf out = { 0 };
	size_t at = relay(m, &b, p, cut, &out);

	at += relay(m, &b, p + at, n - at, &out);
	ASSERT(at == took && buf_len(&out) == whole.n);
	ASSERT(whole.n == 0 || memcmp(buf_slice(&out).p, whole.p, whole.n) == 0);
	buf_release(&out);
}

static void check(const struct uidl_map *m, const char *p, size_t n, bool single)
{
	struct pop3_boundary b = begin(single);
	struct buf out = { 0 };
	size_t took = relay(m, &b, p, n, &out);

	ASSERT(lines_of(buf_slice(&out)) == lines_of((struct slice){ p, took }));
	ASSERT(n - took < POP3_UIDL_LINE_MAX || b.count == 0);
	for (size_t cut = 0; cut <= n && cut < 700; cut++)
		check_cut(m, p, n, single, cut, buf_slice(&out), took);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	const char *nul = size ? memchr(p, '\0', size) : NULL;
	size_t map = nul ? (size_t)(nul - p) : size;
	struct uidl_map *m = make_map(p, map);

	if (map + 2 <= size)
		check(m, p + map + 2, size - map - 2, p[map + 1] & 1);
	uidl_map_free(&m);
	return 0;
}
