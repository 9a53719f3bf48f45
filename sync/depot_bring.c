/* Hides: how a journal's file is made of the parts that the store has. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/log.h"
#include "sync/depot_impl.h"
#include "sync/depot_part.h"

/* ---- files */

static void give_one(const char *path, const struct stat *dir)
{
	if (lchown(path, dir->st_uid, dir->st_gid) < 0 && errno != ENOENT)
		log_debug(NULL, "%s: %s", path, strerror(errno));
}

void depot_give(const struct depot *d, const char *path)
{
	char *lock = mem_printf("%s.lock", path);
	struct stat dir;

	if (geteuid() == 0 && stat(d->o.settings->sync.dir, &dir) == 0) {
		give_one(path, &dir);
		give_one(lock, &dir);
	}
	mem_free(&lock);
}

int depot_doubt(const struct depot *d, const char *path, const char *edition, struct err *e)
{
	struct journal *j = NULL;
	int rc = journal_open(&j, path, e);

	if (rc == 0)
		rc = journal_doubt(j, edition, e);
	journal_close(&j);
	depot_give(d, path);
	return rc;
}

static int file_failed(const char *path, struct err *e)
{
	return err_set(e, ERR_STORE, "journal %s: %s", path, strerror(errno));
}

static void drop_file(const char *path, const char *end)
{
	char *name = mem_printf("%s%s", path, end);

	unlink(name);
	mem_free(&name);
}

/* What another engine has overtaken is kept, for people: the last one of each user. */
static int put_aside(const struct task *t, struct err *e)
{
	struct log_about about = { .what = "user", .user = t->user };
	char *aside = mem_printf("%s.aside", t->path);
	int rc = 0;

	if (rename(t->path, aside) == 0)
		log_info(&about, "the journal that was here is kept as %s", aside);
	else if (errno != ENOENT)
		rc = file_failed(aside, e);
	drop_file(t->path, "-wal"); /* it was opened and closed: nothing is in them */
	drop_file(t->path, "-shm");
	mem_free(&aside);
	return rc;
}

static int sync_folder(const struct depot *d, struct err *e)
{
	int fd = open(d->o.settings->sync.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = file_failed(d->o.settings->sync.dir, e);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- parts */

static struct slice digest_slice(const char *parts, size_t at)
{
	return (struct slice){ depot_part(parts, at), STORE_PART_DIGEST };
}

static int write_all(int fd, struct slice left)
{
	while (left.n) {
		ssize_t n = write(fd, left.p, left.n);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			left = (struct slice){ left.p + n, left.n - (size_t)n };
	}
	return 0;
}

static int begin_file(struct task *t, struct err *e)
{
	char *made = mem_printf("%s.new", t->path);
	int rc = 0;

	unlink(made);
	t->fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0)
		rc = file_failed(made, e);
	mem_free(&made);
	return rc;
}

static int bring_part(struct depot *d, struct task *t, struct err *e)
{
	struct slice digest = digest_slice(t->row.parts, t->done);
	char *name = mem_strn(digest.p, digest.n), *body = NULL;
	int rc = store_journal_part_read(d->o.store, t->user, name, &body, e);
	struct buf bytes = { 0 };

	if (rc == 0)
		rc = err_set(e, ERR_INPUT, "a part of the store's copy is missing");
	else if (rc > 0 && depot_unpack(body, digest.p, &bytes, e) < 0)
		rc = err_set(e, ERR_INPUT, "a part of the store's copy is damaged");
	if (rc > 0 && write_all(t->fd, buf_slice(&bytes)) < 0)
		rc = file_failed(t->path, e);
	t->done++;
	buf_release(&bytes);
	mem_free(&body);
	mem_free(&name);
	return rc < 0 ? -1 : 0;
}

static int bring_parts(struct depot *d, struct task *t, struct err *e)
{
	if (t->count && t->fd < 0 && begin_file(t, e) < 0)
		return -1;
	for (int i = 0; i < TURN_PARTS && t->done < t->count; i++)
		if (bring_part(d, t, e) < 0)
			return -1;
	return 0;
}

static int end_file(struct task *t, struct err *e)
{
	char *made = mem_printf("%s.new", t->path);
	int rc = 0;

	if (t->fd >= 0 && (fsync(t->fd) < 0 || rename(made, t->path) < 0))
		rc = file_failed(made, e);
	mem_free(&made);
	return rc;
}

/* Where hosts share a folder, another one may be at this very file by now. 1; 0: it is. */
static int put_in_place(struct depot *d, struct task *t, struct err *e)
{
	int lock, rc = journal_lock(t->path, &lock, e);

	/* While it is held none of their workers begins. */
	if (rc == 0)
		rc = store_journal_still(d->o.store, t->user, &t->row, e);
	if (rc > 0 && (put_aside(t, e) < 0 || end_file(t, e) < 0))
		rc = -1;
	if (lock >= 0)
		close(lock);
	depot_give(d, t->path);
	return rc;
}

static int end_bringing(struct depot *d, struct task *t, struct err *e)
{
	struct log_about about = { .what = "user", .user = t->user };
	int got = put_in_place(d, t, e);

	if (got <= 0)
		return got; /* 0: it is looked at again when it is wanted */
	if (t->doubt && depot_doubt(d, t->path, t->row.edition, e) < 0)
		return -1;
	if (sync_folder(d, e) < 0)
		return -1;
	if (!t->doubt) {
		log_info(&about, "journal taken from the store, as host %s left it",
			 t->row.host);
		return 0;
	}
	if (t->row.away && !*t->row.folder)
		log_warn(
			&about,
			"the store was rebuilt, and its copy of the journal may be an old one: "
			"the next pass looks for all that it does not know");
	else if (t->row.away)
		log_warn(
			&about,
			"the engine on host %s went on from this journal and has not brought it "
			"back: the next pass looks for all that it does not know",
			t->row.host);
	got = store_journal_take(d->o.store, t->user, &t->row, &d->folder, e);
	return got < 0 ? -1 : 0; /* 0: as above */
}

int depot_bring(struct depot *d, struct task *t, struct err *e)
{
	struct log_about about = { .what = "user", .user = t->user };

	if (bring_parts(d, t, e) < 0) {
		if (e->kind != ERR_INPUT)
			return -1;
		log_error(&about, "journal: %s: a new one is begun", e->text);
		err_clear(e);
		close(t->fd);
		t->fd = -1;
		t->count = t->done = 0;
		t->doubt = true;
	}
	if (t->done < t->count)
		return 0;
	return end_bringing(d, t, e) < 0 ? -1 : 1;
}
