/* Sealed secrets: only the key's owner reads them, and damage is noticed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/seal.h"

static struct err err;
static char path[] = "/tmp/mailferry-seal-XXXXXX", hex[SEAL_HEX_SIZE];

static int make_pair(void **state UNUSED)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	assert_int_equal(seal_pair_make(path, hex, &err), 0);
	return 0;
}

static int drop_pair(void **state UNUSED)
{
	unlink(path);
	memset(path + strlen(path) - 6, 'X', 6);
	return 0;
}

static int open_key(const char *public_hex, struct seal_opener **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	assert_true(fd >= 0);
	rc = seal_opener_new(fd, path, public_hex, out, &err);
	close(fd);
	return rc;
}

static char *sealed(struct slice secret)
{
	unsigned char key[SEAL_KEY_BYTES];

	assert_int_equal(seal_key_parse(hex, key), 0);
	return seal_write(key, secret);
}

static void assert_round(struct seal_opener *o, struct slice secret)
{
	char *text = sealed(secret);
	struct secret back = { 0 };

	assert_null(memmem(text, strlen(text), secret.p, secret.n));
	assert_int_equal(seal_open(o, text, &back, &err), 0);
	assert_int_equal(secret_slice(&back).n, secret.n);
	assert_memory_equal(secret_slice(&back).p, secret.p, secret.n);
	secret_release(&back);
	free(text);
}

static void test_only_the_owner_reads(void **state UNUSED)
{
	static char longest[SECRET_MAX];
	struct seal_opener *o;

	memset(longest, 'x', sizeof longest);
	assert_int_equal(open_key(hex, &o), 0);
	assert_round(o, SLICE("secret"));
	assert_round(o, SLICE("p\xc3\xa4ss\x01"));
	assert_round(o, (struct slice){ longest, sizeof longest });
	seal_opener_free(&o);
	assert_null(o);
}

static void test_two_are_never_alike(void **state UNUSED)
{
	char *a = sealed(SLICE("secret")), *b = sealed(SLICE("secret"));

	assert_string_not_equal(a, b);
	free(a);
	free(b);
}

static void test_damage_is_noticed(void **state UNUSED)
{
	char *text = sealed(SLICE("secret"));
	struct secret back = { 0 };
	struct seal_opener *o;

	assert_int_equal(open_key(hex, &o), 0);
	text[10] = text[10] == 'A' ? 'B' : 'A';
	assert_int_equal(seal_open(o, text, &back, &err), -1);
	assert_int_equal(seal_open(o, "", &back, &err), -1);
	assert_int_equal(seal_open(o, "not base64!", &back, &err), -1);
	assert_false(secret_is_set(&back));
	seal_opener_free(&o);
	free(text);
}

static void test_keys(void **state UNUSED)
{
	unsigned char key[SEAL_KEY_BYTES];
	char other[SEAL_HEX_SIZE];
	struct seal_opener *o;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_int_equal(seal_pair_make(path, other, &err), -1); /* never over another one */
	assert_int_equal(seal_key_parse("", key), -1);
	assert_int_equal(seal_key_parse("abcd", key), -1);
	snprintf(other, sizeof other, "%s", hex);
	other[0] = 'x';
	assert_int_equal(seal_key_parse(other, key), -1);
	other[0] = hex[0] == '0' ? '1' : '0';
	assert_int_equal(open_key(other, &o), -1);
	assert_non_null(strstr(err.text, "learn.public_key"));
}

static void test_fingerprints(void **state UNUSED)
{
	assert_true(seal_fingerprint(SLICE("a")) == seal_fingerprint(SLICE("a")));
	assert_true(seal_fingerprint(SLICE("a")) != seal_fingerprint(SLICE("b")));
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_pair, drop_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_only_the_owner_reads), T(test_two_are_never_alike),
		T(test_damage_is_noticed),    T(test_keys),
		T(test_fingerprints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
