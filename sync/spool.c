/* Hides: whether the bytes are in memory or in a file. */
#include "sync/spool.h"

#include <errno.h>
#include <fcntl.h>

#define PIECE (64 * 1024)

static _Atomic size_t in_memory; /* bytes of all spools of the process */

struct spool {
	struct buf memory;
	size_t counted; /* of them in in_memory */
	size_t memory_max;
	int fd; /* -1: all is in memory */
	uint64_t size;
};

struct spool *spool_new(size_t memory_max)
{
	struct spool *s = mem_new(sizeof *s);

	s->memory_max = memory_max;
	s->fd = -1;
	return s;
}

static void drop_memory(struct spool *s)
{
	in_memory -= s->counted;
	s->counted = 0;
	buf_release(&s->memory);
}

/* Is there room for n bytes more? */
static bool fits(struct spool *s, size_t n)
{
	if (s->size + n > s->memory_max)
		return false;
	if (s->size + n <= s->counted)
		return true;
	n = (size_t)s->size + n - s->counted;
	if (in_memory + n > SPOOL_MEMORY_ALL)
		return false;
	in_memory += n;
	s->counted += n;
	return true;
}

void spool_free(struct spool **s)
{
	if (!*s)
		return;
	if ((*s)->fd >= 0)
		close((*s)->fd);
	drop_memory(*s);
	mem_free(s);
}

uint64_t spool_size(const struct spool *s)
{
	return s->size;
}

static int file_write(int fd, struct slice bytes, uint64_t at, struct err *e)
{
	while (bytes.n > 0) {
		ssize_t r = pwrite(fd, bytes.p, bytes.n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_set(e, ERR_STORE, "temporary file: %s", strerror(errno));
		bytes = (struct slice){ bytes.p + r, bytes.n - (size_t)r };
		at += (uint64_t)r;
	}
	return 0;
}

/* Not every file system can O_TMPFILE. */
static int file_open(struct err *e)
{
	const char *set = getenv("TMPDIR"), *dir = set && *set ? set : "/tmp";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *path;

	if (fd >= 0)
		return fd;
	path = mem_printf("%s/mailferry.XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	else
		err_set(e, ERR_STORE, "temporary file in %s: %s", dir, strerror(errno));
	free(path);
	return fd;
}

/* Moves the bytes from memory to a file. */
static int leave_memory(struct spool *s, struct err *e)
{
	int fd = file_open(e);

	if (fd < 0)
		return -1;
	if (file_write(fd, buf_slice(&s->memory), 0, e) < 0) {
		close(fd);
		return -1;
	}
	s->fd = fd;
	drop_memory(s);
	return 0;
}

int spool_add(struct spool *s, struct slice bytes, struct err *e)
{
	if (s->fd < 0 && !fits(s, bytes.n) && leave_memory(s, e) < 0)
		return -1;
	if (s->fd < 0)
		buf_add(&s->memory, bytes.p, bytes.n);
	else if (file_write(s->fd, bytes, s->size, e) < 0)
		return -1;
	s->size += bytes.n;
	return 0;
}

void spool_cut(struct spool *s, uint64_t size)
{
	ASSERT(size <= s->size);
	if (s->fd < 0)
		s->memory.end -= s->size - size;
	s->size = size;
}

static int file_read(const struct spool *s, uint64_t at, uint64_t n, spool_bytes_fn *fn,
		     void *arg, struct err *e)
{
	char *piece = mem_new(PIECE);
	int r = 0;

	while (n > 0 && r == 0) {
		ssize_t got = pread(s->fd, piece, (size_t)MIN(n, (uint64_t)PIECE), (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			r = err_set(e, ERR_STORE, "temporary file: %s",
				    got ? strerror(errno) : "cut short");
			break;
		}
		r = fn((struct slice){ piece, (size_t)got }, arg, e);
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	free(piece);
	return r;
}

int spool_read(const struct spool *s, uint64_t at, uint64_t n, spool_bytes_fn *fn, void *arg,
	       struct err *e)
{
	ASSERT(at <= s->size && n <= s->size - at);
	if (s->fd >= 0)
		return file_read(s, at, n, fn, arg, e);
	return n ? fn((struct slice){ buf_slice(&s->memory).p + at, (size_t)n }, arg, e) : 0;
}
