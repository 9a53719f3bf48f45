/* Hides: when bytes move to the front and when memory grows. */
#include "common/buf.h"

#include <strings.h>
#include <openssl/crypto.h>

struct slice slice_of(const char *s)
{
	return (struct slice){ s, s ? strlen(s) : 0 };
}

bool slice_is(struct slice s, const char *text)
{
	return s.n == strlen(text) && (s.n == 0 || memcmp(s.p, text, s.n) == 0);
}

bool slice_is_nocase(struct slice s, const char *text)
{
	return s.n == strlen(text) && (s.n == 0 || strncasecmp(s.p, text, s.n) == 0);
}

bool slice_starts_nocase(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && (n == 0 || strncasecmp(s.p, prefix, n) == 0);
}

bool slice_take_nocase(struct slice *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!slice_starts_nocase(*s, prefix))
		return false;
	*s = (struct slice){ s->p + n, s->n - n };
	return true;
}

int slice_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v) || v > max)
			return -1;
	}
	*out = v;
	return 0;
}

void buf_release(struct buf *b)
{
	free(b->at);
	*b = (struct buf){ 0 };
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->at ? b->at + b->start : "", b->end - b->start };
}

size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

char *buf_room(struct buf *b, size_t n)
{
	size_t want, len = buf_len(b);

	if (b->size - b->end >= n && b->at)
		return b->at + b->end;
	if (b->start) {
		memmove(b->at, b->at + b->start, len);
		b->start = 0;
		b->end = len;
	}
	if (b->size - len < n || !b->at) {
		if (__builtin_add_overflow(len, n, &want))
			BUG("buffer of %zu and %zu bytes", len, n);
		want = MAX(want, MAX(b->size * 2, (size_t)256));
		b->at = mem_grow(b->at, want, 1);
		b->size = want;
	}
	return b->at + b->end;
}

void buf_wrote(struct buf *b, size_t n)
{
	ASSERT(n <= b->size - b->end);
	b->end += n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), p, n);
	buf_wrote(b, n);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	vsnprintf(buf_room(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
	va_end(again);
	buf_wrote(b, (size_t)n);
}

void buf_drain(struct buf *b, size_t n)
{
	ASSERT(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void buf_wipe(struct buf *b)
{
	if (b->at)
		OPENSSL_cleanse(b->at, b->size);
	buf_release(b);
}
