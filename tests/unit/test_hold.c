/* A session and its user's freeze, in orders that a real store seldom brings: the follower is
 * one without a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/follower_impl.h"
#include "proxy/route.h"
#include "proxy/session_impl.h"
#include "proxy/validity.h"

#define PATIENCE_MS 5000
#define NAME	    "anna@example.com"

static struct settings settings;
static struct proxy proxy;
static struct follower follower;
static struct session *s;
static int client, backend; /* the other ends */

static struct stream *half(stream_fn *on_event, int *other)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*other = fds[1];
	return stream_accept(&proxy.loop, fds[0], NULL, on_event, s);
}

static void put(enum user_state st, enum direction d, int64_t epoch)
{
	static int64_t change;
	struct user u = { .name = mem_str(NAME),
			  .login = { mem_str(NAME), mem_str(NAME) },
			  .state = st,
			  .direction = d,
			  .change = ++change,
			  .epoch = epoch,
			  .hold_until = clock_real_ms() + 10000 };

	routes_apply(proxy.routes, &u);
	user_release(&u);
}

static int set_up(void **state UNUSED)
{
	struct err e = { 0 };

	settings = (struct settings){
		.users = { .default_domain = (char *)(uintptr_t) "example.com" },
		.limits = { .parked = 10,
			    .line_bytes = 65536,
			    .drop_per_s = 10,
			    .login_s = 60,
			    .backend_login_s = 15,
			    .dial_s = 15,
			    .tracked = 10 },
		.cutover = { .hold_s = 18, .bye = (char *)(uintptr_t) "Moved." }
	};
	settings.backend[SIDE_NEW].keep_uidvalidity = true;
	proxy = (struct proxy){ .settings = &settings,
				.fence_ms = INT64_MAX,
				.follower = &follower };
	follower = (struct follower){ .proxy = &proxy, .orders_fd = eventfd(0, EFD_NONBLOCK) };
	STAILQ_INIT(&follower.orders);
	pthread_mutex_init(&follower.lock, NULL);
	assert_int_equal(loop_init(&proxy.loop, &e), 0);
	sessions_init(&proxy);
	proxy.metrics = meters_new();
	proxy.guard = guard_new(&proxy);
	proxy.routes = routes_new(&proxy);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	sessions_shut_down(&proxy, true);
	sessions_release(&proxy);
	loop_release(&proxy.loop);
	orders_drop(&follower);
	routes_free(&proxy.routes);
	guard_free(&proxy.guard);
	metrics_free(&proxy.metrics);
	close(follower.orders_fd);
	close(client);
	close(backend);
	return 0;
}

/* Routed, and its backend has taken the login, or will. */
static void log_in(const struct protocol *protocol)
{
	s = mem_new(sizeof *s);
	s->proxy = &proxy;
	s->protocol = protocol;
	session_new_id(s->id);
	s->peer = mem_str("127.0.0.1:1");
	s->about = (struct log_about){ .what = "session", .id = s->id };
	s->state = SESSION_LOGIN;
	s->login.name = mem_str(NAME);
	s->login.typed = mem_str(NAME);
	s->login.tag = mem_str("a");
	s->route = routes_find(proxy.routes, NAME);
	s->change = s->route->change;
	s->side = user_side(s->route->state, s->route->direction);
	s->back.side = s->side;
	TAILQ_INSERT_TAIL(&proxy.sessions, s, link);
	proxy.session_count++;
	proxy.preauth_count++;
	route_add_session(s->route, s);
	s->client = half(session_on_client, &client);
	s->backend = half(session_on_backend, &backend);
	validity_begin(s);
}

/* What the store says comes when the user is frozen already: it was asked for a login that is
 * over. */
static void numbers_come_behind_the_freeze(void **state UNUSED)
{
	int64_t asked;

	put(USER_RETURNING, DIR_FORWARD, 1);
	log_in(&imap_protocol);
	asked = s->change;
	session_accepted(s);
	assert_int_equal(s->state, SESSION_LOGIN); /* waits for the store */
	put(USER_FREEZING, DIR_BACK, 1);
	assert_int_equal(s->state, SESSION_PARK);
	validity_arrived(&proxy, NAME, s->id, asked, "1 2\n");
	assert_int_equal(s->state, SESSION_PARK);
}

/* Nor does a store that fails refuse a login that waits for the cutover. */
static void no_numbers_come_behind_the_freeze(void **state UNUSED)
{
	int64_t asked;

	put(USER_RETURNING, DIR_FORWARD, 1);
	log_in(&imap_protocol);
	asked = s->change;
	put(USER_FREEZING, DIR_BACK, 1);
	assert_int_equal(s->state, SESSION_PARK);
	validity_arrived(&proxy, NAME, s->id, asked, NULL);
	assert_int_equal(s->state, SESSION_PARK);
}

/* The login was refused meanwhile, and the next one of the connection waits for its turn. */
static void numbers_come_behind_a_refusal(void **state UNUSED)
{
	struct route *r;
	int64_t asked;

	put(USER_TRAILING, DIR_FORWARD, 1);
	log_in(&imap_protocol);
	r = s->route;
	asked = s->change;
	session_accepted(s);
	session_refused(s, REJECT_DOWN, "backend: login timed out");
	assert_int_equal(s->state, SESSION_AUTH);
	s->route = r;
	route_add_session(r, s);
	session_delay(s, 1000);
	validity_arrived(&proxy, NAME, s->id, asked, "1 2\n");
	assert_int_equal(s->state, SESSION_DELAY);
}

/* ---- from the hold to the end */

static void relay(const struct protocol *protocol)
{
	log_in(protocol);
	stream_relays(s->client);
	stream_relays(s->backend);
	stream_ask_first(s->backend, session_may_send);
	session_enter(s, SESSION_RELAY);
}

static void say(const char *text)
{
	assert_int_equal(write(client, text, strlen(text)), (ssize_t)strlen(text));
}

/* Runs the loop until it holds; the time that it may take is only for what is broken. */
#define until(claim)                                                                     \
	do {                                                                             \
		int64_t give_up = clock_mono_ms() + PATIENCE_MS;                         \
		while (!(claim)) {                                                       \
			assert_true(clock_mono_ms() < give_up);                          \
			event_base_loop(proxy.loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK); \
		}                                                                        \
	} while (0)

static void spin(int turns)
{
	while (turns--)
		event_base_loop(proxy.loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static bool hears(const char *text)
{
	static char heard[1024];
	static size_t n;
	ssize_t got = read(client, heard + n, sizeof heard - 1 - n);

	n += got > 0 ? (size_t)got : 0;
	heard[n] = '\0';
	if (!strstr(heard, text))
		return false;
	n = 0;
	return true;
}

/*
 * A UIDL waits for the store when the user is frozen; the map comes in the hold. Nothing is
 * read from the client then, and behind the flip his command is answered.
 */
static void the_map_comes_in_the_hold(void **state UNUSED)
{
	struct overlay_found found = { .state = OVERLAY_NATIVE };

	put(USER_RETURNING, DIR_FORWARD, 1);
	relay(&pop3_protocol);
	s->overlay.state = OVERLAY_UNASKED;
	say("UIDL\r\n");
	until(s->blocked);
	put(USER_FREEZING, DIR_BACK, 1);
	assert_int_equal(s->state, SESSION_QUIET);
	overlay_arrived(&proxy, NAME, s->id, &found);
	spin(3);
	put(USER_READY, DIR_FORWARD, 2);
	assert_int_equal(s->state, SESSION_PARTING);
	until(hears("-ERR [SYS/TEMP] "));
}

/* Who waits for his BYE behind a flip is not served again because the user came back before it
 * was his turn. */
static void a_flip_back_before_the_bye(void **state UNUSED)
{
	put(USER_READY, DIR_FORWARD, 0);
	relay(&imap_protocol);
	put(USER_FREEZING, DIR_FORWARD, 0);
	assert_int_equal(s->state, SESSION_QUIET);
	proxy.drops_left = 0;
	put(USER_TRAILING, DIR_FORWARD, 1);
	assert_true(s->dropping);
	put(USER_RETURNING, DIR_FORWARD, 1);
	put(USER_FREEZING, DIR_BACK, 1);
	put(USER_READY, DIR_FORWARD, 2);
	assert_int_equal(s->state, SESSION_QUIET);
	until(hears("* BYE "));
	assert_null(TAILQ_FIRST(&proxy.dropping));
}

/* ---- without a lease */

static size_t drain(int fd)
{
	char piece[4096];
	size_t all = 0;
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) > 0)
		all += (size_t)n;
	return all;
}

/*
 * The server was slow to read, and the node stood still until its lease was over. What waits
 * for the server to read goes nowhere: the user may have moved.
 */
static void a_node_that_wakes_late_sends_nothing_that_waited(void **state UNUSED)
{
	char text[4096];
	size_t unsent;

	put(USER_READY, DIR_FORWARD, 0);
	relay(&imap_protocol);
	say("a APPEND INBOX {1000000+}\r\n");
	memset(text, 'x', sizeof text);
	do {
		(void)!write(client, text, sizeof text);
		spin(1);
		unsent = stream_queued(s->backend);
	} while (unsent == 0);
	proxy.fence_ms = 0;
	assert_int_equal(drain(backend), s->bytes_up - unsent);
	until(proxy.session_count == 0);
	spin(3);
	assert_int_equal(drain(backend), 0);
}

/* ---- while it waits */

/* libevent's clock is coarse: a timer may come a little early. Stops the clock for good, so it
 * is the last test. */
static void a_timer_that_comes_early_skips_no_sign_of_life(void **state UNUSED)
{
	bool heard = false;

	put(USER_READY, DIR_FORWARD, 0);
	log_in(&imap_protocol);
	clock_test_freeze();
	put(USER_FREEZING, DIR_FORWARD, 0);
	assert_int_equal(s->state, SESSION_PARK);
	clock_test_advance(10000 - 1);
	session_arm(s);
	clock_test_advance(1);
	for (int turns = 0; turns < 30 && !heard; turns++) {
		event_base_loop(proxy.loop.base, EVLOOP_ONCE);
		heard = hears("* OK Still here");
	}
	assert_true(heard);
}

#define HOLD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOLD_TEST(numbers_come_behind_the_freeze),
		HOLD_TEST(no_numbers_come_behind_the_freeze),
		HOLD_TEST(numbers_come_behind_a_refusal),
		HOLD_TEST(the_map_comes_in_the_hold),
		HOLD_TEST(a_flip_back_before_the_bye),
		HOLD_TEST(a_node_that_wakes_late_sends_nothing_that_waited),
		HOLD_TEST(a_timer_that_comes_early_skips_no_sign_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
