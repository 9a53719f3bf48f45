/* `mailferry sync`: which end of a pass is the one that was asked for. */
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

static void test_a_pass_that_ran_before_is_not_the_one(void **state UNUSED)
{
	char text[400] = "", *conf = conf_file();
	const char *argv[] = { "mailferry", "--config", conf, "sync", "anna" };
	FILE *out = fmemopen(text, sizeof text, "w");

	seen.awaited = 2;
	assert_int_equal(ctl_main(COUNT(argv), (char *const *)(uintptr_t)argv, out), CTL_OK);
	fclose(out);
	assert_string_equal(failure, "");
	if (!strstr(text, "anna@example.com: done in") || !strstr(text, "7 messages") ||
	    strstr(text, "failed"))
		fail_msg("%s", text);
	mem_free(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pass_that_ran_before_is_not_the_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
