/* Hides: a length in digits, a colon, the bytes, a comma. */
#include "common/wire/netstring.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits and their colon; *at is behind it. */
static enum wire take_length(const char *p, size_t n, size_t max, size_t *length, size_t *at)
{
	*length = 0;
	for (*at = 0; *at < n && is_digit(p[*at]); ++*at) {
		size_t digit = (size_t)(p[*at] - '0');

		if ((*at > 0 && p[0] == '0') || digit > max || *length > (max - digit) / 10)
			return WIRE_BAD;
		*length = *length * 10 + digit;
	}
	if (*at == n)
		return WIRE_MORE;
	if (*at == 0 || p[*at] != ':')
		return WIRE_BAD;
	++*at;
	return WIRE_DONE;
}

enum wire netstring(const char *p, size_t n, size_t max, struct slice *body, size_t *len)
{
	size_t length, at;
	enum wire rc = take_length(p, n, max, &length, &at);

	if (rc != WIRE_DONE)
		return rc;
	if (n - at <= length)
		return WIRE_MORE;
	if (p[at + length] != ',')
		return WIRE_BAD;
	*body = (struct slice){ p + at, length };
	*len = at + length + 1;
	return WIRE_DONE;
}

void netstring_write(struct buf *out, struct slice body)
{
	buf_printf(out, "%zu:", body.n);
	buf_add(out, body.p, body.n);
	buf_add(out, ",", 1);
}
