/* Hides: UTF-8, UTF-16 and modified base64. */
#include "common/wire/utf7.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+,";

size_t utf8_next(struct slice s, uint32_t *cp)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least; /* less would be an overlong form */
	} forms[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t k = 0; s.n && k < COUNT(forms); k++) {
		unsigned char first = (unsigned char)s.p[0];
		uint32_t v = first & (unsigned char)~forms[k].mask;

		if ((first & forms[k].mask) != forms[k].lead)
			continue;
		if (s.n < k + 1)
			return 0;
		for (size_t i = 1; i <= k; i++) {
			if (((unsigned char)s.p[i] & 0xc0) != 0x80)
				return 0;
			v = v << 6 | ((unsigned char)s.p[i] & 0x3f);
		}
		if (v < forms[k].least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
			return 0;
		*cp = v;
		return k + 1;
	}
	return 0;
}

bool utf8_is_valid(struct slice s)
{
	uint32_t cp;
	size_t n;

	while ((n = utf8_next(s, &cp)) > 0)
		s = (struct slice){ s.p + n, s.n - n };
	return s.n == 0;
}

struct slice utf8_front(struct slice s, size_t most)
{
	size_t n = MIN(s.n, most);

	while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return (struct slice){ s.p, n };
}

static void utf8_add(struct buf *out, uint32_t cp)
{
	char s[4];
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i > 1; i--) {
		s[i - 1] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	s[0] = (char)(leads[n] | cp);
	buf_add(out, s, n);
}

static bool is_direct(uint32_t cp)
{
	return cp >= 0x20 && cp <= 0x7e;
}

/* ---- to the wire */

/* A run of shifted characters: bits wait until there are six. */
struct shift {
	bool on;
	uint32_t bits;
	unsigned held; /* how many bits */
};

static void shift_digits(struct shift *s, struct buf *wire)
{
	for (; s->held >= 6; s->held -= 6)
		buf_add(wire, &alphabet[s->bits >> (s->held - 6) & 63], 1);
}

static void shift_unit(struct shift *s, uint32_t unit, struct buf *wire)
{
	if (!s->on)
		buf_add(wire, "&", 1);
	s->on = true;
	s->bits = s->bits << 16 | unit;
	s->held += 16;
	shift_digits(s, wire);
}

static void shift_end(struct shift *s, struct buf *wire)
{
	if (!s->on)
		return;
	if (s->held) {
		s->bits <<= 6 - s->held;
		s->held = 6;
		shift_digits(s, wire);
	}
	buf_add(wire, "-", 1);
	*s = (struct shift){ 0 };
}

static int encode(struct slice utf8, struct buf *wire)
{
	struct shift s = { 0 };
	uint32_t cp;

	while (utf8.n) {
		size_t n = utf8_next(utf8, &cp);

		if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			return -1;
		utf8 = (struct slice){ utf8.p + n, utf8.n - n };
		if (is_direct(cp)) {
			shift_end(&s, wire);
			buf_add_str(wire, cp == '&' ? "&-" : (char[]){ (char)cp, '\0' });
		} else if (cp < 0x10000) {
			shift_unit(&s, cp, wire);
		} else {
			shift_unit(&s, 0xd800 + ((cp - 0x10000) >> 10), wire);
			shift_unit(&s, 0xdc00 + ((cp - 0x10000) & 0x3ff), wire);
		}
	}
	shift_end(&s, wire);
	return 0;
}

/* ---- from the wire */

/* UTF-16 units to UTF-8; a high surrogate waits for its other half. */
static int unit_add(uint32_t unit, uint32_t *high, struct buf *utf8)
{
	if (*high) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return -1;
		utf8_add(utf8, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
	} else if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
	} else if (unit >= 0xdc00 && unit <= 0xdfff) {
		return -1;
	} else {
		utf8_add(utf8, unit);
	}
	return 0;
}

/* digits: between "&" and "-". Left-over bits are the caller's to find: it encodes back. */
static int decode_shift(struct slice digits, struct buf *utf8)
{
	uint32_t bits = 0, high = 0;
	unsigned held = 0;

	for (size_t i = 0; i < digits.n; i++) {
		const char *at = digits.p[i] ? strchr(alphabet, digits.p[i]) : NULL;

		if (!at)
			return -1;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		held += 6;
		if (held < 16)
			continue;
		held -= 16;
		if (unit_add(bits >> held & 0xffff, &high, utf8) < 0)
			return -1;
	}
	return high ? -1 : 0;
}

static int decode(struct slice wire, struct buf *utf8)
{
	for (size_t i = 0; i < wire.n; i++) {
		const char *end;
		size_t n;

		if (!is_direct((unsigned char)wire.p[i]))
			return -1;
		if (wire.p[i] != '&') {
			buf_add(utf8, wire.p + i, 1);
			continue;
		}
		i++;
		end = i < wire.n ? memchr(wire.p + i, '-', wire.n - i) : NULL;
		if (!end)
			return -1;
		n = (size_t)(end - wire.p) - i;
		if (n == 0)
			buf_add(utf8, "&", 1);
		else if (decode_shift((struct slice){ wire.p + i, n }, utf8) < 0)
			return -1;
		i += n;
	}
	return 0;
}

/* ---- what others call: all or nothing goes to the buffer */

int utf7_encode(struct slice utf8, struct buf *wire)
{
	struct buf b = { 0 };
	int r = encode(utf8, &b);

	if (r == 0)
		buf_add(wire, b.at, buf_len(&b));
	buf_release(&b);
	return r;
}

int utf7_decode(struct slice wire, struct buf *utf8)
{
	struct buf b = { 0 }, back = { 0 };
	int r = decode(wire, &b);

	/* Canonical is what comes back the same: no idle shift, no bits left over, no "&" in
	 * disguise. */
	if (r == 0)
		r = encode(buf_slice(&b), &back);
	if (r == 0 &&
	    (buf_len(&back) != wire.n || (wire.n && memcmp(back.at, wire.p, wire.n) != 0)))
		r = -1;
	if (r == 0)
		buf_add(utf8, b.at, buf_len(&b));
	buf_release(&b);
	buf_release(&back);
	return r;
}
