/* Commands that wait: which end is the one that was asked for, and where none will come. */
#include "api_stage.h"

#include "admin/ctl.h"

static const char conf_text[] = "listener \"imap\" { protocol = imap port = 0 tls = none }\n"
				"backend \"old\" { host = \"127.0.0.1\" }\n"
				"backend \"new\" { host = \"127.0.0.1\" }\n"
				"users { default_domain = example.com }\n"
				"tls { allow_cleartext = yes }\n"
				"run { dir = \".\" }\n";

static char *conf_file(void)
{
	char *path = mem_printf("%s/mailferry.conf", dir);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(conf_text, f);
	fclose(f);
	return path;
}

/* Runs it to its end; what it has printed. */
static const char *run(int status, const char *verb, const char *one, const char *two)
{
	static char text[800];
	char *conf = conf_file();
	const char *argv[] = { "mailferry", "--config", conf, verb, one, two, NULL };
	FILE *out = fmemopen(memset(text, 0, sizeof text), sizeof text, "w");

	assert_int_equal(ctl_main(two ? 6 : 5, (char *const *)(uintptr_t)argv, out), status);
	fclose(out);
	assert_string_equal(failure, "");
	mem_free(&conf);
	return text;
}

static void test_a_pass_that_ran_before_is_not_the_one(void **state UNUSED)
{
	const char *text;

	seen.awaited = 2;
	text = run(CTL_OK, "sync", "anna", NULL);
	if (!strstr(text, "anna@example.com: done in") || !strstr(text, "7 messages") ||
	    strstr(text, "failed"))
		fail_msg("%s", text);
}

static void test_a_comparison_that_is_forgotten_ends(void **state UNUSED)
{
	const char *text = run(CTL_FAILED, "verify", "--wave", "1");

	if (!strstr(text, "bob@example.com: perfect") ||
	    !strstr(text, "anna@example.com: failed: nothing is known") || strstr(text, "late@"))
		fail_msg("%s", text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pass_that_ran_before_is_not_the_one),
		cmocka_unit_test(test_a_comparison_that_is_forgotten_ends),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
