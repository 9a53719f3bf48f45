/* A connection to peers that are silent, slow, gone, blocked or liars. */
#include "tests/unit/wire_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/wire/proxyproto.h"
#include "sync/transport.h"

#define PIN "sha256:0000000000000000000000000000000000000000000000000000000000000000"

struct pair {
	struct transport *t;
	int peer;
};

static void pair_open(struct pair *p, int io_ms)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	p->t = transport_of_fd(fd[0], io_ms);
	p->peer = fd[1];
}

static void pair_close(struct pair *p)
{
	transport_free(&p->t);
	if (p->peer >= 0)
		close(p->peer);
}

static void says(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* ---- reading */

static void bytes_arrive(void **state UNUSED)
{
	struct pair p;
	struct err e;

	pair_open(&p, 1000);
	says(p.peer, "one");
	assert_int_equal(transport_more(p.t, &e), 0);
	assert_slice(transport_input(p.t), "one");
	transport_take(p.t, 2);
	says(p.peer, "two");
	assert_int_equal(transport_more(p.t, &e), 0);
	assert_slice(transport_input(p.t), "etwo");
	assert_int_equal(transport_bytes_in(p.t), 6);
	pair_close(&p);
}

static void silence_times_out(void **state UNUSED)
{
	int64_t start = clock_mono_ms();
	struct pair p;
	struct err e;

	pair_open(&p, 50);
	assert_int_equal(transport_more(p.t, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_non_null(strstr(e.text, "timed out"));
	assert_in_range(clock_mono_ms() - start, 50, 5000);
	pair_close(&p);
}

/* Every byte renews io_ms; only the deadline ends such a peer. */
static void a_deadline_ends_what_dribbles(void **state UNUSED)
{
	struct err e = { 0 };
	struct pair p;
	int64_t rounds = 0;

	pair_open(&p, 60000);
	transport_deadline(p.t, 50);
	do {
		transport_take(p.t, transport_input(p.t).n);
		says(p.peer, "x");
		rounds++;
	} while (transport_more(p.t, &e) == 0 && rounds < 100000000);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_true(rounds > 1);
	pair_close(&p);
}

static void an_end_is_an_error(void **state UNUSED)
{
	struct pair p;
	struct err e;

	pair_open(&p, 1000);
	says(p.peer, "last");
	close(p.peer);
	p.peer = -1;
	assert_int_equal(transport_more(p.t, &e), 0);
	assert_slice(transport_input(p.t), "last");
	transport_take(p.t, 4);
	assert_int_equal(transport_more(p.t, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_true(transport_is_broken(p.t));
	pair_close(&p);
}

static void the_first_error_stays(void **state UNUSED)
{
	struct err first = { 0 }, e = { 0 };
	struct pair p;

	pair_open(&p, 1000);
	says(p.peer, "more\r\n");
	err_set(&first, ERR_PROTOCOL, "nonsense");
	assert_int_equal(transport_poison(p.t, &first), -1);
	assert_int_equal(transport_more(p.t, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_string_equal(e.text, "nonsense");
	assert_int_equal(transport_write(p.t, "x", 1, &e), -1);
	assert_int_equal(transport_flush(p.t, &e), -1);
	assert_int_equal(transport_input(p.t).n, 0);
	pair_close(&p);
}

/* ---- writing */

static void writes_are_gathered(void **state UNUSED)
{
	char got[16];
	struct pair p;
	struct err e;

	pair_open(&p, 1000);
	assert_int_equal(transport_write(p.t, "ab", 2, &e), 0);
	assert_int_equal(transport_write(p.t, "cd", 2, &e), 0);
	assert_int_equal(recv(p.peer, got, sizeof got, MSG_DONTWAIT), -1);
	assert_int_equal(transport_flush(p.t, &e), 0);
	assert_int_equal(recv(p.peer, got, sizeof got, MSG_DONTWAIT), 4);
	assert_memory_equal(got, "abcd", 4);
	assert_int_equal(transport_bytes_out(p.t), 4);
	pair_close(&p);
}

static void a_peer_that_never_reads_times_out(void **state UNUSED)
{
	char *much = mem_new(8 * TRANSPORT_CHUNK);
	struct pair p;
	struct err e;
	int r;

	pair_open(&p, 50);
	do
		r = transport_write(p.t, much, 8 * TRANSPORT_CHUNK, &e);
	while (r == 0);
	assert_int_equal(e.kind, ERR_TEMP);
	pair_close(&p);
	free(much);
}

#define ANSWER	300000
#define REQUEST 4000000

/* A server that reads nothing until its answer is taken, as one blocked in a write does. */
static void *stubborn(void *arg)
{
	int fd = *(int *)arg;
	char *answer = mem_new(ANSWER), piece[65536];
	size_t left = REQUEST;

	for (size_t done = 0; done < ANSWER;) {
		ssize_t n = send(fd, answer + done, ANSWER - done, 0);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	while (left > 0) {
		ssize_t n = recv(fd, piece, MIN(left, sizeof piece), 0);

		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	free(answer);
	return (void *)(intptr_t)(left == 0);
}

static void blocked_writes_read(void **state UNUSED)
{
	char *request = mem_new(REQUEST);
	pthread_t thread;
	void *served;
	struct err e;
	struct transport *t;
	int fd[2], small = 4096;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	for (int i = 0; i < 2; i++)
		setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	/* ours does not block, as transport_open() makes it; theirs does */
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	t = transport_of_fd(fd[0], 10000);
	assert_int_equal(pthread_create(&thread, NULL, stubborn, &fd[1]), 0);
	assert_int_equal(transport_write(t, request, REQUEST, &e), 0);
	pthread_join(thread, &served);
	assert_true(served != NULL);
	while (transport_input(t).n < ANSWER)
		assert_int_equal(transport_more(t, &e), 0);
	transport_free(&t);
	close(fd[1]);
	free(request);
}

/* ---- opening */

struct server {
	int listener;
	int port;
	const char *greeting; /* sent to the one client; then it waits for its end */
	char heard[4096];
	size_t heard_n;
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	size_t n = 0;
	ssize_t r;

	says(fd, s->greeting);
	while ((r = recv(fd, s->heard + n, sizeof s->heard - n, 0)) > 0)
		n += (size_t)r;
	s->heard_n = n;
	close(fd);
	return NULL;
}

static void server_start(struct server *s, const char *greeting)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;

	s->greeting = greeting;
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->listener, 4), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static struct job_side side_of(int port, enum tls_mode tls)
{
	return (struct job_side){ .host = (char *)"127.0.0.1",
				  .port = port,
				  .tls = tls,
				  .tls_pin = tls == TLS_NONE ? NULL : (char *)PIN };
}

static void opens_in_clear(void **state UNUSED)
{
	struct server s;
	struct transport *t;
	struct job_side side;
	struct err e;

	server_start(&s, "hello");
	side = side_of(s.port, TLS_NONE);
	assert_int_equal(transport_open(&side, 5000, 5000, &t, &e), 0);
	assert_int_equal(transport_more(t, &e), 0);
	assert_slice(transport_input(t), "hello");
	assert_false(transport_is_secure(t));
	transport_free(&t);
	server_stop(&s);
}

/* In front of everything, TLS included; the addresses are those of this very connection. */
static void sends_a_proxy_header_first(void **state UNUSED)
{
	static const enum tls_mode modes[] = { TLS_NONE, TLS_IMPLICIT };
	struct transport *t = NULL;
	struct proxyproto h;
	struct err e;
	size_t len;

	for (size_t i = 0; i < 2 * COUNT(modes); i++) {
		struct server s = { 0 };
		struct job_side side;

		server_start(&s, "* OK hello\r\n");
		side = side_of(s.port, modes[i % 2]);
		side.proxy_protocol = i < 2 ? PROXY_V1 : PROXY_V2;
		assert_int_equal(transport_open(&side, 5000, 5000, &t, &e), i % 2 ? -1 : 0);
		transport_free(&t);
		server_stop(&s);
		assert_int_equal(proxyproto_read(s.heard, s.heard_n, &h, &len), WIRE_DONE);
		assert_int_equal(h.version, i < 2 ? 1 : 2);
		assert_false(h.local);
		assert_true(endpoint_is_loopback(&h.from) && endpoint_is_loopback(&h.to));
		assert_int_equal(h.to.port, s.port);
		assert_int_equal(s.heard_n > len, i % 2); /* TLS begins behind it */
	}
}

static void refused_connections_say_where(void **state UNUSED)
{
	struct server s;
	struct transport *t = NULL;
	struct job_side side;
	struct err e;
	int fd;

	server_start(&s, "");
	side = side_of(s.port, TLS_NONE);
	assert_int_equal(transport_open(&side, 5000, 5000, &t, &e), 0);
	transport_free(&t);
	server_stop(&s);
	assert_int_equal(transport_open(&side, 5000, 5000, &t, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_non_null(strstr(e.text, "127.0.0.1:"));
	fd = open("/dev/null", O_RDONLY); /* no descriptor was lost on the way */
	assert_true(fd >= 0 && fd < 64);
	close(fd);
}

/* Its greeting never comes as TLS does. */
static void a_silent_handshake_times_out(void **state UNUSED)
{
	struct server s;
	struct transport *t = NULL;
	struct job_side side;
	struct err e;

	server_start(&s, "");
	side = side_of(s.port, TLS_IMPLICIT);
	assert_int_equal(transport_open(&side, 80, 5000, &t, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_non_null(strstr(e.text, "timed out"));
	server_stop(&s);
}

static void no_tls_at_all_is_a_tls_error(void **state UNUSED)
{
	struct server s;
	struct transport *t = NULL;
	struct job_side side;
	struct err e;

	server_start(&s, "* OK this is no TLS\r\n");
	side = side_of(s.port, TLS_IMPLICIT);
	assert_int_equal(transport_open(&side, 5000, 5000, &t, &e), -1);
	assert_int_equal(e.kind, ERR_TLS);
	server_stop(&s);
}

/* What comes behind the OK to STARTTLS would be read as if it had come under TLS. */
static void starttls_refuses_text_before_tls(void **state UNUSED)
{
	struct server s;
	struct transport *t;
	struct job_side side;
	struct err e;

	server_start(&s, "a OK go\r\n* OK injected\r\n");
	side = side_of(s.port, TLS_STARTTLS);
	assert_int_equal(transport_open(&side, 5000, 5000, &t, &e), 0);
	assert_int_equal(transport_more(t, &e), 0);
	transport_take(t, strlen("a OK go\r\n"));
	assert_int_equal(transport_starttls(t, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_false(transport_is_secure(t));
	assert_int_equal(transport_more(t, &e), -1);
	transport_free(&t);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_arrive),
		cmocka_unit_test(silence_times_out),
		cmocka_unit_test(a_deadline_ends_what_dribbles),
		cmocka_unit_test(an_end_is_an_error),
		cmocka_unit_test(the_first_error_stays),
		cmocka_unit_test(writes_are_gathered),
		cmocka_unit_test(a_peer_that_never_reads_times_out),
		cmocka_unit_test(blocked_writes_read),
		cmocka_unit_test(opens_in_clear),
		cmocka_unit_test(sends_a_proxy_header_first),
		cmocka_unit_test(refused_connections_say_where),
		cmocka_unit_test(a_silent_handshake_times_out),
		cmocka_unit_test(no_tls_at_all_is_a_tls_error),
		cmocka_unit_test(starttls_refuses_text_before_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
