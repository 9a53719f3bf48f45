/* Hides: fork, the way from root to run.user, and the patience with a program that keeps dying.
 */
#include "admin/child.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"

struct child {
	char *name;
	char *argv[CHILD_ARGS_MAX];
	const struct listen_sockets *sockets;
	const struct child_user *user;
	struct event *timer; /* the next start, or KILL when stopping */
	pid_t pid;	     /* 0: does not run */
	int64_t started;
	int64_t back_off_ms;
	int stop_ms;
	bool stopping;
	struct log_about about;
};

int child_user_find(const char *name, struct child_user *out, struct err *e)
{
	struct passwd *p;

	*out = (struct child_user){ 0 };
	if (!name || !*name || geteuid() != 0)
		return 0;
	p = getpwnam(name);
	if (!p)
		return err_set(e, ERR_INPUT, "run: user: no such user: %s", name);
	*out = (struct child_user){ .name = mem_str(name), .uid = p->pw_uid, .gid = p->pw_gid };
	return 0;
}

void child_user_release(struct child_user *u)
{
	mem_free(&u->name);
}

/* ---- in the child */

static void die(const char *what)
{
	fprintf(stderr, "mailferry: %s: %s\n", what, strerror(errno));
	_exit(127);
}

static void become(const struct child_user *u)
{
	if (!u->name)
		return;
	if (initgroups(u->name, u->gid) < 0 || setgid(u->gid) < 0 || setuid(u->uid) < 0)
		die("cannot become the user of run.user");
}

static void unblock_signals(void)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < COUNT(ours); i++)
		signal(ours[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_program(struct child *c, pid_t parent)
{
	unblock_signals();
	become(c->user);
	/* After setuid(), which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	if (c->sockets)
		listen_hand_on(c->sockets);
	execv(c->argv[0], c->argv);
	die(c->argv[0]);
}

/* ---- in the supervisor */

static void start_later(struct child *c, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	evtimer_add(c->timer, &tv);
}

static void plan_restart(struct child *c)
{
	int64_t wait = c->back_off_ms;

	if (clock_mono_ms() - c->started >= CHILD_LONG_LIFE_MS)
		wait = 0;
	c->back_off_ms = wait ? MIN(2 * wait, CHILD_BACK_OFF_MAX_MS) : CHILD_BACK_OFF_MS;
	if (wait)
		log_warn(&c->about, "starts again in %lld ms", (long long)wait);
	start_later(c, wait);
}

void child_start(struct child *c)
{
	pid_t parent = getpid();
	sigset_t all, before;

	ASSERT(!c->pid);
	fflush(NULL);
	c->started = clock_mono_ms();
	/* No signal may run our handlers in the child: they write to the loop's own pipe. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	c->pid = fork();
	if (c->pid == 0)
		run_program(c, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (c->pid < 0) {
		c->pid = 0;
		log_error(&c->about, "fork: %s", strerror(errno));
		plan_restart(c);
		return;
	}
	log_info(&c->about, "started, pid %d", (int)c->pid);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct child *c = arg;

	if (!c->stopping) {
		child_start(c);
	} else if (c->pid) {
		log_warn(&c->about, "did not end in %d ms: killed", c->stop_ms);
		kill(c->pid, SIGKILL);
	}
}

struct child *child_new(struct event_base *base, const struct child_opts *o)
{
	struct child *c = mem_new(sizeof *c);

	c->name = mem_str(o->name);
	for (size_t i = 0; o->argv[i]; i++) {
		ASSERT(i + 1 < CHILD_ARGS_MAX);
		c->argv[i] = mem_str(o->argv[i]);
	}
	c->sockets = o->sockets;
	c->user = o->user;
	c->stop_ms = o->stop_ms;
	c->about = (struct log_about){ .what = "child", .id = c->name };
	c->timer = evtimer_new(base, on_timer, c);
	ASSERT(c->timer);
	return c;
}

void child_free(struct child **c)
{
	if (!*c)
		return;
	ASSERT(!(*c)->pid);
	event_free((*c)->timer);
	for (size_t i = 0; i < CHILD_ARGS_MAX; i++)
		mem_free(&(*c)->argv[i]);
	mem_free(&(*c)->name);
	mem_free(c);
}

void child_drop_arg(struct child *c, const char *arg)
{
	for (size_t i = 0; c->argv[i]; i++) {
		if (strcmp(c->argv[i], arg) != 0)
			continue;
		mem_free(&c->argv[i]);
		memmove(&c->argv[i], &c->argv[i + 1],
			(CHILD_ARGS_MAX - i - 1) * sizeof *c->argv);
		c->argv[CHILD_ARGS_MAX - 1] = NULL;
		return;
	}
}

void child_stop(struct child *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	evtimer_del(c->timer);
	if (!c->pid)
		return;
	kill(c->pid, SIGTERM);
	start_later(c, c->stop_ms);
}

void child_signal(struct child *c, int signal)
{
	if (c->pid)
		kill(c->pid, signal);
}

void child_died(struct child *c, int wait_status)
{
	c->pid = 0;
	evtimer_del(c->timer);
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		log_info(&c->about, "ended");
	else if (WIFSIGNALED(wait_status))
		log_error(&c->about, "died of signal %d", WTERMSIG(wait_status));
	else
		log_error(&c->about, "ended with status %d", WEXITSTATUS(wait_status));
	if (c->stopping)
		return;
	/* Told to leave, it has ended with its last session. */
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		c->stopping = true;
	else
		plan_restart(c);
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

const char *child_name(const struct child *c)
{
	return c->name;
}
