/* Hides: whom a lost connection is blamed on, and what the exception says. */
#include "sync/suspects.h"

#include "sync/exceptions.h"

/* Those of other windows have their turn there. */
static bool is_at_work(const struct work *w, uint32_t uid)
{
	const struct window *at = w->sweep.at;

	return !w->sweep.on || (at && at->lo <= uid && uid <= at->hi);
}

int suspects_load(const struct work *w, struct suspects *out, struct err *e)
{
	size_t kept = 0;

	if (journal_suspects(w->pass->journal, w->f->id, &out->at, &out->count, e) < 0)
		return -1;
	for (size_t i = 0; i < out->count; i++)
		if (is_at_work(w, out->at[i].uid))
			out->at[kept++] = out->at[i];
	out->count = kept;
	return 0;
}

void suspects_release(struct suspects *s)
{
	mem_free(&s->at);
	s->count = 0;
}

const struct journal_suspect *suspects_find(const struct suspects *s, uint32_t uid)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->at[i].uid == uid)
			return &s->at[i];
	return NULL;
}

int suspects_blame(const struct work *w, uint32_t uid, enum side side, const struct err *why,
		   struct err *e)
{
	struct err stopping = { 0 };

	if (mailbox_is_usable(w->lane->box[side]) || why->later.whom)
		return 0;
	if (pass_is_stopping(w->pass, &stopping) < 0) {
		err_clear(&stopping);
		return 0;
	}
	return journal_suspect_add(w->pass->journal, w->f->id, uid, side, e);
}

static int write_row(struct work *w, const struct journal_suspect *s, struct journal_msg *row,
		     enum exception_kind kind, struct err *e)
{
	struct journal *j = w->pass->journal;
	char reason[128];
	int rc = journal_begin(j, e);

	if (rc < 0)
		return -1;
	snprintf(reason, sizeof reason,
		 "the connection to %s was lost %d times in the middle of it",
		 side_name(s->side), s->times);
	rc = journal_msg_write(j, w->f, row, NULL, reason, e);
	if (rc == 0)
		rc = exception_add(w, row, kind, "", "", "", true, e);
	if (rc == 0)
		rc = journal_suspect_drop(j, w->f->id, s->uid, e);
	if (rc < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

int suspects_give_up(struct work *w, const struct journal_suspect *s, struct err *e)
{
	const struct seen *m = copy_find(w, w->pass->from, s->uid);
	bool readable = s->side == w->pass->to;
	enum exception_kind kind = readable ? EXCEPTION_CONTENT : EXCEPTION_UNREADABLE;
	struct journal_msg row = { .state = MSG_EXCEPTION };

	if (!m) /* gone meanwhile */
		return journal_suspect_drop(w->pass->journal, w->f->id, s->uid, e);
	row.size = m->size;
	row.date = m->date;
	row.flags = m->flags;
	row.kept = copy_fit_flags(w, m->flags);
	row.uid[w->pass->from] = s->uid;
	if (write_row(w, s, &row, kind, e) < 0)
		return -1;
	return readable ? exception_keep(w, &row, kind, e) : 0;
}

int suspects_clear(const struct work *w, struct suspects *s, struct err *e)
{
	for (size_t i = 0; i < s->count; i++)
		if (journal_suspect_drop(w->pass->journal, w->f->id, s->at[i].uid, e) < 0)
			return -1;
	return 0;
}
