/* The list of accounts: what OpenSRS is to be sent for a row, and what is said about a bad one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "sync/accounts.h"

static const struct login_name_rules rules = { .default_domain = "ex.test",
					       .fold_local = true };

static void take(const char *csv, struct accounts *out)
{
	struct sheet_errors errs;

	if (accounts_parse(slice_of(csv), "a.csv", &rules, NULL, out, &errs) < 0)
		fail_msg("%s", errs.at[0]);
}

/* The one mistake holds all these words. */
static void refuse(const char *csv, const char *const *says)
{
	struct sheet_errors errs;
	struct accounts got;

	assert_int_equal(accounts_parse(slice_of(csv), "a.csv", &rules, NULL, &got, &errs), -1);
	assert_int_equal(errs.count, 1);
	for (; *says; says++)
		if (!strstr(errs.at[0], *says))
			fail_msg("%s: not in: %s", *says, errs.at[0]);
	assert_null(strstr(errs.at[0], "hunter2"));
	sheet_errors_release(&errs);
}
#define REFUSE(csv, ...) refuse(csv, (const char *const[]){ __VA_ARGS__, NULL })

static void whole_rows(void **state UNUSED)
{
	struct accounts l;
	const struct account *a;
	char *text;

	take("name,user,quota,aliases,language,timezone,forward,keep,auto_reply,services,hash,"
	     "password\n"
	     "\"Anna \303\204\",Anna,5G,a@ex.test; B@EX.test A@ex.test,de_DE,Europe/Berlin,x@y.test,no,"
	     "\"away\\nuntil May\",imap4 pop3=disabled,ab01FAX.bQRSU,\n"
	     ",bert,1024,,,,,,,,,hunter2\n"
	     ",carl,,,,,,,,,learned,\n"
	     ",@Ex.Test,10G,more.test,,UTC,,,,webmail=suspended,,\n",
	     &l);
	assert_int_equal(l.count, 4);
	a = accounts_find(&l, "anna@ex.test");
	assert_int_equal(a->line, 2);
	assert_true(a->hashed && slice_is(secret_slice(&a->password), "{CRYPT}ab01FAX.bQRSU"));
	text = json_dumps(a->attributes, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(
		text,
		"{\"aliases\":[\"a@ex.test\",\"b@ex.test\"],\"autoresponder\":\"away\\nuntil "
		"May\",\"delivery_autoresponder\":true,\"delivery_forward\":true,"
		"\"delivery_local\":false,\"forward_recipients\":[\"x@y.test\"],\"language\":"
		"\"de_DE\",\"name\":\"Anna \303\204\",\"quota\":5368709120,\"service_imap4\":"
		"\"enabled\",\"service_pop3\":\"disabled\",\"timezone\":\"Europe/Berlin\"}");
	free(text);
	a = accounts_find(&l, "bert@ex.test");
	assert_true(!a->hashed && slice_is(secret_slice(&a->password), "hunter2"));
	a = accounts_find(&l, "carl@ex.test");
	assert_true(a->learned && !a->hashed && !secret_is_set(&a->password));
	assert_int_equal(json_object_size(a->attributes), 0);
	a = accounts_find(&l, "ex.test");
	assert_true(a->is_domain);
	assert_int_equal(json_object_size(a->attributes), 4);
	assert_null(accounts_find(&l, "dora@ex.test"));
	accounts_release(&l);
}

static void bad_rows(void **state UNUSED)
{
	REFUSE("user\nan na\n", "a.csv:2: ", "is no address");
	REFUSE("user\n.anna\n", "is no address");
	REFUSE("user\nan..na\n", "is no address");
	REFUSE("user\nanna@nodot\n", "is no address");
	REFUSE("user\n@nodot\n", "is no domain");
	REFUSE("user\nanna\n@a.test\nANNA@ex.test\n",
	       "a.csv:4: anna@ex.test is already in line 2");
	REFUSE("user,quota\nanna,5T\n", "quota: a number of bytes");
	REFUSE("user,quota\nanna,9999999999G\n", "quota: a number of bytes");
	REFUSE("user,aliases\nanna,nobody\n", "aliases: \"nobody\" is no address");
	REFUSE("user,aliases\n@a.test,x@b.test\n", "aliases: \"x@b.test\" is no domain");
	REFUSE("user,keep\nanna,no\n", "would lose the mail");
	REFUSE("user,keep,forward\nanna,maybe,x@y.test\n", "yes or no");
	REFUSE("user,services\nanna,imap5\n", "services: \"imap5\" is none");
	REFUSE("user,services\nanna,imap4=off\n", "services: \"imap4=off\" is none");
	REFUSE("user,name\n@a.test,x\n", "a domain has no name");
	REFUSE("user,password\n@a.test,hunter2\n", "a domain has no password");
	REFUSE("user,hash,password\nanna,ab01FAX.bQRSU,hunter2\n", "only one of");
	REFUSE("user,hash\nanna,$y$hunter2\n", "a.csv:2: hash: ", "yescrypt", "remedy");
	REFUSE("user,password\nanna,hunter2-anna\n", "a.csv:2: password: ", "name", "remedy");
	REFUSE("user,password\nanna,hunter2 x\n", "character 8");
	REFUSE("user,password_file\nanna,/nowhere/at/all\n", "/nowhere/at/all");
	REFUSE("user,colour\nanna,red\n",
	       "no such column \"colour\"; known: user, name, quota");
}

/* Characters count, not bytes. */
static void long_texts(void **state UNUSED)
{
	struct buf csv = { 0 };
	struct accounts l;

	buf_add_str(&csv, "user,name\nanna,");
	for (int i = 0; i < ACCOUNT_NAME_MAX; i++)
		buf_add_str(&csv, "\303\244");
	buf_add(&csv, "\0", 1);
	take(buf_slice(&csv).p, &l);
	accounts_release(&l);
	buf_drain(&csv, 0);
	csv.end--;
	buf_add(&csv, "x\0", 2);
	REFUSE(buf_slice(&csv).p, "name is longer than 512 characters");
	buf_release(&csv);
}

/* It may hold passwords. */
static void others_may_not_read_it(void **state UNUSED)
{
	char path[] = "/tmp/mailferry-accounts-XXXXXX";
	int fd = mkstemp(path);
	struct sheet_errors errs;
	struct accounts l;

	assert_true(write(fd, "user\nanna\n", 10) == 10);
	assert_int_equal(accounts_read(path, &rules, &l, &errs), 0);
	assert_int_equal(l.count, 1);
	accounts_release(&l);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(accounts_read(path, &rules, &l, &errs), -1);
	assert_non_null(strstr(errs.at[0], "remedy: chmod 600"));
	sheet_errors_release(&errs);
	unlink(path);
	assert_int_equal(accounts_read(path, &rules, &l, &errs), -1);
	sheet_errors_release(&errs);
	close(fd);
}

/* A file of which there is more than its size says, as of one that is being written. */
static void it_is_being_written(void **state UNUSED)
{
	struct sheet_errors errs;
	struct accounts l;

	assert_int_equal(accounts_read("/proc/self/environ", &rules, &l, &errs), -1);
	assert_int_equal(errs.count, 1);
	assert_non_null(strstr(errs.at[0], "it is being written just now; remedy: "));
	sheet_errors_release(&errs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_rows),	       cmocka_unit_test(bad_rows),
		cmocka_unit_test(long_texts),	       cmocka_unit_test(others_may_not_read_it),
		cmocka_unit_test(it_is_being_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
