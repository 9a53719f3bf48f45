/* Hides: how a program is started without a shell, and waited for. */
#include "sync/token.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "common/clock.h"

static char *word_of(struct slice w, const char *login)
{
	struct buf b = { 0 };
	char *out;

	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] == '%' && i + 1 < w.n && w.p[i + 1] == 'u') {
			buf_add_str(&b, login);
			i++;
		} else {
			buf_add(&b, w.p + i, 1);
		}
	}
	out = mem_strn(buf_slice(&b).p, buf_len(&b));
	buf_release(&b);
	return out;
}

static int split(const char *command, const char *login, char *argv[TOKEN_WORDS_MAX + 1])
{
	int n = 0;

	while (*command && n < TOKEN_WORDS_MAX) {
		size_t len = strcspn(command, " ");

		if (len)
			argv[n++] = word_of((struct slice){ command, len }, login);
		command += len + (command[len] == ' ');
	}
	argv[n] = NULL;
	return n;
}

static int start(char *const argv[], int out, pid_t *pid, struct err *e)
{
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	char *const env[] = { path, NULL };
	posix_spawn_file_actions_t a;
	posix_spawnattr_t own_group; /* so that what it starts ends with it */
	int rc;

	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&a, out, STDOUT_FILENO);
	posix_spawnattr_init(&own_group);
	posix_spawnattr_setflags(&own_group, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&own_group, 0);
	rc = posix_spawn(pid, argv[0], &a, &own_group, argv, env);
	posix_spawnattr_destroy(&own_group);
	posix_spawn_file_actions_destroy(&a);
	return rc ? err_set(e, ERR_INPUT, "%s: %s", argv[0], strerror(rc)) : 0;
}

/* All that it prints, up to a limit; false: too late or too much. */
static bool read_all(int fd, int64_t end, struct buf *out)
{
	(void)buf_room(out, SECRET_MAX + 1); /* at once: growing would leave copies behind */
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = end - clock_mono_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0 || buf_len(out) > SECRET_MAX)
			return false;
		n = read(fd, buf_room(out, SECRET_MAX + 1 - buf_len(out)),
			 SECRET_MAX + 1 - buf_len(out));
		if (n == 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			buf_wrote(out, (size_t)n);
	}
}

static int take_line(const struct buf *said, struct secret *out)
{
	struct slice s = buf_slice(said);
	const char *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;
	size_t n = lf ? (size_t)(lf - s.p) : s.n;

	if (n && s.p[n - 1] == '\r')
		n--;
	if (n == 0 || memchr(s.p, '\0', n))
		return -1;
	secret_set(out, s.p, n);
	return 0;
}

static int run(char *const argv[], int wait_ms, struct secret *out, struct err *e)
{
	struct buf said = { 0 };
	int fds[2], status = 0;
	bool in_time;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, ERR_TEMP, "pipe: %s", strerror(errno));
	if (start(argv, fds[1], &pid, e) < 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	close(fds[1]);
	in_time = read_all(fds[0], clock_mono_ms() + wait_ms, &said);
	close(fds[0]);
	if (!in_time)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		err_set(e, ERR_TEMP, "no token within %d s", wait_ms / 1000);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		err_set(e, ERR_TEMP, "it failed (status %d)", WEXITSTATUS(status));
	else if (take_line(&said, out) < 0)
		err_set(e, ERR_TEMP, "it printed no token");
	buf_wipe(&said);
	return secret_is_set(out) ? 0 : -1;
}

int token_get(const char *command, const char *login, int wait_ms, struct secret *out,
	      struct err *e)
{
	char *argv[TOKEN_WORDS_MAX + 1];
	int n = split(command, login, argv), rc;

	secret_release(out);
	rc = n ? run(argv, wait_ms, out, e) : err_set(e, ERR_INPUT, "it is empty");
	for (int i = 0; i < n; i++)
		mem_free(&argv[i]);
	return rc < 0 ? err_wrap(e, "token_command") : 0;
}
