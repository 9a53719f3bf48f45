/* Limits of speed: the clock that workers share, windows of the day, and room for live users.
 */
#include "tests/unit/wire_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/store_node.h"
#include "config/rate_times.h"
#include "sync/ease.h"
#include "sync/pace.h"
#include "sync/speed.h"
#include "sync/transport.h"

#define SECOND_US 1000000LL

/* ---- the clock */

/*
 * Workers that move a chunk whenever it is their turn, and are slow at other things in between:
 * what they move together in a minute. Virtual time, each at its own.
 */
static int64_t moved_in_a_minute(struct pace_clock *c, int workers, int64_t chunk,
				 int64_t busy_us)
{
	int64_t at[16] = { 0 }, moved = 0;

	for (;;) {
		int next = 0;

		for (int i = 1; i < workers; i++)
			if (at[i] < at[next])
				next = i;
		if (at[next] >= 60 * SECOND_US)
			return moved;
		moved += chunk;
		at[next] += pace_book(c, chunk, at[next]) + busy_us;
	}
}

/* case 98: within 5 %, for one worker and for many, with chunks large and small */
static void the_limit_is_kept_and_used(void **state UNUSED)
{
	static const struct {
		int64_t rate, chunk, busy_us;
		int workers;
	} runs[] = {
		{ 1000000, 50000, 0, 1 },      { 1000000, 50000, 20000, 1 },
		{ 1000000, 50000, 0, 8 },      { 1000000, 777, 100, 4 },
		{ 64 * 1024, 3276, 50000, 8 }, { 5, 1, 1000, 4 },
		{ 100000000, 65536, 10, 16 },
	};

	for (size_t i = 0; i < COUNT(runs); i++) {
		struct pace_clock c = { .rate = runs[i].rate };
		int64_t moved =
			moved_in_a_minute(&c, runs[i].workers, runs[i].chunk, runs[i].busy_us);
		double share = (double)moved / (60.0 * (double)runs[i].rate);

		if (share < 0.95 || share > 1.05)
			fail_msg("run %zu: %.3f of the limit", i, share);
	}
}

static void no_limit_no_wait(void **state UNUSED)
{
	struct pace_clock c = { 0 };

	assert_int_equal(pace_book(&c, 1LL << 40, 0), 0);
	c.rate = 1000;
	assert_int_equal(pace_book(&c, 100, 10 * SECOND_US), 0); /* the burst */
	assert_int_equal(pace_book(&c, 100, 10 * SECOND_US), 100000);
	/* A page that a worker spoilt stops nobody for long. */
	c.due_us = INT64_MAX / 2;
	assert_true(pace_book(&c, 1, 0) <= PACE_WAIT_MAX_MS * 1000);
	c.due_us = INT64_MIN / 2;
	assert_int_equal(pace_book(&c, 1, 0), 0);
}

/* ---- on a connection */

struct flood {
	int fd;
	size_t n;
};

static void *flood(void *arg)
{
	struct flood *f = arg;
	char bytes[4096] = { 0 };

	for (size_t left = f->n; left > 0;) {
		ssize_t n = send(f->fd, bytes, MIN(left, sizeof bytes), MSG_NOSIGNAL);

		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	close(f->fd);
	return NULL;
}

/* "All there is" is the question that sockets' buffers are set by. */
static void a_limit_cuts_chunks_of_any_size(void **state UNUSED)
{
	static const size_t wants[] = { 100, 20000, SIZE_MAX };
	struct pace_page page = { 0 };

	pace_use(&page, NULL);
	for (size_t i = 0; i < COUNT(wants); i++)
		assert_int_equal(pace_chunk(SIDE_OLD, wants[i]), wants[i]);
	page.host[SIDE_OLD][PACE_BYTES].rate = 200000;
	for (size_t i = 0; i < COUNT(wants); i++)
		assert_int_equal(pace_chunk(SIDE_OLD, wants[i]), MIN(wants[i], (size_t)10000));
	assert_int_equal(pace_chunk(SIDE_NEW, SIZE_MAX), SIZE_MAX);
	pace_use(NULL, NULL);
}

/* case 98 on a real clock: only "not faster" can be said there of a machine that others use. */
static void a_connection_is_never_faster(void **state UNUSED)
{
	const size_t total = 200000, rate = 400000;
	struct pace_page page = { 0 };
	struct flood f = { .n = total };
	struct transport *t;
	struct err e = { 0 };
	int64_t start, took;
	int fds[2];
	pthread_t thread;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	f.fd = fds[1];
	page.host[SIDE_OLD][PACE_BYTES].rate = (int64_t)rate;
	pace_use(&page, NULL);
	t = transport_of_fd(fds[0], 10000);
	start = clock_mono_ms();
	pthread_create(&thread, NULL, flood, &f);
	while (transport_bytes_in(t) < (int64_t)total) {
		assert_int_equal(transport_more(t, &e), 0);
		transport_take(t, transport_input(t).n);
	}
	took = clock_mono_ms() - start;
	pthread_join(thread, NULL);
	transport_free(&t);
	pace_use(NULL, NULL);
	assert_true(took + PACE_BURST_MS >= (int64_t)(total * 1000 / rate) * 95 / 100);
	assert_int_equal(page.moved[SIDE_OLD], total);
}

/* ---- windows of the day */

static void windows_change_what_they_name(void **state UNUSED)
{
	static const char text[] = "08:00-18:00 bytes=2M messages=5 connections=4, "
				   "22:00-06:00 bytes=0";
	const struct rate plain = { 1000, 7, 16 };
	struct rate r;
	char why[200];

	assert_int_equal(rate_times_check(text, why, sizeof why), 0);
	r = rate_at(plain, text, 8 * 60);
	assert_true(r.bytes == 2 << 20 && r.messages == 5 && r.connections == 4);
	r = rate_at(plain, text, 18 * 60);
	assert_true(r.bytes == 1000 && r.messages == 7 && r.connections == 16);
	r = rate_at(plain, text, 5 * 60 + 59); /* over midnight */
	assert_true(r.bytes == 0 && r.messages == 7 && r.connections == 16);
	r = rate_at(plain, text, 23 * 60);
	assert_int_equal(r.bytes, 0);
	r = rate_at(plain, NULL, 0);
	assert_int_equal(r.bytes, 1000);
}

static void bad_windows_are_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"8:00-18:00 bytes=1",	 "08:00-18:60 bytes=1",
		"08:00-25:00 bytes=1",	 "08:00-08:00 bytes=1",
		"08:00-18:00",		 "08:00-18:00 byte=1",
		"08:00-18:00 bytes=-1",	 "08:00-18:00 bytes=2X",
		"24:00-01:00 bytes=1",	 "08:00-18:00 connections=0",
		"08:00 bytes=1",	 "x",
		"08:00-18:00 bytes=1,,", "08:00-18:00 bytes=9999999999999999",
	};
	char why[200];

	for (size_t i = 0; i < COUNT(bad); i++)
		if (rate_times_check(bad[i], why, sizeof why) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(rate_times_check(NULL, why, sizeof why), 0);
	assert_int_equal(rate_times_check("00:00-24:00 messages=1", why, sizeof why), 0);
}

/* ---- live users */

#define MB (1024 * 1024)

static void live_users_get_room(void **state UNUSED)
{
	struct ease x = { 0 };

	ease_look(&x, 100, 2000, 0); /* quiet: 2 ms */
	ease_look(&x, 100, 4000, 8 * MB);
	assert_int_equal(x.limit, 0); /* twice as slow, but who notices 2 ms */
	ease_look(&x, 100, 60000, 8 * MB);
	assert_int_equal(x.limit, 4 * MB);
	ease_look(&x, 100, 60000, 4 * MB);
	assert_int_equal(x.limit, 2 * MB);
	for (int i = 0; i < 20; i++)
		ease_look(&x, 100, 60000, x.limit);
	assert_int_equal(x.limit, EASE_BYTES_MIN); /* never to nothing */
	ease_look(&x, 100, 3000, EASE_BYTES_MIN);
	assert_int_equal(x.limit, EASE_BYTES_MIN * 5 / 4); /* quick again: slowly up */
	for (int i = 0; i < 40; i++)
		ease_look(&x, 100, 3000, x.limit);
	assert_int_equal(x.limit, 0);
}

/* Its answers come within the millisecond that the nodes can tell. */
static void a_very_quick_server_is_a_baseline_too(void **state UNUSED)
{
	struct ease x = { 0 };

	ease_look(&x, 100, 0, 8 * MB);
	assert_int_equal(x.limit, 0);
	ease_look(&x, 100, 150000, 8 * MB);
	assert_true(ease_is_slow(&x));
	assert_int_equal(x.limit, 4 * MB);
}

static void nobody_is_slowed_by_a_silent_night(void **state UNUSED)
{
	struct ease x = { 0 };

	ease_look(&x, 100, 2000, 0);
	ease_look(&x, EASE_COMMANDS_MIN - 1, 900000, 8 * MB); /* three answers say nothing */
	assert_int_equal(x.limit, 0);
	/* Slow without us: no reason to slow down what stands still. */
	ease_look(&x, 100, 900000, 100);
	assert_int_equal(x.limit, 0);
	/* What is slow while we are quiet becomes what is usual. */
	for (int i = 0; i < 40; i++)
		ease_look(&x, 100, 900000, 100);
	ease_look(&x, 100, 900000, 8 * MB);
	assert_int_equal(x.limit, 0);
}

static void nobody_sends_when_the_lease_is_over(void **state UNUSED)
{
	struct pace_word word = { 0 };
	struct err e = { 0 };

	clock_test_freeze();
	assert_int_equal(pace_may_send(&e), 0); /* a worker by hand */
	pace_use(NULL, &word);
	assert_int_equal(pace_may_send(&e), 0); /* an engine without a lease */
	word.lease_until = clock_mono_ms() + 10;
	clock_test_advance(9);
	assert_int_equal(pace_may_send(&e), 0);
	clock_test_advance(1);
	assert_int_equal(pace_may_send(&e), -1);
	assert_string_equal(e.text,
			    "the engine's lease has run out: another engine may be at work");
	pace_use(NULL, NULL);
}

/* As sync/worker.c hands them over; what it knows is its exit status. */
static int as_a_worker(const struct pace_shared *s)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		for (int i = 0; i < PACE_PAGES; i++)
			dup2(s->fd[i], PACE_FD + i);
		pace_attach();
		for (int i = 0; i < SIDES; i++)
			if (pace_is_in_trouble((enum side)i))
				_exit(1 + i);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* A worker that was taken over would switch off what guards against deletes for all of them. */
static void the_engine_s_word_can_only_be_read(void **state UNUSED)
{
	struct pace_shared s;
	const struct pace_word *word;
	struct err e = { 0 };
	int fd;

	assert_int_equal(pace_shared_new(&s, &e), 0);
	fd = s.fd[1];
	assert_true(mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	word = mmap(NULL, sizeof *word, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(word != MAP_FAILED);
	assert_int_equal(mprotect((void *)(uintptr_t)word, sizeof *word, PROT_READ | PROT_WRITE), -1);
	s.word->lease_until = 7;
	assert_int_equal(word->lease_until, 7);
	assert_in_range(s.fd[0], PACE_FD + PACE_PAGES, 1000);
	assert_in_range(fd, PACE_FD + PACE_PAGES, 1000);
	munmap((void *)(uintptr_t)word, sizeof *word);
	s.word->trouble_until[SIDE_NEW] = INT64_MAX;
	assert_int_equal(as_a_worker(&s), 1 + SIDE_NEW);
	pace_shared_free(&s);
}

/* ---- from the nodes' rows to the workers' clocks */

static struct store *new_store(char *path)
{
	const struct store_opts o = { .path = path, .create = true };
	struct store *st = NULL;
	struct err e = { 0 };

	if (store_open(&st, &o, &e) < 0)
		fail_msg("%s", e.text);
	return st;
}

static void turn(struct store *st, struct speed *sp, int64_t typical_us)
{
	struct err e = { 0 };

	assert_int_equal(store_latency_write(st, "p1", SIDE_OLD, 50, typical_us, &e), 0);
	clock_test_advance(EASE_MS);
	speed_tick(sp);
}

static void slow_answers_slow_the_copier(void **state UNUSED)
{
	char path[] = "/tmp/mailferry-pace-XXXXXX", text[200];
	struct settings s = { .backend = { { .rate = 10 * MB, .connections = 4 },
					   { .connections = 3 } },
			      .sync = { .user_message_rate = 9, .trouble_s = 120 } };
	const struct pace_word *word;
	struct pace_page *page;
	struct err e = { 0 };
	struct store *st;
	struct speed *sp;
	int fd = mkstemp(path);

	close(fd);
	unlink(path);
	clock_test_freeze();
	st = new_store(path);
	sp = speed_new(st, &s);
	page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, speed_fds(sp)[0], 0);
	word = mmap(NULL, sizeof *word, PROT_READ, MAP_SHARED, speed_fds(sp)[1], 0);
	assert_true(page != MAP_FAILED && word != MAP_FAILED);
	turn(st, sp, 1000);
	assert_int_equal(page->host[SIDE_OLD][PACE_BYTES].rate, 10 * MB);
	assert_int_equal(page->user_rate[PACE_MESSAGES], 9);
	page->moved[SIDE_OLD] += 4 * MB * (EASE_MS / 1000);
	turn(st, sp, 80000);
	assert_int_equal(page->host[SIDE_OLD][PACE_BYTES].rate, 2 * MB);
	assert_int_equal(page->host[SIDE_NEW][PACE_BYTES].rate, 0); /* not at fault */
	speed_text(sp, SIDE_OLD, text, sizeof text);
	assert_string_equal(text,
			    "the copier gets 2048 KiB/s of the old server: it answers live "
			    "users in 80 ms, 1 ms when it is quiet");
	for (int i = 0; i < 40; i++)
		turn(st, sp, 1000);
	assert_int_equal(page->host[SIDE_OLD][PACE_BYTES].rate, 10 * MB);

	pace_use(page, word);
	assert_false(pace_is_in_trouble(SIDE_OLD));
	pace_user("anna");
	assert_int_equal(store_server_error(st, SIDE_OLD, "anna", 0, &e), 0);
	turn(st, sp, 1000);
	assert_true(pace_is_in_trouble(SIDE_OLD));
	assert_false(pace_is_in_trouble(SIDE_NEW));
	pace_user("bob");
	assert_false(pace_is_in_trouble(SIDE_OLD));
	assert_int_equal(store_server_error(st, SIDE_OLD, "carl", 0, &e), 0);
	turn(st, sp, 1000);
	assert_true(pace_is_in_trouble(SIDE_OLD));
	clock_test_advance(120000 - 2 * EASE_MS - 1); /* since anna heard it */
	assert_true(pace_is_in_trouble(SIDE_OLD));
	clock_test_advance(1);
	assert_false(pace_is_in_trouble(SIDE_OLD));
	pace_user("carl");
	assert_true(pace_is_in_trouble(SIDE_OLD));
	turn(st, sp, 1000);
	assert_int_equal(word->trouble_until[SIDE_OLD], 0);
	turn(st, sp, 1000);
	assert_int_equal(word->user_trouble_until[SIDE_OLD], 0);
	pace_use(NULL, NULL);
	munmap(page, sizeof *page);
	munmap((void *)(uintptr_t)word, sizeof *word);
	speed_free(&sp);
	store_close(&st);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_is_kept_and_used),
		cmocka_unit_test(no_limit_no_wait),
		cmocka_unit_test(a_limit_cuts_chunks_of_any_size),
		cmocka_unit_test(a_connection_is_never_faster),
		cmocka_unit_test(windows_change_what_they_name),
		cmocka_unit_test(bad_windows_are_refused),
		cmocka_unit_test(live_users_get_room),
		cmocka_unit_test(a_very_quick_server_is_a_baseline_too),
		cmocka_unit_test(nobody_is_slowed_by_a_silent_night),
		cmocka_unit_test(nobody_sends_when_the_lease_is_over),
		cmocka_unit_test(the_engine_s_word_can_only_be_read),
		cmocka_unit_test(slow_answers_slow_the_copier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
