/* Hides: whether the bytes are in memory or in a file, and in how many pieces. */
#include "sync/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

/* Memory is in pieces of one size that are used again: blocks that grow with their messages
 * leave the heap full of holes, twice as large as what is in it. */
#define PIECE (64 * 1024)

struct piece {
	struct piece *next; /* while it is spare */
	char bytes[PIECE];
};

/* Of all spools of the process. */
static struct {
	pthread_mutex_t lock;
	struct piece *spare;
	size_t used;
} pieces = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct spool {
	struct piece **at; /* all full but the last */
	size_t count;
	size_t memory_max;
	int fd; /* -1: all is in memory */
	uint64_t size;
};

/* NULL: there are enough in use. */
static struct piece *piece_take(void)
{
	struct piece *p = NULL;

	pthread_mutex_lock(&pieces.lock);
	if (pieces.used < SPOOL_MEMORY_ALL / PIECE) {
		pieces.used++;
		p = pieces.spare;
		if (p)
			pieces.spare = p->next;
		else
			p = mem_grow(NULL, 1, sizeof *p);
	}
	pthread_mutex_unlock(&pieces.lock);
	return p;
}

static void piece_give(struct piece *p)
{
	pthread_mutex_lock(&pieces.lock);
	p->next = pieces.spare;
	pieces.spare = p;
	pieces.used--;
	pthread_mutex_unlock(&pieces.lock);
}

struct spool *spool_new(size_t memory_max)
{
	struct spool *s = mem_new(sizeof *s);

	s->memory_max = memory_max;
	s->fd = -1;
	return s;
}

/* All but the first `kept` pieces. */
static void give_back(struct spool *s, size_t kept)
{
	while (s->count > kept)
		piece_give(s->at[--s->count]);
}

static void drop_memory(struct spool *s)
{
	give_back(s, 0);
	mem_free(&s->at);
}

static size_t pieces_for(uint64_t size)
{
	return (size_t)((size + PIECE - 1) / PIECE);
}

/* Is there room for n bytes more? */
static bool fits(struct spool *s, size_t n)
{
	size_t want;

	if (s->size + n > s->memory_max)
		return false;
	want = pieces_for(s->size + n);
	if (want > s->count)
		s->at = mem_grow(s->at, want, sizeof *s->at);
	for (; s->count < want; s->count++) {
		s->at[s->count] = piece_take();
		if (!s->at[s->count])
			return false;
	}
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

/* ---- in memory */

static void memory_add(struct spool *s, struct slice bytes)
{
	uint64_t at = s->size;

	while (bytes.n > 0) {
		size_t from = (size_t)(at % PIECE), n = MIN(bytes.n, PIECE - from);

		memcpy(s->at[at / PIECE]->bytes + from, bytes.p, n);
		bytes = (struct slice){ bytes.p + n, bytes.n - n };
		at += n;
	}
}

static int memory_read(const struct spool *s, uint64_t at, uint64_t n, spool_bytes_fn *fn,
		       void *arg, struct err *e)
{
	int r = 0;

	while (n > 0 && r == 0) {
		size_t from = (size_t)(at % PIECE);
		size_t some = (size_t)MIN(n, (uint64_t)(PIECE - from));

		r = fn((struct slice){ s->at[at / PIECE]->bytes + from, some }, arg, e);
		at += some;
		n -= some;
	}
	return r;
}

/* ---- in a file */

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

struct moving {
	int fd;
	uint64_t at;
};

static int move_piece(struct slice bytes, void *arg, struct err *e)
{
	struct moving *m = arg;
	int rc = file_write(m->fd, bytes, m->at, e);

	m->at += bytes.n;
	return rc;
}

/* Moves the bytes from memory to a file. */
static int leave_memory(struct spool *s, struct err *e)
{
	struct moving m = { .fd = file_open(e) };

	if (m.fd < 0)
		return -1;
	if (memory_read(s, 0, s->size, move_piece, &m, e) < 0) {
		close(m.fd);
		return -1;
	}
	s->fd = m.fd;
	drop_memory(s);
	return 0;
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

/* ---- either */

int spool_add(struct spool *s, struct slice bytes, struct err *e)
{
	if (s->fd < 0 && !fits(s, bytes.n) && leave_memory(s, e) < 0)
		return -1;
	if (s->fd < 0)
		memory_add(s, bytes);
	else if (file_write(s->fd, bytes, s->size, e) < 0)
		return -1;
	s->size += bytes.n;
	return 0;
}

void spool_cut(struct spool *s, uint64_t size)
{
	ASSERT(size <= s->size);
	s->size = size;
	if (s->fd < 0)
		give_back(s, pieces_for(size));
}

int spool_read(const struct spool *s, uint64_t at, uint64_t n, spool_bytes_fn *fn, void *arg,
	       struct err *e)
{
	ASSERT(at <= s->size && n <= s->size - at);
	if (s->fd >= 0)
		return file_read(s, at, n, fn, arg, e);
	return memory_read(s, at, n, fn, arg, e);
}
