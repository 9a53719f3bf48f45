/* Base64 as strict as it must be, and SASL PLAIN. */
#include "tests/unit/wire_test.h"

#include "common/wire/sasl.h"

/* RFC 4648 10, and some bytes that use the whole alphabet. */
static const struct {
	struct slice bytes;
	const char *text;
} pairs[] = {
	{ SLICE(""), "" },
	{ SLICE("f"), "Zg==" },
	{ SLICE("fo"), "Zm8=" },
	{ SLICE("foo"), "Zm9v" },
	{ SLICE("foob"), "Zm9vYg==" },
	{ SLICE("fooba"), "Zm9vYmE=" },
	{ SLICE("foobar"), "Zm9vYmFy" },
	{ SLICE("\0"), "AA==" },
	{ SLICE("\0\0\0"), "AAAA" },
	{ SLICE("\xff\xff\xff"), "////" },
	{ SLICE("\xfb\xef\xbe"), "++++" },
	{ SLICE("\0anna\0secret"), "AGFubmEAc2VjcmV0" },
};

static void base64_both_ways(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(pairs); i++) {
		char *out = exact(pairs[i].bytes);
		struct buf b = { 0 };
		size_t n;

		sasl_base64_encode(pairs[i].bytes, &b);
		assert_buf(&b, pairs[i].text);
		memset(out, 'x', pairs[i].bytes.n);
		assert_int_equal(
			sasl_base64_decode(slice_of(pairs[i].text), out, pairs[i].bytes.n, &n),
			0);
		assert_int_equal(n, pairs[i].bytes.n);
		assert_memory_equal(out, pairs[i].bytes.p, n);
		/* one byte less of room is too little */
		if (n) {
			assert_int_equal(
				sasl_base64_decode(slice_of(pairs[i].text), out, n - 1, &n),
				-1);
			assert_int_equal(n, 0);
		}
		free(out);
	}
}

static void base64_is_strict(void **state UNUSED)
{
	static const struct slice bad[] = {
		SLICE("Z"),	   SLICE("Zg"),	      SLICE("Zg="),	 SLICE("Zm8"),
		SLICE("Zh=="),	   SLICE("Zm9="),     SLICE("===="),	 SLICE("Z==="),
		SLICE("Zg==Zg=="), SLICE("Zg==\r\n"), SLICE("Zm9v\n"),	 SLICE(" Zm9v"),
		SLICE("Zm 9"),	   SLICE("Zm-_"),     SLICE("Zm9\0"),	 SLICE("Zm9\x80"),
		SLICE("=Zm9"),	   SLICE("Zm9v===="), SLICE("Z=m9"),	 SLICE("Zm=v"),
		SLICE("="),	   SLICE("*"),	      SLICE("Zm9vZ=g="), SLICE("Zm9,"),
	};
	char out[16];
	size_t n;

	for (size_t i = 0; i < COUNT(bad); i++) {
		char *p = exact(bad[i]);

		if (sasl_base64_decode((struct slice){ p, bad[i].n }, out, sizeof(out), &n) ==
		    0)
			fail_msg("took \"%s\"", bad[i].p);
		assert_int_equal(n, 0);
		free(p);
	}
}

/* Every single byte and pair of bytes has one text, and every prefix of a text is refused or
 * shorter. */
static void base64_has_one_text_for_each_message(void **state UNUSED)
{
	for (unsigned v = 0; v < 65536; v++) {
		char bytes[2] = { (char)(v >> 8), (char)v }, out[3], text[4];
		struct buf b = { 0 };
		size_t n;

		sasl_base64_encode((struct slice){ bytes, 2 }, &b);
		memcpy(text, buf_slice(&b).p, 4);
		assert_int_equal(sasl_base64_decode((struct slice){ text, 4 }, out, 3, &n), 0);
		assert_true(n == 2 && memcmp(out, bytes, 2) == 0);
		/* the neighbour in the alphabet differs only in bits left over */
		text[2]++;
		assert_true(sasl_base64_decode((struct slice){ text, 4 }, out, 3, &n) < 0);
		buf_release(&b);
	}
}

static void plain_is_cut_up(void **state UNUSED)
{
	static const struct slice bad[] = {
		SLICE(""),
		SLICE("anna"),
		SLICE("\0anna"),
		SLICE("\0anna\0"),
		SLICE("\0\0secret"),
		SLICE("\0\0"),
		SLICE("\0"),
		SLICE("z\0\0x"),
		SLICE("\0anna\0secret\0"),
		SLICE("\0anna\0sec\0ret"),
	};
	struct sasl_plain p;

	assert_int_equal(sasl_plain_parse(SLICE("\0anna\0secret"), &p), 0);
	assert_slice(p.authzid, "");
	assert_slice(p.authcid, "anna");
	assert_slice(p.password, "secret");
	assert_int_equal(sasl_plain_parse(SLICE("zoe\0anna\0x"), &p), 0);
	assert_slice(p.authzid, "zoe");
	assert_slice(p.authcid, "anna");
	assert_slice(p.password, "x");
	for (size_t i = 0; i < COUNT(bad); i++) {
		char *copy = exact(bad[i]);

		if (sasl_plain_parse((struct slice){ copy, bad[i].n }, &p) == 0)
			fail_msg("took row %zu", i);
		assert_null(p.password.p);
		free(copy);
	}
}

static void plain_is_written(void **state UNUSED)
{
	struct sasl_plain p = { .authcid = SLICE("anna"), .password = SLICE("secret") };
	struct buf b = { 0 };

	sasl_plain_write(&p, &b);
	assert_buf(&b, "AGFubmEAc2VjcmV0");
	p.authzid = SLICE("zoe");
	sasl_plain_write(&p, &b);
	assert_buf(&b, "em9lAGFubmEAc2VjcmV0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_both_ways),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(base64_has_one_text_for_each_message),
		cmocka_unit_test(plain_is_cut_up),
		cmocka_unit_test(plain_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
