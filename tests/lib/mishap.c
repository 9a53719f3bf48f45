/*
 * Lets a process meet what seldom happens to a machine; preloaded. In the folder MISHAP_DIR:
 *
 *	full	if it is there, nothing more can be written to a journal: the disk is full
 *	jump	so many seconds are added to the time of day
 *	NAME.synced  what the process last saw safe on disk of its file NAME: written here at each fsync
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void in_folder(char path[PATH_MAX], const char *name, const char *end)
{
	snprintf(path, PATH_MAX, "%s/%s%s", getenv("MISHAP_DIR"), name, end);
}

/* The name of an open file, without its folder; "" if it is none of a journal. */
static void name_of(int fd, char name[PATH_MAX])
{
	char link[64], path[PATH_MAX];
	const char *last;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	last = strrchr(path, '/');
	snprintf(name, PATH_MAX, "%s", last && strstr(last, ".journal") ? last + 1 : "");
}

static int is_full(int fd)
{
	char name[PATH_MAX], full[PATH_MAX];

	name_of(fd, name);
	in_folder(full, "full", "");
	if (!name[0] || access(full, F_OK) < 0)
		return 0;
	errno = ENOSPC;
	return 1;
}

static void keep(int fd)
{
	char name[PATH_MAX], path[PATH_MAX], made[PATH_MAX];
	struct stat st;
	off_t at = 0;
	int out;

	name_of(fd, name);
	if (!name[0] || fstat(fd, &st) < 0)
		return;
	in_folder(made, name, ".new");
	in_folder(path, name, ".synced");
	out = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (at < st.st_size && sendfile(out, fd, &at, (size_t)(st.st_size - at)) > 0)
		;
	close(out);
	rename(made, path);
}

int fsync(int fd)
{
	int r = REAL(fsync)(fd);

	if (r == 0)
		keep(fd);
	return r;
}

int fdatasync(int fd)
{
	int r = REAL(fdatasync)(fd);

	if (r == 0)
		keep(fd);
	return r;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return is_full(fd) ? -1 : REAL(pwrite)(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return is_full(fd) ? -1 : REAL(pwrite64)(fd, p, n, at);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	char path[PATH_MAX], text[32] = "";
	int fd;

	if (!real)
		real = REAL(clock_gettime);
	if (real(id, t) < 0)
		return -1;
	if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)
		return 0;
	in_folder(path, "jump", "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
		t->tv_sec += atol(text);
	if (fd >= 0)
		close(fd);
	return 0;
}
