/* Hides: the file in which a place keeps its id. */
#include "common/place.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/mem.h"

void place_host(const char *called, char out[static PLACE_HOST_MAX])
{
	char name[256] = "";

	if (!called || !*called) {
		(void)!gethostname(name, sizeof name - 1);
		name[strcspn(name, ".")] = '\0';
		called = name;
	}
	snprintf(out, PLACE_HOST_MAX, "%s", *called ? called : "localhost");
}

static int make_id(char id[static PLACE_ID_MAX], struct err *e)
{
	unsigned char random[(PLACE_ID_MAX - 1) / 2];

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return err_set(e, ERR_TEMP, "getrandom: %s", strerror(errno));
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	return 0;
}

/* Under the lock: the id that is there, or a new one if the file is not whole. */
static int read_or_make(int fd, char id[static PLACE_ID_MAX], struct err *e)
{
	const size_t n = PLACE_ID_MAX - 1;

	if (pread(fd, id, n, 0) == (ssize_t)n && strspn(id, "0123456789abcdef") == n)
		return 0;
	if (make_id(id, e) < 0)
		return -1;
	if (pwrite(fd, id, n, 0) != (ssize_t)n || fsync(fd) < 0)
		return err_set(e, ERR_INPUT, "%s", strerror(errno));
	return 0;
}

int place_find(const char *run_dir, const char *called, struct place *out, struct err *e)
{
	char *path = mem_printf("%s/place", run_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	*out = (struct place){ 0 };
	place_host(called, out->host);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		rc = err_set(e, ERR_INPUT, "%s", strerror(errno));
	else
		rc = read_or_make(fd, out->id, e);
	if (rc < 0)
		err_wrap(e, "the file %s, by which this host is known", path);
	if (fd >= 0)
		close(fd);
	mem_free(&path);
	return rc;
}
