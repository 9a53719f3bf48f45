/* The API in bytes: wrong requests, who follows events, the socket. */
#include "tests/unit/api_stage.h"

#include "common/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Sends text, reads to the end of the connection; the status, and the body's "error" for a
 * word. */
static int raw(const char *text, char *answer, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status = 0;
	size_t n = 0;
	ssize_t got;

	memcpy(a.sun_path, socket_path, strlen(socket_path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	while (n + 1 < size && (got = read(fd, answer + n, size - n - 1)) > 0)
		n += (size_t)got;
	answer[n] = '\0';
	close(fd);
	if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1)
		fail_msg("%s\n→ %s", text, answer);
	return status;
}

#define END " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

static void test_http_errors(void **state UNUSED)
{
	static const struct {
		const char *request;
		int status;
		const char *says;
	} cases[] = {
		{ "GET /v1/status" END "\r\n", 200, "application/json" },
		{ "PUT /v1/status" END "Content-Length: 0\r\n\r\n", 405, "\"error\"" },
		{ "GET /v1/sync" END "\r\n", 405, "wrong method" },
		{ "POST /v1/users" END "Content-Length: 2\r\n\r\n{}", 405, "wrong method" },
		{ "GET /v2/users" END "\r\n", 404, "nothing at" },
		{ "GET /v1/users/" END "\r\n", 404, "nothing at" },
		{ "GET /v1/users/a/b/c" END "\r\n", 404, "nothing at" },
		{ "GET /v1/users/a%0ab" END "\r\n", 400, "no login name" },
		{ "GET /v1/users/a%00b" END "\r\n", 400, "no login name" },
		{ "GET /v1/users?limit=-1" END "\r\n", 400, "limit must be" },
		{ "GET /v1/users?limit=1001" END "\r\n", 400, "limit must be" },
		{ "GET /v1/users?state=odd" END "\r\n", 400, "no such state" },
		{ "GET /v1/history?after=x" END "\r\n", 400, "after must be" },
		{ "POST /v1/sync" END "Content-Length: 3\r\n\r\n{\"u", 400, "no JSON object" },
		{ "POST /v1/sync" END "Content-Length: 2\r\n\r\n[]", 400, "no JSON object" },
		{ "POST /v1/sync" END "Content-Length: 99999999999\r\n\r\n", 413, "" },
	};
	char answer[8192];

	for (size_t i = 0; i < COUNT(cases); i++) {
		int status = raw(cases[i].request, answer, sizeof answer);

		if (status != cases[i].status || !strstr(answer, cases[i].says))
			fail_msg("%s\n→ %s", cases[i].request, answer);
	}
}

/* Behind a proxy the rest would be the beginning of the next person's request. */
static void test_no_request_hides_in_another(void **state UNUSED)
{
	static const char next[] = "GET /v1/users" END "\r\n";
	static const char *const heads[] = {
		"HEAD /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 54\r\n\r\n",
		"HEAD /v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length : 54\r\n\r\n",
		"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 54\r\n\r\n",
		"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
		"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 54\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	};
	char answer[16384];

	for (size_t i = 0; i < COUNT(heads); i++) {
		char *text = mem_printf("%s%s", heads[i], next);
		int status = raw(text, answer, sizeof answer);

		if (status != 400 || strstr(answer + 1, "HTTP/1.1 ") || strstr(answer, "anna@"))
			fail_msg("%s\n→ %s", text, answer);
		mem_free(&text);
	}
}

static void test_long_header(void **state UNUSED)
{
	char *filler = mem_new(HTTP_HEADERS_MAX + 2), *text, answer[2048];

	memset(filler, 'a', HTTP_HEADERS_MAX + 1);
	text = mem_printf("GET /v1" END "X: %s\r\n\r\n", filler);
	assert_int_equal(raw(text, answer, sizeof answer), 400);
	mem_free(&text);
	filler[HTTP_PATH_MAX + 1] = '\0';
	text = mem_printf("GET /v1/%s" END "\r\n", filler);
	assert_int_equal(raw(text, answer, sizeof answer), 400);
	mem_free(&text);
	mem_free(&filler);
}

static int follow(const char *tail)
{
	char *text = mem_printf("GET /v1/events%s HTTP/1.1\r\nHost: x\r\n\r\n", tail);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, socket_path, strlen(socket_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	mem_free(&text);
	return fd;
}

/* Until all the words have come. */
static void hear(int fd, const char *const *words)
{
	static char heard[1 << 20];
	size_t n = 0;
	ssize_t got;

	while (*words) {
		heard[n] = '\0';
		if (strstr(heard, *words)) {
			words++;
			continue;
		}
		got = read(fd, heard + n, sizeof heard - n - 1);
		if (got <= 0)
			fail_msg("no \"%s\" in: %s", *words, heard);
		n += (size_t)got;
	}
}

static void test_events(void **state UNUSED)
{
	char answer[2048];
	int one = follow(""), two = follow("?after=99999");

	hear(one,
	     (const char *[]){ "HTTP/1.1 200", "text/event-stream", "event: summary", NULL });
	hear(two, (const char *[]){ "event: reset", "event: summary", NULL });
	assert_int_equal(raw("GET /v1/events" END "\r\n", answer, sizeof answer), 429);
	write_moves(1, 10);
	hear(one, (const char *[]){ "event: move\ndata: {", "yyyyyyyyyy", NULL });
	hear(two, (const char *[]){ "event: move\ndata: {", "yyyyyyyyyy", NULL });
	close(one);
	close(two);
}

/* Reads the log, which goes to this file, until the words are in it. */
static const char *await_log(int file, const char *words)
{
	static char text[8192];
	ssize_t n;

	for (int i = 0; i < 1000; i++) {
		n = pread(file, text, sizeof text - 1, 0);
		text[MAX(n, 0)] = '\0';
		if (strstr(text, words))
			return text;
		poll(NULL, 0, 10);
	}
	fail_msg("no \"%s\" in: %s", words, text);
	return text;
}

/* What has changed while the store could not be read is told once it can. */
static void test_events_after_a_failure(void **state UNUSED)
{
	char *path = mem_printf("%s/log", dir);
	int fd = follow(""), kept = dup(2),
	    file = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	struct pollfd more = { .fd = fd, .events = POLLIN };
	const char *log;

	hear(fd, (const char *[]){ "event: summary", NULL });
	log_set_level(LOG_INFO);
	dup2(file, 2);
	change_store("ALTER TABLE sessions RENAME TO gone");
	await_log(file, "api: events: ");
	change_store(
		"INSERT INTO timetables (kind, name, why) VALUES ('wave', 'w9', 'meanwhile')");
	assert_int_equal(poll(&more, 1, 2500), 0); /* two ticks that fail */
	change_store("ALTER TABLE gone RENAME TO sessions");
	hear(fd, (const char *[]){ "meanwhile", NULL });
	log = await_log(file, "api: events are told again");
	dup2(kept, 2);
	assert_null(strstr(strstr(log, "api: events: ") + 1, "api: events: "));
	change_store("DELETE FROM timetables WHERE name = 'w9'");
	close(kept);
	close(file);
	close(fd);
	mem_free(&path);
}

static void test_slow_reader_of_events(void **state UNUSED)
{
	int fd = follow("?after=0");
	struct pollfd gone = { .fd = fd };

	write_moves(1000, 2000);
	/* Closed while most of what there is was never taken. */
	assert_int_equal(poll(&gone, 1, 30000), 1);
	assert_true(gone.revents & POLLHUP);
	close(fd);
	fd = follow("");
	hear(fd, (const char *[]){ "event: summary", NULL });
	close(fd);
}

static void test_socket(void **state UNUSED)
{
	struct event_base *base = event_base_new();
	struct http_server *second = NULL;
	struct err e = { 0 };
	struct stat st;

	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(http_server_start(&second, base, socket_path, api_answer, NULL, &e),
			 -1);
	assert_non_null(strstr(e.text, "is another engine running?"));
	event_base_free(base);
}

static void test_no_engine(void **state UNUSED)
{
	struct client *c = NULL;
	struct err e = { 0 };
	json_t *answer = NULL;

	assert_int_equal(client_new(&c, "/tmp/mailferry-nowhere/api.sock", 2, &e), 0);
	assert_int_equal(client_ask(c, "/v1", NULL, &answer, &e), CLIENT_NO_ENGINE);
	assert_null(answer);
	assert_non_null(strstr(e.text, "/tmp/mailferry-nowhere/api.sock"));
	client_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_errors),
		cmocka_unit_test(test_no_request_hides_in_another),
		cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_events_after_a_failure),
		cmocka_unit_test(test_slow_reader_of_events),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_no_engine),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
