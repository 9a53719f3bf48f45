/* PROXY headers: both versions at every split, every kind of wrong, and there and back. */
#include "tests/unit/wire_test.h"

#include "common/wire/proxyproto.h"

#define V2	 "\r\n\r\n\0\r\nQUIT\n"
#define IP6_ONE	 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define IP6_TWO	 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define IP6_NONE "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define TCP4 \
	"\xc0\0\x02\x01\xcb\0\x71\x09\xdc\x04\x03\xe1" /* 192.0.2.1:56324 203.0.113.9:993 */

/* from NULL: local. */
struct good {
	struct slice in;
	int version;
	const char *from, *to;
};

static const struct good goods[] = {
	{ SLICE("PROXY TCP4 192.0.2.1 203.0.113.9 56324 993\r\n"), 1, "192.0.2.1:56324",
	  "203.0.113.9:993" },
	{ SLICE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), 1,
	  "255.255.255.255:65535", "255.255.255.255:65535" },
	{ SLICE("PROXY TCP6 2001:db8::1 2001:db8::2 0 993\r\n"), 1, "[2001:db8::1]:0",
	  "[2001:db8::2]:993" },
	{ SLICE("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 5 993\r\n"), 1, "192.0.2.1:5",
	  "[2001:db8::2]:993" },
	{ SLICE("PROXY UNKNOWN\r\n"), 1, NULL, NULL },
	{ SLICE("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  1, NULL, NULL },
	{ SLICE(V2 "\x21\x11\0\x0c" TCP4), 2, "192.0.2.1:56324", "203.0.113.9:993" },
	{ SLICE(V2 "\x21\x11\0\x12" TCP4 "\x04\0\x03\r\n\n"), 2, "192.0.2.1:56324",
	  "203.0.113.9:993" },
	{ SLICE(V2 "\x21\x21\0\x24" IP6_ONE IP6_TWO "\0\x05\x03\xe1"), 2, "[2001:db8::1]:5",
	  "[2001:db8::2]:993" },
	{ SLICE(V2 "\x20\0\0\0"), 2, NULL, NULL },
	{ SLICE(V2 "\x20\x31\0\x02xy"), 2, NULL, NULL },
	{ SLICE(V2 "\x20\x11\0\x0c" TCP4), 2, NULL, NULL },
	{ SLICE(V2 "\x21\0\0\x03xyz"), 2, NULL, NULL },
};

static enum wire read_exact(struct slice s, struct proxyproto *h, size_t *len)
{
	char *p = exact(s);
	enum wire w = proxyproto_read(p, s.n, h, len);

	free(p);
	return w;
}

static void assert_endpoint(const struct endpoint *at, const char *want)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_text(at, text);
	assert_string_equal(text, want);
}

static void good_at_every_split(void **state UNUSED)
{
	struct proxyproto h;
	size_t len;

	for (size_t i = 0; i < COUNT(goods); i++) {
		const struct good *g = &goods[i];

		for (size_t n = 0; n < g->in.n; n++)
			if (read_exact((struct slice){ g->in.p, n }, &h, &len) != WIRE_MORE)
				fail_msg("row %zu cut at %zu", i, n);
		assert_int_equal(read_exact(g->in, &h, &len), WIRE_DONE);
		assert_int_equal(len, g->in.n);
		assert_int_equal(h.version, g->version);
		assert_int_equal(h.local, g->from == NULL);
		if (g->from) {
			assert_endpoint(&h.from, g->from);
			assert_endpoint(&h.to, g->to);
		}
	}
}

/* What follows is not the header's, be it TLS, IMAP or a second header. */
static void ends_where_it_ends(void **state UNUSED)
{
	static const char *const behind[] = { "\x16\x03\x01", "\r\n", "a LOGIN",
					      "PROXY UNKNOWN\r\n" };
	struct proxyproto h;
	size_t len;

	for (size_t i = 0; i < COUNT(goods); i++)
		for (size_t k = 0; k < COUNT(behind); k++) {
			struct buf b = { 0 };

			buf_add(&b, goods[i].in.p, goods[i].in.n);
			buf_add_str(&b, behind[k]);
			assert_int_equal(read_exact(buf_slice(&b), &h, &len), WIRE_DONE);
			assert_int_equal(len, goods[i].in.n);
			buf_release(&b);
		}
}

static void bad(void **state UNUSED)
{
	static const struct slice rows[] = {
		SLICE("\0"),
		SLICE("a LOGIN x y\r\n"),
		SLICE("\x16\x03\x01"),
		SLICE("\r\n\r\n\r"),
		SLICE("PROXy"),
		SLICE("PROXY\r\n"),
		SLICE("PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
		SLICE("PROXY \r\n"),
		SLICE("PROXY UNIX\r\n"),
		SLICE("PROXY UNKNOWNX\r\n"),
		SLICE("PROXY unknown\r\n"),
		SLICE("PROXY UNKNOWN\n"),
		SLICE("PROXY UNKNOWN\rx"),
		SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
		SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n"),
		SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n"),
		SLICE("PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n"),
		SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"),
		SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
		SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 -1\r\n"),
		SLICE("PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n"),
		SLICE("PROXY TCP4 ::1 ::1 1 1\r\n"),
		SLICE("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n"),
		SLICE("PROXY TCP6 :: ::1 1 1\r\n"),
		SLICE("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n"),
		SLICE("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"),
		SLICE("PROXY UNKNOWN fffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		SLICE(V2 "\x11\x11\0\x0c" TCP4), /* version 1 in version 2's clothes */
		SLICE(V2 "\x22\x11\0\x0c" TCP4), /* no such command */
		SLICE(V2 "\x21\x31\0\x0c" TCP4), /* AF_UNIX */
		SLICE(V2 "\x21\x12\0\x0c" TCP4), /* datagrams */
		SLICE(V2 "\x21\x11\0\x0b" TCP4), /* shorter than its addresses */
		SLICE(V2 "\x21\x21\0\x0c" TCP4),
		SLICE(V2 "\x21\x21\0\x24" IP6_NONE IP6_ONE "\0\0\0\0"),
		SLICE(V2 "\x20\0\xff\xff"),
	};
	struct proxyproto h;
	size_t len;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (read_exact(rows[i], &h, &len) != WIRE_BAD)
			fail_msg("took row %zu", i);
}

/* The longest line is taken, one byte more is not, and no line without an end is waited for. */
static void line_has_a_limit(void **state UNUSED)
{
	struct buf b = { 0 };
	struct proxyproto h;
	size_t len;

	buf_add_str(&b, "PROXY UNKNOWN ");
	while (buf_len(&b) < PROXYPROTO_V1_MAX - 2)
		buf_add_str(&b, "x");
	assert_int_equal(read_exact(buf_slice(&b), &h, &len), WIRE_MORE);
	buf_add_str(&b, "\r\n");
	assert_int_equal(read_exact(buf_slice(&b), &h, &len), WIRE_DONE);
	assert_int_equal(len, PROXYPROTO_V1_MAX);
	buf_release(&b);
	buf_add_str(&b, "PROXY UNKNOWN ");
	while (buf_len(&b) < PROXYPROTO_V1_MAX - 1)
		buf_add_str(&b, "x");
	assert_int_equal(read_exact(buf_slice(&b), &h, &len), WIRE_BAD);
	buf_add_str(&b, "\r\n");
	assert_int_equal(read_exact(buf_slice(&b), &h, &len), WIRE_BAD);
	buf_release(&b);
}

static void binary_has_a_limit(void **state UNUSED)
{
	static const struct {
		size_t size;
		enum wire want;
	} rows[] = { { PROXYPROTO_V2_MAX - 16, WIRE_DONE },
		     { PROXYPROTO_V2_MAX - 15, WIRE_BAD } };
	struct proxyproto h;
	size_t len;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = { 0 };
		char size[] = { (char)(rows[i].size >> 8), (char)rows[i].size };

		buf_add(&b, V2 "\x21\x11", 14);
		buf_add(&b, size, 2);
		buf_add(&b, TCP4, 12);
		while (buf_len(&b) < 16 + rows[i].size)
			buf_add(&b, "", 1);
		assert_int_equal(read_exact(buf_slice(&b), &h, &len), rows[i].want);
		buf_release(&b);
	}
}

static struct endpoint at(const char *ip, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_int_equal(endpoint_set_ip(&e, slice_of(ip)), 0);
	return e;
}

static void written(void **state UNUSED)
{
	static const struct {
		int version;
		const char *from, *to; /* NULL: not known */
		struct slice want;
	} rows[] = {
		{ 1, "192.0.2.1", "203.0.113.9",
		  SLICE("PROXY TCP4 192.0.2.1 203.0.113.9 56324 993\r\n") },
		{ 1, "2001:db8::1", "2001:db8::2",
		  SLICE("PROXY TCP6 2001:db8::1 2001:db8::2 56324 993\r\n") },
		{ 1, "192.0.2.1", "2001:db8::2",
		  SLICE("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 993\r\n") },
		{ 1, NULL, "192.0.2.1", SLICE("PROXY UNKNOWN\r\n") },
		{ 2, "192.0.2.1", "203.0.113.9", SLICE(V2 "\x21\x11\0\x0c" TCP4) },
		{ 2, "2001:db8::1", "203.0.113.9",
		  SLICE(V2 "\x21\x21\0\x24" IP6_ONE
			   "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x09\xdc\x04\x03\xe1") },
		{ 2, "192.0.2.1", NULL, SLICE(V2 "\x20\0\0\0") },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct proxyproto h = { .version = rows[i].version }, back;
		struct buf b = { 0 };
		size_t len;

		if (rows[i].from)
			h.from = at(rows[i].from, 56324);
		if (rows[i].to)
			h.to = at(rows[i].to, 993);
		proxyproto_write(&h, &b);
		assert_int_equal(buf_len(&b), rows[i].want.n);
		assert_memory_equal(buf_slice(&b).p, rows[i].want.p, rows[i].want.n);
		assert_int_equal(read_exact(buf_slice(&b), &back, &len), WIRE_DONE);
		assert_int_equal(back.local, !rows[i].from || !rows[i].to);
		if (!back.local) {
			assert_memory_equal(&back.from, &h.from, sizeof h.from);
			assert_memory_equal(&back.to, &h.to, sizeof h.to);
		}
		buf_release(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_at_every_split),
		cmocka_unit_test(ends_where_it_ends),
		cmocka_unit_test(bad),
		cmocka_unit_test(line_has_a_limit),
		cmocka_unit_test(binary_has_a_limit),
		cmocka_unit_test(written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
