/* What is sent for a row of the list, given what OpenSRS has: answer by answer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/provision.h"
#include "tests/unit/http_script.h"

#define YES    "{\"success\":true,\"audit\":\"x\"}"
#define NO(n)  "{\"success\":false,\"error_number\":" #n ",\"error\":\"no\"}"
#define DOMAIN "{\"success\":true,\"attributes\":{\"account\":\"ex.test\"}}"
#define HEAD                \
	{ 200, YES },       \
	{                   \
		200, DOMAIN \
	}
#define USER(attributes)                                                      \
	"{\"success\":true,\"type\":\"mailbox\",\"attributes\":{\"account\":" \
	"\"anna@ex.test\"," attributes "}}"

#define LIST                                                   \
	"user,name,quota,aliases,forward,keep,timezone,hash\n" \
	"anna@ex.test,Anna,1G,a@ex.test b@ex.test,x@y.test,yes,UTC,ab01FAX.bQRSU\n"
#define AS_LISTED                                                                      \
	"\"name\":\"Anna\",\"quota\":\"1073741824\",\"aliases\":[\"B@ex.test\","       \
	"\"a@ex.test\"],\"forward_recipients\":[\"x@y.test\"],\"delivery_forward\":1," \
	"\"delivery_local\":true,\"timezone\":\"UTC\""

static struct http_script server;
static struct secret learned[1];

/* What became of anna. */
struct outcome {
	int items, rc;
	enum provision_what what;
	char text[PROVISION_TEXT_MAX];
};

static void on_item(const struct provision_item *i, void *arg)
{
	struct outcome *o = arg;

	o->items++;
	if (strcmp(i->name, "anna@ex.test") != 0)
		return;
	o->what = i->what;
	snprintf(o->text, sizeof o->text, "%s", i->text);
}

static struct outcome run(const char *csv, bool create_only, const struct http_reply *replies,
			  int n)
{
	const struct login_name_rules rules = { .fold_local = true };
	struct opensrs_access access = { .connect_s = 2, .answer_s = 2, .parallel = 1 };
	struct outcome o = { 0 };
	struct provision p = {
		.create_only = create_only, .learned = learned, .fn = on_item, .arg = &o
	};
	const char *const users[] = { "anna@ex.test" };
	struct sheet_errors errs;
	struct accounts list;
	struct err e = { 0 };

	access.url = mem_printf("http://127.0.0.1:%d/api", server.port);
	access.user = mem_str("admin@shop.adm");
	secret_set(&access.secret, "x", 1);
	http_say(&server, replies, n);
	assert_int_equal(accounts_parse(slice_of(csv), "a.csv", &rules, NULL, &list, &errs), 0);
	assert_int_equal(opensrs_open(&p.api, &access, &e), 0);
	p.list = &list;
	o.rc = provision_run(&p, users, 1, &e);
	opensrs_close(&p.api);
	opensrs_access_release(&access);
	accounts_release(&list);
	return o;
}
#define RUN(csv, create_only, ...)                                  \
	run(csv, create_only, (struct http_reply[]){ __VA_ARGS__ }, \
	    (int)COUNT(((struct http_reply[]){ __VA_ARGS__ })))

static void what_is_as_listed_stays(void **state UNUSED)
{
	struct outcome o = RUN(LIST, false, HEAD, { 200, USER(AS_LISTED) });

	assert_int_equal(o.what, PROVISION_SAME);
	assert_int_equal(o.items, 2); /* the domain too */
	assert_int_equal(server.asked, 3);
}

static void only_what_differs_is_sent(void **state UNUSED)
{
	struct outcome o =
		RUN(LIST, false, HEAD,
		    { 200, USER("\"name\":\"Ann\",\"quota\":1073741824,\"aliases\":[],"
				"\"forward_recipients\":[\"x@y.test\"],\"delivery_"
				"forward\":true,\"delivery_local\":true,"
				"\"timezone\":\"UTC\"") },
		    { 200, YES });

	assert_int_equal(o.what, PROVISION_CHANGED);
	assert_string_equal(o.text,
			    "name: Ann -> Anna; aliases: nothing -> a@ex.test b@ex.test");
	assert_non_null(strstr(server.bodies[3],
			       "\"attributes\":{\"name\":\"Anna\",\"aliases\":["
			       "\"a@ex.test\",\"b@ex.test\"]}"));
	assert_null(strstr(server.bodies[3], "password\":\"{"));
}

/* A long value is cut, and no character of it: the whole would be lost with it. */
static void a_long_value_is_cut(void **state UNUSED)
{
	struct outcome o =
		RUN("user,name\nanna@ex.test,"
		    "Anna 6789012345678901234567890123456789012345678901234567890123 "
		    "\n",
		    true, HEAD,
		    { 200, USER("\"name\":\"Ann 56789012345678901234567890123456789012"
				"345678901234567\303\244\342\202\254\"") });
	json_t *text = json_string(o.text);

	assert_int_equal(o.what, PROVISION_SAME);
	assert_non_null(strstr(o.text, "4567\303\244 -> Anna 67"));
	assert_non_null(text);
	json_decref(text);
}

/* A yes without what is there is no answer: all of the list would be sent. */
static void a_yes_alone_is_not_believed(void **state UNUSED)
{
	struct outcome user = RUN(LIST, false, HEAD, { 200, YES });
	struct outcome domain = RUN(LIST, false, { 200, YES }, { 200, YES });

	assert_int_equal(user.what, PROVISION_FAILED);
	assert_non_null(strstr(user.text, "nothing of its attributes; remedy: "));
	assert_int_equal(domain.what, PROVISION_FAILED);
	assert_int_equal(server.asked, 2);
}

/* Users of a domain that is another one's name there would be made in that one, or not at all.
 */
static void a_domain_that_is_an_alias(void **state UNUSED)
{
	struct outcome o = RUN(LIST, false, { 200, YES },
			       { 200, "{\"success\":true,\"attributes\":{\"account\":"
				      "\"other.test\"}}" });

	assert_int_equal(o.what, PROVISION_FAILED);
	assert_non_null(strstr(o.text, "the domain is an alias of other.test on OpenSRS"));
	assert_int_equal(server.asked, 2);
}

/* Before the first login of a pending user: what is there is left to `mailferry provision`. */
static void create_only_changes_nothing(void **state UNUSED)
{
	struct outcome o = RUN(LIST, true, HEAD, { 200, USER("\"name\":\"Ann\"") });

	assert_int_equal(o.what, PROVISION_SAME);
	assert_non_null(strstr(o.text, "name: Ann -> Anna"));
	assert_int_equal(server.asked, 3);
}

static void seven_is_looked_at(void **state UNUSED)
{
	struct outcome ours = RUN(LIST, false, HEAD, { 200, NO(2) }, { 200, NO(7) },
				  { 200, USER(AS_LISTED) });
	struct outcome other = RUN(LIST, false, HEAD, { 200, NO(2) }, { 200, NO(7) },
				   { 200, USER("\"name\":\"Somebody\"") });
	struct outcome alias =
		RUN(LIST, false, HEAD, { 200, NO(2) }, { 200, NO(7) }, { 200, NO(2) });

	assert_int_equal(ours.what, PROVISION_CREATED);
	assert_int_equal(other.what, PROVISION_FAILED);
	assert_non_null(strstr(other.text, "the name is taken there already (error 7"));
	assert_int_equal(alias.what, PROVISION_FAILED);
	assert_non_null(strstr(alias.text, "remedy: "));
}

static void words_are_checked_before(void **state UNUSED)
{
	struct outcome o =
		RUN(LIST, false, HEAD,
		    { 200, "{\"success\":false,\"error_number\":2,\"error\":\"no\","
			   "\"metadata\":{\"options\":{\"timezone\":[\"Europe/Berlin\"]"
			   "}}}" });

	assert_int_equal(o.what, PROVISION_FAILED);
	assert_string_equal(o.text,
			    "OpenSRS knows no timezone \"UTC\"; remedy: correct it in the "
			    "list, as \"Europe/Berlin\"");
	assert_int_equal(server.asked, 3);
}

static void who_cannot_be_made(void **state UNUSED)
{
	struct outcome no_password = RUN("user\nanna@ex.test\n", false, HEAD, { 200, NO(2) });
	struct outcome no_row = RUN("user\nbert@ex.test\n", false, HEAD);
	struct outcome foreign = RUN(LIST, false, { 200, YES }, { 200, NO(9) });
	struct outcome forward = RUN(LIST, false, HEAD,
				     { 200, "{\"success\":true,\"type\":\"forward\","
					    "\"attributes\":{}}" });

	assert_non_null(strstr(no_password.text, "no password for it; remedy: "));
	assert_non_null(strstr(no_row.text, "no row for this user; remedy: "));
	assert_non_null(strstr(foreign.text, "domain ex.test: OpenSRS: get_domain ex.test: "));
	assert_non_null(strstr(forward.text, "of type forward; remedy: "));
	assert_int_equal(no_password.what, PROVISION_FAILED);
	assert_int_equal(no_row.what, PROVISION_FAILED);
	assert_int_equal(foreign.what, PROVISION_FAILED);
	assert_int_equal(forward.what, PROVISION_FAILED);
}

/* Whom the list does not know does not make a domain either: it may be a mistake of the import.
 */
static void no_domain_for_who_is_not_listed(void **state UNUSED)
{
	struct outcome o = RUN("user\nbert@other.test\n", false, { 200, YES }, { 200, NO(2) },
			       { 200, YES });

	assert_int_equal(o.what, PROVISION_FAILED);
	assert_non_null(strstr(o.text, "no row for this user; remedy: "));
	assert_int_equal(server.asked, 1);
	o = RUN("user,quota\n@ex.test,1G\n", false, { 200, YES }, { 200, NO(2) }, { 200, YES });
	assert_int_equal(o.items, 2);
	assert_int_equal(server.asked, 3);
	assert_non_null(strstr(server.paths[2], "/change_domain"));
}

/* A password that is known is tried, as the user. */
static void the_login_is_proved(void **state UNUSED)
{
	const char *clear = "user,password\nanna@ex.test,hunter2\n";
	struct outcome good =
		RUN(clear, false, HEAD, { 200, NO(2) }, { 200, YES }, { 200, YES });

	assert_int_equal(good.what, PROVISION_CREATED);
	assert_non_null(
		strstr(server.bodies[4], "\"user\":\"anna@ex.test\",\"password\":\"hunter2"));
	good = RUN(clear, false, HEAD, { 200, NO(2) }, { 200, YES }, { 200, NO(1) });
	assert_int_equal(good.what, PROVISION_FAILED);
	assert_non_null(strstr(good.text, "OpenSRS refuses its password; remedy: "));
}

/* What the user has logged in with is as good as the list's; without it he waits. */
static void learned_passwords(void **state UNUSED)
{
	const char *csv = "user,hash\nanna@ex.test,learned\n";
	struct outcome o = RUN(csv, false, HEAD, { 200, NO(2) });

	assert_int_equal(o.what, PROVISION_FAILED);
	assert_non_null(strstr(o.text, "learned for it; remedy: "));
	secret_set(learned, "my-anna-1", 9);
	o = RUN(csv, false, HEAD, { 200, NO(2) });
	assert_non_null(strstr(o.text, "learned: the password holds the user's"));
	secret_set(learned, "hunter2", 7);
	o = RUN(csv, false, HEAD, { 200, NO(2) }, { 200, YES }, { 200, YES });
	assert_int_equal(o.what, PROVISION_CREATED);
	assert_non_null(strstr(server.bodies[3], "\"password\":\"hunter2\""));
	assert_non_null(strstr(server.bodies[4], "\"password\":\"hunter2\""));
	secret_release(learned);
}

static void a_refused_administrator_ends_it(void **state UNUSED)
{
	struct outcome o = RUN(LIST, false, { 200, NO(1) });

	assert_int_equal(o.rc, -1);
	assert_int_equal(o.items, 0);
	assert_int_equal(server.asked, 1);
}

static int setup(void **state UNUSED)
{
	http_start(&server);
	return 0;
}

static int teardown(void **state UNUSED)
{
	http_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_listed_stays),
		cmocka_unit_test(only_what_differs_is_sent),
		cmocka_unit_test(a_long_value_is_cut),
		cmocka_unit_test(a_yes_alone_is_not_believed),
		cmocka_unit_test(a_domain_that_is_an_alias),
		cmocka_unit_test(create_only_changes_nothing),
		cmocka_unit_test(seven_is_looked_at),
		cmocka_unit_test(words_are_checked_before),
		cmocka_unit_test(who_cannot_be_made),
		cmocka_unit_test(no_domain_for_who_is_not_listed),
		cmocka_unit_test(the_login_is_proved),
		cmocka_unit_test(learned_passwords),
		cmocka_unit_test(a_refused_administrator_ends_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
