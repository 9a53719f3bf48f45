/* Hides: how the supervisor is asked, and how its silence is told from its death. */
#include <errno.h>
#include <poll.h>

#include "admin/ctl.h"
#include "admin/inbox.h"
#include "admin/table.h"
#include "common/clock.h"

#define PATIENCE_MS 180000 /* the supervisor gives up sooner */
#define THERE	    "X_THERE=1"
#define LOOK_MS	    1000 /* how often its being there is looked at */

static int open_socket(const char *dir, struct sockaddr_un *to, struct err *e)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	char *path = mem_printf("%s/" INBOX_SOCKET, dir);
	size_t n = strlen(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*to = own;
	if (n < sizeof to->sun_path)
		memcpy(to->sun_path, path, n);
	mem_free(&path);
	/* The kernel picks an abstract name, which the answers are sent to. */
	if (fd >= 0 && bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) == 0)
		return fd;
	err_set(e, ERR_TEMP, "socket: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int say(int fd, const struct sockaddr_un *to, const char *text, struct err *e)
{
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)to,
		   sizeof *to) >= 0)
		return 0;
	return err_set(e, ERR_TEMP, "%s: %s", to->sun_path, strerror(errno));
}

static bool starts(const char *text, const char *key, const char **rest)
{
	*rest = text + strlen(key);
	return strncmp(text, key, strlen(key)) == 0;
}

static void tell(struct ctl *c, const char *text)
{
	if (c->json)
		return;
	text_put(c->out, text);
	fputc('\n', c->out);
	fflush(c->out);
}

static int conclude(struct ctl *c, bool done, const char *text)
{
	json_t *j = json_pack("{s:b, s:s}", "done", done, "text", text);

	if (!ctl_json(c, j)) {
		if (done) {
			tell(c, text);
		} else {
			fputs("mailferry: ", stderr);
			text_put(stderr, text);
			fputc('\n', stderr);
		}
	}
	json_decref(j);
	return done ? CTL_OK : CTL_FAILED;
}

static int follow(struct ctl *c, int fd, const struct sockaddr_un *to, struct err *e)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[8192];
	const char *rest;

	while (clock_mono_ms() < end) {
		ssize_t n = poll(&p, 1, LOOK_MS) > 0 ? recv(fd, text, sizeof text - 1, 0) : -1;

		if (n < 0) {
			if (say(fd, to, THERE, e) < 0)
				return err_wrap(e, "the supervisor has ended");
			continue;
		}
		text[n] = '\0';
		if (starts(text, INBOX_SAYS, &rest))
			tell(c, rest);
		else if (starts(text, INBOX_DONE, &rest))
			return conclude(c, true, rest);
		else if (starts(text, INBOX_FAILED, &rest))
			return conclude(c, false, rest);
	}
	return err_set(e, ERR_TEMP, "no answer within %d s", PATIENCE_MS / 1000);
}

/* No socket, or one that its supervisor has left behind. */
static bool nobody_listens(int fd, const struct sockaddr_un *to)
{
	return say(fd, to, THERE, NULL) < 0 && (errno == ENOENT || errno == ECONNREFUSED);
}

int ctl_upgrade(struct ctl *c)
{
	struct sockaddr_un to;
	struct err e = { 0 };
	int fd, status = ctl_settings(c);

	if (status != CTL_OK)
		return status;
	fd = open_socket(c->settings.run.dir, &to, &e);
	if (fd >= 0 && c->if_running && nobody_listens(fd, &to))
		status = conclude(c, true, "nothing runs here, so nothing is to be upgraded");
	else if (fd < 0 || say(fd, &to, INBOX_ASK, &e) < 0)
		status = -1;
	else
		status = follow(c, fd, &to, &e);
	if (fd >= 0)
		close(fd);
	if (status >= 0)
		return status;
	fprintf(stderr,
		"mailferry: %s\nmailferry: remedy: is `mailferry run` running, with the same "
		"--config?\n",
		e.text);
	return CTL_FAILED;
}
