/* Hides: `mailferry run`: the order of starting, what "up" means, and the order of ending. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "admin/api.h"
#include "admin/child.h"
#include "admin/ctl.h"
#include "common/log.h"

#define RUN_LOOK_MS	   100	 /* starting: the API is asked this often whether all is up */
#define RUN_ASK_S	   2	 /* most that one such question may take */
#define RUN_STOP_MORE_MS   10000 /* a proxy gets this on top of run.stop_s */
#define RUN_ENGINE_STOP_MS 10000

#define ENGINE "mailferry-sync"
#define PROXY  "mailferry-proxy"

/* Everything is owned here unless it says otherwise. */
struct run {
	struct ctl *ctl;		 /* borrowed */
	const struct settings *settings; /* borrowed */
	struct event_base *base;
	struct event *signals[4], *look;
	struct client *client;
	struct child_user user;
	struct listen_sockets sockets;
	struct child *engine, **proxies;
	size_t proxy_count;
	char *config, *engine_path, *proxy_path;
	int lock;
	enum { RUN_ENGINE_STARTS, RUN_PROXIES_START, RUN_UP, RUN_STOPS } phase;
	int status;
};

/* ---- folders and programs */

/* Also makes what is above it; mode and owner are set only where a folder is new. */
static int make_folder(const char *path, mode_t mode, const struct child_user *u, struct err *e)
{
	char *above = mem_str(path), *slash = strrchr(above, '/');
	struct stat st;
	int rc = 0;

	if (stat(path, &st) < 0) {
		if (slash && slash != above) {
			*slash = '\0';
			rc = make_folder(above, 0755, &(struct child_user){ 0 }, e);
		}
		if (rc == 0 && mkdir(path, mode) < 0 && errno != EEXIST)
			rc = err_set(e, ERR_INPUT, "cannot make the folder %s: %s", path,
				     strerror(errno));
		else if (rc == 0 && u->name && chown(path, u->uid, u->gid) < 0)
			rc = err_set(e, ERR_INPUT, "cannot give the folder %s to %s: %s", path,
				     u->name, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		rc = err_set(e, ERR_INPUT, "%s is no folder", path);
	}
	mem_free(&above);
	return rc;
}

static int make_folders(struct run *r, struct err *e)
{
	char *store = mem_str(r->settings->store.path), *slash = strrchr(store, '/');
	int rc = 0;

	if (slash && slash != store) {
		*slash = '\0';
		rc = make_folder(store, 0700, &r->user, e);
	}
	mem_free(&store);
	if (rc == 0)
		rc = make_folder(r->settings->sync.dir, 0700, &r->user, e);
	if (rc == 0)
		rc = make_folder(r->settings->run.dir, 0750, &r->user, e);
	return rc;
}

static int take_lock(struct run *r, struct err *e)
{
	char *path = mem_printf("%s/run.lock", r->settings->run.dir);
	int rc = 0;

	r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock < 0)
		rc = err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	else if (flock(r->lock, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, ERR_INPUT, "%s: held; is another `mailferry run` running?",
			     path);
	mem_free(&path);
	return rc;
}

static int find_program(const char *name, char **out, struct err *e)
{
	static const char *const places[] = { "", "../libexec/mailferry/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		return err_set(e, ERR_INPUT, "/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < COUNT(places); i++) {
		*out = mem_printf("%s/%s%s", self, places[i], name);
		if (access(*out, X_OK) == 0)
			return 0;
		mem_free(out);
	}
	return err_set(e, ERR_INPUT, "%s is neither in %s nor in %s/../libexec/mailferry", name,
		       self, self);
}

/* ---- starting */

static void make_engine(struct run *r)
{
	struct child_opts o = { .name = "engine",
				.argv = { r->engine_path, "--config", r->config },
				.user = &r->user,
				.stop_ms = RUN_ENGINE_STOP_MS };

	if (r->ctl->new_store)
		o.argv[3] = "--new-store";
	r->engine = child_new(r->base, &o);
}

static void make_proxies(struct run *r)
{
	char name[32];
	struct child_opts o = { .name = name,
				.sockets = &r->sockets,
				.user = &r->user,
				.argv = { r->proxy_path, "--config", r->config, "--node",
					  name },
				.stop_ms = 1000 * r->settings->run.stop_s + RUN_STOP_MORE_MS };

	r->proxy_count = (size_t)r->settings->run.nodes;
	r->proxies = mem_array(r->proxy_count + 1, sizeof(struct child *));
	for (size_t i = 0; i < r->proxy_count; i++) {
		snprintf(name, sizeof name, "proxy-%zu", i + 1);
		r->proxies[i] = child_new(r->base, &o);
	}
}

static void start_proxies(struct run *r)
{
	/* The store is there now; whoever restarts the engine must not make another one. */
	child_drop_arg(r->engine, "--new-store");
	r->phase = RUN_PROXIES_START;
	for (size_t i = 0; i < r->proxy_count; i++)
		child_start(r->proxies[i]);
}

/* Is the node of this child among those that the store knows as alive? */
static bool node_is_up(const json_t *nodes, const struct child *c)
{
	const json_t *n;
	size_t i;

	json_array_foreach (nodes, i, n)
		if (strcmp(ctl_text(n, "node"), child_name(c)) == 0)
			return ctl_int(n, "pid") == child_pid(c) &&
			       strcmp(ctl_text(n, "health"), "up") == 0;
	return false;
}

static bool all_up(struct run *r, const json_t *answer)
{
	for (size_t i = 0; i < r->proxy_count; i++)
		if (!node_is_up(json_object_get(answer, "nodes"), r->proxies[i]))
			return false;
	return true;
}

static void say_up(struct run *r)
{
	char *where = listen_describe(&r->sockets);

	r->phase = RUN_UP;
	fprintf(r->ctl->out, "mailferry: up, %zu nodes, listening on %s\n", r->proxy_count,
		where);
	fflush(r->ctl->out);
	mem_free(&where);
}

static void look_again(struct run *r)
{
	struct timeval tv = { .tv_usec = RUN_LOOK_MS * 1000 };

	evtimer_add(r->look, &tv);
}

static void on_look(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct run *r = arg;
	struct err e = { 0 };
	json_t *answer = NULL;

	if (r->phase >= RUN_UP)
		return;
	if (client_ask(r->client, "/v1/nodes", NULL, &answer, &e) == CLIENT_OK) {
		if (r->phase == RUN_ENGINE_STARTS)
			start_proxies(r);
		else if (all_up(r, answer))
			say_up(r);
	}
	json_decref(answer);
	if (r->phase < RUN_UP)
		look_again(r);
}

/* ---- ending */

static bool anybody_runs(const struct run *r)
{
	for (size_t i = 0; i < r->proxy_count; i++)
		if (child_pid(r->proxies[i]))
			return true;
	return child_pid(r->engine) != 0;
}

static void stop(struct run *r)
{
	r->phase = RUN_STOPS;
	evtimer_del(r->look);
	for (size_t i = 0; i < r->proxy_count; i++)
		child_stop(r->proxies[i]);
	child_stop(r->engine);
	if (!anybody_runs(r))
		event_base_loopbreak(r->base);
}

static struct child *find_child(struct run *r, pid_t pid)
{
	for (size_t i = 0; i < r->proxy_count; i++)
		if (child_pid(r->proxies[i]) == pid)
			return r->proxies[i];
	return child_pid(r->engine) == pid ? r->engine : NULL;
}

/* An engine that cannot start for the first time (no store, a port taken) will not on the
 * second. */
static void judge_first_start(struct run *r, const struct child *c)
{
	if (c != r->engine || r->phase != RUN_ENGINE_STARTS)
		return;
	log_error(NULL, "the engine did not start; its last line says why");
	r->status = CTL_FAILED;
	stop(r);
}

static void reap(struct run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = find_child(r, pid);

		if (!c)
			continue;
		child_died(c, status);
		judge_first_start(r, c);
	}
	if (r->phase == RUN_STOPS && !anybody_runs(r))
		event_base_loopbreak(r->base);
}

static void on_signal(evutil_socket_t number, short what UNUSED, void *arg)
{
	struct run *r = arg;

	switch (number) {
	case SIGCHLD:
		reap(r);
		return;
	case SIGHUP:
		log_info(NULL, "reload");
		child_signal(r->engine, SIGHUP);
		for (size_t i = 0; i < r->proxy_count; i++)
			child_signal(r->proxies[i], SIGHUP);
		return;
	default:
		log_info(NULL, "stopping");
		stop(r);
	}
}

static void watch_signals(struct run *r)
{
	static const int numbers[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };

	_Static_assert(COUNT(numbers) == COUNT(((struct run *)0)->signals), "one event each");
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		r->signals[i] = evsignal_new(r->base, numbers[i], on_signal, r);
		ASSERT(r->signals[i] && evsignal_add(r->signals[i], NULL) == 0);
	}
}

/* ---- the whole */

static int prepare(struct run *r, struct err *e)
{
	char full[PATH_MAX];
	char *socket = mem_printf("%s/" API_SOCKET, r->settings->run.dir);
	int rc = client_new(&r->client, socket, RUN_ASK_S, e);

	mem_free(&socket);
	if (rc < 0)
		return -1;
	r->config = mem_str(realpath(r->ctl->config, full) ? full : r->ctl->config);
	if (child_user_find(r->settings->run.user, &r->user, e) < 0 ||
	    find_program(ENGINE, &r->engine_path, e) < 0 ||
	    find_program(PROXY, &r->proxy_path, e) < 0 || make_folders(r, e) < 0 ||
	    take_lock(r, e) < 0 || listen_open(&r->sockets, r->settings, e) < 0)
		return -1;
	return listen_write_file(&r->sockets, r->settings->run.dir, e);
}

static void supervise(struct run *r)
{
	r->base = event_base_new();
	ASSERT(r->base);
	r->look = evtimer_new(r->base, on_look, r);
	ASSERT(r->look);
	watch_signals(r);
	make_engine(r);
	make_proxies(r);
	child_start(r->engine);
	look_again(r);
	event_base_dispatch(r->base);
	listen_remove_file(r->settings->run.dir);
}

static void run_release(struct run *r)
{
	for (size_t i = 0; i < r->proxy_count; i++)
		child_free(&r->proxies[i]);
	mem_free(&r->proxies);
	child_free(&r->engine);
	for (size_t i = 0; r->base && i < COUNT(r->signals); i++)
		event_free(r->signals[i]);
	if (r->base) {
		event_free(r->look);
		event_base_free(r->base);
	}
	listen_close(&r->sockets);
	client_free(&r->client);
	child_user_release(&r->user);
	mem_free(&r->config);
	mem_free(&r->engine_path);
	mem_free(&r->proxy_path);
	if (r->lock >= 0)
		close(r->lock);
}

int ctl_run(struct ctl *c)
{
	struct run r = { .ctl = c, .settings = &c->settings, .lock = -1 };
	struct err e = { 0 };
	int status = ctl_settings(c);

	if (status != CTL_OK)
		return status;
	log_open("mailferry", c->settings.log.level);
	if (prepare(&r, &e) < 0) {
		log_error(NULL, "%s", e.text);
		r.status = CTL_FAILED;
	} else {
		supervise(&r);
	}
	run_release(&r);
	return r.status;
}
