/* One form for each login, and names that are none. */
#include "tests/unit/wire_test.h"

#include "common/login_name.h"

static void check(const char *raw, struct login_name_rules rules, const char *want)
{
	char out[LOGIN_NAME_MAX + 1];

	if (login_name_normalise(slice_of(raw), &rules, out, sizeof(out)) < 0)
		fail_msg("refused \"%s\"", raw);
	assert_string_equal(out, want);
	/* what is normal stays as it is */
	assert_int_equal(login_name_normalise(slice_of(want), &rules, out, sizeof(out)), 0);
	assert_string_equal(out, want);
}

static void spellings_become_one(void **state UNUSED)
{
	const struct login_name_rules none = { 0 },
				      domain = { .default_domain = "Example.COM" },
				      fold = { .default_domain = "", .fold_local = true },
				      both = { .default_domain = "example.com",
					       .fold_local = true };

	check("anna", none, "anna");
	check("Anna", none, "Anna");
	check("Anna@Example.COM", none, "Anna@example.com");
	check("anna", domain, "anna@example.com");
	check("Anna", domain, "Anna@example.com");
	check("anna@other.org", domain, "anna@other.org");
	check("ANNA", fold, "anna");
	check("ANNA@X.ORG", fold, "anna@x.org");
	check("ANNA", both, "anna@example.com");
	check("a@b@C", none, "a@b@c");
	check("A@B@C", none, "A@B@c");
	check("anna smith", none, "anna smith");
	check("DOM\\anna", none, "DOM\\anna");
	/* only ASCII has a case here */
	check("\xc3\x84nna@\xc3\x84.de", both, "\xc3\x84nna@\xc3\x84.de");
}

static void names_that_are_none(void **state UNUSED)
{
	static const struct slice bad[] = {
		SLICE(""),	     SLICE(" anna"),
		SLICE("anna "),	     SLICE(" "),
		SLICE("an\0na"),     SLICE("anna\r"),
		SLICE("anna\n"),     SLICE("an\r\nna"),
		SLICE("\tanna"),     SLICE("an\x7fna"),
		SLICE("an\x1bna"),   SLICE("@example.com"),
		SLICE("anna@"),	     SLICE("@"),
		SLICE("an\xe4na"),   SLICE("an\xc0\x80na"),
		SLICE("an\xc2\x85"),
	};
	const struct login_name_rules rules = { .default_domain = "example.com" };
	char out[LOGIN_NAME_MAX + 1];

	for (size_t i = 0; i < COUNT(bad); i++) {
		char *p = exact(bad[i]);

		if (login_name_normalise((struct slice){ p, bad[i].n }, &rules, out,
					 sizeof(out)) == 0)
			fail_msg("took row %zu \"%s\"", i, bad[i].p);
		free(p);
	}
}

static void names_have_a_limit(void **state UNUSED)
{
	const struct login_name_rules none = { 0 }, domain = { .default_domain = "x.org" };
	char longest[LOGIN_NAME_MAX + 1], out[LOGIN_NAME_MAX + 8];
	struct slice s = { longest, LOGIN_NAME_MAX };

	memset(longest, 'a', sizeof(longest));
	assert_int_equal(login_name_normalise(s, &none, out, sizeof(out)), 0);
	assert_int_equal(strlen(out), LOGIN_NAME_MAX);
	assert_int_equal(login_name_normalise(s, &none, out, LOGIN_NAME_MAX + 1), 0);
	assert_int_equal(login_name_normalise(s, &none, out, LOGIN_NAME_MAX), -1);
	s.n++;
	assert_int_equal(login_name_normalise(s, &none, out, sizeof(out)), -1);
	/* with the domain behind it */
	s.n = LOGIN_NAME_MAX - 6;
	assert_int_equal(login_name_normalise(s, &domain, out, sizeof(out)), 0);
	s.n++;
	assert_int_equal(login_name_normalise(s, &domain, out, sizeof(out)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spellings_become_one),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(names_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
