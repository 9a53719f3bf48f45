/*
 * Lets the monotonic clock of a process leap: preloaded, it adds what the file named by LEAP_FILE holds,
 * in seconds. For limits that no test can wait for.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long leap(void)
{
	char text[32] = "";
	int fd = open(getenv("LEAP_FILE"), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (real(id, t) < 0)
		return -1;
	if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
		t->tv_sec += leap();
	return 0;
}
