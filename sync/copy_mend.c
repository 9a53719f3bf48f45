/* Hides: that deletes and flags, however many, cost one round trip and one transaction. */
#include "sync/mend.h"

struct mending {
	struct delete_plan deletes;
	struct flag_plan flags;
	struct message_change *changes; /* deletes, then flags */
	size_t delete_count, flag_count;
	bool gone; /* what was to be deleted is */
};

static int ask(struct work *w, struct mending *m, struct err *e)
{
	m->changes = mem_array(DELETE_CHANGES + m->flags.count, sizeof *m->changes);
	m->delete_count = deletes_changes(w, &m->deletes, m->changes);
	m->flag_count = flags_changes(&m->flags, m->changes + m->delete_count);
	if (m->delete_count + m->flag_count)
		w->touched = true;
	if (mailbox_change_all(w->lane->box[w->pass->to], m->changes,
			       m->delete_count + m->flag_count, e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(w->pass->to),
				w->f->name[w->pass->to]);
	pass_step();
	if (deletes_changed(w, &m->deletes, m->changes, m->delete_count, &m->gone, e) < 0)
		return -1;
	return flags_changed(w, &m->flags, m->changes + m->delete_count, m->flag_count, e);
}

static int write_down(struct work *w, struct mending *m, struct err *e)
{
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

int copy_mend(struct work *w, struct err *e)
{
	struct mending m = { .gone = false };
	int rc = 0;

	deletes_plan(w, &m.deletes);
	flags_plan(w, &m.flags);
	if (m.deletes.count || m.flags.count) {
		rc = ask(w, &m, e);
		if (rc == 0)
			rc = write_down(w, &m, e);
		pass_step();
		if (rc == 0 && m.gone)
			rc = copy_load_rows(w, e);
	}
	free(m.changes);
	deletes_plan_release(&m.deletes);
	flags_plan_release(&m.flags);
	return rc;
}
