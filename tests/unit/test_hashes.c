/* Every kind of hash that people bring, and what OpenSRS is sent for it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/hashes.h"

#define DES    "ab01FAX.bQRSU"
#define MD5    "$1$abcdefgh$0YSQ1pOAnAyKHDsBFR6Qk."
#define BCRYPT "$2b$04$abcdefghijklmnopqrstuuNcTbzvHdPdLVTCHsM7mEKIK4HRDx3iq"
#define SHA256 "$5$saltsaltsaltsalt$gGUbpYI8WTsqKxyqPqUuqkqIVsO5rWYYGXbPrVQ1hB4"
#define SHA512                                                                              \
	"$6$rounds=5000$saltsaltsaltsalt$0123456789012345678901234567890123456789012345678" \
	"9012345678901234567890123456789012345"
#define SHA1_B64 "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
#define SHA1_HEX "da39a3ee5e6b4b0d3255bfef95601890afd80709"

static void good_ones(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ DES, "{CRYPT}" DES },
		{ "{CRYPT}" DES, "{CRYPT}" DES },
		{ "{DES-CRYPT}" DES, "{CRYPT}" DES },
		{ MD5, "{MD5}" MD5 },
		{ "{MD5-CRYPT}" MD5, "{MD5}" MD5 },
		{ "{MD5}" MD5, "{MD5}" MD5 },
		{ "{CRYPT}" MD5, "{MD5}" MD5 },
		{ BCRYPT, "{BCRYPT}" BCRYPT },
		{ "{BLF-CRYPT}" BCRYPT, "{BCRYPT}" BCRYPT },
		{ "{blf-crypt}" BCRYPT, "{BCRYPT}" BCRYPT },
		{ "{BCRYPT}" BCRYPT, "{BCRYPT}" BCRYPT },
		{ SHA256, "{GCRYPT}" SHA256 },
		{ "{SHA256-CRYPT}" SHA256, "{GCRYPT}" SHA256 },
		{ SHA512, "{GCRYPT}" SHA512 },
		{ "{SHA512-CRYPT}" SHA512, "{GCRYPT}" SHA512 },
		{ "{CRYPT}" SHA512, "{GCRYPT}" SHA512 },
		{ "{SHA}" SHA1_B64, "{SHA}" SHA1_B64 },
		{ "{SHA1.HEX}" SHA1_HEX, "{SHA1}" SHA1_B64 },
		{ "{SHA1.b64}" SHA1_B64, "{SHA1}" SHA1_B64 },
		{ "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk", "{SHA}" SHA1_B64 },
		{ "{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwlzYWx0",
		  "{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwlzYWx0" },
		{ "{SSHA.hex}" SHA1_HEX "73616c74", "{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwlzYWx0" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct secret got = { 0 };
		struct err e = { 0 };

		if (hash_translate(slice_of(rows[i][0]), &got, &e) < 0)
			fail_msg("%s: %s", rows[i][0], e.text);
		assert_true(slice_is(secret_slice(&got), rows[i][1]));
		secret_release(&got);
	}
}

static void bad_ones(void **state UNUSED)
{
	/* what, and what is said of it */
	static const char *const rows[][2] = {
		{ "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
		  "yescrypt" },
		{ "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "Argon2" },
		{ "{ARGON2ID}$argon2id$v=19$m=65536", "ARGON2ID" },
		{ "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$E1HizYWxBmnIH4sdPkd1UOML9t62Gf.wvNTnt5XFzs8",
		  "scrypt" },
		{ "{PBKDF2}$1$salt$1000$abc", "PBKDF2" },
		{ "{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99", "PLAIN-MD5" },
		{ "{CRAM-MD5}abc", "CRAM-MD5" },
		{ "{DIGEST-MD5}abc", "DIGEST-MD5" },
		{ "{SCRAM-SHA-256}4096,abc", "SCRAM-SHA-256" },
		{ "{NTLM}abc", "NTLM" },
		{ "{MD5}X03MO1qnZdYdgyfeuILPmQ==", "MD5 without a salt" },
		{ "$apr1$salt$abc", "Apache" },
		{ "{PLAIN}hunter2", "column password" },
		{ "{SHA}c2hvcnQ=", "no whole hash" },
		{ "{SSHA}" SHA1_B64, "no whole hash" },
		{ "{SHA}!!!!", "no whole hash" },
		{ "{SHA.HEX}zz", "no whole hash" },
		{ "$2b$04$short", "no whole hash" },
		{ "hunter2", "no kind of hash" },
		{ "", "empty" },
		{ "{SHA}a b", "blanks" },
		{ "{}", "OpenSRS takes no hashes of this kind" },
		{ "{A-NAME-THAT-IS-LONGER-THAN-ANY-OTHER-NAME}x", "a long name" },
	};
	char big[HASH_MAX + 10] = "$6$";

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct secret got = { 0 };
		struct err e = { 0 };

		assert_int_equal(hash_translate(slice_of(rows[i][0]), &got, &e), -1);
		if (!strstr(e.text, rows[i][1]) || !strstr(e.text, "remedy: "))
			fail_msg("%s: %s", rows[i][0], e.text);
		assert_null(strstr(e.text, "hunter2"));
		assert_false(secret_is_set(&got));
	}
	memset(big + 3, 'x', sizeof big - 4);
	assert_int_equal(
		hash_translate(slice_of(big), &(struct secret){ 0 }, &(struct err){ 0 }), -1);
}

/* By a column that was too short, or with what stood behind it: nobody could log in with it,
 * and nobody can try it before the user does. */
static void cut_or_grown(void **state UNUSED)
{
	static const char *const whole[] = {
		MD5,
		"$1$$"
		"0YSQ1pOAnAyKHDsBFR6Qk.",
		BCRYPT,
		"$5$rounds=656000$salt$gGUbpYI8WTsqKxyqPqUuqkqIVsO5rWYYGXbPrVQ1hB4",
		SHA256,
		SHA512,
	};

	for (size_t i = 0; i < COUNT(whole); i++) {
		size_t n = strlen(whole[i]);
		struct secret got = { 0 };
		struct err e = { 0 };
		char *bad;

		if (hash_translate(slice_of(whole[i]), &got, &e) < 0)
			fail_msg("%s: %s", whole[i], e.text);
		secret_release(&got);
		for (size_t k = 3; k < n; k++)
			if (hash_translate((struct slice){ whole[i], k }, &got, &e) == 0)
				fail_msg("%.*s", (int)k, whole[i]);
		bad = mem_printf("%s:19000:0:99999", whole[i]);
		assert_int_equal(hash_translate(slice_of(bad), &got, &e), -1);
		assert_non_null(strstr(e.text, "no whole hash of its kind"));
		bad[n] = 'x';
		bad[n + 1] = '\0';
		assert_int_equal(hash_translate(slice_of(bad), &got, &e), -1);
		mem_free(&bad);
		bad = mem_str(whole[i]);
		bad[n - 2] = '!'; /* none of crypt's alphabet */
		assert_int_equal(hash_translate(slice_of(bad), &got, &e), -1);
		mem_free(&bad);
	}
}

static void clear_text(void **state UNUSED)
{
	static const struct {
		const char *password, *says; /* NULL: it is good */
	} rows[] = {
		{ "hunter2", NULL },
		{ "!", NULL },
		{ "{half", NULL },
		{ "1234567890123456789012345678901234567890123456789012~#", NULL },
		{ "1234567890123456789012345678901234567890123456789012~#x", "not of 55" },
		{ "", "not of 0" },
		{ "two words", "character 4" },
		{ "quo\"te", "character 4" },
		{ "\303\244", "character 1" },
		{ "{SHA}x", "tag of a hash" },
		{ "xANNAx", "name" },
		{ "my.Example.COM", "name" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { 0 };
		int rc = clear_text_check(slice_of(rows[i].password), "anna@example.com", &e);

		assert_int_equal(rc, rows[i].says ? -1 : 0);
		if (rows[i].says && !strstr(e.text, rows[i].says))
			fail_msg("%s: %s", rows[i].password, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(cut_or_grown),
		cmocka_unit_test(clear_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
