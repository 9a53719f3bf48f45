/*
 * Lets the clocks of a process leap; preloaded (lib/preload.py). To the monotonic one it adds
 * what the file named by LEAP_FILE holds, in seconds: for limits that no test can wait for. To
 * the real one LEAP_REAL_S, which stays as it is: for days that pass while the process is not
 * there.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long monotonic_leap(void)
{
	const char *path = getenv("LEAP_FILE");
	char text[32] = "";
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atol(text);
}

static long real_leap(void)
{
	const char *text = getenv("LEAP_REAL_S");

	return text ? atol(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (real(id, t) < 0)
		return -1;
	if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
		t->tv_sec += monotonic_leap();
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		t->tv_sec += real_leap();
	return 0;
}
