/* OpenSRS's Mail API: the shapes that are known, verbatim; what is tried again and what never; what people read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>

#include "config/opensrs_address.h"
#include "sync/opensrs.h"
#include "sync/pull_trace.h"
#include "tests/unit/http_script.h"

#define SHAPES "tests/fakes/opensrs/shapes"
#define SECRET "admin-secret-7351"
#define YES    "{\"success\":true,\"audit\":\"x\"}"

static struct http_script server;
static struct opensrs_access access_to;
static struct opensrs *api;

static int setup(void **state UNUSED)
{
	struct err e;

	http_start(&server);
	access_to = (struct opensrs_access){ .connect_s = 2, .answer_s = 2, .parallel = 2 };
	access_to.url = mem_printf("http://127.0.0.1:%d/api", server.port);
	access_to.user = mem_str("admin@shop.adm");
	secret_set(&access_to.secret, SECRET, strlen(SECRET));
	return opensrs_open(&api, &access_to, &e);
}

static int teardown(void **state UNUSED)
{
	opensrs_close(&api);
	opensrs_access_release(&access_to);
	http_stop(&server);
	return 0;
}

/* Every test has connections of its own. */
static void say(const struct http_reply *replies, int n)
{
	struct err e;

	opensrs_close(&api);
	http_say(&server, replies, n);
	assert_int_equal(opensrs_open(&api, &access_to, &e), 0);
}

static struct opensrs_call run(enum opensrs_method m, const char *about)
{
	struct opensrs_call c = opensrs_call(m, about);

	opensrs_run(api, &c, 1, NULL, NULL);
	return c;
}

/* ---- shapes */

static enum opensrs_method method_of(const char *name)
{
	int m = 0;

	while (m < OPENSRS_METHODS && strcmp(opensrs_method_name((enum opensrs_method)m), name))
		m++;
	assert_true(m < OPENSRS_METHODS);
	return (enum opensrs_method)m;
}

/* The parameters of the shape put into a call, as its users do. */
static void check_case(const char *method, json_t *shape)
{
	json_t *request = json_deep_copy(json_object_get(shape, "request")), *sent;
	json_t *shown = json_object_get(shape, "answer");
	struct http_reply reply = { 200, json_dumps(shown, JSON_COMPACT) };
	struct opensrs_call c = opensrs_call(method_of(method), NULL);
	bool success = json_is_true(json_object_get(shown, "success"));
	int64_t number = OPENSRS_NONE;
	char *path = mem_printf("/api/%s", method);

	json_object_update(c.body, request);
	json_object_del(c.body, "credentials");
	say(&reply, 1);
	opensrs_run(api, &c, 1, NULL, NULL);
	assert_int_equal(server.asked, 1);
	assert_string_equal(server.paths[0], path);
	sent = json_loads(server.bodies[0], 0, NULL);
	json_object_set_new(json_object_get(request, "credentials"), "password",
			    json_string(SECRET));
	assert_true(json_equal(sent, request));
	assert_true(json_equal(c.answer, shown));
	assert_int_equal(c.ok, success);
	if (!success)
		assert_int_equal(
			opensrs_number(json_object_get(shown, "error_number"), &number), 0);
	assert_int_equal(c.number, number);
	json_decref(sent);
	json_decref(request);
	opensrs_call_release(&c);
	mem_free(&path);
	free((char *)(uintptr_t)reply.body);
}

static void shapes(void **state UNUSED)
{
	DIR *d = opendir(SHAPES);
	struct dirent *f;
	int files = 0;

	assert_non_null(d);
	while ((f = readdir(d))) {
		char *path = mem_printf(SHAPES "/%s", f->d_name);
		json_t *shape = json_load_file(path, 0, NULL), *one;
		size_t i;

		json_array_foreach (json_object_get(shape, "cases"), i, one)
			check_case(opensrs_text(shape, "method"), one);
		files += shape != NULL;
		json_decref(shape);
		mem_free(&path);
	}
	closedir(d);
	assert_int_equal(files, 13);
}

static void who_it_is_about(void **state UNUSED)
{
	static const struct http_reply yes = { 200, YES };
	struct opensrs_call c;

	say(&yes, 1);
	c = run(OPENSRS_GET_USER, "anna@example.com");
	assert_non_null(strstr(server.bodies[0], "\"user\":\"anna@example.com\""));
	opensrs_call_release(&c);
}

/* ---- what people read */

static void refuse(int number, struct err *e)
{
	char *text = mem_printf("{\"success\":false,\"error_number\":\"%d\",\"error\":\"no\\u0007\","
				"\"hints\":{\"quota\":\"too much\",\"password\":\"is hunter2\"}}",
				number);
	json_t *answer;
	bool again;
	int got;

	assert_int_equal(opensrs_judge(200, slice_of(text), &answer, &got, &again, e), -1);
	assert_int_equal(got, number);
	assert_int_equal(again, number == 0);
	json_decref(answer);
	mem_free(&text);
}

static void every_number_has_a_remedy(void **state UNUSED)
{
	char before[ERR_TEXT_MAX] = "";
	struct err e = { 0 };

	for (int i = 0; i <= 12; i++) {
		refuse(i, &e);
		assert_non_null(strstr(e.text, "remedy: "));
		assert_non_null(strstr(e.text, "\"no?\"; quota: too much"));
		assert_null(strstr(e.text, "hunter2"));
		assert_string_not_equal(e.text, before);
		snprintf(before, sizeof before, "%s", e.text);
		assert_int_equal(e.kind, i == 0 ? ERR_TEMP : i == 1 ? ERR_AUTH : ERR_INPUT);
	}
}

static void what_is_no_answer(void **state UNUSED)
{
	static const struct {
		long status;
		const char *body;
		bool again;
	} cases[] = {
		{ 500, YES, true },	{ 503, "", true },	   { 404, YES, false },
		{ 400, "", false },	{ 301, YES, false },	   { 200, "", true },
		{ 200, "<html>", true },  { 200, "{\"succ", true }, { 200, "[1]", true },
		{ 200, "{}", true },	{ 200, "{\"success\":false}", false },
		{ 200, "{\"success\":false,\"error_number\":-4}", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { 0 };
		json_t *answer;
		bool again;
		int number;

		assert_int_equal(opensrs_judge(cases[i].status, slice_of(cases[i].body),
					       &answer, &number, &again, &e),
				 -1);
		assert_int_equal(again, cases[i].again);
		assert_int_equal(number, OPENSRS_NONE);
		assert_non_null(strstr(e.text, "remedy: "));
		json_decref(answer);
	}
}

static void numbers_come_as_texts_too(void **state UNUSED)
{
	json_t *v = json_pack("[i, s, f, s, s, b]", 5, "6", 7.0, "x", "", 1);
	int64_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(opensrs_number(json_array_get(v, i), &n), 0);
		assert_int_equal(n, 5 + (int64_t)i);
	}
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(opensrs_number(json_array_get(v, i), &n), -1);
	json_decref(v);
}

/* Their words repeat our secrets: ours do not. */
static void secrets_are_hidden(void **state UNUSED)
{
	const struct http_reply no = { 200,
				       "{\"success\":false,\"error_number\":6,\"error\":"
				       "\"bad " SECRET " and hunter2-hunter2\"}" };
	struct opensrs_call c = opensrs_call(OPENSRS_CHANGE_USER, "anna@example.com");

	json_object_set_new(c.body, "attributes", json_pack("{s:s}", "password", "{MD5}hunter2"));
	say(&no, 1);
	opensrs_run(api, &c, 1, NULL, NULL);
	assert_null(strstr(c.e.text, SECRET));
	assert_null(strstr(c.e.text, "hunter2"));
	assert_non_null(strstr(c.e.text, "OpenSRS: change_user anna@example.com: "));
	assert_null(json_object_get(c.body, "credentials"));
	opensrs_call_release(&c);
}

/* ---- tries */

/* Their words are cut; a secret that the cut goes through is none the less hidden. */
static void a_cut_secret_is_hidden(void **state UNUSED)
{
	char *body, words[120];
	struct http_reply no = { .status = 200 };
	struct opensrs_call c;

	for (size_t n = 100; n < sizeof words; n++) {
		memset(words, '.', n);
		words[n] = '\0';
		body = mem_printf("{\"success\":false,\"error_number\":6,\"error\":\"%s" SECRET
				  "\",\"hints\":{\"name\":\"%s" SECRET "\"}}",
				  words, words);
		no.body = body;
		say(&no, 1);
		c = run(OPENSRS_GET_USER, "anna@example.com");
		assert_non_null(strstr(c.e.text, "...*"));
		assert_null(strstr(c.e.text, ".a"));
		opensrs_call_release(&c);
		mem_free(&body);
	}
}

/* Nor does the cut go through a character: text that is not UTF-8 would be lost as a whole. */
static void a_cut_leaves_characters_whole(void **state UNUSED)
{
	struct err e = { 0 };
	json_t *answer;

	for (int n = 116; n <= 120; n++) {
		char *words = mem_printf("%0*d\303\244\342\202\254", n, 0), *end;
		json_t *text;

		answer = json_pack("{s:s}", "error", words);
		opensrs_refusal(answer, OPENSRS_ATTRIBUTE, &e);
		text = json_string(e.text);
		assert_non_null(text);
		end = mem_printf("0%s\"", n <= 118 ? "\303\244" : "");
		assert_true(n <= 115 || strstr(e.text, end));
		mem_free(&end);
		mem_free(&words);
		json_decref(text);
		json_decref(answer);
	}
}

static void it_is_tried_again(void **state UNUSED)
{
	static const struct http_reply replies[] = { { 500, "" }, { 0, NULL }, { 200, YES } };
	struct opensrs_call c;

	say(replies, 3);
	c = run(OPENSRS_GET_USER, "anna@example.com");
	assert_true(c.ok);
	assert_int_equal(server.asked, 3);
	for (int i = 1; i < 3; i++)
		assert_string_equal(server.bodies[i], server.bodies[0]);
	opensrs_call_release(&c);
}

static void but_not_for_ever(void **state UNUSED)
{
	static const struct http_reply replies[] = { { 503, "" } };
	struct opensrs_call c;

	say(replies, 1);
	c = run(OPENSRS_GET_USER, "anna@example.com");
	assert_false(c.ok);
	assert_int_equal(c.e.kind, ERR_TEMP);
	assert_int_equal(server.asked, OPENSRS_TRIES);
	opensrs_call_release(&c);
}

static void what_could_harm_is_not_repeated(void **state UNUSED)
{
	static const enum opensrs_method once[] = { OPENSRS_DELETE_USER, OPENSRS_RENAME_USER,
						    OPENSRS_RESTORE_USER,
						    OPENSRS_MIGRATION_ADD };
	static const struct http_reply replies[] = { { 200, YES }, { 0, NULL }, { 200, YES } };

	for (size_t i = 0; i < COUNT(once); i++) {
		struct opensrs_call c;

		say(replies, 3);
		c = run(OPENSRS_GET_USER, "x"); /* leaves a connection open */
		opensrs_call_release(&c);
		c = run(once[i], "x");
		assert_false(c.ok);
		assert_int_equal(server.asked, 2);
		opensrs_call_release(&c);
	}
}

static void nobody_there_is_said(void **state UNUSED)
{
	struct opensrs_access a = { .url = (char *)(uintptr_t) "http://127.0.0.1:1/api",
				    .user = access_to.user,
				    .connect_s = 1,
				    .answer_s = 1,
				    .parallel = 1 };
	struct opensrs_call c = opensrs_call(OPENSRS_DELETE_USER, "x");
	struct opensrs *o;
	struct err e;

	secret_set(&a.secret, "x", 1);
	assert_int_equal(opensrs_open(&o, &a, &e), 0);
	assert_int_equal(opensrs_do(o, &c, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_non_null(strstr(e.text, "remedy: "));
	opensrs_close(&o);
	opensrs_call_release(&c);
	secret_release(&a.secret);
}

/* ---- many */

static void count(struct opensrs_call *c, void *n)
{
	assert_true(c->ok);
	++*(int *)n;
}

static void many_share_few_connections(void **state UNUSED)
{
	static const struct http_reply yes = { 200, YES };
	struct opensrs_call calls[20];
	int n = 0;

	for (size_t i = 0; i < COUNT(calls); i++)
		calls[i] = opensrs_call(OPENSRS_GET_USER, "anna@example.com");
	say(&yes, 1);
	opensrs_run(api, calls, COUNT(calls), count, &n);
	assert_int_equal(n, 20);
	assert_int_equal(server.asked, 20);
	assert_in_range(server.connections, 1, 2);
	for (size_t i = 0; i < COUNT(calls); i++)
		opensrs_call_release(&calls[i]);
}

/* One refusal is enough: more would lock the administrator out. */
static void a_refused_login_ends_it(void **state UNUSED)
{
	static const struct http_reply no = {
		200, "{\"success\":false,\"error_number\":1,\"error\":\"no\"}"
	};
	struct opensrs_call calls[20];

	for (size_t i = 0; i < COUNT(calls); i++)
		calls[i] = opensrs_call(OPENSRS_GET_USER, "anna@example.com");
	say(&no, 1);
	opensrs_run(api, calls, COUNT(calls), NULL, NULL);
	assert_in_range(server.asked, 1, 2);
	for (size_t i = 0; i < COUNT(calls); i++) {
		assert_int_equal(calls[i].e.kind, ERR_AUTH);
		opensrs_call_release(&calls[i]);
	}
}

static void a_user_proves_a_password(void **state UNUSED)
{
	static const struct http_reply yes = { 200, YES };
	struct opensrs_call c = opensrs_call(OPENSRS_AUTHENTICATE, "anna@example.com");
	struct secret own = { 0 };

	secret_set(&own, "hunter2", 7);
	c.as = &own;
	say(&yes, 1);
	opensrs_run(api, &c, 1, NULL, NULL);
	assert_string_equal(server.bodies[0],
			    "{\"credentials\":{\"user\":\"anna@example.com\",\"password\":"
			    "\"hunter2\",\"client\":\"mailferry\"}}");
	opensrs_call_release(&c);
	secret_release(&own);
}

static void where_it_is(void **state UNUSED)
{
	static const struct {
		const char *cluster, *url;
	} cases[] = {
		{ "A", "https://admin.a.hostedemail.com/api" },
		{ "B", "https://admin.b.hostedemail.com/api" },
		{ "test", "https://admin.test.hostedemail.com/api" },
		{ "https://admin.hostedemail.com/api", "https://admin.hostedemail.com/api" },
		{ "http://127.0.0.1:8080/api", "http://127.0.0.1:8080/api" },
		{ "http://admin.a.hostedemail.com/api", NULL },
		{ "http://localhost.example.com/api", NULL },
		{ "C", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *url = opensrs_address(cases[i].cluster);

		if (cases[i].url)
			assert_string_equal(url, cases[i].url);
		else
			assert_null(url);
		free(url);
	}
}

/* The address of a file holds a token of theirs, and the one who names it might name another host. */
static void files_come_from_the_api_only(void **state UNUSED)
{
	static const char *const elsewhere[][2] = {
		{ "https://127.0.0.1", "/api/f" },	{ "http://127.0.0.1", ".example.com/f" },
		{ "http://user@127.0.0.1", "/f" },	{ "http://127.0.0.1", "@example.com/f" },
		{ "/api/f", "" },			{ "file:///etc/passwd", "" },
	};
	struct http_reply trace = { 200, "one\ntwo\nthree" }, gone = { 404, "" };
	char *url = mem_printf("http://127.0.0.1:%d/api/oma_file/get?token=t", server.port);
	struct buf out = { 0 };
	struct err e = { 0 };

	say(&trace, 1);
	for (size_t i = 0; i < COUNT(elsewhere); i++) {
		char *other = mem_printf("%s:%d%s", elsewhere[i][0], server.port, elsewhere[i][1]);

		assert_int_equal(opensrs_fetch(api, other, 100, &out, &e), -1);
		assert_null(strstr(e.text, "token"));
		mem_free(&other);
	}
	assert_int_equal(server.asked, 0);
	assert_int_equal(opensrs_fetch(api, url, 5, &out, &e), 0);
	assert_true(slice_is(buf_slice(&out), "three"));
	assert_string_equal(server.paths[0], "/api/oma_file/get?token=t");
	say(&gone, 1);
	assert_int_equal(opensrs_fetch(api, url, 5, &out, &e), -1);
	assert_null(strstr(e.text, "token"));
	mem_free(&url);
	buf_release(&out);
}

/* ---- what its tool says */

static char *trace_with(const char *words, const char *login, const char *password)
{
	char *named = mem_printf("{\"success\":true,\"trace\":\"http://127.0.0.1:%d/f\"}", server.port);
	struct http_reply replies[] = { { 200, named }, { 200, words } };
	char *user = mem_str(login);
	struct job_pull_user u = { .user = user, .login = { user, user } };
	struct job j = { .pull.job = named };
	char *got;

	say(replies, COUNT(replies));
	secret_set(&u.password[SIDE_OLD], password, strlen(password));
	got = pull_trace(&(struct pull){ .job = &j, .api = api }, &u);
	secret_release(&u.password[SIDE_OLD]);
	mem_free(&named);
	mem_free(&user);
	return got;
}

static char *trace_of(const char *words)
{
	return trace_with(words, "ann", "p\303\244sswort");
}

/* Whatever letters it has, and where the end of the words begins in it. */
static void a_password_is_not_in_the_trace(void **state UNUSED)
{
	char *end = mem_new(JOB_PULL_TRACE_MAX), *long_one, *got;

	got = trace_of("LOGIN ann p\303\244sswort\n\tf\303\274r \"ann\"\r\n");
	assert_string_equal(got, "LOGIN ann *********\n\tf??r \"ann\"?\n");
	mem_free(&got);
	memset(end, '.', JOB_PULL_TRACE_MAX - 1);
	long_one = mem_printf("much before it p\303\244sswort%s", end);
	got = trace_of(long_one);
	assert_int_equal(strlen(got), JOB_PULL_TRACE_MAX);
	assert_string_equal(got + 1, end);
	assert_int_equal(got[0], '*');
	mem_free(&got);
	mem_free(&long_one);
	mem_free(&end);
}

/* As IMAP's LOGIN, AUTHENTICATE PLAIN and LOGIN carry it. */
static void a_password_is_not_in_the_trace_otherwise_written(void **state UNUSED)
{
	static const char words[] = "LOGIN ann \"se\\\"cr\\\\et\"\n"
				    "PLAIN AGFubgBzZSJjclxldA==\nPLAIN YW5uAGFubgBzZSJjclxldA==\n"
				    "LOGIN c2UiY3JcZXQ=\n";
	char *got = trace_with(words, "ann", "se\"cr\\et");

	assert_string_equal(got, "LOGIN ann \"**********\"\nPLAIN ********************\n"
				 "PLAIN ************************\nLOGIN ************\n");
	mem_free(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(who_it_is_about),
		cmocka_unit_test(every_number_has_a_remedy),
		cmocka_unit_test(what_is_no_answer),
		cmocka_unit_test(numbers_come_as_texts_too),
		cmocka_unit_test(secrets_are_hidden),
		cmocka_unit_test(a_cut_secret_is_hidden),
		cmocka_unit_test(a_cut_leaves_characters_whole),
		cmocka_unit_test(it_is_tried_again),
		cmocka_unit_test(but_not_for_ever),
		cmocka_unit_test(what_could_harm_is_not_repeated),
		cmocka_unit_test(nobody_there_is_said),
		cmocka_unit_test(many_share_few_connections),
		cmocka_unit_test(a_refused_login_ends_it),
		cmocka_unit_test(a_user_proves_a_password),
		cmocka_unit_test(where_it_is),
		cmocka_unit_test(files_come_from_the_api_only),
		cmocka_unit_test(a_password_is_not_in_the_trace),
		cmocka_unit_test(a_password_is_not_in_the_trace_otherwise_written),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
