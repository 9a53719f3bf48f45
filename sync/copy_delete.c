/* Hides: how deletes follow, and the brake that keeps a listing that lies from costing mail. */
#include "sync/pass.h"

/* A listing that lies must not cost more than this. */
static bool brake_holds(struct work *w, size_t deletes)
{
	const struct job *job = w->pass->job;
	size_t most = MAX((size_t)job->delete_brake,
			  w->row_count * (size_t)job->delete_brake_percent / 100);

	if (deletes <= most)
		return true;
	pass_unclean(
		w->pass,
		"folder %s: %zu messages have gone from %s, more than the brake lets follow"
		" (sync.delete_brake: %zu): look, then raise it",
		w->f->name[w->pass->from], deletes, side_name(w->pass->from), most);
	return false;
}

static int drop_rows(struct work *w, struct journal_msg **rows, size_t n, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (journal_msg_drop(j, rows[i]->id, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	return journal_commit(j, e);
}

/* Only these UIDs, each still what we put there; then nobody else's mail is hit. */
static int expunge(struct work *w, struct journal_msg **rows, size_t n, struct err *e)
{
	struct pass *p = w->pass;
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	size_t count = 0;
	int rc = 0;

	copy_sort_rows(rows, n, p->to);
	for (size_t i = 0; i < n; i++)
		if (copy_find(w, p->to, rows[i]->uid[p->to]))
			uids[count++] = rows[i]->uid[p->to];
	if (count) {
		rc = mailbox_store(w->lane->box[p->to], uids, count, STORE_ADD, "\\Deleted", e);
		pass_step();
		if (rc == 0)
			rc = mailbox_expunge(w->lane->box[p->to], uids, count, e);
		pass_step();
		w->touched = true;
	}
	free(uids);
	if (rc < 0)
		return err_wrap(e, "%s: deletes in folder %s", side_name(p->to),
				w->f->name[p->to]);
	p->count.deleted += (int64_t)n;
	return drop_rows(w, rows, n, e);
}

int copy_deletes(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_msg **gone = mem_array(w->row_count + 1, sizeof *gone);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].state != MSG_INTENT &&
		    !copy_find(w, p->from, w->rows[i].uid[p->from]))
			gone[n++] = &w->rows[i];
	if (n && !w->adds_up[p->from])
		pass_unclean(p,
			     "folder %s: the listing of %s does not add up: nothing is deleted",
			     w->f->name[p->from], side_name(p->from));
	else if (n && brake_holds(w, n)) {
		rc = expunge(w, gone, n, e);
		if (rc == 0)
			rc = copy_load_rows(w, e);
	}
	free(gone);
	return rc;
}

int copy_drop_lost(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_msg **lost = mem_array(w->row_count + 1, sizeof *lost);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count && w->adds_up[p->to]; i++)
		if (w->rows[i].state == MSG_DONE && !copy_find(w, p->to, w->rows[i].uid[p->to]))
			lost[n++] = &w->rows[i];
	if (n) {
		rc = drop_rows(w, lost, n, e);
		if (rc == 0)
			rc = copy_load_rows(w, e);
	}
	free(lost);
	return rc;
}
