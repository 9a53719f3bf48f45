/* Session tokens that the engine remembers: the newest, as long as a worker could need it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/tokens.h"

static void keep(struct tokens *t, const char *user, const char *text, int64_t until)
{
	struct secret s = { 0 };

	secret_set(&s, text, strlen(text));
	tokens_keep(t, user, &s, until);
	secret_release(&s);
}

static void check(struct tokens *t, const char *user, int64_t now, const char *text)
{
	struct secret s = { 0 };

	tokens_find(t, user, now, &s);
	assert_true(slice_is(secret_slice(&s), text));
	secret_release(&s);
}

static void the_newest_counts(void **state UNUSED)
{
	struct tokens t = { 0 };

	check(&t, "anna", 0, "");
	keep(&t, "anna", "first", 2 * TOKENS_MARGIN_MS);
	keep(&t, "bert", "other", 2 * TOKENS_MARGIN_MS);
	keep(&t, "anna", "second", 3 * TOKENS_MARGIN_MS);
	check(&t, "anna", 0, "second");
	check(&t, "bert", 0, "other");
	tokens_release(&t);
}

static void none_ends_at_work(void **state UNUSED)
{
	struct tokens t = { 0 };

	keep(&t, "anna", "first", 2 * TOKENS_MARGIN_MS);
	check(&t, "anna", TOKENS_MARGIN_MS, "first");
	check(&t, "anna", TOKENS_MARGIN_MS + 1, "");
	check(&t, "anna", 0, ""); /* it is forgotten */
	tokens_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_counts),
		cmocka_unit_test(none_ends_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
