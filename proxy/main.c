/* mailferry-proxy: one node. Reads its settings, joins the store, serves until it is told to
 * stop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/harden.h"
#include "common/notify.h"
#include "common/process_use.h"
#include "proxy/backend.h"
#include "proxy/caps.h"
#include "proxy/certificates.h"
#include "proxy/control.h"
#include "proxy/ending.h"
#include "proxy/follower.h"
#include "proxy/latency.h"
#include "proxy/life.h"
#include "proxy/listener.h"
#include "proxy/lookup.h"
#include "proxy/probe.h"
#include "proxy/reload.h"
#include "proxy/route.h"
#include "proxy/session.h"
#include "proxy/trace.h"
#include "proxy/uses.h"

#define EXIT_USAGE 2

struct node {
	struct proxy proxy;
	struct settings settings;
	struct event *signals[4];
	char *lock_path;
	int lock_fd;
	int64_t beat_ms;
};

static const char usage[] =
	"usage: mailferry-proxy --config FILE --node NAME\n"
	"       mailferry-proxy --config FILE --check\n"
	"       mailferry-proxy --config FILE --node NAME --bury\n"
	"Runs one proxy node. `mailferry run` starts and supervises the nodes of a host.\n";

/* ---- start */

static int load_settings(struct node *n, const char *path)
{
	struct settings_errors errs = { 0 };

	if (settings_load(path, &n->settings, &errs) == 0)
		return 0;
	for (size_t i = 0; i < errs.count; i++)
		fprintf(stderr, "%s\n", errs.at[i]);
	settings_errors_release(&errs);
	return -1;
}

/* The one before removes its file at its end: a lock on a removed file would be none. */
static bool still_there(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
	       mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

static int take_lock(int *fd, const char *path, struct err *e)
{
	for (;;) {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (*fd < 0)
			return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
		if (flock(*fd, LOCK_EX | LOCK_NB) < 0)
			return err_set(
				e, ERR_INPUT,
				"another process runs under this name (%s is locked); end "
				"it, or give this one a run.dir of its own",
				path);
		if (still_there(*fd, path))
			return 0;
		close(*fd);
	}
}

/* Who holds this lock is the only process of this name: the one before is dead, and so are its
 * sessions. */
static int lock_name(struct node *n, struct err *e)
{
	n->lock_path = mem_printf("%s/%s.lock", n->settings.run.dir, n->proxy.node);
	if (take_lock(&n->lock_fd, n->lock_path, e) < 0 ||
	    place_find(n->settings.run.dir, n->settings.run.host, &n->proxy.place, e) < 0)
		return err_wrap(e, "node %s", n->proxy.node);
	return 0;
}

/* Names of nodes are used once: their files would pile up. */
static void unlock_name(struct node *n)
{
	unlink(n->lock_path);
	close(n->lock_fd);
	mem_free(&n->lock_path);
}

static int open_backends(struct proxy *p, struct err *e)
{
	for (int side = 0; side < SIDES; side++)
		if (backend_new((enum side)side, &p->settings->backend[side], &p->backend[side],
				e) < 0)
			return -1;
	return 0;
}

static int open_parts(struct node *n, struct err *e)
{
	struct proxy *p = &n->proxy;

	if (loop_init(&p->loop, e) < 0 || listeners_open(p, &p->listeners, e) < 0 ||
	    lock_name(n, e) < 0 || proxy_open_tls(p, e) < 0)
		return -1;
	if (open_backends(p, e) < 0)
		return -1;
	p->caps = caps_new();
	sessions_init(p);
	p->guard = guard_new(p);
	p->routes = routes_new(p);
	p->lookup = lookup_new(p);
	if (follower_start(p, &p->follower, e) < 0 || control_start(p, &p->control, e) < 0)
		return -1;
	p->own_descriptors = process_descriptors();
	return 0;
}

/* ---- running */

static void on_signal(evutil_socket_t sig, short what UNUSED, void *arg)
{
	struct node *n = arg;

	if (sig == SIGHUP)
		(void)!proxy_reload(&n->proxy, &(struct err){ 0 });
	else if (sig == SIGUSR1)
		life_leave(&n->proxy);
	else
		life_stop(&n->proxy, n->settings.run.stop_s);
}

/* The loop goes round; and whose child we are not is told what we are. */
static void beat(struct node *n, int64_t now)
{
	if (now - n->beat_ms < NOTIFY_BEAT_MS)
		return;
	n->beat_ms = now;
	notify_send("WATCHDOG=1\n" NOTIFY_NODE "%s", n->proxy.node);
}

static void on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct node *n = arg;
	struct proxy *p = &n->proxy;
	int64_t now = clock_mono_ms();

	if (!proxy_has_lease(p))
		routes_fence(p->routes);
	routes_tick(p->routes);
	endings_tick(p);
	traces_tick(p);
	lookup_tick(p->lookup);
	listeners_tick(p->listeners);
	certificates_tick(p);
	if (now - p->rows_written_ms >= PROXY_WRITE_ROWS_MS) {
		p->rows_written_ms = now;
		sessions_look(p);
		uses_write(p);
	}
	latency_tick(p, now);
	life_tick(p);
	beat(n, now);
}

static void arm_events(struct node *n)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	struct timeval tick = { 0, PROXY_TICK_MS * 1000 };
	struct proxy *p = &n->proxy;

	_Static_assert(COUNT(signals) == COUNT(n->signals), "room for every signal");
	for (size_t i = 0; i < COUNT(signals); i++) {
		n->signals[i] = evsignal_new(p->loop.base, signals[i], on_signal, n);
		if (!n->signals[i])
			BUG("libevent makes no event");
		evsignal_add(n->signals[i], NULL);
	}
	p->tick = event_new(p->loop.base, -1, EV_PERSIST, on_tick, n);
	if (!p->tick)
		BUG("libevent makes no timer");
	event_add(p->tick, &tick);
}

static void close_parts(struct node *n)
{
	struct proxy *p = &n->proxy;

	sessions_shut_down(p, true);
	endings_release(p);
	traces_release(p);
	session_free_closed(p); /* what they still say goes through the follower */
	uses_write(p);
	lookup_free(&p->lookup);
	follower_stop(&p->follower);
	control_stop(&p->control);
	sessions_release(p);
	probes_stop(&p->probes);
	listeners_free(&p->listeners);
	for (size_t i = 0; i < COUNT(n->signals); i++)
		event_free(n->signals[i]);
	event_free(p->tick);
	loop_release(&p->loop);
	routes_free(&p->routes);
	for (int side = 0; side < SIDES; side++)
		backend_free(&p->backend[side]);
	caps_free(&p->caps);
	tls_server_free(&p->tls);
	certificates_release(p);
	guard_free(&p->guard);
	metrics_free(&p->metrics);
	unlock_name(n);
	settings_release(&n->settings);
}

static void set_up_process(void)
{
	harden_process();
	signal(SIGPIPE, SIG_IGN);
	/* Sessions come and go in bursts: memory goes back to the system behind them. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

static int serve(struct node *n)
{
	struct err e = { 0 };
	bool clean;

	if (open_parts(n, &e) < 0) {
		log_error(NULL, "cannot start: %s", e.text);
		notify_send("STATUS=cannot start: %s", e.text);
		return 1;
	}
	arm_events(n);
	n->proxy.probes = probes_start(&n->proxy);
	if (n->proxy.life == LIFE_SERVES)
		listeners_start(n->proxy.listeners);
	else
		listeners_pause(n->proxy.listeners);
	log_info(NULL, "node is up%s", n->proxy.life == LIFE_DRAINED ? ", drained" : "");
	notify_send("READY=1\n" NOTIFY_NODE "%s", n->proxy.node);
	event_base_dispatch(n->proxy.loop.base);
	clean = n->proxy.life >= LIFE_LEAVES;
	close_parts(n);
	log_info(NULL, "node has ended");
	return clean ? 0 : 1;
}

/* Would it start? Tried before an upgrade. */
static int check_only(struct node *n)
{
	struct proxy *p = &n->proxy;
	struct err e = { 0 };
	int rc;

	log_open("check", LOG_ERROR);
	rc = proxy_open_tls(p, &e);
	if (rc == 0)
		rc = open_backends(p, &e);
	if (rc < 0)
		fprintf(stderr, "%s\n", e.text);
	for (int side = 0; side < SIDES; side++)
		backend_free(&p->backend[side]);
	tls_server_free(&p->tls);
	settings_release(&n->settings);
	return rc < 0 ? 1 : 0;
}

/* Of a node that died and is not started again: else cutovers would wait until its lease counts
 * as gone. The lock proves its death. */
static int bury_name(struct node *n)
{
	struct store_opts opts = { .path = n->settings.store.path,
				   .url = n->settings.store.url,
				   .place = &n->proxy.place };
	struct store *store = NULL;
	struct err e = { 0 };
	int64_t incarnation;
	int rc = lock_name(n, &e);

	if (rc == 0)
		rc = store_open(&store, &opts, &e);
	if (rc == 0)
		rc = store_node_join(store, n->proxy.node, &incarnation, &e);
	if (rc == 0)
		rc = store_node_leave(store, n->proxy.node, incarnation, &e);
	if (rc < 0)
		log_warn(NULL, "the dead node stays in the store for a while: %s", e.text);
	else
		log_info(NULL, "the dead node is out of the store");
	store_close(&store);
	if (n->lock_fd >= 0)
		unlock_name(n);
	metrics_free(&n->proxy.metrics);
	settings_release(&n->settings);
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "node", required_argument, NULL, 'n' },
						 { "check", no_argument, NULL, 'k' },
						 { "bury", no_argument, NULL, 'b' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	static struct node n = { .lock_fd = -1 };
	const char *config = NULL;
	bool check = false, bury = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:n:h", options, NULL)) != -1) {
		if (c == 'c')
			config = optarg;
		else if (c == 'n')
			n.proxy.node = optarg;
		else if (c == 'k')
			check = true;
		else if (c == 'b')
			bury = true;
		else {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : EXIT_USAGE;
		}
	}
	if (!config || !(n.proxy.node || check) || optind < argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	set_up_process();
	if (load_settings(&n, config) < 0)
		return EXIT_USAGE;
	n.proxy.settings = &n.settings;
	if (check)
		return check_only(&n);
	n.proxy.metrics = meters_new();
	log_open(n.proxy.node, n.settings.log.level);
	return bury ? bury_name(&n) : serve(&n);
}
