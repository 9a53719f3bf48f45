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

static int send_flags(struct work *w, struct flag_job *jobs, size_t n, struct err *e)
{
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	int rc = 0;

	qsort(jobs, n, sizeof *jobs, by_want);
	for (size_t i = 0, k; i < n && rc == 0; i += k) {
		for (k = 0; i + k < n && jobs[i + k].want == jobs[i].want; k++)
			uids[k] = jobs[i + k].uid;
		rc = mailbox_store(w->lane->box[w->pass->to], uids, k, STORE_SET, jobs[i].want,
				   e);
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
