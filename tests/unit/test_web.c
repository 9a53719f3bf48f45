/* The page's files are in the program, all of them, and as they are in the source tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdio.h>

#include <cmocka.h>

#include "admin/web.h"
#include "common/mem.h"

#define FOLDER	 "admin/web" /* seen from the root of the source tree */
#define FILE_MAX (1 << 20)

static void assert_same(const char *name)
{
	char *path = mem_printf("%s/%s", FOLDER, name), *url = mem_printf("/%s", name);
	char *bytes = mem_array(FILE_MAX, 1);
	FILE *f = fopen(path, "rb");
	struct web_file w;
	size_t n;

	assert_non_null(f);
	n = fread(bytes, 1, FILE_MAX, f);
	fclose(f);
	if (!web_find(url, &w))
		fail_msg("%s is not in the program", name);
	assert_int_equal(w.bytes.n, n);
	assert_memory_equal(w.bytes.p, bytes, n);
	mem_free(&bytes);
	mem_free(&url);
	mem_free(&path);
}

static void test_every_file(void **state UNUSED)
{
	DIR *d = opendir(FOLDER);
	struct dirent *at;
	int count = 0;

	if (!d)
		fail_msg("run this from the root of the source tree");
	while ((at = readdir(d)))
		if (at->d_name[0] != '.') {
			assert_same(at->d_name);
			count++;
		}
	closedir(d);
	assert_in_range(count, 10, 100);
}

static void test_types(void **state UNUSED)
{
	static const struct {
		const char *path, *type;
	} rows[] = {
		{ "/", "text/html; charset=utf-8" },
		{ "/app.js", "text/javascript; charset=utf-8" },
		{ "/style.css", "text/css; charset=utf-8" },
		{ "/icon.svg", "image/svg+xml" },
	};
	struct web_file w;

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(web_find(rows[i].path, &w));
		assert_string_equal(w.type, rows[i].type);
	}
}

static void test_nothing_else(void **state UNUSED)
{
	static const char *const paths[] = { "",	  "app.js",   "/app",	"/app.js/",
					     "/../web.c", "//app.js", "/APP.JS" };
	struct web_file w;

	for (size_t i = 0; i < COUNT(paths); i++)
		assert_false(web_find(paths[i], &w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_file),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
