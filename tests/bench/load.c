/*
 * The load generator: IMAP clients that log in, ping, fetch or stay idle.
 *
 *   load MODE --to PORT [--tls] [--resume] [--count N] [--at-once C] [--kib N] [--user FORMAT]
 *
 *   login   COUNT times connect, LOGIN, LOGOUT; AT-ONCE of them at any time
 *   noop    AT-ONCE sessions, COUNT times NOOP together
 *   fetch   AT-ONCE sessions, COUNT times a literal of --kib together
 *   idle    COUNT sessions that LOGIN, SELECT, FETCH 64 KiB and stay in IDLE, AT-ONCE of them
 * at a time on their way there
 *
 * Says "ready" when warm (sessions logged in, tickets collected) and waits for a line; then
 * works and says one line of JSON. idle answers a line of JSON to each line, until the input
 * ends.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/wire/imap.h"
#include "proxy/stream.h"

#define IDLE_FETCH_KIB 64

enum mode { LOGIN, NOOP, FETCH, IDLE };
static const char *const mode_names[] = { "login", "noop", "fetch", "idle" };

enum step { GREETING, LOGGED_IN, SELECTED, FETCHED, WORKING, IDLING, OUT };

struct client {
	struct stream *st;
	enum step step;
	uint64_t literal; /* of an answer: bytes still to come */
	SSL_SESSION *ticket;
	int64_t begin_us;
	bool resumed, bye;
};

static struct {
	enum mode mode;
	int port;
	size_t count, at_once, kib;
	const char *user;
	bool resume;
	SSL_CTX *tls;
} opt = { .at_once = 1, .count = 1, .kib = 8192, .user = "user%zu@example.com" };

static struct {
	size_t begun, done, failed, ready, resumed, byes;
	size_t goal; /* done + failed, then the phase is over */
	bool measuring;
	uint32_t *us; /* how long each took */
	int64_t begin_us, last_close_ms;
} run;

static struct loop loop;
static struct client *clients;
static size_t client_count, user_number;
static struct event *on_line;

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- reports */

static int compare_us(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(void)
{
	size_t open = 0;

	for (size_t i = 0; i < client_count; i++)
		open += clients[i].st != NULL;
	if (run.us && run.done)
		qsort(run.us, run.done, sizeof *run.us, compare_us);
	printf("{\"done\": %zu, \"failed\": %zu, \"resumed\": %zu, \"open\": %zu, \"byes\": %zu, "
	       "\"last_close_ms\": %lld, \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u}\n",
	       run.done, run.failed, run.resumed, open, run.byes, (long long)run.last_close_ms,
	       (double)(now_us() - run.begin_us) / 1e6,
	       run.us && run.done ? run.us[run.done / 2] : 0,
	       run.us && run.done ? run.us[run.done * 99 / 100] : 0);
	fflush(stdout);
}

static void say_ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

static void end_phase(void)
{
	if (run.measuring) {
		report();
		event_base_loopbreak(loop.base);
	} else {
		say_ready();
	}
}

/* One unit of work is over. */
static void count_one(struct client *c, bool ok)
{
	if (ok && run.us)
		run.us[run.done] = (uint32_t)(now_us() - c->begin_us);
	run.resumed += ok && c->resumed;
	if (ok)
		run.done++;
	else
		run.failed++;
	if (run.done + run.failed == run.goal)
		end_phase();
}

/* ---- a client's steps */

static stream_fn on_event;

static SSL *start_ssl(void *arg, int fd)
{
	struct client *c = arg;
	SSL *ssl = SSL_new(opt.tls);

	if (!ssl || !SSL_set_fd(ssl, fd))
		BUG("OpenSSL makes no connection");
	SSL_set_app_data(ssl, c);
	if (c->ticket)
		SSL_set_session(ssl, c->ticket);
	SSL_set_connect_state(ssl);
	return ssl;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->ticket);
	/* A copy: SSL_free() of a connection without close_notify spoils its own. */
	c->ticket = SSL_SESSION_dup(ticket);
	c->resumed = SSL_session_reused(ssl);
	return 0;
}

static void begin(struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)opt.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	run.begun++;
	c->step = GREETING;
	c->resumed = false;
	c->literal = 0;
	c->begin_us = now_us();
	c->st = stream_connect(&loop, (struct sockaddr *)&to, sizeof to,
			       opt.tls ? start_ssl : NULL, c, on_event, c);
	if (!c->st) {
		perror("load: socket");
		exit(1);
	}
}

static void command(struct client *c, enum step next, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void command(struct client *c, enum step next, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text - 2, fmt, ap);
	va_end(ap);
	memcpy(text + n, "\r\n", 2);
	c->step = next;
	stream_write(c->st, text, (size_t)n + 2);
}

static void log_in(struct client *c)
{
	char user[128];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(user, sizeof user, opt.user, user_number++);
#pragma GCC diagnostic pop
	command(c, LOGGED_IN, "a LOGIN %s secret", user);
}

/* The next NOOP or FETCH, if some are left to do. */
static void work(struct client *c)
{
	if (!run.measuring || run.begun == run.goal)
		return;
	run.begun++;
	c->begin_us = now_us();
	if (opt.mode == NOOP)
		command(c, WORKING, "a NOOP");
	else
		command(c, WORKING, "a FETCH %zu BODY[]", opt.kib);
}

static void closed(struct client *c)
{
	bool was_out = c->step == OUT;

	stream_free(&c->st);
	run.last_close_ms = clock_real_ms();
	run.byes += c->bye;
	if (opt.mode == LOGIN) {
		size_t left = run.goal - run.begun;

		count_one(c, was_out);
		if (left)
			begin(c);
	} else if (c->step != IDLING) {
		fprintf(stderr, "load: a session was lost in step %d\n", (int)c->step);
		exit(1);
	}
}

static void next_idler(void)
{
	if (client_count < opt.count)
		begin(&clients[client_count++]);
	else if (run.ready == opt.count)
		say_ready();
}

static void logged_in(struct client *c)
{
	switch (opt.mode) {
	case LOGIN:
		command(c, OUT, "a LOGOUT");
		break;
	case NOOP:
	case FETCH:
		c->step = WORKING;
		if (++run.ready == client_count)
			say_ready();
		break;
	case IDLE:
		command(c, SELECTED, "a SELECT INBOX");
		break;
	}
}

/* The tagged answer to what was asked last, or IDLE's "+". */
static void answered(struct client *c)
{
	switch (c->step) {
	case LOGGED_IN:
		logged_in(c);
		break;
	case SELECTED:
		command(c, FETCHED, "a FETCH %d BODY[]", IDLE_FETCH_KIB);
		break;
	case FETCHED:
		command(c, IDLING, "a IDLE");
		break;
	case WORKING:
		count_one(c, true);
		work(c);
		break;
	case IDLING:
		run.ready++;
		next_idler();
		break;
	case GREETING:
	case OUT:
		break;
	}
}

static void give_up(struct slice line)
{
	fprintf(stderr, "load: refused: %.*s", (int)line.n, line.p);
	exit(1);
}

static void hear_line(struct client *c, struct slice line)
{
	struct imap_line l;

	if (c->step == GREETING)
		log_in(c);
	else if (slice_starts_nocase(line, "a OK") || (c->step == IDLING && line.p[0] == '+'))
		answered(c);
	else if (slice_starts_nocase(line, "* BYE"))
		c->bye = true;
	else if (slice_starts_nocase(line, "a "))
		give_up(line);
	else if (imap_line(line.p, line.n, line.n + 1, &l) == WIRE_DONE && l.tail != LIT_NONE)
		c->literal = l.literal;
}

static void hear(struct client *c)
{
	while (c->st) {
		struct slice in = stream_input(c->st);
		size_t skip = MIN(c->literal, (uint64_t)in.n);
		const char *lf;

		c->literal -= skip;
		stream_consume(c->st, skip);
		in = stream_input(c->st);
		lf = memchr(in.p, '\n', in.n);
		if (!lf)
			return;
		hear_line(c, (struct slice){ in.p, (size_t)(lf - in.p) + 1 });
		stream_consume(c->st, (size_t)(lf - in.p) + 1);
	}
}

static void on_event(struct stream *st, enum stream_event ev, void *arg)
{
	struct client *c = arg;

	switch (ev) {
	case STREAM_UP:
	case STREAM_DRAINED:
		break;
	case STREAM_DATA:
		hear(c);
		break;
	case STREAM_FAILED:
		fprintf(stderr, "load: %s\n", stream_error(st));
		closed(c);
		break;
	case STREAM_EOF:
		closed(c);
		break;
	}
}

/* ---- phases */

/* Before the measuring: sessions are logged in; logins fill the tickets and every cache. */
static void warm_up(void)
{
	clients = mem_array(opt.mode == IDLE ? opt.count : opt.at_once, sizeof *clients);
	run.goal = 2 * opt.at_once;
	for (size_t i = 0; i < MIN(opt.at_once, opt.mode == IDLE ? opt.count : SIZE_MAX); i++)
		begin(&clients[client_count++]);
}

static void measure(void)
{
	uint32_t *us = mem_array(opt.count, sizeof *us);

	memset(&run, 0, sizeof run);
	run.us = us;
	run.measuring = true;
	run.goal = opt.count;
	run.begin_us = now_us();
	for (size_t i = 0; i < client_count && run.begun < run.goal; i++) {
		if (opt.mode == LOGIN)
			begin(&clients[i]);
		else
			work(&clients[i]);
	}
}

static void on_stdin(evutil_socket_t fd, short what UNUSED, void *arg UNUSED)
{
	char line[256];
	ssize_t n = read(fd, line, sizeof line);

	if (n <= 0)
		event_base_loopbreak(loop.base);
	else if (opt.mode == IDLE)
		report();
	else if (!run.measuring)
		measure();
}

static void make_tls(void)
{
	opt.tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(opt.tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (!opt.resume)
		return;
	SSL_CTX_set_session_cache_mode(opt.tls,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(opt.tls, keep_ticket);
}

static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int read_options(int argc, char **argv)
{
	static const struct option options[] = { { "to", required_argument, NULL, 'p' },
						 { "tls", no_argument, NULL, 't' },
						 { "resume", no_argument, NULL, 'r' },
						 { "count", required_argument, NULL, 'n' },
						 { "at-once", required_argument, NULL, 'c' },
						 { "kib", required_argument, NULL, 'k' },
						 { "user", required_argument, NULL, 'u' },
						 { 0 } };
	bool tls = false;
	size_t mode;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			opt.port = (int)strtol(optarg, NULL, 10);
			break;
		case 't':
			tls = true;
			break;
		case 'r':
			opt.resume = true;
			break;
		case 'n':
			opt.count = strtoul(optarg, NULL, 10);
			break;
		case 'c':
			opt.at_once = strtoul(optarg, NULL, 10);
			break;
		case 'k':
			opt.kib = strtoul(optarg, NULL, 10);
			break;
		case 'u':
			opt.user = optarg;
			break;
		default:
			return -1;
		}
	}
	for (mode = 0; optind < argc && mode < COUNT(mode_names); mode++)
		if (strcmp(argv[optind], mode_names[mode]) == 0)
			break;
	if (optind != argc - 1 || mode == COUNT(mode_names))
		return -1;
	opt.mode = (enum mode)mode;
	if (tls)
		make_tls();
	return 0;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };

	if (read_options(argc, argv) < 0) {
		fprintf(stderr, "usage: load login|noop|fetch|idle --to PORT [options]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	if (loop_init(&loop, &e) < 0)
		return 1;
	on_line = event_new(loop.base, 0, EV_READ | EV_PERSIST, on_stdin, NULL);
	event_add(on_line, NULL);
	warm_up();
	event_base_dispatch(loop.base);
	return 0;
}
