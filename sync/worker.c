/* Hides: fork and exec, pipes, deadlines, and what a process can do wrong on its way out. */
#include "sync/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sync/pace.h"

#define READ_MAX 65536 /* bytes taken in one turn of the loop */

struct worker {
	worker_fn *fn;
	void *arg;
	pid_t pid;
	int in, out, pidfd; /* -1: closed */
	struct event *writable, *readable, *exited, *deadline;
	struct buf to, from;
	int silence_ms;
	bool has_result, stopping;
	struct job_result result;
	char why[ERR_TEXT_MAX]; /* we ended it because of this; "" if not */
};

static void event_drop(struct event **ev)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
}

static void fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void worker_free(struct worker **w)
{
	event_drop(&(*w)->writable);
	event_drop(&(*w)->readable);
	event_drop(&(*w)->exited);
	event_drop(&(*w)->deadline);
	fd_drop(&(*w)->in);
	fd_drop(&(*w)->out);
	fd_drop(&(*w)->pidfd);
	buf_wipe(&(*w)->to);
	buf_wipe(&(*w)->from); /* tokens came in it */
	mem_free(w);
}

static void deadline_in(struct worker *w, int ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	event_add(w->deadline, &t);
}

/* The group too, should the worker have started anything. */
static void signal_worker(const struct worker *w, int sig)
{
	if (kill(-w->pid, sig) < 0)
		kill(w->pid, sig);
}

static void worker_stop(struct worker *w)
{
	if (w->stopping)
		return;
	w->stopping = true;
	if (!w->why[0])
		snprintf(w->why, sizeof w->why, "worker was stopped");
	fd_drop(&w->in);
	event_drop(&w->writable);
	signal_worker(w, SIGTERM);
	deadline_in(w, WORKER_KILL_MS);
}

static void PRINTF_LIKE(2, 3) give_up(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	if (w->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof w->why, fmt, ap);
	va_end(ap);
	worker_stop(w);
}

/* ---- what it says */

static void take_event(struct worker *w, const struct job_event *ev)
{
	struct worker_event out = { .job = ev };

	switch (ev->kind) {
	case JOB_EVENT_WAITING:
		out.kind = WORKER_WAITING;
		break;
	case JOB_EVENT_PROGRESS:
		out.kind = WORKER_PROGRESS;
		break;
	case JOB_EVENT_MOVING:
		return; /* its line has counted already */
	case JOB_EVENT_AUDIT:
		out.kind = WORKER_AUDIT;
		break;
	case JOB_EVENT_ACCOUNT:
		out.kind = WORKER_ACCOUNT;
		break;
	case JOB_EVENT_PULL:
		out.kind = WORKER_PULL;
		break;
	case JOB_EVENT_TOKEN:
		out.kind = WORKER_TOKEN;
		break;
	case JOB_EVENT_UIDL_PART:
	case JOB_EVENT_UIDL:
		out.kind = WORKER_UIDL;
		break;
	case JOB_EVENT_VALIDITY:
		out.kind = WORKER_VALIDITY;
		break;
	case JOB_EVENT_RESULT:
		out.kind = WORKER_RESULT;
		w->has_result = true;
		w->result = ev->result;
		out.result = &w->result;
		deadline_in(w, WORKER_BYE_MS);
		break;
	}
	w->fn(w, &out, w->arg);
}

static void take_line(struct worker *w, struct slice line)
{
	struct job_event ev;
	struct err e = { 0 };

	if (w->stopping)
		return;
	if (w->has_result) {
		give_up(w, "worker went on after its result");
		return;
	}
	if (job_event_parse(line, &ev, &e) < 0) {
		give_up(w, "worker: %s", e.text);
		return;
	}
	deadline_in(w, w->silence_ms);
	take_event(w, &ev);
	job_event_release(&ev);
}

static void take_lines(struct worker *w)
{
	for (;;) {
		struct slice s = buf_slice(&w->from);
		const char *end = s.n ? memchr(s.p, '\n', s.n) : NULL;

		if (!end) {
			if (s.n > JOB_LINE_MAX)
				give_up(w, "worker: line of more than %d bytes", JOB_LINE_MAX);
			return;
		}
		take_line(w, (struct slice){ s.p, (size_t)(end - s.p) });
		buf_drain(&w->from, (size_t)(end - s.p) + 1);
	}
}

/* One read; false when there is nothing more to be had now. */
static bool read_some(struct worker *w)
{
	ssize_t n;

	if (w->out < 0)
		return false;
	n = read(w->out, buf_room(&w->from, READ_MAX), READ_MAX);
	if (n > 0) {
		buf_wrote(&w->from, (size_t)n);
		if (w->stopping)
			buf_drain(&w->from, buf_len(&w->from));
		else
			take_lines(w);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	event_drop(&w->readable);
	fd_drop(&w->out);
	return false;
}

static void on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	(void)read_some(arg);
}

static void on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;
	struct slice s = buf_slice(&w->to);
	ssize_t n = write(w->in, s.p, s.n);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		/* It is on its way out; its exit will tell. */
		event_del(w->writable);
		buf_wipe(&w->to);
		return;
	}
	buf_drain(&w->to, (size_t)n);
	if (buf_len(&w->to) == 0) {
		buf_wipe(&w->to); /* it held passwords */
		event_del(w->writable);
	}
}

static void worker_go(struct worker *w)
{
	if (w->in < 0)
		return;
	buf_add_str(&w->to, "go\n");
	event_add(w->writable, NULL);
}

/* ---- how it ends */

static void on_deadline(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;

	if (w->stopping)
		signal_worker(w, SIGKILL);
	else if (w->has_result)
		worker_stop(w);
	else
		give_up(w, "worker said nothing for %d s", w->silence_ms / 1000);
}

static void explain_end(struct worker *w, int status, char *text, size_t size)
{
	if (w->why[0])
		snprintf(text, size, "%s", w->why);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == MEM_EXIT)
		snprintf(text, size, "worker ran out of memory: sync.worker_memory");
	else if (WIFSIGNALED(status))
		snprintf(text, size, "worker was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		snprintf(text, size, "worker ended with status %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "worker ended without a result");
}

static void on_exited(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;
	struct worker_event ev = { .kind = WORKER_ENDED };
	char text[ERR_TEXT_MAX];
	int status = 0;

	/* What it may have left behind in its group: now, while the zombie still holds the
	 * number. */
	kill(-w->pid, SIGKILL);
	if (waitpid(w->pid, &status, WNOHANG) == 0)
		return;
	while (read_some(w))
		;
	explain_end(w, status, text, sizeof text);
	if (w->has_result)
		ev.result = &w->result;
	else
		ev.text = text;
	w->fn(w, &ev, w->arg);
	worker_free(&w);
}

/* ---- how it starts */

static int pipe_new(int fds[2], struct err *e)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, ERR_TEMP, "pipe: %s", strerror(errno));
	return 0;
}

/* Between fork and exec: only what is safe there (signal-safety(7)). */
static void NO_RETURN become(const struct workshop *shop, int in, int out, pid_t parent)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Pipes are never 0, 1 or 2 (main() sees to it), so dup2 always clears close-on-exec.
	 */
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	for (int i = 0; shop->pace_fds && i < PACE_PAGES; i++)
		if (dup2(shop->pace_fds[i], PACE_FD + i) < 0)
			_exit(127);
	close_range(shop->pace_fds ? PACE_FD + PACE_PAGES : PACE_FD, ~0U, 0);
	execv(shop->program, (char *const *)shop->argv);
	_exit(127);
}

static int spawn(struct worker *w, const struct workshop *shop, struct err *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	pid_t parent = getpid();

	if (pipe_new(in, e) < 0 || pipe_new(out, e) < 0)
		goto fail;
	w->pid = fork();
	if (w->pid == 0)
		become(shop, in[0], out[1], parent);
	if (w->pid < 0) {
		err_set(e, ERR_TEMP, "fork: %s", strerror(errno));
		goto fail;
	}
	setpgid(w->pid, w->pid);
	w->pidfd = pidfd_open(w->pid, 0);
	if (w->pidfd < 0) {
		err_set(e, ERR_TEMP, "pidfd_open: %s", strerror(errno));
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
		goto fail;
	}
	fd_drop(&in[0]);
	fd_drop(&out[1]);
	w->in = in[1];
	w->out = out[0];
	evutil_make_socket_nonblocking(w->in);
	evutil_make_socket_nonblocking(w->out);
	return 0;
fail:
	for (int i = 0; i < 2; i++) {
		fd_drop(&in[i]);
		fd_drop(&out[i]);
	}
	return -1;
}

static int silence_of(const struct job *j, const struct workshop *shop)
{
	return shop->silence_ms ? shop->silence_ms : 2 * (j->connect_s + j->io_s) * 1000;
}

static int worker_start(struct worker **out, const struct job *j, worker_fn *fn, void *fn_arg,
			const struct workshop *shop, struct err *e)
{
	struct worker *w = mem_new(sizeof *w);

	*w = (struct worker){ .fn = fn, .arg = fn_arg, .in = -1, .out = -1, .pidfd = -1 };
	w->silence_ms = silence_of(j, shop);
	if (spawn(w, shop, e) < 0) {
		worker_free(&w);
		return err_wrap(e, "worker");
	}
	job_write(j, &w->to);
	w->writable = event_new(shop->base, w->in, EV_WRITE | EV_PERSIST, on_writable, w);
	w->readable = event_new(shop->base, w->out, EV_READ | EV_PERSIST, on_readable, w);
	w->exited = event_new(shop->base, w->pidfd, EV_READ | EV_PERSIST, on_exited, w);
	w->deadline = event_new(shop->base, -1, 0, on_deadline, w);
	event_add(w->writable, NULL);
	event_add(w->readable, NULL);
	event_add(w->exited, NULL);
	deadline_in(w, w->silence_ms);
	*out = w;
	return 0;
}

struct workshop workshop_real(struct event_base *base)
{
	static const char *const argv[] = { "mailferry-sync", "--worker", NULL };

	return (struct workshop){
		.start = worker_start,
		.go = worker_go,
		.stop = worker_stop,
		.base = base,
		.program = "/proc/self/exe",
		.argv = argv,
	};
}
