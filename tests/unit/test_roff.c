/* Manual pages: what roff would take for its own comes out as it is. */
#include "tests/unit/wire_test.h"

#include "common/roff.h"

static char *written(const char *text)
{
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	roff_text(f, text);
	fclose(f);
	return out;
}

static void text_is_left_as_it_is(void **state UNUSED)
{
	static const struct {
		const char *text, *roff;
	} cases[] = {
		{ "a-b c\\d\n", "a\\-b c\\ed\n" },
		{ ".conf\n'x'\na.b\n", "\\&.conf\n\\&'x'\na.b\n" },
		{ "one\n\ntwo\n", "one\n.PP\ntwo\n" },
		{ "so:\n  x\n\n  y\nend\n", "so:\n.nf\n  x\n.PP\n  y\n.fi\nend\n" },
		{ "so:\n  x\n\nend", "so:\n.nf\n  x\n.fi\n.PP\nend\n" },
		{ "\n\n", "" },
		{ "  x", ".nf\n  x\n.fi\n" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *got = written(cases[i].text);

		assert_string_equal(got, cases[i].roff);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(text_is_left_as_it_is) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
