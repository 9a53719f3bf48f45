/* Hides: where the key is. */
#include "sync/learned.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/seal.h"
#include "common/store_learned.h"

#define DAY_MS	 ((int64_t)86400 * 1000)
#define ERASE_MS 60000

struct learned {
	const struct settings *settings;
	struct store *store;
	struct seal_opener *opener; /* NULL: nothing is learned, and nothing opened */
	int64_t erased_ms;	    /* monotonic */
};

static int open_key(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_set(e, ERR_INPUT, "learn.key_file: %s: %s", path, strerror(errno))
		      : fd;
}

static int make_opener(const struct settings *s, int key_fd, struct seal_opener **out,
		       struct err *e)
{
	int fd = key_fd >= 0 ? key_fd : open_key(s->learn.key_file, e), rc;

	if (fd < 0)
		return -1;
	rc = seal_opener_new(fd, s->learn.key_file, s->learn.public_key, out, e);
	close(fd);
	return rc;
}

int learned_new(const struct settings *s, struct store *st, int key_fd, struct learned **out,
		struct err *e)
{
	struct seal_opener *opener = NULL;

	*out = NULL;
	if (s->learn.domains && make_opener(s, key_fd, &opener, e) < 0)
		return -1;
	*out = mem_new(sizeof **out);
	**out = (struct learned){ .settings = s, .store = st, .opener = opener };
	return 0;
}

void learned_free(struct learned **l)
{
	if (!*l)
		return;
	seal_opener_free(&(*l)->opener);
	mem_free(l);
}

int learned_find(const struct learned *l, const char *user, struct secret *out, struct err *e)
{
	char *sealed = NULL;
	int got = l && l->opener ? store_learned_read(l->store, user, &sealed, e) : 0;
	int rc = got <= 0 ? got : seal_open(l->opener, sealed, out, e);

	mem_free(&sealed);
	return rc < 0 ? err_wrap(e, "the learned password of %s", user) : 0;
}

void learned_forget(struct learned *l, const char *user)
{
	struct err e = { 0 };

	if (l && store_learned_forget(l->store, user, &e) < 0)
		log_error(NULL, "the learned password of %s is erased later: %s", user, e.text);
}

void learned_tick(struct learned *l)
{
	int64_t now = clock_mono_ms();
	struct err e = { 0 };

	if (!l || (l->erased_ms && now - l->erased_ms < ERASE_MS))
		return;
	l->erased_ms = now;
	if (store_learned_erase(l->store, l->settings->learn.days * DAY_MS, &e) < 0)
		log_error(NULL, "learned passwords are not erased: %s", e.text);
}
