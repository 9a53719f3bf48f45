/* Two streams of one loop, joined by loopback TCP: bytes, order, back-pressure and ends, plain
 * and with TLS. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>

#include "certs/server.h"
#include "certs/tls.h"
#include "common/clock.h"
#include "proxy/stream.h"

#define PATIENCE_MS 5000
#define BIG	    (3 * 1024 * 1024)

static char dir[64];
static struct tls_server *server_tls;
static struct tls_client *client_tls;
static struct loop loop;

static int set_up(void **state UNUSED)
{
	char command[256], pem[128], key[128], ca[128];
	struct tls_peer peer = { "localhost", ca, NULL };
	struct tls_server_conf conf = { .certificate = pem, .key = key, .ticket_life_s = 60 };
	struct err e = { 0 };

	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof dir, "/tmp/mailferry-stream-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(command, sizeof command, "sh certs/devca.sh %s localhost", dir);
	snprintf(pem, sizeof pem, "%s/localhost.pem", dir);
	snprintf(key, sizeof key, "%s/localhost.key", dir);
	snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	if (system(command) != 0 || tls_client_new(&peer, &client_tls, &e) < 0)
		return -1;
	return tls_server_new(&conf, &server_tls, &e);
}

static int tear_down(void **state UNUSED)
{
	char command[128];

	tls_server_free(&server_tls);
	tls_client_free(&client_tls);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* ---- one end */

struct end {
	struct stream *st;
	char seen[256]; /* events: U, D(ata), L(ow or empty), E, F; of runs only the first */
	struct buf got;
	size_t take; /* bytes consumed at each DATA; 0: all */
	bool pause_at_data, poke;
	unsigned gone;
	bool by_peer;
	bool inside; /* a call of ours runs: no event may come */
};

static void note(struct end *n, char what)
{
	size_t len = strlen(n->seen);

	assert_false(n->inside);
	if ((len == 0 || n->seen[len - 1] != what) && len < sizeof n->seen - 1)
		n->seen[len] = what;
}

static void take(struct end *n)
{
	struct slice in = stream_input(n->st);
	size_t k = n->take ? MIN(n->take, in.n) : in.n;

	buf_add(&n->got, in.p, k);
	stream_consume(n->st, k);
	if (n->poke && stream_input(n->st).n)
		stream_poke(n->st);
}

static void on_event(struct stream *st, enum stream_event ev, void *arg)
{
	struct end *n = arg;

	assert_true(n->st == NULL || n->st == st);
	n->st = st;
	note(n, "UDLEF"[ev]);
	if (ev != STREAM_DATA)
		return;
	if (n->pause_at_data)
		stream_pause(st);
	take(n);
}

static void on_gone(void *arg, bool by_peer)
{
	((struct end *)arg)->gone++;
	((struct end *)arg)->by_peer = by_peer;
}

static void end_release(struct end *n)
{
	stream_free(&n->st);
	buf_release(&n->got);
}

static void send_text(struct end *n, const void *p, size_t len)
{
	n->inside = true;
	stream_write(n->st, p, len);
	n->inside = false;
}

/* ---- the pair */

#define SMALL_BUFFER (64 * 1024) /* of sockets, so that a flood does not fit into them */

enum how { PLAIN, TLS };
static struct end a, b; /* a connected, b was accepted */

static int begin(void **state UNUSED)
{
	struct err e = { 0 };

	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	return loop_init(&loop, &e);
}

static int finish(void **state UNUSED)
{
	end_release(&a);
	end_release(&b);
	loop_release(&loop);
	return 0;
}

static SSL *start_ssl(void *arg, int fd)
{
	return tls_client_start(arg, fd);
}

static int listen_somewhere(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static void connect_a(const struct sockaddr_in *to, enum how how)
{
	a.inside = true;
	a.st = stream_connect(&loop, (const struct sockaddr *)to, sizeof *to,
			      how == TLS ? start_ssl : NULL, client_tls, on_event, &a);
	a.inside = false;
	assert_non_null(a.st);
}

static void use_small_buffers(struct end *n)
{
	int size = SMALL_BUFFER;

	setsockopt(stream_fd(n->st), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(stream_fd(n->st), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static bool saw(const struct end *n, char what)
{
	return strchr(n->seen, what) != NULL;
}

/* Runs the loop until it holds; the time that it may take is only for what is broken. */
#define until(claim)                                                               \
	do {                                                                       \
		int64_t give_up = clock_mono_ms() + PATIENCE_MS;                   \
		while (!(claim)) {                                                 \
			assert_true(clock_mono_ms() < give_up);                    \
			event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK); \
		}                                                                  \
	} while (0)

static void spin(int turns)
{
	while (turns--)
		event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void join_ends(enum how how)
{
	struct sockaddr_in at;
	int listener = listen_somewhere(&at), fd;

	connect_a(&at, how);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(listener);
	b.st = stream_accept(&loop, fd,
			     how == TLS ? tls_server_start(server_tls, "imap") : NULL, on_event,
			     &b);
	until(saw(&a, 'U') && (how == PLAIN || saw(&b, 'U')));
	use_small_buffers(&a);
	use_small_buffers(&b);
	memset(a.seen, 0, sizeof a.seen);
	memset(b.seen, 0, sizeof b.seen);
}

static void part(void)
{
	end_release(&a);
	end_release(&b);
	until(loop.live == 0);
}

/* Bytes that differ from their neighbours: a lost or doubled piece shows. */
static char *noise(size_t n, unsigned seed)
{
	char *p = mem_new(n);

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (char)(seed >> 24);
	}
	return p;
}

static void assert_got(const struct end *n, const char *want, size_t len)
{
	assert_int_equal(buf_len(&n->got), len);
	assert_memory_equal(buf_slice(&n->got).p, want, len);
}

/* ---- bytes */

static void words_go_both_ways(enum how how)
{
	join_ends(how);
	assert_int_equal(stream_secure(a.st), how == TLS);
	send_text(&a, "ping", 4);
	until(buf_len(&b.got) == 4);
	send_text(&b, "pong", 4);
	until(buf_len(&a.got) == 4);
	assert_got(&b, "ping", 4);
	assert_got(&a, "pong", 4);
	assert_string_equal(a.seen, "D");
	assert_string_equal(b.seen, "D");
	part();
}

static void plain_words(void **state UNUSED)
{
	words_go_both_ways(PLAIN);
}

static void tls_words(void **state UNUSED)
{
	words_go_both_ways(TLS);
}

/* Settings and servers give us texts of any length. */
static void long_lines_are_written(void **state UNUSED)
{
	static const int lengths[] = { 1, 1021, 1022, 1023, 1024, 5000 };
	char want[5000 + 3];

	join_ends(PLAIN);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		size_t n = (size_t)lengths[i];

		memset(want, 'x', n);
		want[n] = '\0';
		stream_printf(a.st, "%s\r\n", want);
		memcpy(want + n, "\r\n", 2);
		until(buf_len(&b.got) == n + 2);
		assert_got(&b, want, n + 2);
		buf_drain(&b.got, n + 2);
	}
	part();
}

/* More than any socket takes, both ways at once, one reader asleep at first. */
static void floods_arrive(enum how how)
{
	char *up = noise(BIG, 1), *down = noise(BIG, 2);

	join_ends(how);
	stream_pause(b.st);
	send_text(&a, up, BIG);
	send_text(&b, down, BIG);
	until(buf_len(&a.got) == BIG);
	assert_int_equal(buf_len(&b.got), 0);
	assert_true(stream_queued(a.st) > STREAM_HIGH);
	assert_false(saw(&a, 'L'));
	stream_resume(b.st);
	until(saw(&a, 'L'));
	assert_true(stream_queued(a.st) <= STREAM_LOW);
	until(buf_len(&b.got) == BIG);
	assert_got(&a, down, BIG);
	assert_got(&b, up, BIG);
	assert_int_equal(stream_queued(a.st), 0);
	free(up);
	free(down);
	part();
}

static void plain_floods(void **state UNUSED)
{
	floods_arrive(PLAIN);
}

static void tls_floods(void **state UNUSED)
{
	floods_arrive(TLS);
}

/* What the owner leaves is there again, in order, with what comes behind it. */
static void leavings_stay(enum how how)
{
	char *text = noise(100000, 3);

	join_ends(how);
	b.take = 7000;
	b.poke = true;
	for (size_t at = 0; at < 100000; at += 10000) {
		send_text(&a, text + at, 10000);
		spin(2);
	}
	until(buf_len(&b.got) == 100000);
	assert_got(&b, text, 100000);
	free(text);
	part();
}

static void plain_leavings(void **state UNUSED)
{
	leavings_stay(PLAIN);
}

static void tls_leavings(void **state UNUSED)
{
	leavings_stay(TLS);
}

/* Paused in the middle of what one read brought: nothing comes until it is resumed, then all.
 */
static void a_pause_holds(enum how how)
{
	char *text = noise(200000, 4);
	size_t had;

	join_ends(how);
	b.pause_at_data = true;
	b.take = 1000;
	send_text(&a, text, 200000);
	until(saw(&b, 'D'));
	had = buf_len(&b.got);
	assert_int_equal(had, 1000);
	spin(20);
	assert_int_equal(buf_len(&b.got), had);
	b.pause_at_data = false;
	b.take = 0;
	stream_resume(b.st);
	until(buf_len(&b.got) == 200000);
	assert_got(&b, text, 200000);
	free(text);
	part();
}

static void plain_pause(void **state UNUSED)
{
	a_pause_holds(PLAIN);
}

static void tls_pause(void **state UNUSED)
{
	a_pause_holds(TLS);
}

/* An owner that is paused in each callback still gets on: bytes inside OpenSSL have no event.
 */
static void paused_at_each_piece(void **state UNUSED)
{
	char *text = noise(300000, 5);

	join_ends(TLS);
	b.pause_at_data = true;
	send_text(&a, text, 300000);
	while (buf_len(&b.got) < 300000) {
		size_t had = buf_len(&b.got);

		until(buf_len(&b.got) > had);
		stream_resume(b.st);
	}
	assert_got(&b, text, 300000);
	free(text);
	part();
}

static void secrets_are_wiped(void **state UNUSED)
{
	static const char zeros[6];
	struct slice in;

	join_ends(TLS);
	b.take = 1;
	send_text(&a, "xsecret", 7);
	until(saw(&b, 'D'));
	in = stream_input(b.st); /* kept now, in memory of the stream's own */
	assert_int_equal(in.n, 6);
	stream_consume_secret(b.st, 5);
	assert_memory_equal(in.p, zeros, 5);
	assert_int_equal(stream_input(b.st).n, 1);
	part();
}

/* ---- ends */

static void an_end_is_heard_behind_the_last_word(enum how how)
{
	join_ends(how);
	send_text(&a, "bye", 3);
	stream_retire(&a.st, PATIENCE_MS, on_gone, &a);
	until(saw(&b, 'E'));
	assert_got(&b, "bye", 3);
	assert_string_equal(b.seen, "DE");
	assert_int_equal(a.gone, 0); /* it waits for ours */
	stream_free(&b.st);
	until(a.gone);
	spin(5);
	assert_int_equal(a.gone, 1);
	assert_true(a.by_peer);
	part();
}

static void plain_end(void **state UNUSED)
{
	an_end_is_heard_behind_the_last_word(PLAIN);
}

static void tls_end(void **state UNUSED)
{
	an_end_is_heard_behind_the_last_word(TLS);
}

/* A retired stream still sends what is queued, to a reader that has not even begun. */
static void queued_words_outlive_their_owner(enum how how)
{
	char *text = noise(BIG, 6);

	join_ends(how);
	stream_pause(b.st);
	send_text(&a, text, BIG);
	send_text(&b, text, 1000); /* unread input must not become a reset */
	stream_retire(&a.st, PATIENCE_MS, on_gone, &a);
	spin(5);
	stream_resume(b.st);
	until(saw(&b, 'E'));
	assert_got(&b, text, BIG);
	assert_false(saw(&b, 'F'));
	free(text);
	part();
	assert_int_equal(a.gone, 1);
}

static void plain_last_words(void **state UNUSED)
{
	queued_words_outlive_their_owner(PLAIN);
}

static void tls_last_words(void **state UNUSED)
{
	queued_words_outlive_their_owner(TLS);
}

static void lingering_ends(void **state UNUSED)
{
	int64_t begin = clock_mono_ms();

	join_ends(TLS);
	stream_pause(b.st);
	stream_retire(&a.st, 30, on_gone, &a);
	until(a.gone);
	assert_false(a.by_peer);
	assert_true(clock_mono_ms() - begin >= 29);
	part();
}

/* What may still be under way at a server is over only with the connection. */
static void lingering_without_end(void **state UNUSED)
{
	int64_t begin = clock_mono_ms();

	join_ends(PLAIN);
	stream_pause(b.st);
	stream_retire(&a.st, STREAM_UNTIL_GONE, on_gone, &a);
	until(clock_mono_ms() - begin >= 100);
	assert_false(a.gone);
	stream_free(&b.st);
	until(a.gone);
	part();
}

/* No half-close towards a server that was asked to end it, until patience ends. */
static void waiting_for_the_peers_end(void **state UNUSED)
{
	join_ends(PLAIN);
	stream_await(&a.st, PATIENCE_MS, on_gone, &a);
	event_base_loop(loop.base, EVLOOP_NONBLOCK);
	assert_false(saw(&b, 'E') || a.gone);
	stream_free(&b.st);
	until(a.gone);
	part();
}

static void waiting_has_an_end(void **state UNUSED)
{
	join_ends(PLAIN);
	stream_await(&a.st, 30, on_gone, &a);
	until(saw(&b, 'E'));
	assert_false(a.gone);
	stream_free(&b.st);
	until(a.gone);
	part();
}

/* No close_notify: our protocols end by words of their own. */
static void a_bare_close_is_an_end(void **state UNUSED)
{
	join_ends(TLS);
	send_text(&a, "x", 1);
	until(buf_len(&b.got) == 1);
	stream_free(&a.st);
	until(saw(&b, 'E') || saw(&b, 'F'));
	assert_string_equal(b.seen, "DE");
	part();
}

static void reset_by_a(void)
{
	struct linger hard = { 1, 0 };

	setsockopt(stream_fd(a.st), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	stream_free(&a.st);
}

static void a_reset_fails(void **state UNUSED)
{
	join_ends(PLAIN);
	reset_by_a();
	until(saw(&b, 'F'));
	assert_string_equal(stream_error(b.st), "read: Connection reset by peer");
	part();
}

/* A write to who is gone fails later: never from inside the call (send_text looks). */
static void a_write_into_the_void_fails_later(void **state UNUSED)
{
	join_ends(PLAIN);
	stream_pause(b.st);
	reset_by_a();
	spin(3);
	send_text(&b, "x", 1);
	send_text(&b, "y", 1);
	until(saw(&b, 'F'));
	assert_string_equal(b.seen, "F");
	spin(3);
	assert_int_equal(stream_queued(b.st), 0);
	part();
}

static void nobody_there(void **state UNUSED)
{
	struct sockaddr_in at;

	close(listen_somewhere(&at));
	connect_a(&at, PLAIN);
	until(saw(&a, 'F'));
	assert_string_equal(stream_error(a.st), "connect: Connection refused");
	part();
}

static void no_events_after_free(struct stream *st UNUSED, enum stream_event ev UNUSED,
				 void *arg)
{
	struct end *n = arg;

	assert_non_null(n->st);
	stream_free(&n->st);
}

static void an_owner_may_leave_in_a_callback(void **state UNUSED)
{
	struct sockaddr_in at;
	int listener = listen_somewhere(&at);

	connect_a(&at, PLAIN);
	b.st = stream_accept(&loop, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC),
			     NULL, no_events_after_free, &b);
	close(listener);
	send_text(&a, "x", 1);
	until(!b.st);
	until(saw(&a, 'E') || saw(&a, 'F'));
	part();
}

/* ---- STARTTLS */

static void tls_in_the_middle(void **state UNUSED)
{
	join_ends(PLAIN);
	send_text(&b, "OK begin\r\n", 10);
	stream_start_tls(b.st, tls_server_start(server_tls, "imap"), true);
	until(buf_len(&a.got) == 10);
	stream_start_tls(a.st, tls_client_start(client_tls, stream_fd(a.st)), false);
	until(saw(&a, 'U') && saw(&b, 'U'));
	assert_true(stream_secure(a.st) && stream_secure(b.st));
	send_text(&a, "hidden", 6);
	until(buf_len(&b.got) == 6);
	assert_got(&b, "hidden", 6);
	part();
}

static void no_tls_over_there(void **state UNUSED)
{
	struct sockaddr_in at;
	int listener = listen_somewhere(&at);

	connect_a(&at, PLAIN);
	b.st = stream_accept(&loop, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC),
			     tls_server_start(server_tls, "imap"), on_event, &b);
	close(listener);
	until(saw(&a, 'U'));
	send_text(&a, "a1 NOOP\r\na2 NOOP\r\n", 18);
	until(saw(&b, 'F'));
	assert_non_null(strstr(stream_error(b.st), "TLS"));
	part();
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		STREAM_TEST(plain_words),
		STREAM_TEST(tls_words),
		STREAM_TEST(long_lines_are_written),
		STREAM_TEST(plain_floods),
		STREAM_TEST(tls_floods),
		STREAM_TEST(plain_leavings),
		STREAM_TEST(tls_leavings),
		STREAM_TEST(plain_pause),
		STREAM_TEST(tls_pause),
		STREAM_TEST(paused_at_each_piece),
		STREAM_TEST(secrets_are_wiped),
		STREAM_TEST(plain_end),
		STREAM_TEST(tls_end),
		STREAM_TEST(plain_last_words),
		STREAM_TEST(tls_last_words),
		STREAM_TEST(lingering_ends),
		STREAM_TEST(lingering_without_end),
		STREAM_TEST(waiting_for_the_peers_end),
		STREAM_TEST(waiting_has_an_end),
		STREAM_TEST(a_bare_close_is_an_end),
		STREAM_TEST(a_reset_fails),
		STREAM_TEST(a_write_into_the_void_fails_later),
		STREAM_TEST(nobody_there),
		STREAM_TEST(an_owner_may_leave_in_a_callback),
		STREAM_TEST(tls_in_the_middle),
		STREAM_TEST(no_tls_over_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
