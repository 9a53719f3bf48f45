/* Hides: fork, the way from root to run.user, and the patience with a program that keeps dying.
 */
#include "admin/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/notify.h"

struct child {
	char *name;
	char *argv[CHILD_ARGS_MAX];
	const struct listen_sockets *sockets;
	const struct child_user *user;
	struct event *timer; /* the next start, or KILL when stopping */
	pid_t pid;	     /* 0: does not run */
	int64_t started;
	int64_t back_off_ms;
	int64_t heard; /* when it last said that it is alive */
	char *inbox, *key_file;
	char story[256]; /* its last STATUS, or how it ended */
	int stop_ms;
	bool ends_with_us, may_leave;
	bool ready;
	bool reload_due; /* as soon as it is ready */
	bool stopping;	 /* told to end */
	bool leaving;	 /* told to leave, or has left */
	bool restarting; /* told to end, to be started again */
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
		return err_set(e, ERR_INPUT,
			       "run: user: no such user: %s; make the account, or name one "
			       "that is there",
			       name);
	*out = (struct child_user){ .name = mem_str(name), .uid = p->pw_uid, .gid = p->pw_gid };
	return 0;
}

int child_user_become(const struct child_user *u)
{
	if (initgroups(u->name, u->gid) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return -1;
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
	if (child_user_become(u) < 0)
		die("cannot become the user of run.user");
	if (u->uid != 0 && setuid(0) == 0)
		die("the user of run.user can become root again");
}

/* Nothing that it starts can have more rights than it, and nothing of it lands on a disk. Ports
 * are bound by us: what systemd gave us for that ends here. */
static void give_up_rights(void)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		die("cannot give up rights");
}

static void set_environment(const struct child *c)
{
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	unsetenv(NOTIFY_SOCKET_ENV);
	if (c->inbox)
		setenv(NOTIFY_SOCKET_ENV, c->inbox, 1);
}

static void unblock_signals(void)
{
	static const int ours[] = {
		SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE, SIGUSR1, SIGUSR2
	};
	sigset_t none;

	for (size_t i = 0; i < COUNT(ours); i++)
		signal(ours[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* One that could not be opened is the program's to complain about. */
static void hand_key_on(int key)
{
	if (key == CHILD_KEY_FD)
		fcntl(key, F_SETFD, 0);
	else if (key >= 0)
		dup2(key, CHILD_KEY_FD);
}

static void run_program(struct child *c, pid_t parent)
{
	int key = c->key_file ? open(c->key_file, O_RDONLY | O_CLOEXEC) : -1;

	unblock_signals();
	become(c->user);
	give_up_rights();
	set_environment(c);
	/* After setuid(), which clears it. */
	if (c->ends_with_us)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	if (c->sockets)
		listen_hand_on(c->sockets);
	hand_key_on(key);
	execv(c->argv[0], c->argv);
	die(c->argv[0]);
}

void child_in_trial(const struct child_user *u)
{
	unblock_signals();
	if (!u)
		return;
	become(u);
	give_up_rights();
}

void child_run_once(const char *const *argv, const struct child_user *u)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		log_error(NULL, "fork: %s", strerror(errno));
	if (pid != 0)
		return;
	child_in_trial(u);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	die(argv[0]);
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
	c->started = c->heard = clock_mono_ms();
	c->ready = c->reload_due = false;
	c->story[0] = '\0';
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

	if (!c->pid) {
		child_start(c);
	} else {
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
	c->inbox = mem_str(o->inbox);
	c->key_file = mem_str(o->key_file);
	c->ends_with_us = o->ends_with_us;
	c->may_leave = o->may_leave;
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
	mem_free(&(*c)->key_file);
	for (size_t i = 0; i < CHILD_ARGS_MAX; i++)
		mem_free(&(*c)->argv[i]);
	mem_free(&(*c)->inbox);
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
	c->restarting = false;
	evtimer_del(c->timer);
	if (!c->pid)
		return;
	kill(c->pid, SIGTERM);
	start_later(c, c->stop_ms);
}

void child_adopt(struct child *c, pid_t pid)
{
	c->pid = pid;
	c->ready = true;
	c->started = c->heard = clock_mono_ms();
}

void child_restart(struct child *c)
{
	evtimer_del(c->timer);
	if (!c->pid) {
		child_start(c);
		return;
	}
	c->restarting = true;
	kill(c->pid, SIGTERM);
	start_later(c, c->stop_ms);
}

bool child_restarts(const struct child *c)
{
	return c->restarting;
}

void child_leave(struct child *c)
{
	if (c->stopping || c->leaving)
		return;
	c->leaving = true;
	evtimer_del(c->timer);
	child_signal(c, SIGUSR1);
}

void child_heard(struct child *c, bool ready, bool alive, const char *status)
{
	c->ready |= ready;
	if (ready || alive)
		c->heard = clock_mono_ms();
	if (ready && c->reload_due)
		child_reload(c);
	if (*status)
		snprintf(c->story, sizeof c->story, "%s", status);
}

bool child_ready(const struct child *c)
{
	return c->pid && c->ready;
}

bool child_silent(const struct child *c, int64_t for_ms)
{
	return c->pid && clock_mono_ms() - c->heard >= for_ms;
}

void child_kill_if_hung(struct child *c, int64_t silent_ms)
{
	if (!child_ready(c) || !child_silent(c, silent_ms))
		return;
	log_error(&c->about, "hangs: silent for %lld s; killed",
		  (long long)(clock_mono_ms() - c->heard) / 1000);
	kill(c->pid, SIGKILL);
	c->heard = clock_mono_ms();
}

void child_excuse(struct child *c)
{
	c->heard = clock_mono_ms();
}

const char *child_story(const struct child *c)
{
	return c->story;
}

void child_signal(struct child *c, int signal)
{
	if (c->pid)
		kill(c->pid, signal);
}

/* What starts may have read the settings already. */
void child_reload(struct child *c)
{
	c->reload_due = c->pid && !c->ready;
	if (!c->reload_due)
		child_signal(c, SIGHUP);
}

/* Its own words, if it had any, say more than its status does. */
static void tell_end(struct child *c, int wait_status)
{
	char how[64];
	bool well = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;

	if (WIFSIGNALED(wait_status))
		snprintf(how, sizeof how, "died of signal %d", WTERMSIG(wait_status));
	else
		snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(wait_status));
	if (well)
		log_info(&c->about, "ended");
	else
		log_error(&c->about, "%s", how);
	if (!*c->story || WIFSIGNALED(wait_status))
		snprintf(c->story, sizeof c->story, "%s", how);
}

void child_died(struct child *c, int wait_status)
{
	bool well = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;

	c->pid = 0;
	evtimer_del(c->timer);
	tell_end(c, wait_status);
	if (c->restarting) {
		c->restarting = false;
		child_start(c);
		return;
	}
	/* Asked by somebody else to leave, it has ended with its last session. */
	c->leaving |= well && c->may_leave;
	if (!c->stopping && !c->leaving)
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
