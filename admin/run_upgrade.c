/*
 * Hides: how new programs take over without a port being closed or a session being lost.
 *
 * The programs on disk are tried first: each loads the settings and all it needs. Then the
 * supervisor becomes the new program in place: same process, same children, same sockets. That
 * one starts new nodes; when all are up, the old ones leave and the engine starts anew.
 * Whatever fails, the old nodes go on taking connections.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "admin/run_impl.h"
#include "common/clock.h"

#define TRY_MS	 20000 /* most that a program may take to check itself */
#define TRY_TEXT 4000  /* bytes kept of what it says */

void run_upgrade_says(struct run *r, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_info(NULL, "upgrade: %s", text);
	inbox_answer(r->inbox, &r->asker, INBOX_SAYS, text);
}

static void end_with(struct run *r, const char *key, const char *text)
{
	inbox_answer(r->inbox, &r->asker, key, text);
	r->asker.size = 0;
	notify_send("READY=1\nSTATUS=%s", text);
	run_enter(r, RUN_UP);
}

static void fail(struct run *r, const char *text)
{
	log_error(NULL, "upgrade: %s", text);
	end_with(r, INBOX_FAILED, text);
}

/* ---- trying a program */

static void in_trial(const char *const *argv, int out, const struct child_user *u)
{
	dup2(out, STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	child_in_trial(u);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Until its end, or until it has said nothing for too long. */
static void read_words(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = clock_mono_ms() + TRY_MS;
	size_t n = 0;

	for (;;) {
		int64_t left = end - clock_mono_ms();
		ssize_t got;
		char rest[256];
		int there = left <= 0 ? 0 : poll(&p, 1, (int)left);

		if (there < 0 && errno == EINTR) /* another child's death */
			continue;
		if (there <= 0)
			break;
		got = n + 1 < size ? read(fd, text + n, size - 1 - n)
				   : read(fd, rest, sizeof rest);
		if (got <= 0)
			break;
		if (n + 1 < size)
			n += (size_t)got;
	}
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
}

/* Runs it to its end, without the loop: nothing else shall begin meanwhile. */
static int try_program(const char *const *argv, const struct child_user *u, struct err *e)
{
	char text[TRY_TEXT] = "";
	int out[2], status = 0;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_set(e, ERR_TEMP, "pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		in_trial(argv, out[1], u);
	close(out[1]);
	if (pid > 0)
		read_words(out[0], text, sizeof text);
	close(out[0]);
	if (pid < 0)
		return err_set(e, ERR_TEMP, "fork: %s", strerror(errno));
	kill(pid, SIGKILL); /* its words have ended, so has it; else it stands still */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(e, ERR_INPUT, "%s does not start: %s", argv[0],
		       *text ? text : "it says nothing");
}

static int try_all(struct run *r, const struct run_programs *p, const char *handover,
		   struct err *e)
{
	const char *self[] = { p->self,	     "--config", r->config, "run",
			       "--handover", handover,	 "--check", NULL };
	const char *proxy[] = { p->proxy, "--config", r->config, "--check", NULL };
	const char *engine[] = { p->engine, "--config", r->config, "--check", NULL };

	if (try_program(self, NULL, e) < 0 || try_program(proxy, &r->user, e) < 0)
		return -1;
	return try_program(engine, &r->user, e);
}

/* ---- becoming another */

static void keep_open(struct run *r, bool keep)
{
	int flag = keep ? 0 : FD_CLOEXEC;

	fcntl(r->lock, F_SETFD, flag);
	fcntl(inbox_fd(r->inbox), F_SETFD, flag);
	for (size_t i = 0; i < r->sockets.count; i++)
		fcntl(r->sockets.at[i].fd, F_SETFD, flag);
}

static void note_child(struct handover *h, const struct child *c, enum child_role role)
{
	if (!child_pid(c))
		return;
	h->children = mem_grow(h->children, h->child_count + 1, sizeof *h->children);
	h->children[h->child_count++] =
		(struct handover_child){ (char *)(uintptr_t)child_name(c), child_pid(c), role };
}

static int write_handover(struct run *r, struct err *e)
{
	struct handover h = { .run_dir = r->settings->run.dir,
			      .store = r->settings->store.path,
			      .user = r->settings->run.user ? r->settings->run.user
							    : (char[]){ "" },
			      .lock = r->lock,
			      .inbox = inbox_fd(r->inbox),
			      .generation = r->generation,
			      .asker = r->asker,
			      .sockets = r->sockets };
	int fd;

	note_child(&h, r->engine, ROLE_ENGINE);
	for (size_t i = 0; i < r->node_count; i++)
		note_child(&h, r->nodes[i].child, r->nodes[i].role);
	fd = handover_write(&h, e);
	mem_free(&h.children);
	return fd;
}

/* Returns only if it failed. Signals wait until the new image is ready for them. */
static int become(struct run *r, const char *program, const char *handover, struct err *e)
{
	const char *argv[] = { program,	     "--config", r->config, "run",
			       "--handover", handover,	 NULL };
	sigset_t all, before;

	fflush(NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	execv(program, (char *const *)(uintptr_t)argv);
	err_set(e, ERR_INPUT, "%s: %s", program, strerror(errno));
	sigprocmask(SIG_SETMASK, &before, NULL);
	return -1;
}

static int change_image(struct run *r, struct err *e)
{
	struct run_programs p;
	char handover[16];
	int fd = -1, rc = run_find_programs(r, &p, e);

	if (rc == 0)
		rc = fd = write_handover(r, e);
	if (rc >= 0) {
		snprintf(handover, sizeof handover, "%d", fd);
		keep_open(r, true);
		rc = try_all(r, &p, handover, e);
		if (rc == 0) {
			run_upgrade_says(r, "the new programs and the settings are good");
			notify_send("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=upgrading",
				    1000LL * (long long)clock_mono_ms());
			rc = become(r, p.self, handover, e);
		}
		keep_open(r, false);
		close(fd);
	}
	run_programs_release(&p);
	return rc;
}

void run_upgrade(struct run *r, const struct inbox_peer *asker)
{
	struct err e = { 0 };

	r->asker = *asker;
	if (change_image(r, &e) < 0) {
		char *text = mem_printf("nothing was changed: %s", e.text);

		fail(r, text);
		mem_free(&text);
	}
}

/* ---- the new image */

void run_resume(struct run *r, const struct handover *h)
{
	r->asker = h->asker;
	r->generation = h->generation + 1;
	run_make_engine(r);
	for (size_t i = 0; i < h->child_count; i++) {
		const struct handover_child *c = &h->children[i];

		child_adopt(c->role == ROLE_ENGINE ? r->engine
						   : run_add_child(r, c->name, c->role),
			    c->pid);
		if (c->role == ROLE_LEAVES)
			child_leave(r->nodes[r->node_count - 1].child);
	}
	run_enter(r, RUN_NODES_CHANGE);
	run_add_nodes(r, true);
	run_upgrade_says(r, "starting %d nodes", r->settings->run.nodes);
}

static void change_roles(struct run *r)
{
	for (size_t i = 0; i < r->node_count; i++) {
		struct run_node *n = &r->nodes[i];

		if (n->role == ROLE_SERVES) {
			n->role = ROLE_LEAVES;
			child_leave(n->child);
		} else if (n->role == ROLE_COMES) {
			n->role = ROLE_SERVES;
		}
	}
}

static void say_done(struct run *r)
{
	size_t leaving = 0;
	char text[200];

	for (size_t i = 0; i < r->node_count; i++)
		leaving += r->nodes[i].role == ROLE_LEAVES;
	snprintf(text, sizeof text,
		 "done: %d new nodes and a new engine serve; %zu old nodes keep their sessions",
		 r->settings->run.nodes, leaving);
	log_info(NULL, "upgrade: %s", text);
	end_with(r, INBOX_DONE, text);
}

void run_upgrade_go_on(struct run *r)
{
	if (r->phase == RUN_NODES_CHANGE && run_all_ready(r, ROLE_COMES)) {
		change_roles(r);
		run_upgrade_says(r, "the new nodes take the connections now");
		run_enter(r, RUN_ENGINE_CHANGES);
		child_restart(r->engine);
	} else if (r->phase == RUN_ENGINE_CHANGES && child_ready(r->engine)) {
		say_done(r);
	}
}

/* A new node that is up has connections already: it may only leave. */
static void give_up_nodes(struct run *r)
{
	for (size_t i = 0; i < r->node_count; i++) {
		struct run_node *n = &r->nodes[i];

		if (n->role != ROLE_COMES)
			continue;
		n->role = ROLE_LEAVES;
		if (child_ready(n->child))
			child_leave(n->child);
		else
			child_stop(n->child);
	}
}

void run_upgrade_failed(struct run *r, const struct child *who)
{
	const char *after = r->phase == RUN_NODES_CHANGE ? "the old nodes go on"
							 : "the new nodes serve; the engine is "
							   "tried again";
	char *text = who ? mem_printf("%s: %s; %s", child_name(who), child_story(who), after)
			 : mem_printf("not up within %d s; %s", RUN_START_MS / 1000, after);

	if (r->phase == RUN_NODES_CHANGE)
		give_up_nodes(r);
	fail(r, text);
	mem_free(&text);
}
