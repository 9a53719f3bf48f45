/* Hides: that deletes and flags, however many, cost no round trip of their own where there is
 * new mail too, and one transaction. */
#include "sync/found.h"
#include "sync/mend.h"

struct mending {
	struct work *w;
	struct delete_plan deletes;
	struct flag_plan flags;
	struct message_change *changes; /* deletes, then flags */
	size_t delete_count, flag_count;
	struct change_run *run; /* on its way */
	bool begun;
	bool gone; /* what was to be deleted is */
};

static int take_answers(void *mending, struct err *e)
{
	struct mending *m = mending;

	return mailbox_change_end(&m->run, e);
}

int copy_mend_begin(struct work *w, struct mending **out, struct err *e)
{
	struct mailbox *box = w->lane->box[w->pass->to];
	struct mending *m = mem_new(sizeof *m);

	*m = (struct mending){ .w = w };
	*out = m;
	if (found_left(w, e) < 0)
		return -1;
	deletes_plan(w, &m->deletes);
	flags_plan(w, &m->flags);
	m->changes = mem_array(DELETE_CHANGES + m->flags.count, sizeof *m->changes);
	m->delete_count = deletes_changes(w, &m->deletes, m->changes);
	m->flag_count = flags_changes(&m->flags, m->changes + m->delete_count);
	m->begun = m->delete_count + m->flag_count == 0;
	if (m->begun)
		return 0;
	w->touched = true;
	if (copy_have_open(w, e) < 0 ||
	    mailbox_change_begin(box, m->changes, m->delete_count + m->flag_count, &m->run, e) <
		    0)
		return err_wrap(e, "%s: folder %s", side_name(w->pass->to),
				w->f->name[w->pass->to]);
	mailbox_read_first(box, take_answers, m);
	m->begun = true;
	pass_step();
	return 0;
}

static int write_down(const struct mending *m, struct err *e)
{
	struct work *w = m->w;
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	if ((m->gone && deletes_write(w, &m->deletes, e) < 0) ||
	    flags_write(w, &m->flags, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

int copy_mend_end(struct mending *m, struct err *e)
{
	struct work *w = m->w;

	ASSERT(m->begun);
	if (m->deletes.count + m->flags.count == 0)
		return 0;
	if (mailbox_read_now(w->lane->box[w->pass->to], e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(w->pass->to),
				w->f->name[w->pass->to]);
	pass_step();
	if (deletes_changed(w, &m->deletes, m->changes, m->delete_count, &m->gone, e) < 0 ||
	    flags_changed(w, &m->flags, m->changes + m->delete_count, m->flag_count, e) < 0 ||
	    write_down(m, e) < 0)
		return -1;
	pass_step();
	return m->gone ? copy_load_rows(w, e) : 0;
}

void copy_mend_free(struct mending **at)
{
	struct mending *m = *at;

	if (!m)
		return;
	if (m->run)
		mailbox_forget_first(m->w->lane->box[m->w->pass->to]);
	mailbox_change_drop(&m->run);
	free(m->changes);
	deletes_plan_release(&m->deletes);
	flags_plan_release(&m->flags);
	mem_free(at);
}

int copy_mend(struct work *w, struct err *e)
{
	struct mending *m;
	int rc = copy_mend_begin(w, &m, e);

	if (rc == 0)
		rc = copy_mend_end(m, e);
	copy_mend_free(&m);
	return rc;
}
