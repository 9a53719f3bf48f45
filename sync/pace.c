/* Hides: the arithmetic of clocks, and how the pages come to a worker. */
#include "sync/pace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "sync/pulse.h"

#define SECOND_US 1000000
#define NAP_US	  200000

static bool urgent;
static uint64_t whom;				     /* this worker's user, by pace_hash() */
static struct pace_page *page;			     /* NULL: no limits */
static const struct pace_word *word;		     /* NULL: there is nothing to know */
static struct pace_clock of_user[SIDES][PACE_WHATS]; /* this worker's user */

int64_t pace_book(struct pace_clock *c, int64_t n, int64_t now_us)
{
	int64_t rate = atomic_load(&c->rate), due = atomic_load(&c->due_us), next;

	if (rate <= 0)
		return 0;
	do {
		int64_t start = MAX(due, now_us - PACE_BURST_MS * 1000);

		/* A clock that stands in a far future is none of ours. */
		start = MIN(start, now_us + PACE_WAIT_MAX_MS * 1000);
		next = start + (int64_t)((double)n * SECOND_US / (double)rate);
	} while (!atomic_compare_exchange_weak(&c->due_us, &due, next));
	return MIN(MAX(next - now_us, 0), PACE_WAIT_MAX_MS * 1000);
}

/* ---- the pages */

/* Where the descriptors of workers are not, so that none of the two takes the other's place. */
static int raise_fd(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PACE_FD + PACE_PAGES);

	if (fd >= 0)
		close(fd);
	return high;
}

/* seal: what else the others cannot do, once we have it ourselves. */
static void *page_new(size_t size, int seal, int *fd, struct err *e)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *p = MAP_FAILED;

	*fd = raise_fd(memfd_create("mailferry-pace", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (*fd >= 0 && ftruncate(*fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (p != MAP_FAILED && fcntl(*fd, F_ADD_SEALS, seals | seal) == 0)
		return p;
	(void)err_set(e, ERR_TEMP, "a page for the workers: %s", strerror(errno));
	return NULL;
}

int pace_shared_new(struct pace_shared *out, struct err *e)
{
	*out = (struct pace_shared){ .fd = { -1, -1 } };
	out->page = page_new(sizeof *out->page, 0, &out->fd[0], e);
	if (!out->page)
		return -1;
	out->word = page_new(sizeof *out->word, F_SEAL_FUTURE_WRITE, &out->fd[1], e);
	return out->word ? 0 : -1;
}

void pace_shared_free(struct pace_shared *s)
{
	if (s->page)
		munmap(s->page, sizeof *s->page);
	if (s->word)
		munmap(s->word, sizeof *s->word);
	s->page = NULL;
	s->word = NULL;
	for (int i = 0; i < PACE_PAGES; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
	s->fd[0] = s->fd[1] = -1;
}

void pace_use(struct pace_page *p, const struct pace_word *w)
{
	page = p;
	word = w;
}

/* FNV-1a. */
uint64_t pace_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	return h;
}

void pace_user(const char *name)
{
	whom = pace_hash(name);
}

void pace_urgent(void)
{
	urgent = true;
}

/* A sealed memfd of this size is ours: started by hand there is none. */
static void *attach(int fd, size_t size, int prot)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
	    st.st_size != (off_t)size)
		return NULL;
	p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

void pace_attach(void)
{
	page = attach(PACE_FD, sizeof *page, PROT_READ | PROT_WRITE);
	word = attach(PACE_FD + 1, sizeof *word, PROT_READ);
}

/* ---- turns */

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

/* In short naps: a limit may be lifted meanwhile, and a sleeper must not look dead. */
static void wait_for_turn(const struct pace_clock *c, int64_t us)
{
	int64_t end = now_us() + us;

	while (us > 0 && atomic_load(&c->rate) > 0) {
		struct timespec t = { .tv_nsec = MIN(us, NAP_US) * 1000 };

		nanosleep(&t, NULL);
		pulse_beat();
		us = end - now_us();
	}
}

/* A twentieth of a second's worth, so that nobody waits long for a turn. */
size_t pace_chunk(enum side side, size_t want)
{
	size_t most = want;

	if (!page || urgent)
		return want;
	for (int i = 0; i < 2; i++) {
		int64_t rate = atomic_load(i ? &page->user_rate[PACE_BYTES]
					     : &page->host[side][PACE_BYTES].rate);

		if (rate > 0)
			most = MIN(most, (size_t)MAX(rate / 20, PACE_CHUNK_MIN));
	}
	return most;
}

int pace_may_send(struct err *e)
{
	int64_t until = word ? atomic_load(&word->lease_until) : 0;

	if (until == 0 || clock_mono_ms() < until)
		return 0;
	return err_set(e, ERR_TEMP,
		       "the engine's lease has run out: another engine may be at work");
}

bool pace_is_in_trouble(enum side side)
{
	int64_t now = clock_mono_ms();

	if (!word)
		return false;
	return now < atomic_load(&word->trouble_until[side]) ||
	       (now < atomic_load(&word->user_trouble_until[side]) &&
		atomic_load(&word->trouble_user[side]) == whom);
}

void pace_wait(enum side side, enum pace_what what, int64_t n)
{
	struct pace_clock *user = &of_user[side][what], *host;
	int64_t now, for_host, for_user;

	if (!page)
		return;
	if (what == PACE_BYTES)
		atomic_fetch_add(&page->moved[side], n);
	host = &page->host[side][what];
	atomic_store(&user->rate, atomic_load(&page->user_rate[what]));
	now = now_us();
	for_host = pace_book(host, n, now);
	for_user = pace_book(user, n, now);
	if (!urgent)
		wait_for_turn(for_host > for_user ? host : user, MAX(for_host, for_user));
}
