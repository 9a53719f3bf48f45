/* Hides: where Linux tells it. */
#include "common/process_use.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

struct process_use process_use(void)
{
	struct process_use u = { .resident_bytes = resident_bytes() };
	struct rusage used;
	struct rlimit r;

	if (getrusage(RUSAGE_SELF, &used) == 0)
		u.cpu_s = seconds(used.ru_utime) + seconds(used.ru_stime);
	if (getrlimit(RLIMIT_NOFILE, &r) == 0)
		u.descriptors_max = (double)r.rlim_cur;
	return u;
}

size_t process_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and the folder itself */
}
