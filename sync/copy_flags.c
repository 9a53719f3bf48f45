/* Hides: how flags follow the side that counts. */
#include "sync/pass.h"

struct flag_job {
	const char *want;
	uint32_t uid; /* on `to` */
	struct journal_msg *row;
	const char *flags;
};

static int by_want(const void *a, const void *b)
{
	const struct flag_job *x = a, *y = b;

	if (x->want != y->want)
		return (uintptr_t)x->want < (uintptr_t)y->want ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

const char *copy_fit_flags(const struct work *w, const char *flags)
{
	return flags_that_fit(w->lane->pool, flags, w->permanent);
}

static int write_flag_rows(struct work *w, struct flag_job *jobs, size_t n, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		jobs[i].row->flags = jobs[i].flags;
		jobs[i].row->kept = jobs[i].want;
		if (journal_msg_write(j, w->f, jobs[i].row, NULL, NULL, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	}
	return journal_commit(j, e);
}

/* Jobs that want the same. A keyword that the server refuses (too many, odd) must not keep the
 * flags that everybody knows from following: then those alone. */
static int store_group(struct work *w, struct flag_job *jobs, const uint32_t *uids, size_t n,
		       struct err *e)
{
	struct mailbox *box = w->lane->box[w->pass->to];
	const char *plain = flags_that_fit(w->lane->pool, jobs->want, FLAGS_SYSTEM);
	int rc = mailbox_store(box, uids, n, STORE_SET, jobs->want, e);

	/* [LIMIT] may mean keywords as well as us: then the second answer tells. */
	if (rc == 0 || !mailbox_is_usable(box) || plain == jobs->want)
		return rc;
	err_clear(e);
	for (size_t i = 0; i < n; i++)
		jobs[i].want = plain;
	return mailbox_store(box, uids, n, STORE_SET, plain, e);
}

static int send_flags(struct work *w, struct flag_job *jobs, size_t n, struct err *e)
{
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	int rc = 0;

	qsort(jobs, n, sizeof *jobs, by_want);
	for (size_t i = 0, k; i < n && rc == 0; i += k) {
		const char *want = jobs[i].want;

		for (k = 0; i + k < n && jobs[i + k].want == want; k++)
			uids[k] = jobs[i + k].uid;
		rc = store_group(w, jobs + i, uids, k, e);
		pass_step();
	}
	free(uids);
	if (rc < 0)
		return err_wrap(e, "%s: flags in folder %s", side_name(w->pass->to),
				w->f->name[w->pass->to]);
	w->touched = true;
	w->pass->count.flags += (int64_t)n;
	return write_flag_rows(w, jobs, n, e);
}

/* Before the flip the side that counts decides; absolute flags, so that a repeat does no harm.
 */
int copy_flags(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct flag_job *jobs = mem_array(w->row_count + 1, sizeof *jobs);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count && !mailbox_is_pop3(w->lane->box[p->from]); i++) {
		struct journal_msg *row = &w->rows[i];
		const struct seen *here = copy_find(w, p->from, row->uid[p->from]);
		const struct seen *there = copy_find(w, p->to, row->uid[p->to]);

		if (row->state == MSG_DONE && here && there &&
		    (here->flags != row->flags || there->flags != row->kept))
			jobs[n++] = (struct flag_job){ copy_fit_flags(w, here->flags),
						       there->uid, row, here->flags };
	}
	if (n)
		rc = send_flags(w, jobs, n, e);
	free(jobs);
	return rc;
}

/* ---- after the flip */

/* What new has of the messages whose flags have changed on old; their rows in *jobs. */
static int see_there(struct work *w, struct flag_job *jobs, size_t n, struct err *e)
{
	enum side to = w->pass->to;
	struct side_of so = { w, to };
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	struct listing got;
	int rc;

	for (size_t i = 0; i < n; i++)
		uids[i] = jobs[i].uid;
	rc = mailbox_messages_of(w->lane->box[to], uids, n, copy_take, &so, &got, e);
	copy_tidy_seen(w, to);
	free(uids);
	return rc;
}

static int by_uid(const void *a, const void *b)
{
	const struct flag_job *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

int copy_late_flags(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct flag_job *jobs = mem_array(w->row_count + 1, sizeof *jobs);
	size_t n = 0, still = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count && !mailbox_is_pop3(w->lane->box[p->from]); i++) {
		struct journal_msg *row = &w->rows[i];
		const struct seen *here = copy_find(w, p->from, row->uid[p->from]);

		if (row->state == MSG_DONE && here && here->flags != row->flags)
			jobs[n++] = (struct flag_job){ copy_fit_flags(w, here->flags),
						       row->uid[p->to], row, here->flags };
	}
	if (n) {
		qsort(jobs, n, sizeof *jobs, by_uid);
		rc = see_there(w, jobs, n, e);
	}
	for (size_t i = 0; i < n && rc == 0; i++) { /* whoever touched it on new has decided */
		const struct seen *there = copy_find(w, p->to, jobs[i].uid);

		if (there && there->flags == jobs[i].row->kept)
			jobs[still++] = jobs[i];
	}
	if (still && rc == 0)
		rc = send_flags(w, jobs, still, e);
	free(jobs);
	return rc;
}

/* ---- what could not be kept */

struct keyword {
	const char *name; /* of the pool: each once */
	int64_t count;
};

struct unkept {
	struct flag_pool *pool;
	struct keyword *at;
	size_t count;
};

static void add_keyword(struct unkept *u, const char *name, int64_t count)
{
	size_t i = 0;

	while (i < u->count && u->at[i].name != name)
		i++;
	if (i == u->count) {
		u->at = mem_grow(u->at, u->count + 1, sizeof *u->at);
		u->at[u->count++] = (struct keyword){ .name = name };
	}
	u->at[i].count += count;
}

static int take_unkept(const char *flags, const char *kept, int64_t count, void *arg)
{
	struct unkept *u = arg;
	struct slice rest = slice_of(flags), word;

	while (flags_next(&rest, &word)) {
		const char *name = flags_of(u->pool, word);

		if (!flags_within(name, kept))
			add_keyword(u, name, count);
	}
	return 0;
}

int flags_report(struct pass *p, struct err *e)
{
	struct unkept u = { .pool = flag_pool_new() };
	int rc = journal_not_kept(p->journal, take_unkept, &u, e);

	for (size_t i = 0; i < u.count; i++)
		pass_note(p, "%s does not keep %s of %lld messages", side_name(p->to),
			  u.at[i].name, (long long)u.at[i].count);
	mem_free(&u.at);
	flag_pool_free(&u.pool);
	return rc;
}
