/* Hides: that what comes back is never there twice. */
#include "sync/found.h"

#include "sync/pace.h"

#define PART	    256 /* messages of one transaction */
#define REFUSED_MAX 8	/* a server that refuses so many reads is not asked for more */

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
	bool back;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < x->count; i++) {
		if (journal_lost_back(j, w->f->id, to, x->at[i].canon, x->at[i].uid, &back,
				      &surplus, e) < 0) {
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

enum fate {
	FATE_UNREAD, /* it is there, and stays surplus until it can be read */
	FATE_EQUAL,  /* it has the bytes, and is to be removed */
	FATE_LEFT,   /* it is not there any more, or is another message */
	FATE_PLACED  /* of an older program: it was copied, so it is nobody's second copy */
};

struct removal {
	struct journal_surplus *all;
	enum fate *fate; /* of each */
	size_t count, at;
	struct uid_list equal;
};

/* It is listed: if nothing comes, or nothing is in it, that may be a moment's weakness. */
static int take_surplus(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d,
			void *arg, struct err *e UNUSED)
{
	struct removal *x = arg;

	while (x->all[x->at].uid != uid)
		x->at++;
	if (d && memcmp(d->canon, x->all[x->at].canon, DIGEST_SIZE) == 0)
		x->fate[x->at] = FATE_EQUAL;
	else if (d && d->size)
		x->fate[x->at] = FATE_LEFT;
	return 0;
}

/* Before they are read: who has left? there: what is listed, ascending as they are. */
static void begin_fates(struct removal *x, const struct uid_list *there)
{
	size_t k = 0;

	x->fate = mem_array(x->count + 1, sizeof *x->fate);
	for (size_t i = 0; i < x->count; i++) {
		uint32_t uid = x->all[i].uid;
		bool listed;

		while (k < there->count && there->at[k] < uid)
			k++;
		listed = k < there->count && there->at[k] == uid;
		x->fate[i] = listed ? FATE_UNREAD : FATE_LEFT;
		if (x->all[i].placed)
			x->fate[i] = FATE_PLACED;
	}
}

/* One that cannot be read may have had all the others refused. */
static int look_alone(struct work *w, struct removal *x, struct err *e)
{
	size_t refused = 0;

	for (size_t i = 0; i < x->count && refused < REFUSED_MAX; i++) {
		if (x->fate[i] != FATE_UNREAD)
			continue;
		x->at = i;
		if (pipeline_digest(w->lane->box[w->pass->to], &x->all[i].uid, 1, 0,
				    take_surplus, x, e) < 0)
			return -1;
		refused += x->fate[i] == FATE_UNREAD;
	}
	return 0;
}

/* Nothing is removed that is not looked at: it has to be what it was taken for. */
static int look_at_surplus(struct work *w, struct removal *x, struct err *e)
{
	struct mailbox *box = w->lane->box[w->pass->to];
	struct uid_list there = { 0 };
	uint32_t *uids;
	size_t n = 0;
	int rc = mailbox_uids(box, 1, 0, &there, e);

	if (rc == 0)
		begin_fates(x, &there);
	uid_list_release(&there);
	if (rc < 0)
		return -1;
	uids = mem_array(x->count + 1, sizeof *uids);
	for (size_t i = 0; i < x->count; i++)
		if (x->fate[i] == FATE_UNREAD)
			uids[n++] = x->all[i].uid;
	rc = pipeline_digest(box, uids, n, 0, take_surplus, x, e);
	free(uids);
	return rc < 0 ? -1 : look_alone(w, x, e);
}

static int remove_equal(struct work *w, struct removal *x, bool *removed, struct err *e)
{
	x->equal.at = mem_array(x->count + 1, sizeof *x->equal.at);
	for (size_t i = 0; i < x->count; i++)
		if (x->fate[i] == FATE_EQUAL)
			x->equal.at[x->equal.count++] = x->all[i].uid;
	if (x->equal.count && copy_expunge(w, &x->equal, removed, e) < 0)
		return -1;
	if (*removed)
		pass_note(w->pass,
			  "folder %s: %zu messages came back on %s after they had been "
			  "sent again: one of each two was removed",
			  w->f->name[w->pass->to], x->equal.count, side_name(w->pass->to));
	return 0;
}

static int write_fate(struct work *w, const struct journal_surplus *s, enum fate fate,
		      bool removed, struct err *e)
{
	struct journal *j = w->pass->journal;

	switch (fate) {
	case FATE_UNREAD:
		return 0;
	case FATE_EQUAL:
		if (!removed)
			return 0;
		break;
	case FATE_LEFT:
		return journal_lost_again(j, w->f->id, w->pass->to, s, e);
	case FATE_PLACED:
		break;
	}
	return journal_lost_removed(j, w->f->id, w->pass->to, s, e);
}

static int write_fates(struct work *w, const struct removal *x, bool removed, struct err *e)
{
	struct journal *j = w->pass->journal;
	int rc = journal_begin(j, e);

	for (size_t i = 0; i < x->count && rc == 0; i++)
		rc = write_fate(w, &x->all[i], x->fate[i], removed, e);
	if (rc == 0)
		rc = journal_lost(j, w->f->id, &w->lost, e);
	if (rc == 0)
		return journal_commit(j, e);
	journal_rollback(j);
	return -1;
}

static void tell_unread(struct work *w, const struct removal *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->count; i++)
		n += x->fate[i] == FATE_UNREAD;
	if (n)
		pass_unclean(w->pass,
			     "folder %s: %zu messages on %s may be second copies, and cannot be "
			     "read",
			     w->f->name[w->pass->to], n, side_name(w->pass->to));
}

static int remove_surplus(struct work *w, struct err *e)
{
	struct removal x = { 0 };
	bool removed = false;
	int rc = journal_lost_surplus(w->pass->journal, w->f->id, w->pass->to, &x.all, &x.count,
				      e);

	if (rc == 0)
		rc = look_at_surplus(w, &x, e);
	if (rc == 0)
		rc = remove_equal(w, &x, &removed, e);
	if (rc == 0)
		rc = write_fates(w, &x, removed, e);
	if (rc == 0)
		tell_unread(w, &x);
	uid_list_release(&x.equal);
	free(x.fate);
	free(x.all);
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

/*
 * After the flip: it was missed on old while the user was on his way back, and was not sent
 * again: the way back was withdrawn. New has it, or its user has thrown it away.
 */
static int take_known(struct work *w, const struct batch_message *m, bool *yes, struct err *e)
{
	struct journal *j = w->pass->journal;
	struct journal_msg row = { .state = MSG_GONE,
				   .size = m->digest.size,
				   .date = m->date_s,
				   .flags = flags_of(w->lane->pool, slice_of(m->flags)) };

	if (journal_lost_take(j, w->f->id, w->pass->from, m->digest.canon, yes, e) < 0)
		return -1;
	if (!*yes)
		return 0;
	row.kept = row.flags;
	row.uid[w->pass->from] = m->uid;
	return journal_msg_write(j, w->f, &row, &m->digest, "was not shown before the flip", e);
}

int found_here(struct work *w, const struct batch_message *m, bool *yes, struct err *e)
{
	enum side from = w->pass->from;
	uint32_t surplus = 0;

	*yes = false;
	if (!w->lost.missed[from])
		return 0;
	if (journal_lost_back(w->pass->journal, w->f->id, from, m->digest.canon, m->uid, yes,
			      &surplus, e) < 0)
		return -1;
	if (!*yes && pass_is_trailing(w->pass))
		return take_known(w, m, yes, e);
	if (!surplus)
		return 0;
	w->lost.surplus[from] = true;
	return write_surplus(w, m, surplus, e);
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
	return w->sweep.may_delete && (!at || missing <= at->gone);
}

static int stand_in(struct work *w, const struct journal_msg *row, bool *any, struct err *e)
{
	enum side from = w->pass->from;
	bool yes;

	if (row->state != MSG_DONE || copy_find(w, from, row->uid[from]))
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
