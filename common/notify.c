/* Hides: the datagram, and the two ways to write the socket's name. */
#include "common/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/buf.h"

/* "@name" is an abstract socket. Returns its length; 0: there is none. */
static socklen_t find_socket(struct sockaddr_un *a)
{
	const char *path = getenv(NOTIFY_SOCKET_ENV);
	size_t n = path ? strlen(path) : 0;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (n < 2 || n >= sizeof a->sun_path || (path[0] != '/' && path[0] != '@'))
		return 0;
	memcpy(a->sun_path, path, n);
	if (path[0] == '@')
		a->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
}

void notify_send(const char *fmt, ...)
{
	struct sockaddr_un a;
	socklen_t size = find_socket(&a);
	char text[NOTIFY_MAX];
	va_list ap;
	int fd;

	if (!size)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&a, size);
	close(fd);
}

static bool env_number(const char *name, uint64_t max, uint64_t *out)
{
	const char *text = getenv(name);

	return text && slice_u64(slice_of(text), max, out) == 0;
}

int64_t notify_watchdog_ms(void)
{
	uint64_t us, pid;

	if (!env_number("WATCHDOG_USEC", INT64_MAX, &us))
		return 0;
	if (getenv("WATCHDOG_PID") &&
	    (!env_number("WATCHDOG_PID", INT32_MAX, &pid) || (pid_t)pid != getpid()))
		return 0;
	return (int64_t)(us / 1000);
}
