/* Tokens of the API: the file, who is in it, and how often an address may be wrong. */
#include "admin/bearers.h"
#include "admin/strikes.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

static char dir[64], path[96];

static int set_up(void **state UNUSED)
{
	snprintf(dir, sizeof dir, "/tmp/mailferry-bearers-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/tokens", dir);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	unlink(path);
	return rmdir(dir);
}

static void put(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void expect_refused(const char *text, mode_t mode, const char *says)
{
	struct bearers t;
	struct err e = { 0 };

	put(text, mode);
	assert_int_equal(bearers_read(path, &t, &e), -1);
	assert_int_equal(t.count, 0);
	if (!strstr(e.text, says))
		fail_msg("%s", e.text);
}

static void there_and_back(void **state UNUSED)
{
	char anna[BEARER_TEXT_SIZE], bob[BEARER_TEXT_SIZE];
	struct bearers t = { 0 }, back;
	struct err e = { 0 };

	assert_int_equal(bearers_read("/nowhere/tokens", &t, &e), 0);
	assert_int_equal(t.count, 0);
	assert_int_equal(bearers_add(&t, "anna", ROLE_OPERATE, anna, &e), 0);
	assert_int_equal(bearers_add(&t, "bob", ROLE_VIEW, bob, &e), 0);
	assert_int_equal(bearers_add(&t, "anna", ROLE_VIEW, bob, &e), -1);
	assert_int_equal(bearers_add(&t, "a b", ROLE_VIEW, bob, &e), -1);
	assert_int_equal(bearers_add(&t, "", ROLE_VIEW, bob, &e), -1);
	assert_int_equal(bearers_write(path, &t, NULL, &e), 0);
	assert_int_equal(bearers_read(path, &back, &e), 0);
	assert_memory_equal(&t, &back, sizeof t);
	assert_string_equal(bearers_find(&back, slice_of(anna))->name, "anna");
	assert_int_equal(bearers_find(&back, slice_of(anna))->role, ROLE_OPERATE);
	anna[BEARER_TEXT_SIZE - 2] ^= 1;
	assert_null(bearers_find(&back, slice_of(anna)));
	assert_null(bearers_find(&back, SLICE("")));
	assert_true(bearers_remove(&back, "anna"));
	assert_false(bearers_remove(&back, "anna"));
	assert_string_equal(bearers_find(&back, slice_of(bob))->name, "bob");
}

static void bad_files(void **state UNUSED)
{
#define HASH "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	struct bearers t;
	struct err e = { 0 };

	expect_refused("", 0640, "chmod 600");
	expect_refused("", 0602, "chmod 600");
	expect_refused("# x\nanna view " HASH "\n", 0600, "line 2");
	expect_refused("anna none " HASH " 2026-11-30\n", 0600, "line 1");
	expect_refused("anna view " HASH "0 2026-11-30\n", 0600, "line 1");
	expect_refused("anna view sha256:xyz 2026-11-30\n", 0600, "line 1");
	expect_refused("a/b view " HASH " 2026-11-30\n", 0600, "line 1");
	expect_refused("a view " HASH " 2026-11-30 more\n", 0600, "line 1");
	expect_refused("a view " HASH " d\na view " HASH " d\n", 0600, "there twice");
	put("\n# none\n \na view " HASH " 2026-11-30", 0600);
	assert_int_equal(bearers_read(path, &t, &e), 0);
	assert_int_equal(t.count, 1);
}

static void a_file_is_followed(void **state UNUSED)
{
	struct bearer_file f = { 0 };
	unsigned edition;

	put("a view " HASH " 2026-11-30\n", 0600);
	bearer_file_look(&f, path);
	assert_int_equal(f.tokens.count, 1);
	edition = f.edition;
	bearer_file_look(&f, path);
	assert_int_equal(f.edition, edition);
	assert_int_equal(chmod(path, 0644), 0);
	bearer_file_look(&f, path);
	assert_int_equal(f.tokens.count, 0);
	assert_int_not_equal(f.edition, edition);
	assert_int_equal(chmod(path, 0600), 0);
	bearer_file_look(&f, path);
	assert_int_equal(f.tokens.count, 1);
	unlink(path);
	bearer_file_look(&f, path);
	assert_int_equal(f.tokens.count, 0);
}

/* A loop of links, for nobody may be root's lack of rights. */
static void a_file_that_cannot_be_read_is_told_once(void **state UNUSED)
{
	struct bearer_file f = { 0 };
	struct err e = { 0 };
	struct bearers t;

	assert_int_equal(bearers_read("/proc/self/mem", &t, &e), -1);
	assert_non_null(strstr(e.text, "Input/output error"));
	unlink(path);
	assert_int_equal(symlink(path, path), 0);
	bearer_file_look(&f, path);
	assert_int_equal(f.edition, 1);
	assert_int_equal(f.trouble, ELOOP);
	bearer_file_look(&f, path);
	assert_int_equal(f.edition, 1);
	unlink(path);
	put("a view " HASH " 2026-11-30\n", 0600);
	bearer_file_look(&f, path);
	assert_int_equal(f.tokens.count, 1);
	assert_int_equal(f.edition, 2);
	unlink(path);
}

static struct endpoint at(const char *ip)
{
	struct endpoint e = { .port = 1 };

	assert_int_equal(endpoint_set_ip(&e, slice_of(ip)), 0);
	return e;
}

static void strikes_by_address(void **state UNUSED)
{
	struct endpoint a = at("192.0.2.1"), b = at("192.0.2.2"), c = at("2001:db8::1"),
			same = at("2001:db8::2:1");
	struct strikes s = { 0 };
	char ip[32];

	clock_test_freeze();
	clock_test_advance(1000000);
	assert_int_equal(strikes_add(&s, &a, 60000), 1);
	assert_int_equal(strikes_add(&s, &a, 60000), 2);
	assert_int_equal(strikes_add(&s, &b, 60000), 1);
	assert_int_equal(strikes_add(&s, &c, 60000), 1);
	assert_int_equal(strikes_add(&s, &same, 60000), 2);
	clock_test_advance(59999);
	assert_int_equal(strikes_add(&s, &a, 60000), 3);
	clock_test_advance(1);
	assert_int_equal(strikes_add(&s, &a, 60000), 1);
	/* A crowd of addresses takes the oldest places. */
	for (int i = 0; i < 2 * STRIKES_TRACKED; i++) {
		struct endpoint one;

		snprintf(ip, sizeof ip, "198.51.%d.%d", i / 200, 1 + i % 200);
		one = at(ip);
		clock_test_advance(1);
		assert_int_equal(strikes_add(&s, &one, 60000), 1);
	}
	assert_int_equal(strikes_add(&s, &a, 60000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(a_file_is_followed),
		cmocka_unit_test(a_file_that_cannot_be_read_is_told_once),
		cmocka_unit_test(strikes_by_address),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
