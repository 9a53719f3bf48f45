/* Hides: `mailferry run`: the order of starting, what "up" means, deaths, and the end. */
#include <signal.h>
#include <sys/wait.h>

#include "admin/rights.h"
#include "admin/run_impl.h"
#include "common/clock.h"

/* ---- children */

void run_make_engine(struct run *r)
{
	struct child_opts o = { .name = "engine",
				.argv = { r->programs.engine, "--config", r->config },
				.user = &r->user,
				.inbox = inbox_path(r->inbox),
				.ends_with_us = true,
				.stop_ms = RUN_ENGINE_STOP_MS };

	size_t n = 3;

	if (r->ctl->new_store)
		o.argv[n++] = "--new-store";
	if (r->settings->learn.domains) {
		o.key_file = r->settings->learn.key_file;
		o.argv[n++] = "--key-fd=3";
	}
	r->engine = child_new(r->base, &o);
}

struct child *run_add_child(struct run *r, const char *name, enum child_role role)
{
	struct child_opts o = { .name = name,
				.sockets = &r->sockets,
				.user = &r->user,
				.inbox = inbox_path(r->inbox),
				.may_leave = true,
				.argv = { r->programs.proxy, "--config", r->config, "--node",
					  name },
				.stop_ms = 1000 * r->settings->run.stop_s + RUN_STOP_MORE_MS };
	struct child *c = child_new(r->base, &o);

	r->nodes = mem_grow(r->nodes, r->node_count + 1, sizeof *r->nodes);
	r->nodes[r->node_count++] = (struct run_node){ c, role };
	return c;
}

void run_add_nodes(struct run *r, bool start)
{
	for (int i = 1; i <= r->settings->run.nodes; i++) {
		char name[RUN_NAME_MAX];
		struct child *c;

		run_node_name(r, i, name);
		c = run_add_child(r, name, ROLE_COMES);
		if (start)
			child_start(c);
	}
}

static void drop_node(struct run *r, size_t i)
{
	child_free(&r->nodes[i].child);
	r->nodes[i] = r->nodes[--r->node_count];
}

static struct child *find_child(const struct run *r, pid_t pid)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (child_pid(r->nodes[i].child) == pid)
			return r->nodes[i].child;
	return child_pid(r->engine) == pid ? r->engine : NULL;
}

bool run_all_ready(const struct run *r, enum child_role role)
{
	size_t count = 0;

	for (size_t i = 0; i < r->node_count; i++) {
		if (r->nodes[i].role != role)
			continue;
		if (!child_ready(r->nodes[i].child))
			return false;
		count++;
	}
	return count > 0;
}

/* ---- phases */

void run_enter(struct run *r, int phase)
{
	r->phase = phase;
	r->phase_since = clock_mono_ms();
}

static void start_nodes(struct run *r)
{
	/* The store is there now; whoever restarts the engine must not make another one. */
	child_drop_arg(r->engine, "--new-store");
	run_enter(r, RUN_NODES_START);
	run_add_nodes(r, true);
}

static void say_up(struct run *r)
{
	char *where = listen_describe(&r->sockets);

	for (size_t i = 0; i < r->node_count; i++)
		r->nodes[i].role = ROLE_SERVES;
	run_enter(r, RUN_UP);
	fprintf(r->ctl->out, "mailferry: up, %d nodes, listening on %s\n",
		r->settings->run.nodes, where);
	fflush(r->ctl->out);
	notify_send("READY=1\nSTATUS=%d nodes, listening on %s", r->settings->run.nodes, where);
	mem_free(&where);
	run_tell_strays(r, SIGUSR1);
}

void run_go_on(struct run *r)
{
	if (r->phase == RUN_ENGINE_STARTS && child_ready(r->engine))
		start_nodes(r);
	else if (r->phase == RUN_NODES_START && run_all_ready(r, ROLE_COMES))
		say_up(r);
	else
		run_upgrade_go_on(r);
}

/* ---- ending */

static bool anybody_runs(const struct run *r)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (child_pid(r->nodes[i].child))
			return true;
	return child_pid(r->engine) != 0;
}

/* The engine last: its nodes' last words go through the store alone, but people may look on. */
static void stop(struct run *r)
{
	run_enter(r, RUN_STOPS);
	notify_send("STOPPING=1\nSTATUS=sessions come to their end");
	for (size_t i = 0; i < r->node_count; i++)
		child_stop(r->nodes[i].child);
	run_tell_strays(r, SIGTERM);
	child_stop(r->engine);
	if (!anybody_runs(r))
		event_base_loopbreak(r->base);
}

/* An engine that cannot start for the first time (no store, a port taken) will not on the
 * second. */
static void judge_death(struct run *r, const struct child *c)
{
	if (r->phase == RUN_ENGINE_STARTS && c == r->engine) {
		log_error(NULL, "the engine did not start: %s", child_story(c));
		r->status = CTL_FAILED;
		stop(r);
	}
	if (r->phase == RUN_ENGINE_CHANGES && c == r->engine)
		run_upgrade_failed(r, c);
	for (size_t i = 0; r->phase == RUN_NODES_CHANGE && i < r->node_count; i++)
		if (r->nodes[i].child == c && r->nodes[i].role == ROLE_COMES)
			run_upgrade_failed(r, c);
}

static void forget_ended(struct run *r)
{
	for (size_t i = 0; i < r->node_count;)
		if (r->nodes[i].role == ROLE_LEAVES && !child_pid(r->nodes[i].child))
			drop_node(r, i);
		else
			i++;
}

/* A node that dies on its way out has left its name in the store. */
static void bury(struct run *r, const struct child *c)
{
	const char *argv[] = { r->programs.proxy, "--config", r->config, "--node",
			       child_name(c),	  "--bury",   NULL };

	for (size_t i = 0; i < r->node_count; i++)
		if (r->nodes[i].child == c && r->nodes[i].role == ROLE_LEAVES)
			child_run_once(argv, &r->user);
}

static void reap(struct run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = find_child(r, pid);
		bool asked;

		if (!c)
			continue;
		asked = child_restarts(c);
		child_died(c, status);
		if (!asked)
			judge_death(r, c);
		if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0)
			bury(r, c);
	}
	forget_ended(r);
	if (r->phase == RUN_STOPS && !anybody_runs(r))
		event_base_loopbreak(r->base);
}

/* ---- events */

static void reload(struct run *r)
{
	log_info(NULL, "reload");
	child_reload(r->engine);
	for (size_t i = 0; i < r->node_count; i++)
		child_reload(r->nodes[i].child);
}

static void on_signal(evutil_socket_t number, short what UNUSED, void *arg)
{
	struct run *r = arg;

	switch (number) {
	case SIGCHLD:
		reap(r);
		return;
	case SIGHUP:
		reload(r);
		return;
	case SIGUSR2:
		if (r->phase == RUN_UP)
			run_upgrade(r, &(struct inbox_peer){ 0 });
		else
			log_warn(NULL,
				 "upgrade: a start, a stop or another upgrade is under way");
		return;
	default:
		log_info(NULL, "stopping");
		stop(r);
	}
}

/* A node that hung for a minute has lost its lease: to kill it costs no session that counts. */
static void look_after_children(struct run *r, bool slept)
{
	int64_t hang = 1000LL * r->settings->run.hang_s;

	for (size_t i = 0; i < r->node_count; i++) {
		if (slept)
			child_excuse(r->nodes[i].child);
		child_kill_if_hung(r->nodes[i].child, hang);
	}
	if (slept)
		child_excuse(r->engine);
	child_kill_if_hung(r->engine, hang);
}

static void on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct run *r = arg;
	int64_t now = clock_mono_ms();

	look_after_children(r, now - r->ticked >= RUN_SLEPT_MS);
	r->ticked = now;
	run_forget_strays(r);
	run_watchdog(r);
	if ((r->phase == RUN_NODES_CHANGE || r->phase == RUN_ENGINE_CHANGES) &&
	    now - r->phase_since >= RUN_START_MS)
		run_upgrade_failed(r, NULL);
}

static void watch(struct run *r)
{
	static const int numbers[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR2 };
	struct timeval tick = { .tv_sec = RUN_TICK_MS / 1000 };
	sigset_t none;

	_Static_assert(COUNT(numbers) == COUNT(((struct run *)0)->signals), "one event each");
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		r->signals[i] = evsignal_new(r->base, numbers[i], on_signal, r);
		ASSERT(r->signals[i] && evsignal_add(r->signals[i], NULL) == 0);
	}
	r->tick = event_new(r->base, -1, EV_PERSIST, on_tick, r);
	ASSERT(r->tick && event_add(r->tick, &tick) == 0);
	r->ticked = clock_mono_ms();
	inbox_listen(r->inbox, r->base, run_hear, r);
	/* The image before us has left all of them blocked. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- the whole */

static void supervise(struct run *r, const struct handover *h)
{
	r->base = event_base_new();
	ASSERT(r->base);
	watch(r);
	if (h) {
		run_resume(r, h);
		reap(r); /* whose death the image before us was told of */
	} else {
		run_make_engine(r);
		child_start(r->engine);
	}
	event_base_dispatch(r->base);
	listen_remove_file(r->settings->run.dir);
}

static void run_release(struct run *r)
{
	while (r->node_count)
		drop_node(r, 0);
	mem_free(&r->nodes);
	mem_free(&r->strays);
	child_free(&r->engine);
	for (size_t i = 0; r->base && i < COUNT(r->signals); i++)
		event_free(r->signals[i]);
	if (r->base)
		event_free(r->tick);
	inbox_close(&r->inbox);
	if (r->base)
		event_base_free(r->base);
	listen_close(&r->sockets);
	child_user_release(&r->user);
	run_programs_release(&r->programs);
	mem_free(&r->config);
	if (r->lock >= 0)
		close(r->lock);
}

static int take_handover(const char *number, struct handover *h, struct err *e)
{
	uint64_t fd;
	int rc;

	if (slice_u64(slice_of(number), INT32_MAX, &fd) < 0)
		return err_set(e, ERR_INPUT, "--handover: no descriptor: %.40s", number);
	rc = handover_read((int)fd, h, e);
	close((int)fd);
	return rc;
}

static int run_all(struct run *r, struct err *e)
{
	struct handover h = { 0 };
	const char *number = r->ctl->handover;
	int rc = number ? take_handover(number, &h, e) : 0;

	if (rc == 0)
		rc = run_prepare(r, number ? &h : NULL, r->ctl->check, e);
	if (rc == 0 && !r->ctl->check)
		supervise(r, number ? &h : NULL);
	handover_release(&h);
	return rc;
}

int ctl_run(struct ctl *c)
{
	struct run r = { .ctl = c, .settings = &c->settings, .lock = -1 };
	struct err e = { 0 };
	int status = ctl_settings(c);

	if (status != CTL_OK)
		return status;
	log_open("mailferry", c->settings.log.level);
	rights_reduce();
	if (run_all(&r, &e) < 0) {
		if (c->check)
			fprintf(stderr, "%s\n", e.text);
		else
			log_error(NULL, "%s", e.text);
		notify_send("STATUS=%s", e.text);
		r.status = CTL_FAILED;
	}
	run_release(&r);
	return r.status;
}
