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

/* ---- tokens */

#define X SASL_XOAUTH2
#define O SASL_OAUTHBEARER

static const struct {
	enum sasl_mech mech;
	struct slice message;
	const char *user; /* NULL: refused */
} tokens[] = {
	{ X, SLICE("user=anna@example.com\1auth=Bearer ya29.x\1\1"), "anna@example.com" },
	{ X, SLICE("USER=a\1AUTH=bearer t\1\1"), "a" },
	{ X, SLICE("user=a\1host=h\1auth=Bearer t\1\1"), "a" },
	{ X, SLICE("user=a=2Cb,c\1auth=Bearer t\1\1"), "a=2Cb,c" },
	{ X, SLICE("user=a\1auth=Bearer t\1"), NULL },
	{ X, SLICE("user=\1auth=Bearer t\1\1"), NULL },
	{ X, SLICE("user=a\1auth=\1\1"), NULL },
	{ X, SLICE("user=a\1\1"), NULL },
	{ X, SLICE("user=a"), NULL },
	{ X, SLICE("auth=Bearer t\1user=a\1\1"), NULL },
	{ X, SLICE("user=a\r\nb\1auth=Bearer t\1\1"), NULL },
	{ X, SLICE("user=a\1auth=Bearer t\0\1\1"), NULL },
	{ X, SLICE("n,a=a,\1auth=Bearer t\1\1"), NULL },
	{ X, SLICE(""), NULL },
	/* RFC 7628 4.1 */
	{ O,
	  SLICE("n,a=user@example.com,\1host=server.example.com\1port=143\1"
		"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
	  "user@example.com" },
	{ O, SLICE("y,a=a,\1auth=Bearer t\1\1"), "a" },
	{ O, SLICE("n,a=a=2Cb=3Dc,\1auth=Bearer t\1\1"), "a,b=c" },
	{ O, SLICE("n,a=a=2cb,\1auth=Bearer t\1\1"), NULL },
	{ O, SLICE("n,a=a=,\1auth=Bearer t\1\1"), NULL },
	{ O, SLICE("n,,\1auth=Bearer t\1\1"), NULL }, /* whose it is, only the server knows */
	{ O, SLICE("n,a=,\1auth=Bearer t\1\1"), NULL },
	{ O, SLICE("p=tls-unique,a=a,\1auth=Bearer t\1\1"), NULL },
	{ O, SLICE("n,a=a\1auth=Bearer t\1\1"), NULL },
	{ O, SLICE("n,a=a,auth=Bearer t\1\1"), NULL },
	{ O, SLICE("n,a=a,\1\1"), NULL },
	{ O, SLICE("user=a\1auth=Bearer t\1\1"), NULL },
	{ O, SLICE("\1"), NULL },
};

/* The user's name is found, and writing it back gives the same bytes. */
static void check_token(enum sasl_mech mech, struct slice message, const char *user)
{
	struct sasl_token t;
	struct buf b = { 0 };
	char name[64];
	size_t n;
	bool ok = sasl_token_parse(mech, message, &t) == 0 &&
		  sasl_token_user(mech, &t, name, sizeof name, &n) == 0;

	if (ok != (user != NULL))
		fail_msg("\"%s\": %d", message.p, ok);
	if (!ok)
		return;
	assert_slice((struct slice){ name, n }, user);
	assert_int_equal(sasl_token_user(mech, &t, name, n - 1, &n), -1);
	sasl_token_write(mech, &t, slice_of(user), &b);
	assert_int_equal(buf_len(&b), message.n);
	assert_memory_equal(buf_slice(&b).p, message.p, message.n);
	buf_release(&b);
}

static void tokens_name_their_user(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(tokens); i++) {
		char *p = exact(tokens[i].message);

		check_token(tokens[i].mech, (struct slice){ p, tokens[i].message.n },
			    tokens[i].user);
		/* cut short it is none: only whole messages end with two ^A */
		for (size_t n = 0; n < tokens[i].message.n && tokens[i].user; n++) {
			char *part = exact((struct slice){ p, n });
			struct sasl_token t;

			if (sasl_token_parse(tokens[i].mech, (struct slice){ part, n }, &t) ==
			    0)
				fail_msg("row %zu cut at %zu", i, n);
			free(part);
		}
		free(p);
	}
}

static void a_token_can_be_for_another_name(void **state UNUSED)
{
	struct slice x = SLICE("user=anna\1auth=Bearer t\1\1");
	struct slice o = SLICE("n,a=anna,\1host=h\1auth=Bearer t\1\1");
	struct sasl_token t;
	struct buf b = { 0 };

	assert_int_equal(sasl_token_parse(X, x, &t), 0);
	sasl_token_write(X, &t, SLICE("b,c"), &b);
	assert_buf(&b, "user=b,c\1auth=Bearer t\1\1");
	assert_int_equal(sasl_token_parse(O, o, &t), 0);
	sasl_token_write(O, &t, SLICE("b,c=d"), &b);
	assert_buf(&b, "n,a=b=2Cc=3Dd,\1host=h\1auth=Bearer t\1\1");
}

static void mechanisms_have_names(void **state UNUSED)
{
	for (int m = 0; m < SASL_MECHS; m++)
		assert_int_equal(sasl_mech_find(slice_of(sasl_mech_name((enum sasl_mech)m))),
				 m);
	assert_int_equal(sasl_mech_find(SLICE("xoauth2")), SASL_XOAUTH2);
	assert_int_equal(sasl_mech_find(SLICE("PLAINX")), SASL_MECHS);
	assert_int_equal(sasl_mech_find(SLICE("")), SASL_MECHS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_both_ways),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(base64_has_one_text_for_each_message),
		cmocka_unit_test(plain_is_cut_up),
		cmocka_unit_test(plain_is_written),
		cmocka_unit_test(tokens_name_their_user),
		cmocka_unit_test(a_token_can_be_for_another_name),
		cmocka_unit_test(mechanisms_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
