/* Hides: the file's lines, and how several processes append to it. */
#include "common/flips.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <sys/file.h>

#define LINE_MAX_BYTES (STORE_NAME_MAX + 64)
#define CHUNK	       65536

struct flips {
	char *path;
	int fd;
	off_t at; /* read up to here: the end of a whole line */
	unsigned line;
	char store[STORE_ID_MAX];
	int64_t change;
	void *by_name; /* tsearch tree of struct flip_row */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct flip_row *)a)->name, ((const struct flip_row *)b)->name);
}

static struct flip_row *find(const struct flips *f, const char *name)
{
	struct flip_row key = { .name = (char *)(uintptr_t)name };
	struct flip_row **at = tfind(&key, &f->by_name, compare);

	return at ? *at : NULL;
}

static void keep(struct flips *f, const char *name, int64_t epoch, int64_t change)
{
	struct flip_row *r = find(f, name);

	f->change = MAX(f->change, change);
	if (!r) {
		r = mem_new(sizeof *r);
		r->name = mem_str(name);
		if (!tsearch(r, &f->by_name, compare))
			BUG("no memory for a flip");
	}
	if (epoch > r->epoch) {
		r->epoch = epoch;
		r->change = change;
	}
}

/* ---- reading */

static int take_line(struct flips *f, const char *line, struct err *e)
{
	char store[STORE_ID_MAX], name[STORE_NAME_MAX + 1];
	int64_t epoch, change;
	int n = 0;

	f->line++;
	_Static_assert(STORE_ID_MAX == 33 && STORE_NAME_MAX == 320, "widths below");
	if (sscanf(line, "store %32[0-9a-f]%n", store, &n) == 1 && !line[n]) {
		snprintf(f->store, sizeof f->store, "%s", store);
		return 0;
	}
	n = 0;
	if (sscanf(line, "flip %19" SCNd64 " %19" SCNd64 " %320[^\n]%n", &epoch, &change, name,
		   &n) == 3 &&
	    !line[n] && epoch > 0 && change > 0) {
		keep(f, name, epoch, change);
		return 0;
	}
	return err_set(e, ERR_INPUT, "%s: line %u is none of a flip log: %.40s", f->path,
		       f->line, line);
}

/* The whole lines of what was read; how many bytes these are, -1 if one is none. */
static ssize_t take_lines(struct flips *f, char *p, size_t n, struct err *e)
{
	size_t done = 0;
	char *end;

	while ((end = memchr(p + done, '\n', n - done))) {
		*end = '\0';
		if (strlen(p + done) != (size_t)(end - p) - done)
			return err_set(e, ERR_INPUT, "%s: line %u has a NUL", f->path,
				       f->line + 1);
		if (take_line(f, p + done, e) < 0)
			return -1;
		done = (size_t)(end - p) + 1;
	}
	return (ssize_t)done;
}

int flips_reread(struct flips *f, struct err *e)
{
	static const size_t most = CHUNK;
	char *p = mem_new(most);
	ssize_t n, taken = 1;

	while (taken > 0 && (n = pread(f->fd, p, most, f->at)) != 0) {
		if (n < 0)
			taken = err_set(e, ERR_STORE, "%s: %s", f->path, strerror(errno));
		else
			taken = take_lines(f, p, (size_t)n, e);
		if (taken == 0 && n == (ssize_t)most)
			taken = err_set(e, ERR_INPUT, "%s: line %u is none of a flip log",
					f->path, f->line + 1);
		if (taken > 0)
			f->at += taken;
	}
	free(p);
	return taken < 0 ? -1 : 0;
}

/* ---- writing */

static int append(struct flips *f, const char *line, struct err *e)
{
	int rc = 0;

	if (flock(f->fd, LOCK_EX) < 0)
		return err_set(e, ERR_STORE, "%s: %s", f->path, strerror(errno));
	/* What is left behind the last whole line nobody is writing: it was cut off. */
	if (flips_reread(f, e) < 0)
		rc = -1;
	else if (ftruncate(f->fd, f->at) < 0 || dprintf(f->fd, "%s\n", line) < 0)
		rc = err_set(e, ERR_STORE, "%s: %s", f->path, strerror(errno));
	flock(f->fd, LOCK_UN);
	return rc;
}

int flips_add(struct flips *f, const char *name, int64_t epoch, int64_t change, struct err *e)
{
	char line[LINE_MAX_BYTES];

	if (epoch <= flips_epoch(f, name))
		return 0;
	if (flips_reread(f, e) < 0) /* another node of this host may have been faster */
		return -1;
	if (epoch <= flips_epoch(f, name))
		return 0;
	snprintf(line, sizeof line, "flip %" PRId64 " %" PRId64 " %s", epoch, change, name);
	if (append(f, line, e) < 0)
		return -1;
	keep(f, name, epoch, change);
	return 0;
}

int flips_sync(struct flips *f, struct err *e)
{
	if (fdatasync(f->fd) < 0)
		return err_set(e, ERR_STORE, "%s: %s", f->path, strerror(errno));
	return 0;
}

int flips_follow(struct flips *f, const char *store, struct err *e)
{
	char line[LINE_MAX_BYTES];

	if (strcmp(f->store, store) == 0)
		return 0;
	snprintf(line, sizeof line, "store %s", store);
	if (append(f, line, e) < 0 || flips_sync(f, e) < 0)
		return -1;
	snprintf(f->store, sizeof f->store, "%s", store);
	return 0;
}

/* ---- the log */

int flips_open(struct flips **out, const char *path, struct err *e)
{
	struct flips *f = mem_new(sizeof *f);

	f->path = mem_str(path);
	f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0) {
		err_set(e, ERR_INPUT, "the flip log %s: %s", path, strerror(errno));
		flips_free(&f);
		return -1;
	}
	if (flips_reread(f, e) < 0) {
		flips_free(&f);
		return -1;
	}
	*out = f;
	return 0;
}

static void free_row(void *p)
{
	struct flip_row *r = p;

	mem_free(&r->name);
	free(r);
}

void flips_free(struct flips **f)
{
	if (!*f)
		return;
	tdestroy((*f)->by_name, free_row);
	if ((*f)->fd >= 0)
		close((*f)->fd);
	mem_free(&(*f)->path);
	mem_free(f);
}

const char *flips_store(const struct flips *f)
{
	return f->store;
}

int64_t flips_epoch(const struct flips *f, const char *name)
{
	const struct flip_row *r = find(f, name);

	return r ? r->epoch : 0;
}

int64_t flips_change(const struct flips *f)
{
	return f->change;
}

struct walk {
	flips_fn *fn;
	void *arg;
};

static void visit(const void *node, VISIT which, void *arg)
{
	const struct walk *w = arg;

	if (which == postorder || which == leaf)
		w->fn(*(const struct flip_row *const *)node, w->arg);
}

void flips_each(const struct flips *f, flips_fn *fn, void *arg)
{
	struct walk w = { fn, arg };

	twalk_r(f->by_name, visit, &w);
}

/* ---- is it the store? */

#define REMEDY                                                                                 \
	"; if this is meant, `mailferry store rebuild` gives it the moves that this host has " \
	"seen"

int flips_judge(struct flips *f, struct store *st, int64_t seen, char *why, size_t size,
		struct err *e)
{
	int64_t known = MAX(seen, f->change);
	struct store_look look;

	if (flips_reread(f, e) < 0 || store_look(st, &look, e) < 0)
		return -1;
	if (look.gone) {
		snprintf(why, size, "the store has been emptied or its file replaced" REMEDY);
		return 0;
	}
	if (f->store[0] && strcmp(f->store, look.id) != 0) {
		snprintf(why, size,
			 "the store is %s, and not %s, which this host has followed" REMEDY,
			 look.id, f->store);
		return 0;
	}
	if (look.last_change < known) {
		snprintf(why, size,
			 "the store is older than it was: its last change is %" PRId64
			 ", and this host has seen %" PRId64 REMEDY,
			 look.last_change, known);
		return 0;
	}
	return flips_follow(f, look.id, e) < 0 ? -1 : 1;
}

struct comparison {
	struct flips *flips;
	char *why;
	size_t size;
};

static int compare_user(const struct user *u, void *arg)
{
	const struct comparison *c = arg;

	if (flips_epoch(c->flips, u->name) <= u->epoch)
		return 0;
	snprintf(c->why, c->size, "the store has lost a move of user %s" REMEDY, u->name);
	return 1;
}

int flips_compare(struct flips *f, struct store *st, char *why, size_t size, struct err *e)
{
	static const struct user_filter all;
	struct comparison c = { f, why, size };
	int rc = f->by_name ? store_users_each(st, &all, compare_user, &c, e) : 0;

	return rc < 0 ? -1 : rc == 0;
}

struct rows {
	struct flip_row *at;
	size_t n;
};

static void collect(const struct flip_row *r, void *arg)
{
	struct rows *rows = arg;

	rows->at = mem_grow(rows->at, rows->n + 1, sizeof *rows->at);
	rows->at[rows->n++] = *r; /* the name stays the log's */
}

int flips_rebuild(struct flips *f, struct store *st, int64_t seen, int *moved, struct err *e)
{
	struct rows rows = { 0 };
	struct store_look look;
	int rc = flips_reread(f, e);

	if (rc == 0)
		flips_each(f, collect, &rows);
	if (rc == 0)
		rc = store_rebuild(st, rows.at, rows.n, MAX(seen, f->change), moved, e);
	mem_free(&rows.at);
	if (rc == 0)
		rc = store_look(st, &look, e);
	return rc == 0 ? flips_follow(f, look.id, e) : -1;
}
