/* Hides: how flags follow the side that counts. */
#include "sync/mend.h"

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

/* ---- before the flip the side that counts decides */

void flags_plan(struct work *w, struct flag_plan *out)
{
	struct pass *p = w->pass;

	*out = (struct flag_plan){ .at = mem_array(w->row_count + 1, sizeof *out->at) };
	for (size_t i = 0; i < w->row_count && !mailbox_is_pop3(w->lane->box[p->from]); i++) {
		struct journal_msg *row = &w->rows[i];
		const struct seen *here = copy_find(w, p->from, row->uid[p->from]);
		const struct seen *there = copy_find(w, p->to, row->uid[p->to]);

		if (row->state == MSG_DONE && here && there &&
		    (here->flags != row->flags || there->flags != row->kept))
			out->at[out->count++] =
				(struct flag_job){ copy_fit_flags(w, here->flags), there->uid,
						   row, here->flags };
	}
}

void flags_plan_release(struct flag_plan *f)
{
	mem_free(&f->at);
	mem_free(&f->uids);
	f->count = 0;
}

/* Absolute flags, so that a repeat does no harm. */
size_t flags_changes(struct flag_plan *f, struct message_change *out)
{
	size_t n = 0;

	qsort(f->at, f->count, sizeof *f->at, by_want);
	f->uids = mem_array(f->count + 1, sizeof *f->uids);
	for (size_t i = 0; i < f->count; i++) {
		f->uids[i] = f->at[i].uid;
		if (i == 0 || f->at[i].want != f->at[i - 1].want)
			out[n++] = (struct message_change){ .uids = &f->uids[i],
							    .how = STORE_SET,
							    .flags = f->at[i].want };
		out[n - 1].n++;
	}
	return n;
}

/* A keyword that the server refuses (too many, odd) must not keep the flags that everybody
 * knows from following: then those alone. */
static int store_plain(struct work *w, struct flag_job *jobs, struct message_change *c,
		       struct err *e)
{
	const char *plain = flags_that_fit(w->lane->pool, c->flags, FLAGS_SYSTEM);

	/* [LIMIT] may mean keywords as well as us: then the second answer tells. */
	if (plain == c->flags) {
		*e = c->e;
		return -1;
	}
	for (size_t i = 0; i < c->n; i++)
		jobs[i].want = plain;
	return mailbox_store(w->lane->box[w->pass->to], c->uids, c->n, STORE_SET, plain, e);
}

int flags_changed(struct work *w, struct flag_plan *f, struct message_change *done, size_t n,
		  struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (done[i].rc < 0 &&
		    store_plain(w, f->at + (done[i].uids - f->uids), &done[i], e) < 0)
			return err_wrap(e, "%s: flags in folder %s", side_name(w->pass->to),
					w->f->name[w->pass->to]);
	w->pass->count.flags += (int64_t)f->count;
	return 0;
}

int flags_write(struct work *w, const struct flag_plan *f, struct err *e)
{
	for (size_t i = 0; i < f->count; i++) {
		struct flag_job *job = &f->at[i];

		job->row->flags = job->flags;
		job->row->kept = job->want;
		if (journal_msg_flagged(w->pass->journal, job->row, e) < 0)
			return -1;
	}
	return 0;
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

static int send_late(struct work *w, struct flag_plan *f, struct err *e)
{
	struct journal *j = w->pass->journal;
	struct message_change *changes = mem_array(f->count + 1, sizeof *changes);
	size_t n = flags_changes(f, changes);
	int rc = mailbox_change_all(w->lane->box[w->pass->to], changes, n, e);

	w->touched = true;
	pass_step();
	if (rc == 0)
		rc = flags_changed(w, f, changes, n, e);
	free(changes);
	if (rc < 0 || journal_begin(j, e) < 0)
		return -1;
	if (flags_write(w, f, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

static int by_uid(const void *a, const void *b)
{
	const struct flag_job *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static int late_flags(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct flag_plan f = { .at = mem_array(w->row_count + 1, sizeof *f.at) };
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count && !mailbox_is_pop3(w->lane->box[p->from]); i++) {
		struct journal_msg *row = &w->rows[i];
		const struct seen *here = copy_find(w, p->from, row->uid[p->from]);

		if (row->state == MSG_DONE && here && here->flags != row->flags)
			f.at[n++] = (struct flag_job){ copy_fit_flags(w, here->flags),
						       row->uid[p->to], row, here->flags };
	}
	if (n) {
		qsort(f.at, n, sizeof *f.at, by_uid);
		rc = see_there(w, f.at, n, e);
	}
	for (size_t i = 0; i < n && rc == 0; i++) { /* whoever touched it on new has decided */
		const struct seen *there = copy_find(w, p->to, f.at[i].uid);

		if (there && there->flags == f.at[i].row->kept)
			f.at[f.count++] = f.at[i];
	}
	if (f.count && rc == 0)
		rc = send_late(w, &f, e);
	flags_plan_release(&f);
	return rc;
}

static int stray_flags(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	int rc = journal_begin(p->journal, e);

	for (size_t i = 0;
	     i < w->row_count && rc == 0 && !mailbox_is_pop3(w->lane->box[p->from]); i++) {
		struct journal_msg *row = &w->rows[i];
		const struct seen *here = copy_find(w, p->from, row->uid[p->from]);

		if (row->state != MSG_DONE || !here || here->flags == row->flags)
			continue;
		p->count.strays += w->f->trailed && !p->doubt;
		row->flags = here->flags;
		rc = journal_msg_flagged(p->journal, row, e);
	}
	if (rc == 0)
		return journal_commit(p->journal, e);
	journal_rollback(p->journal);
	return -1;
}

/* By a journal in doubt nobody knows whose the flags are that new has. */
int copy_old_flags(struct work *w, struct err *e)
{
	if (!w->f->trailed && !w->pass->doubt && late_flags(w, e) < 0)
		return -1;
	return stray_flags(w, e);
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
