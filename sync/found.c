/* Hides: that what comes back is never there twice. */
#include "sync/found.h"

#include "sync/pace.h"

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

/* Ascending both. */
static void leave_out(struct uid_list *all, const struct journal_surplus *others, size_t n)
{
	size_t kept = 0, k = 0;

	for (size_t i = 0; i < all->count; i++) {
		while (k < n && others[k].uid < all->at[i])
			k++;
		if (k == n || others[k].uid != all->at[i])
			all->at[kept++] = all->at[i];
	}
	all->count = kept;
}

static int find_back(struct work *w, struct err *e)
{
	enum side to = w->pass->to;
	struct uid_list strangers = { 0 };
	struct journal_surplus *surplus = NULL;
	struct finds x = { .w = w };
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

struct removal {
	const struct journal_surplus *all;
	size_t at;
	struct uid_list still; /* of these bytes */
};

static int take_surplus(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d,
			void *arg, struct err *e UNUSED)
{
	struct removal *x = arg;
	const struct journal_surplus *ours = &x->all[x->at++];

	ASSERT(ours->uid == uid);
	if (d && memcmp(d->canon, ours->canon, DIGEST_SIZE) == 0)
		x->still.at[x->still.count++] = uid;
	return 0;
}

/* Nothing is removed that is not looked at: it has to be what it was taken for. */
static int look_at_surplus(struct work *w, struct removal *x, size_t n, struct err *e)
{
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	int rc;

	x->still.at = mem_array(n + 1, sizeof *x->still.at);
	for (size_t i = 0; i < n; i++)
		uids[i] = x->all[i].uid;
	rc = pipeline_digest(w->lane->box[w->pass->to], uids, n, 0, take_surplus, x, e);
	free(uids);
	return rc;
}

static int remove_surplus(struct work *w, struct err *e)
{
	struct journal_surplus *all;
	struct removal x = { 0 };
	bool gone = true;
	size_t n;
	int rc = journal_lost_surplus(w->pass->journal, w->f->id, w->pass->to, &all, &n, e);

	x.all = all;
	if (rc == 0)
		rc = look_at_surplus(w, &x, n, e);
	if (rc == 0 && x.still.count) {
		rc = copy_expunge(w, &x.still, &gone, e);
		if (rc == 0 && gone)
			pass_note(w->pass,
				  "folder %s: %zu messages came back on %s after they had been "
				  "sent again: one of each two was removed",
				  w->f->name[w->pass->to], x.still.count,
				  side_name(w->pass->to));
	}
	if (rc == 0 && gone)
		rc = forget_surplus(w, e);
	uid_list_release(&x.still);
	mem_free(&all);
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
	bool back = w->lost.surplus[to] || may_be_back(w);

	/* What changed does not tell of the second copy that found_left() needs. */
	if (back || w->lost.surplus[w->pass->from])
		w->told[SIDE_OLD] = w->told[SIDE_NEW] = false;
	if (!back)
		return 0;
	if (copy_have_open(w, e) < 0)
		return -1;
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
				   .flags = flags_of(w->lane->pool, slice_of("")) };

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

/* Has who is not listed left? What deletes need as well, but for the brake. */
static bool is_believed(const struct work *w)
{
	enum side from = w->pass->from;
	const struct window *at = w->sweep.at;
	size_t missing = 0;

	if (!w->adds_up[from] || pace_is_in_trouble(from))
		return false;
	if (!w->sweep.on)
		return true;
	for (size_t i = 0; i < w->row_count; i++)
		missing += w->rows[i].state != MSG_INTENT &&
			   !copy_find(w, from, w->rows[i].uid[from]);
	return w->sweep.may_delete && at && missing <= at->gone;
}

static int stand_in(struct work *w, const struct journal_msg *row, bool *any, struct err *e)
{
	enum side from = w->pass->from;
	bool yes;

	if (row->state != MSG_DONE || !row->uid[from] || copy_find(w, from, row->uid[from]))
		return 0;
	if (journal_lost_left(w->pass->journal, w->f->id, from, row->id, &yes, e) < 0)
		return -1;
	*any |= yes;
	return 0;
}

int found_left(struct work *w, struct err *e)
{
	struct journal *j = w->pass->journal;
	bool any = false;

	if (!w->lost.surplus[w->pass->from] || !is_believed(w))
		return 0;
	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < w->row_count; i++)
		if (stand_in(w, &w->rows[i], &any, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	if (journal_commit(j, e) < 0)
		return -1;
	w->lost.missed[w->pass->from] |= any;
	return any ? copy_load_rows(w, e) : 0;
}

int found_adopted(struct work *w, const struct digest *d, struct err *e)
{
	enum side to = w->pass->to;

	if (!w->lost.missed[to])
		return 0;
	return journal_lost_found(w->pass->journal, w->f->id, to, d->canon, e);
}
