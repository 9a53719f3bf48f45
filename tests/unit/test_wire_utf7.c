/* Mailbox names: modified UTF-7 both ways, and what is not canonical. */
#include "tests/unit/wire_test.h"

#include "common/wire/utf7.h"

static const struct {
	const char *wire, *utf8;
} pairs[] = {
	{ "", "" },
	{ "INBOX", "INBOX" },
	{ "a b~!\"\\/{1}", "a b~!\"\\/{1}" },
	{ "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "&-", "&" },
	{ "A&-B&-", "A&B&" },
	{ "&-&APw-&-", "&\xc3\xbc&" },
	{ "&APw--", "\xc3\xbc-" },
	/* RFC 3501 5.1.3 */
	{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
	  "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "&Jjo-!", "\xe2\x98\xba!" },
	{ "&2D3eAA-", "\xf0\x9f\x98\x80" },	      /* two surrogates */
	{ "&AKDYPd4A-", "\xc2\xa0\xf0\x9f\x98\x80" }, /* and where they are not aligned */
	{ "&2,,f,w-", "\xf4\x8f\xbf\xbf" },	      /* U+10FFFF */
	{ "&,,8-", "\xef\xbf\xbf" },
};

static void both_ways(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(pairs); i++) {
		char *wire = exact(slice_of(pairs[i].wire)),
		     *utf8 = exact(slice_of(pairs[i].utf8));
		struct buf b = { 0 };

		assert_int_equal(utf7_decode((struct slice){ wire, strlen(pairs[i].wire) }, &b),
				 0);
		assert_buf(&b, pairs[i].utf8);
		assert_int_equal(utf7_encode((struct slice){ utf8, strlen(pairs[i].utf8) }, &b),
				 0);
		assert_buf(&b, pairs[i].wire);
		free(wire);
		free(utf8);
	}
}

static void decode_wants_the_canonical_form(void **state UNUSED)
{
	static const struct slice bad[] = {
		SLICE("&"),	    SLICE("a&APw"),    SLICE("&APw"),	  SLICE("&AP-"),
		SLICE("&A-"),	    SLICE("&APx-"),    SLICE("&APwA-"),	  SLICE("&APw-&APw-"),
		SLICE("&AGE-"),	    SLICE("&ACY-"),    SLICE("&AAA-"),	  SLICE("&AAE-"),
		SLICE("&AH8-"),	    SLICE("&AIA-"),    SLICE("&AP w-"),	  SLICE("&AP/8-"),
		SLICE("&AP+8=-"),   SLICE("&2D0-"),    SLICE("&3gA-"),	  SLICE("&2D3YPQ-"),
		SLICE("&3gDYPQ-"),  SLICE("&2D0AYQ-"), SLICE("\xc3\xbc"), SLICE("a\0b"),
		SLICE("a\tb"),	    SLICE("a\r\nb"),   SLICE("a\x7f"),	  SLICE("&AP\0w-"),
		SLICE("&APw\xff-"),
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		char *p = exact(bad[i]);
		struct buf b = { 0 };

		buf_add_str(&b, "kept");
		if (utf7_decode((struct slice){ p, bad[i].n }, &b) == 0)
			fail_msg("took \"%s\"", bad[i].p);
		assert_buf(&b, "kept");
		free(p);
	}
}

static void encode_wants_utf8_without_controls(void **state UNUSED)
{
	static const struct slice bad[] = {
		SLICE("\x80"),
		SLICE("\xc3"),
		SLICE("\xc3("),
		SLICE("\xc0\xaf"),
		SLICE("\xc1\xbf"),
		SLICE("\xe0\x80\xaf"),
		SLICE("\xe0\x9f\xbf"),
		SLICE("\xed\xa0\x80"),
		SLICE("\xed\xbf\xbf"),
		SLICE("\xf0\x8f\xbf\xbf"),
		SLICE("\xf4\x90\x80\x80"),
		SLICE("\xf8\x88\x80\x80\x80"),
		SLICE("\xff"),
		SLICE("\xe2\x98"),
		SLICE("\xf0\x9f\x98"),
		SLICE("a\0b"),
		SLICE("a\nb"),
		SLICE("\x7f"),
		SLICE("\xc2\x85"),
		SLICE("ok\xfe"),
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		char *p = exact(bad[i]);
		struct buf b = { 0 };

		buf_add_str(&b, "kept");
		if (utf7_encode((struct slice){ p, bad[i].n }, &b) == 0)
			fail_msg("took row %zu", i);
		assert_buf(&b, "kept");
		free(p);
	}
}

/* Of the characters that a name may hold, each below U+3000 and every 257th above comes back.
 */
static void characters_survive(void **state UNUSED)
{
	for (uint32_t cp = 0xa0; cp <= 0x10ffff; cp += cp < 0x3000 ? 1 : 257) {
		size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		struct buf wire = { 0 }, back = { 0 };
		uint32_t v = cp, seen;
		char s[4];

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		for (size_t i = n - 1; i > 0; i--, v >>= 6)
			s[i] = (char)(0x80 | (v & 0x3f));
		s[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | v);
		assert_int_equal(utf8_next((struct slice){ s, n }, &seen), n);
		assert_int_equal(seen, cp);
		assert_int_equal(utf7_encode((struct slice){ s, n }, &wire), 0);
		assert_int_equal(utf7_decode(buf_slice(&wire), &back), 0);
		assert_true(buf_len(&back) == n && memcmp(buf_slice(&back).p, s, n) == 0);
		buf_release(&wire);
		buf_release(&back);
	}
}

static void all_of_it_is_utf8_or_not(void **state UNUSED)
{
	static const char *const good[] = { "", "a", "Entw\xc3\xbcrfe", "\xe6\x9d\xb1 \xf0\x9f\x9b\xb6" };
	/* A letter of Latin-1, one that is cut, behind a good one, overlong, a surrogate. */
	static const char *const bad[] = { "Entw\xfcrfe", "\xc3", "\xc3\xbc\xe6\x9d", "\xc0\xaf",
					   "\xed\xa0\x80", "a\xff" };

	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(utf8_is_valid(slice_of(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(utf8_is_valid(slice_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(decode_wants_the_canonical_form),
		cmocka_unit_test(encode_wants_utf8_without_controls),
		cmocka_unit_test(characters_survive),
		cmocka_unit_test(all_of_it_is_utf8_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
