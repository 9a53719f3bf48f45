/* A report says what was found, is signed, and its page shows nothing unescaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "sync/report.h"

struct stage {
	char folder[32], *key;
	struct signer *signer;
	json_t *document;
};

static int set_up(void **state)
{
	struct stage *st = mem_new(sizeof *st);
	const uint32_t uid[SIDES] = { 9, 0 };
	struct audit_totals t = { .messages = { 3, 2 }, .same = 2, .sampled = 2 };
	struct report *r;
	struct err e = { 0 };

	snprintf(st->folder, sizeof st->folder, "/tmp/report-XXXXXX");
	assert_non_null(mkdtemp(st->folder));
	st->key = mem_printf("%s/report.key", st->folder);
	assert_int_equal(signer_open(st->key, &st->signer, &e), 0);
	t.found[AUDIT_MISSING] = 1;
	r = report_new("<anna>@example.com", "ready", AUDIT_FULL, 0, 1700000000000);
	report_folder(r, "Gr&APw-n", "Gr&APw-n", &t);
	report_finding(r, AUDIT_MISSING, "Gr&APw-n", uid);
	report_exception(r, "INBOX", 4, "too \"large\" & <odd>", "seen by <me>");
	st->document = report_finish(r, &t, 12, st->signer);
	report_free(&r);
	*state = st;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *st = *state;

	json_decref(st->document);
	signer_free(&st->signer);
	unlink(st->key);
	rmdir(st->folder);
	free(st->key);
	free(st);
	return 0;
}

static const json_t *report_of(const struct stage *st)
{
	return json_object_get(st->document, "report");
}

static void test_what_it_says(void **state)
{
	const json_t *r = report_of(*state);
	const json_t *folder = json_array_get(json_object_get(r, "folders"), 0);
	const json_t *finding = json_array_get(json_object_get(r, "findings"), 0);

	assert_string_equal(json_string_value(json_object_get(r, "grade")), "poor");
	assert_string_equal(json_string_value(json_object_get(folder, "old")), "Grün");
	assert_string_equal(json_string_value(json_object_get(finding, "what")), "missing");
	assert_int_equal(json_integer_value(json_object_get(finding, "old_uid")), 9);
	assert_null(json_object_get(finding, "new_uid"));
}

/* Saved, read again, its keys in another order: the signature still fits. */
static void test_the_signature_fits(void **state)
{
	struct stage *st = *state;
	char *text = json_dumps(st->document, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_t *again = json_loads(text, 0, NULL);
	struct err e = { 0 };

	assert_int_equal(report_check(again, NULL, &e), 0);
	assert_int_equal(report_check(again, signer_public_key(st->signer), &e), 0);
	json_decref(again);
	free(text);
}

static void test_a_change_is_noticed(void **state)
{
	struct stage *st = *state;
	struct err e = { 0 };

	json_object_set_new(json_object_get(st->document, "report"), "grade",
			    json_string("perfect"));
	assert_int_equal(report_check(st->document, NULL, &e), -1);
	assert_string_equal(e.text, "the signature does not fit: it was changed");
}

static void test_another_key_is_noticed(void **state)
{
	struct stage *st = *state;
	char other[PUBLIC_KEY_HEX + 1];
	struct err e = { 0 };

	memset(other, '0', PUBLIC_KEY_HEX);
	other[PUBLIC_KEY_HEX] = '\0';
	assert_int_equal(report_check(st->document, other, &e), -1);
	assert_non_null(strstr(e.text, "another key"));
}

static void test_the_key_lasts_and_is_ours_alone(void **state)
{
	struct stage *st = *state;
	struct signer *again;
	struct stat s;
	struct err e = { 0 };

	assert_int_equal(stat(st->key, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_int_equal(signer_open(st->key, &again, &e), 0);
	assert_string_equal(signer_public_key(again), signer_public_key(st->signer));
	signer_free(&again);
}

static void test_a_broken_key_is_named(void **state)
{
	struct stage *st = *state;
	struct signer *s;
	struct err e = { 0 };
	FILE *f = fopen(st->key, "w");

	assert_non_null(f);
	fputs("nothing\n", f);
	fclose(f);
	assert_int_equal(signer_open(st->key, &s, &e), -1);
	assert_null(s);
	assert_non_null(strstr(e.text, st->key));
}

static void test_the_page_is_escaped(void **state)
{
	struct stage *st = *state;
	struct buf b = { 0 };

	report_html(st->document, &b);
	buf_add(&b, "", 1);
	assert_non_null(strstr(buf_slice(&b).p, "<h1>&lt;anna&gt;@example.com</h1>"));
	assert_non_null(strstr(buf_slice(&b).p, "too &quot;large&quot; &amp; &lt;odd&gt;"));
	assert_null(strstr(buf_slice(&b).p, "<anna>"));
	assert_non_null(strstr(buf_slice(&b).p, "<td class=n>9</td><td></td>"));
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_signature_fits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_change_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_key_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_key_lasts_and_is_ours_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_broken_key_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_page_is_escaped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
