/* The list of users: what is taken, and each way in which a line can be wrong, with its number.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "admin/import.h"

static char dir[64];
static const struct login_name_rules rules = { "example.com", true };

static int set_up(void **state UNUSED)
{
	char path[96];
	FILE *f;

	snprintf(dir, sizeof dir, "/tmp/mailferry-import-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/pw", dir);
	f = fopen(path, "w");
	fputs("secret\n", f);
	fclose(f);
	snprintf(path, sizeof path, "%s/empty", dir);
	fclose(fopen(path, "w"));
	return 0;
}

static int tear_down(void **state UNUSED)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void take(struct slice csv, struct import_list *l)
{
	struct sheet_errors errs;

	if (import_parse(csv, "u.csv", &rules, dir, l, &errs) < 0)
		fail_msg("%s", errs.at[0]);
	assert_int_equal(errs.count, 0);
}

static void refuse(struct slice csv, const char *const *want)
{
	struct import_list l;
	struct sheet_errors errs;
	size_t n = 0;

	assert_int_equal(import_parse(csv, "u.csv", &rules, dir, &l, &errs), -1);
	assert_null(l.rows);
	for (; want[n]; n++) {
		char whole[640];

		snprintf(whole, sizeof whole, "u.csv:%s", want[n]);
		if (n >= errs.count)
			fail_msg("not reported: %s", whole);
		assert_string_equal(errs.at[n], whole);
	}
	if (errs.count > n)
		fail_msg("unexpected: %s", errs.at[n]);
	sheet_errors_release(&errs);
}
#define REFUSE(csv, ...) refuse(SLICE(csv), (const char *const[]){ __VA_ARGS__, NULL })

static void plain(void **state UNUSED)
{
	struct import_list l;

	take(SLICE("user\nAnna\nbob@Other.NET\n"), &l);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.rows[0].name, "anna@example.com");
	assert_string_equal(l.rows[0].login[SIDE_OLD], "Anna");
	assert_string_equal(l.rows[0].login[SIDE_NEW], "Anna");
	assert_null(l.rows[0].password_file[SIDE_OLD]);
	assert_null(l.rows[0].aliases);
	assert_null(l.rows[0].wave);
	assert_int_equal(l.rows[0].line, 2);
	assert_string_equal(l.rows[1].name, "bob@other.net");
	import_list_release(&l);
}

static void everything(void **state UNUSED)
{
	struct import_list l;
	char want[96];

	take(SLICE("\xef\xbb\xbfwave,new_password_file,new_login,aliases,user,old_login,old_"
		   "password_file\r\n"
		   "\r\n"
		   "\"one, \"\"a\"\"\",pw,anna.new,\"a1 ; a2;\",anna, anna.old ,none\r\n"
		   ",,,,bob,,pw"),
	     &l);
	assert_int_equal(l.count, 2);
	assert_int_equal(l.rows[0].line, 3);
	assert_string_equal(l.rows[0].wave, "one, \"a\"");
	assert_string_equal(l.rows[0].login[SIDE_OLD], "anna.old");
	assert_string_equal(l.rows[0].login[SIDE_NEW], "anna.new");
	snprintf(want, sizeof want, "%s/pw", dir);
	assert_string_equal(l.rows[0].password_file[SIDE_NEW], want);
	assert_null(l.rows[0].password_file[SIDE_OLD]);
	assert_string_equal(l.rows[0].aliases[0], "a1@example.com");
	assert_string_equal(l.rows[0].aliases[1], "a2@example.com");
	assert_null(l.rows[0].aliases[2]);
	assert_int_equal(l.rows[1].line, 4);
	assert_string_equal(l.rows[1].wave, "");
	assert_null(l.rows[1].aliases[0]);
	assert_string_equal(l.rows[1].password_file[SIDE_OLD], want);
	import_list_release(&l);
}

static void header(void **state UNUSED)
{
	const char *known =
		"1: no such column \"usr\"; known: user, old_login, old_password_file, "
		"new_login, new_password_file, wave, aliases";

	REFUSE("", "1: is empty; the first line must name the columns: user, old_login, "
		   "old_password_file, new_login, new_password_file, wave, aliases");
	REFUSE("user\n\n", "2: names no user");
	REFUSE("usr\nanna\n", known,
	       "1: the first line must name the columns, user among them");
	REFUSE("user,wave,user\n", "1: column user is there twice");
	REFUSE("user,old_password\nanna,x\n", "1: column old_password: no passwords in the "
					      "list; put each into a file of its own "
					      "and name that in old_password_file");
	REFUSE("user,new_password\n", "1: column new_password: no passwords in the list; put "
				      "each into a file of its own "
				      "and name that in new_password_file");
}

static void lines(void **state UNUSED)
{
	REFUSE("user,wave\nanna,1\nbob\ncarl,1,2\n",
	       "3: 1 fields, but the header names 2 columns",
	       "4: 3 fields, but the header names 2 columns");
	REFUSE("user,wave\n,1\n@x,2\n", "2: user \"\" is no login name",
	       "3: user \"@x\" is no login name");
	REFUSE("user,wave\nanna,a\tb\n", "2: field 2 holds a control character");
	REFUSE("user,wave\nan\0na,1\n", "2: field 1 holds a control character");
	REFUSE("user,wave\n\"an\nna\",1\nbob\n", "2: field 1 holds a control character",
	       "4: 1 fields, but the header names 2 columns");
	REFUSE("user,wave\nan\"na,1\nbob\n",
	       "2: quotes are wrong (a quote inside a field is written twice)",
	       "3: 1 fields, but the header names 2 columns");
	REFUSE("user,wave\n\"anna,1\n", "2: a quote is never closed");
	REFUSE("user,wave\nanna,"
	       "12345678901234567890123456789012345678901234567890123456789012345\n",
	       "2: wave is longer than 64 bytes");
}

static void twice(void **state UNUSED)
{
	struct import_list l;

	REFUSE("user\nanna\nbob\nANNA@example.com\nanna\n",
	       "4: anna@example.com is already in line 2",
	       "5: anna@example.com is already in line 4");
	REFUSE("user,aliases\nanna,bob\nbob,\ncarl,bob\n",
	       "3: bob@example.com is already in line 2",
	       "4: bob@example.com is already in line 3");
	REFUSE("user,aliases\nanna,@\n", "2: alias \"@\" is no login name");
	take(SLICE("user,aliases\nanna,anna@example.com\n"), &l);
	import_list_release(&l);
}

static void password_files(void **state UNUSED)
{
	char none[160], empty[160];

	snprintf(none, sizeof none,
		 "2: old_password_file: password file %s/none.txt: No such file or directory",
		 dir);
	snprintf(empty, sizeof empty,
		 "3: new_password_file: password file %s/empty: the first line is empty", dir);
	REFUSE("user,old_password_file,new_password_file\nanna,none.txt,pw\nbob,pw,empty\n",
	       none, empty);
}

static void limits(void **state UNUSED)
{
	struct buf b = { 0 };
	char want[96];

	buf_add_str(&b, "user\n");
	for (int i = 0; i <= SHEET_FIELD_MAX; i++)
		buf_add_str(&b, "x");
	buf_add_str(&b, "\n");
	snprintf(want, sizeof want, "2: field 1 is longer than %d bytes", SHEET_FIELD_MAX);
	refuse(buf_slice(&b), (const char *const[]){ want, NULL });
	buf_release(&b);

	buf_add_str(&b, "user\n\"never closed\n");
	for (int i = 0; i < 20000; i++)
		buf_add_str(&b, "anna\n");
	snprintf(want, sizeof want, "2: longer than %d bytes: a quote that is never closed?",
		 7 * 2 * SHEET_FIELD_MAX);
	refuse(buf_slice(&b), (const char *const[]){ want, NULL });
	buf_release(&b);

	REFUSE("user,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2\n",
	       "1: 33 fields; at most 32 make sense");
}

/* Too many mistakes are counted, not kept. */
static void many_mistakes(void **state UNUSED)
{
	struct sheet_errors errs;
	struct import_list l;
	struct buf b = { 0 };

	buf_add_str(&b, "user\n");
	for (int i = 0; i < SHEET_ERRORS_MAX + 7; i++)
		buf_add_str(&b, "@\n");
	assert_int_equal(import_parse(buf_slice(&b), "u.csv", &rules, dir, &l, &errs), -1);
	assert_int_equal(errs.count, SHEET_ERRORS_MAX);
	assert_int_equal(errs.more, 7);
	sheet_errors_release(&errs);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),  cmocka_unit_test(everything),
		cmocka_unit_test(header), cmocka_unit_test(lines),
		cmocka_unit_test(twice),  cmocka_unit_test(password_files),
		cmocka_unit_test(limits), cmocka_unit_test(many_mistakes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
