/* Hides: that what comes back is never there twice. */
#include "sync/found.h"

#define PART 256 /* messages of one transaction */

/* ---- on `to` */

struct stranger {
	uint32_t uid;
	unsigned char canon[DIGEST_SIZE];
};

struct finds {
	struct work *w;
	struct stranger at[PART];
	size_t count;
};

static int write_finds(struct finds *x, struct err *e)
{
	struct work *w = x->w;
	struct journal *j = w->pass->journal;
	enum side to = w->pass->to;
	uint32_t surplus;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < x->count; i++) {
		if (journal_lost_back(j, w->f->id, to, x->at[i].canon, x->at[i].uid, &surplus,
				      e) < 0) {
			journal_rollback(j);
			return -1;
		}
		w->lost.surplus[to] |= surplus != 0;
	}
	x->count = 0;
	return journal_commit(j, e);
}

static int take_stranger(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d,
			 void *arg, struct err *e)
{
	struct finds *x = arg;

	if (!d)
		return 0;
	x->at[x->count].uid = uid;
	memcpy(x->at[x->count++].canon, d->canon, DIGEST_SIZE);
	return x->count == PART ? write_finds(x, e) : 0;
}

/* Ascending both: of `all` only those stay that are not among the others. */
static void leave_out(struct uid_list *all, const uint32_t *others, size_t n)
{
	size_t kept = 0, k = 0;

	for (size_t i = 0; i < all->count; i++) {
		while (k < n && others[k] < all->at[i])
			k++;
		if (k == n || others[k] != all->at[i])
			all->at[kept++] = all->at[i];
	}
	all->count = kept;
}

static int find_back(struct work *w, struct err *e)
{
	enum side to = w->pass->to;
	struct uid_list strangers = { 0 };
	struct finds x = { .w = w };
	uint32_t *surplus = NULL;
	size_t n = 0;
	int rc = copy_unknown_there(w, 1, &strangers, e);

	if (rc == 0)
		rc = journal_lost_surplus(w->pass->journal, w->f->id, to, &surplus, &n, e);
	if (rc == 0) {
		leave_out(&strangers, surplus, n);
		rc = pipeline_digest(w->lane->box[to], strangers.at, strangers.count, 0,
				     take_stranger, &x, e);
	}
	if (rc == 0 && x.count)
		rc = write_finds(&x, e);
	pass_step();
	mem_free(&surplus);
	uid_list_release(&strangers);
	return rc;
}

static int forget_surplus(struct work *w, struct err *e)
{
	struct journal *j = w->pass->journal;

	w->lost.surplus[w->pass->to] = false;
	if (journal_begin(j, e) < 0)
		return -1;
	if (journal_lost_removed(j, w->f->id, w->pass->to, e) == 0)
		return journal_commit(j, e);
	journal_rollback(j);
	return -1;
}

static int remove_surplus(struct work *w, struct err *e)
{
	struct uid_list all = { 0 };
	bool gone = false;
	int rc = journal_lost_surplus(w->pass->journal, w->f->id, w->pass->to, &all.at,
				      &all.count, e);

	if (rc == 0)
		rc = copy_expunge(w, &all, &gone, e);
	if (rc == 0 && gone) {
		pass_note(w->pass,
			  "folder %s: %zu messages came back on %s after they had been sent "
			  "again: one of each two was removed",
			  w->f->name[w->pass->to], all.count, side_name(w->pass->to));
		rc = forget_surplus(w, e);
	}
	uid_list_release(&all);
	return rc;
}

/* Is there mail without a row that was not looked at? */
static bool may_be_back(const struct work *w)
{
	enum side to = w->pass->to;
	int64_t known = w->count.at[to];

	if (journal_is_settled(w->f, w->pass->from))
		known = MAX(known, (int64_t)w->f->state[to].messages);
	return w->lost.missed[to] && mailbox_exists(w->lane->box[to]) > known;
}

int found_there(struct work *w, struct err *e)
{
	enum side to = w->pass->to;

	if (!w->lost.surplus[to] && !may_be_back(w))
		return 0;
	if (copy_have_open(w, e) < 0)
		return -1;
	w->told[SIDE_OLD] = w->told[SIDE_NEW] = false;
	if (find_back(w, e) < 0 || (w->lost.surplus[to] && remove_surplus(w, e) < 0))
		return err_wrap(e, "%s: folder %s", side_name(to), w->f->name[to]);
	return 0;
}

/* ---- on `from` */

/* What was sent there the second time stays until the direction turns again: it is nobody's. */
static int write_surplus(struct work *w, const struct batch_message *m, uint32_t uid,
			 struct err *e)
{
	struct journal_msg row = { .state = MSG_SKIPPED,
				   .size = (uint32_t)m->digest.size,
				   .date = m->date_s,
				   .flags = flags_of(w->lane->pool, slice_of(m->flags)) };

	row.kept = row.flags;
	row.uid[w->pass->from] = uid;
	return journal_msg_write(w->pass->journal, w->f, &row, NULL,
				 "sent again before the first one came back", e);
}

int found_here(struct work *w, const struct batch_message *m, bool *yes, struct err *e)
{
	enum side from = w->pass->from;
	uint32_t surplus = 0;

	*yes = false;
	if (!w->lost.missed[from])
		return 0;
	if (journal_lost_back(w->pass->journal, w->f->id, from, m->digest.canon, m->uid,
			      &surplus, e) < 0)
		return -1;
	*yes = surplus != 0;
	w->lost.surplus[from] |= *yes;
	return *yes ? write_surplus(w, m, surplus, e) : 0;
}

int found_adopted(struct work *w, const struct digest *d, struct err *e)
{
	enum side to = w->pass->to;

	if (!w->lost.missed[to])
		return 0;
	return journal_lost_found(w->pass->journal, w->f->id, to, d->canon, e);
}
