/* Hides: where an exception's bytes are kept, and which of them are worth another try. */
#include "sync/exceptions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "common/clock.h"

#define FILE_FOLDER_MAX 150 /* bytes of a folder's name in that of a file */

/* Who may say no, and what we know of their limits: where it differs, the answer may too. */
static char *servers(const struct pass *p)
{
	const struct job *j = p->job;

	return mem_printf("%s:%d %s:%d append_limit=%" PRIu64 " message_max=%" PRId64,
			  j->side[p->from].host, j->side[p->from].port, j->side[p->to].host,
			  j->side[p->to].port,
			  mailbox_caps(p->lanes.at[0].box[p->to])->append_limit,
			  j->message_max);
}

int exception_add(struct work *w, const struct journal_msg *row, enum exception_kind kind,
		  const char *tried, const char *subject, const char *file, bool final,
		  struct err *e)
{
	char *here = servers(w->pass);
	struct journal_exception x = { .kind = kind,
				       .tried = tried,
				       .subject = subject,
				       .file = file,
				       .server = here,
				       .since = clock_real_ms(),
				       .retry = !final };
	int rc = journal_exception_write(w->pass->journal, row->id, &x, e);

	mem_free(&here);
	return rc;
}

/* ---- once more */

int exceptions_wake(struct pass *p, struct err *e)
{
	char *here = servers(p);
	int rc = journal_exceptions_wake(p->journal, here, e);

	mem_free(&here);
	return rc;
}

/* A copy with other bytes is compared again; the others begin as if never seen. */
static int forget(struct work *w, struct journal_msg *row, struct err *e)
{
	enum side to = w->pass->to;

	/* One that stood on `to` alone before the direction turned is where it belongs. */
	if (!row->uid[w->pass->from])
		return 0;
	if (!row->uid[to])
		return journal_msg_drop(w->pass->journal, row->id, e);
	row->state = MSG_DONE;
	row->verified[to] = false;
	if (journal_exception_end(w->pass->journal, row->id, e) < 0)
		return -1;
	return journal_msg_write(w->pass->journal, w->f, row, NULL, NULL, e);
}

struct wanted {
	int64_t *ids;
	size_t count;
};

static int want(const struct journal_exception *x, void *arg)
{
	struct wanted *l = arg;

	if (!x->retry)
		return 0;
	l->ids = mem_grow(l->ids, l->count + 1, sizeof *l->ids);
	l->ids[l->count++] = x->msg;
	return 0;
}

static int forget_wanted(struct work *w, const struct wanted *l, struct err *e)
{
	struct journal *j = w->pass->journal;
	int rc = journal_begin(j, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < l->count && rc == 0; i++) {
		struct journal_msg row;
		bool found;

		rc = journal_msg_of(j, w->f, l->ids[i], w->lane->pool, &row, &found, e);
		if (rc == 0 && found && row.state == MSG_EXCEPTION)
			rc = forget(w, &row, e);
	}
	if (rc == 0)
		return journal_commit(j, e);
	journal_rollback(j);
	return -1;
}

int exceptions_retry(struct work *w, struct err *e)
{
	struct wanted l = { 0 };
	int rc = journal_exceptions_each(w->pass->journal, w->f->id, want, &l, e);

	if (rc == 0 && l.count) {
		w->wary = true;
		/* The server tells nothing of them: they have not changed. */
		w->told[SIDE_OLD] = w->told[SIDE_NEW] = false;
		rc = forget_wanted(w, &l, e);
	}
	mem_free(&l.ids);
	return rc;
}

/* ---- the subject, for people */

static int gather_header(struct slice bytes, void *arg, struct err *e UNUSED)
{
	struct buf *b = arg;

	buf_add(b, bytes.p, MIN(bytes.n, EXCEPTION_HEADER_MAX - buf_len(b)));
	return buf_len(b) == EXCEPTION_HEADER_MAX;
}

/* The next line without its end; false at the end of the header. */
static bool next_line(struct slice *rest, struct slice *line)
{
	const char *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = lf ? (size_t)(lf - rest->p) : rest->n;

	*line = (struct slice){ rest->p, n };
	*rest = (struct slice){ rest->p + n + (lf != NULL), rest->n - n - (lf != NULL) };
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return line->n > 0;
}

static char *subject_of(struct slice header)
{
	struct buf out = { 0 };
	struct slice line;
	bool in = false;
	char *text;

	while (next_line(&header, &line)) {
		bool folded = line.p[0] == ' ' || line.p[0] == '\t';

		if (!folded && in)
			break;
		if (!folded)
			in = slice_starts_nocase(line, "Subject:");
		if (in)
			buf_add(&out, line.p + (folded ? 0 : 8), line.n - (folded ? 0 : 8));
	}
	while (buf_len(&out) && buf_slice(&out).p[0] == ' ')
		buf_drain(&out, 1);
	text = mem_strn(buf_slice(&out).p, MIN(buf_len(&out), (size_t)EXCEPTION_SUBJECT_MAX));
	buf_release(&out);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return text;
}

int exception_subject(const struct batch *b, const struct batch_message *m, char **out,
		      struct err *e)
{
	struct buf header = { 0 };
	int rc = batch_read(b, m, gather_header, &header, e);

	*out = rc < 0 ? NULL : subject_of(buf_slice(&header));
	buf_release(&header);
	return rc < 0 ? -1 : 0;
}

/* ---- its bytes */

static int cannot(const char *path, struct err *e)
{
	return err_set(e, ERR_STORE, "exception file %s: %s", path, strerror(errno));
}

static int write_piece(struct slice bytes, void *arg, struct err *e)
{
	const int *fd = arg;

	while (bytes.n) {
		ssize_t n = write(*fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_STORE, "exception file: %s", strerror(errno));
		bytes = (struct slice){ bytes.p + n, bytes.n - (size_t)n };
	}
	return 0;
}

/* Whole or not at all. */
static int write_file(const char *path, const struct batch *b, const struct batch_message *m,
		      struct err *e)
{
	char *part = mem_printf("%s.part", path);
	int fd, rc = -1;

	unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		cannot(part, e);
	} else {
		rc = batch_read(b, m, write_piece, &fd, e);
		if (rc == 0 && (fsync(fd) < 0 || rename(part, path) < 0))
			rc = cannot(part, e);
		close(fd);
		if (rc < 0)
			unlink(part);
	}
	mem_free(&part);
	return rc;
}

/* "INBOX.Sent.1700000000.17.eml"; a name that is cut is still told apart by the numbers. */
static char *file_name(const struct work *w, uint32_t uid)
{
	enum side from = w->pass->from;
	struct buf b = { 0 };
	char *out;

	for (const char *c = w->f->name[from]; *c && buf_len(&b) < FILE_FOLDER_MAX; c++)
		if (strchr("/%", *c) || *c <= ' ' || *c == 0x7f || (*c == '.' && !buf_len(&b)))
			buf_printf(&b, "%%%02X", (unsigned char)*c);
		else
			buf_add(&b, c, 1);
	out = mem_printf("%.*s.%" PRIu32 ".%" PRIu32 ".%" PRId64 ".eml", (int)buf_len(&b),
			 buf_slice(&b).p, w->f->state[from].uidvalidity, uid, w->f->id);
	buf_release(&b);
	return out;
}

static int make_dirs(const char *path, struct err *e)
{
	char *above = mem_strn(path, (size_t)(strrchr(path, '/') - path));
	int rc = (mkdir(above, 0700) < 0 && errno != EEXIST) ||
		 (mkdir(path, 0700) < 0 && errno != EEXIST);

	mem_free(&above);
	return rc ? cannot(path, e) : 0;
}

int exception_export(struct work *w, const struct batch *b, const struct batch_message *m,
		     char **out, struct err *e)
{
	const char *dir = w->pass->job->exceptions;
	char *name;

	*out = NULL;
	if (!dir) {
		*out = mem_str("");
		return 0;
	}
	if (make_dirs(dir, e) < 0)
		return -1;
	name = file_name(w, m->uid);
	*out = mem_printf("%s/%s", dir, name);
	mem_free(&name);
	if (write_file(*out, b, m, e) == 0)
		return 0;
	mem_free(out);
	return -1;
}

static int keep_fetched(struct work *w, const struct journal_msg *row, enum exception_kind kind,
			const struct batch *b, struct err *e)
{
	struct journal *j = w->pass->journal;
	char *file = NULL, *subject = NULL;
	int rc = exception_export(w, b, &b->at[0], &file, e);

	if (rc == 0)
		rc = exception_subject(b, &b->at[0], &subject, e);
	if (rc == 0)
		rc = journal_begin(j, e);
	if (rc == 0) {
		rc = exception_add(w, row, kind, "", subject, file, true, e);
		if (rc < 0)
			journal_rollback(j);
		else
			rc = journal_commit(j, e);
	}
	mem_free(&file);
	mem_free(&subject);
	return rc;
}

int exception_keep(struct work *w, const struct journal_msg *row, enum exception_kind kind,
		   struct err *e)
{
	struct pass *p = w->pass;
	struct batch b = { 0 };
	int rc = pipeline_fetch(w->lane->box[p->from], &row->uid[p->from], 1,
				(uint64_t)p->job->message_max, &b, e);

	if (rc == 0 && b.at[0].fetched == FETCH_OK)
		rc = keep_fetched(w, row, kind, &b, e);
	batch_release(&b);
	return rc;
}

/* ---- tidying */

struct kept {
	char **names;
	size_t count;
};

static int keep(const struct journal_exception *x, void *arg)
{
	struct kept *k = arg;
	const char *slash = strrchr(x->file, '/');

	if (!slash)
		return 0;
	k->names = mem_grow(k->names, k->count + 1, sizeof *k->names);
	k->names[k->count++] = mem_str(slash + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sweep(DIR *d, const struct kept *k)
{
	const struct dirent *at;

	while ((at = readdir(d))) {
		const char *name = at->d_name;

		if (name[0] != '.' &&
		    !(k->count && bsearch(&name, k->names, k->count, sizeof name, by_name)))
			unlinkat(dirfd(d), name, 0);
	}
}

int exceptions_tidy(struct pass *p, struct err *e)
{
	DIR *d = p->job->exceptions ? opendir(p->job->exceptions) : NULL;
	struct kept k = { 0 };
	int rc;

	if (!d)
		return 0;
	rc = journal_exceptions_each(p->journal, 0, keep, &k, e);
	if (rc == 0) {
		if (k.count)
			qsort(k.names, k.count, sizeof *k.names, by_name);
		sweep(d, &k);
		if (!k.count)
			rmdir(p->job->exceptions); /* fails where something strange is in it */
	}
	for (size_t i = 0; i < k.count; i++)
		mem_free(&k.names[i]);
	mem_free(&k.names);
	closedir(d);
	return rc;
}
