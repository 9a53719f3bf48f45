/* The command line: what it takes, what it refuses, and how tables look. */
#include "admin/ctl_verbs.h"
#include "admin/table.h"
#include "proxy/session.h"
#include "sync/gate.h"

#include <setjmp.h>
#include <cmocka.h>

#define PARSE(c, e, ...) parse(c, e, (const char *const[]){ "mailferry", __VA_ARGS__, NULL })

static int parse(struct ctl *c, struct err *e, const char *const *words)
{
	int n = 0;

	*c = (struct ctl){ 0 };
	err_clear(e);
	while (words[n])
		n++;
	return ctl_parse(c, n, (char *const *)words, e);
}

static void test_verbs(void **state UNUSED)
{
	struct ctl c;
	struct err e;

	assert_int_equal(PARSE(&c, &e, "cutover", "--wave", "1", "--no-wait"), 0);
	assert_string_equal(c.verb->name, "cutover");
	assert_string_equal(c.wave, "1");
	assert_true(c.no_wait);
	assert_int_equal(c.arg_count, 0);

	assert_int_equal(
		PARSE(&c, &e, "--json", "check", "config", "a.conf", "--config=b.conf"), 0);
	assert_string_equal(c.verb->name, "check config");
	assert_string_equal(c.arg[0], "a.conf");
	assert_string_equal(c.config, "b.conf");
	assert_true(c.json);

	assert_int_equal(PARSE(&c, &e, "trace", "--", "-odd@example.com"), 0);
	assert_string_equal(c.arg[0], "-odd@example.com");
}

static void test_output_that_is_lost_is_a_failure(void **state UNUSED)
{
	const char *argv[] = { "mailferry", "--help", NULL };
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	assert_int_equal(ctl_main(2, (char *const *)(uintptr_t)argv, full), CTL_FAILED);
	fclose(full);
}

static void refused(const char *text, const char *const *words)
{
	struct ctl c;
	struct err e;

	assert_int_equal(parse(&c, &e, words), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	if (!strstr(e.text, text))
		fail_msg("\"%s\" does not say \"%s\"", e.text, text);
}

#define REFUSES(text, ...) \
	refused(text, (const char *const[]){ "mailferry", __VA_ARGS__, NULL })

static void test_wrong_use(void **state UNUSED)
{
	/* A time of Latin-1 with a hard blank would be none, and the wave go at once. */
	REFUSES("--at: its value is not UTF-8", "cutover", "--wave", "1", "--at", "30\xa0"
									      "22:00");
	REFUSES("argument 2 is not UTF-8", "sync", "m\xfcller@example.com");

	REFUSES("a command is missing", "--json");
	REFUSES("no such command: cutoff", "cutoff");
	REFUSES("no such command: check", "check");
	REFUSES("no such option: --wav", "users", "--wav", "1");
	REFUSES("--wave needs a value", "users", "--wave");
	REFUSES("--json takes no value", "users", "--json=yes");
	REFUSES("status takes no --wave", "status", "--wave", "1");
	REFUSES("why needs USER", "why");
	REFUSES("too many arguments", "why", "a", "b");
	REFUSES("too many arguments", "why", "a", "b", "c", "d", "e", "f");
}

/* What may be waived is said where it is waived. */
static void test_waivable_checks_are_named(void **state UNUSED)
{
	struct ctl c;
	struct err e;
	char *names = mem_str(gate_waivable_names()), *rest = names, *name;

	assert_int_equal(PARSE(&c, &e, "waive", "anna", "uids"), 0);
	while ((name = strsep(&rest, ", ")))
		if (!strstr(c.verb->help, name))
			fail_msg("the help of waive does not name %s", name);
	mem_free(&names);
}

static void test_config_from_environment(void **state UNUSED)
{
	struct ctl c;
	struct err e;

	setenv(CTL_CONFIG_ENV, "/from/env.conf", 1);
	assert_int_equal(PARSE(&c, &e, "users"), 0);
	assert_string_equal(c.config, "/from/env.conf");
	assert_int_equal(PARSE(&c, &e, "users", "--config", "/from/option.conf"), 0);
	assert_string_equal(c.config, "/from/option.conf");
	assert_int_equal(PARSE(&c, &e, "-c", "/short.conf", "users"), 0);
	assert_string_equal(c.config, "/short.conf");
	unsetenv(CTL_CONFIG_ENV);
	assert_int_equal(PARSE(&c, &e, "users"), 0);
	assert_string_equal(c.config, CTL_CONFIG);
}

/* What a function prints, as a string; freed by the caller. */
static char *printed(int (*print)(FILE *to))
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	assert_int_equal(print(to), CTL_OK);
	fclose(to);
	return text;
}

static int print_help(FILE *to)
{
	return ctl_main(2, (char *const[]){ (char *)"mailferry", (char *)"--help", NULL }, to);
}

static const struct ctl_verb *shown_verb;

static int print_verb_help(FILE *to)
{
	char *words = mem_str(shown_verb->name), *blank = strchr(words, ' ');
	char *argv[] = { (char *)"mailferry", words, (char *)"--help", NULL, NULL };
	int argc = 3, status;

	if (blank) {
		*blank = '\0';
		argv[2] = blank + 1;
		argv[3] = (char *)"--help";
		argc = 4;
	}
	status = ctl_main(argc, argv, to);
	mem_free(&words);
	return status;
}

static int print_completion(FILE *to)
{
	char *argv[] = { (char *)"mailferry", (char *)"completion", (char *)"bash", NULL };

	return ctl_main(3, argv, to);
}

/* The command must not bring the proxy with it, so the names are there twice. */
static void test_completion_knows_the_sessions(void **state UNUSED)
{
	char *script = printed(print_completion);
	char *line = mem_str("'sessions --state') echo");

	for (int s = SESSION_PARK; s < SESSION_CLOSED; s++) {
		char *longer = mem_printf("%s%s%s", line, s == SESSION_PARK ? " \"" : " ",
					  session_state_name((enum session_state)s));

		mem_free(&line);
		line = longer;
	}
	assert_non_null(strstr(script, line));
	mem_free(&line);
	free(script);
}

static void test_help(void **state UNUSED)
{
	char *all = printed(print_help);

	assert_non_null(strstr(all, "exit status:"));
	for (size_t i = 0; i < ctl_verb_count; i++) {
		char *one;

		shown_verb = &ctl_verbs[i];
		one = printed(print_verb_help);
		assert_non_null(strstr(all, shown_verb->name));
		assert_non_null(strstr(one, "examples:"));
		assert_non_null(strstr(one, "3  the engine is not reachable"));
		free(one);
	}
	free(all);
}

static int print_table(FILE *to)
{
	struct table *t = table_new("USER|>COUNT|NOTE");

	table_cell(t, "anna");
	table_cell(t, "%d", 7);
	table_cell(t, "x\033[2Jy\n");
	table_cell(t, "jürgen");
	table_cell(t, "%d", 1234);
	table_tinted(t, TINT_BAD, "late");
	table_print(t, to, false);
	assert_int_equal(table_rows(t), 2);
	table_free(&t);
	return CTL_OK;
}

static void test_table(void **state UNUSED)
{
	char *text = printed(print_table);

	assert_string_equal(text, "USER    COUNT  NOTE\n"
				  "anna        7  x?[2Jy?\n"
				  "jürgen   1234  late\n");
	free(text);
}

static int print_in_parts(FILE *to)
{
	struct table *t = table_new("USER|>COUNT|NOTE");

	for (int i = 0; i < 2; i++) {
		table_cell(t, i ? "somebody else" : "anna");
		table_cell(t, "%d", 7 * i);
		table_cell(t, "x");
		table_print(t, to, false);
	}
	assert_int_equal(table_rows(t), 2);
	table_free(&t);
	return CTL_OK;
}

static void test_table_in_parts(void **state UNUSED)
{
	char *text = printed(print_in_parts);

	assert_string_equal(text, "USER  COUNT  NOTE\n"
				  "anna      0  x\n"
				  "somebody else      7  x\n");
	free(text);
}

static int print_coloured(FILE *to)
{
	struct table *t = table_new("A");

	table_tinted(t, TINT_GOOD, "ok");
	table_cell(t, "plain");
	table_print(t, to, true);
	table_free(&t);
	return CTL_OK;
}

static void test_colour(void **state UNUSED)
{
	char *text = printed(print_coloured);

	assert_string_equal(text, "\033[2mA\033[0m\n\033[32mok\033[0m\nplain\n");
	free(text);
}

static void test_small_texts(void **state UNUSED)
{
	char t[TEXT_SMALL];

	assert_string_equal(text_count(0, t), "0");
	assert_string_equal(text_count(999, t), "999");
	assert_string_equal(text_count(1000, t), "1,000");
	assert_string_equal(text_count(-1234567, t), "-1,234,567");
	assert_string_equal(text_count(-123, t), "-123");
	assert_string_equal(text_bytes(999, t), "999 B");
	assert_string_equal(text_bytes(1500, t), "1.5 kB");
	assert_string_equal(text_bytes(999999, t), "1.0 MB");
	assert_string_equal(text_span(-5, t), "0 ms");
	assert_string_equal(text_span(999, t), "999 ms");
	assert_string_equal(text_span(119 * 1000, t), "119 s");
	assert_string_equal(text_span(120 * 1000, t), "2 min");
	assert_string_equal(text_span(49LL * 3600 * 1000, t), "2 d");
	assert_string_equal(text_bar(0, 0, t), "[........................]");
	assert_string_equal(text_bar(1, 2, t), "[############............]");
	assert_string_equal(text_bar(9, 2, t), "[########################]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_output_that_is_lost_is_a_failure),
		cmocka_unit_test(test_wrong_use),
		cmocka_unit_test(test_waivable_checks_are_named),
		cmocka_unit_test(test_config_from_environment),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_completion_knows_the_sessions),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_in_parts),
		cmocka_unit_test(test_colour),
		cmocka_unit_test(test_small_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
