/* ID and XCLIENT: what clients write, RFC 2971's limits, and claims that must not pass. */
#include "tests/unit/wire_test.h"

#include "common/wire/imap_id.h"
#include "common/wire/xclient.h"

/* "field=value;field=NIL;" of a whole argument, "BAD" where it breaks. */
static void read_all(const char *args, struct buf *out)
{
	char *p = exact(slice_of(args));
	struct slice pairs = { "", 0 };
	struct imap_id_pair pair;
	enum wire w = imap_id_open((struct slice){ p, strlen(args) }, &pairs);

	while (w == WIRE_DONE && (w = imap_id_next(&pairs, &pair)) == WIRE_DONE)
		buf_printf(out, "%.*s=%.*s;", (int)pair.field.n, pair.field.p,
			   pair.nil ? 3 : (int)pair.value.n, pair.nil ? "NIL" : pair.value.p);
	if (w == WIRE_BAD)
		buf_add_str(out, "BAD");
	free(p);
}

static void arguments(void **state UNUSED)
{
	static const struct {
		const char *args, *want;
	} rows[] = {
		{ "NIL", "" },
		{ "nil", "" },
		{ "()", "" },
		{ "( )", "" },
		{ "(\"name\" \"Thunderbird\")", "name=Thunderbird;" },
		{ "(\"name\" \"a b\" \"os\" NIL)", "name=a b;os=NIL;" },
		{ "(\"name\" \"NIL\")", "name=NIL;" },
		{ "(\"os\" nil \"os\" NILS)", "os=NIL;os=NILS;" },
		{ "(\"name\" \"\")", "name=;" },
		{ "(\"na\\\"me\" \"a\\\\b)\")", "na\"me=a\\b);" },
		{ "({4}\r\nname {3+}\r\na\"b)", "name=a\"b;" },
		{ "(name Mail)", "name=Mail;" },
		{ "", "BAD" },
		{ "(", "BAD" },
		{ ")", "BAD" },
		{ "\"name\" \"x\"", "BAD" },
		{ "(\"name\")", "BAD" },
		{ "(\"name\" \"x)", "BAD" },
		{ "(\"name\" \"x\" \"y\")", "name=x;BAD" },
		{ "(\"name\"\"x\")", "BAD" },
		{ "((\"name\" \"x\"))", "BAD" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out = { 0 };

		read_all(rows[i].args, &out);
		assert_buf(&out, rows[i].want);
	}
}

static bool add(struct imap_id_list *list, const char *field, const char *value)
{
	struct slice v = slice_of(value);

	return imap_id_add(list, slice_of(field), value ? &v : NULL);
}

static void written(void **state UNUSED)
{
	struct imap_id_list list = { 0 };

	assert_true(add(&list, "name", "a \"b\" \\"));
	assert_true(add(&list, "os", NULL));
	assert_true(add(&list, "vendor", ""));
	assert_false(add(&list, "NAME", "again"));
	assert_false(add(&list, "", "x"));
	assert_false(add(&list, "a", "\r\nz LOGOUT"));
	assert_false(add(&list, "a\nb", "x"));
	assert_false(add(&list, "a", "\303\244"));
	assert_int_equal(list.count, 3);
	assert_buf(&list.text, "\"name\" \"a \\\"b\\\" \\\\\" \"os\" NIL \"vendor\" \"\"");
}

static void limits(void **state UNUSED)
{
	struct imap_id_list list = { 0 };
	char text[IMAP_ID_VALUE_MAX + 2], name[IMAP_ID_FIELD_MAX + 2];

	memset(text, 'v', sizeof text);
	memset(name, 'n', sizeof name);
	text[IMAP_ID_VALUE_MAX + 1] = name[IMAP_ID_FIELD_MAX + 1] = '\0';
	assert_false(add(&list, "a", text));
	assert_false(add(&list, name, "v"));
	text[IMAP_ID_VALUE_MAX] = name[IMAP_ID_FIELD_MAX] = '\0';
	assert_true(add(&list, name, text));
	assert_false(add(&list, "whole", text)); /* IMAP_ID_LIST_MAX */
	for (unsigned i = 1; i < IMAP_ID_PAIRS_MAX; i++) {
		snprintf(name, sizeof name, "f%u", i);
		assert_true(add(&list, name, "v"));
	}
	assert_false(add(&list, "one-more", "v"));
	assert_true(buf_len(&list.text) <= IMAP_ID_LIST_MAX);
	buf_release(&list.text);
}

static void claims(void **state UNUSED)
{
	static const struct {
		const char *args;
		bool may;
	} rows[] = {
		{ "NIL", false },
		{ "(\"name\" \"Outlook-x-y\")", false },
		{ "(\"name\" \"max-x\")", false },
		{ "(\"x-originating-ip\" \"1.2.3.4\")", true },
		{ "(\"name\" \"a\" \"X-Proxy-TTL\" \"9\")", true },
		{ "(x-session-id a)", true },
		{ "(\"name\" x-y)", true },
		{ "({16}", true },
		{ "(\"name\" {4+}", true },
		{ "", false },
		{ "(\"x", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(slice_of(rows[i].args));

		if (imap_id_may_claim((struct slice){ p, strlen(rows[i].args) }) != rows[i].may)
			fail_msg("%s", rows[i].args);
		free(p);
	}
	assert_true(imap_id_is_claim(SLICE("X-Originating-IP")));
	assert_false(imap_id_is_claim(SLICE("xyz")));
	assert_false(imap_id_is_claim(SLICE("name-x-")));
}

static void xclient_words(void **state UNUSED)
{
	struct slice args = SLICE("ADDR=192.0.2.1  PORT= SESSION=a=b "), name, value;

	assert_int_equal(xclient_next(&args, &name, &value), WIRE_DONE);
	assert_slice(name, "ADDR");
	assert_slice(value, "192.0.2.1");
	assert_int_equal(xclient_next(&args, &name, &value), WIRE_DONE);
	assert_slice(name, "PORT");
	assert_slice(value, "");
	assert_int_equal(xclient_next(&args, &name, &value), WIRE_DONE);
	assert_slice(value, "a=b");
	assert_int_equal(xclient_next(&args, &name, &value), WIRE_MORE);
	args = SLICE("ADDR");
	assert_int_equal(xclient_next(&args, &name, &value), WIRE_BAD);
	args = SLICE("=x");
	assert_int_equal(xclient_next(&args, &name, &value), WIRE_BAD);
	args = SLICE("");
	assert_int_equal(xclient_next(&args, &name, &value), WIRE_MORE);
}

static void xclient_written(void **state UNUSED)
{
	struct buf line = { 0 };
	char text[XCLIENT_LINE_MAX];

	buf_add_str(&line, "XCLIENT");
	assert_true(xclient_add(&line, "ADDR", "2001:db8::1"));
	assert_false(xclient_add(&line, "SESSION", "a b"));
	assert_false(xclient_add(&line, "SESSION", "a\r\nQUIT"));
	memset(text, 's', sizeof text);
	text[sizeof text - 1 - buf_len(&line) - strlen(" SESSION=\r\n")] = '\0';
	assert_true(xclient_add(&line, "SESSION", text));
	assert_true(buf_len(&line) + 2 <= XCLIENT_LINE_MAX);
	assert_false(xclient_add(&line, "A", ""));
	buf_release(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),	 cmocka_unit_test(written),
		cmocka_unit_test(limits),	 cmocka_unit_test(claims),
		cmocka_unit_test(xclient_words), cmocka_unit_test(xclient_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
