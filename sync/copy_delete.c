/*
 * Hides: how deletes follow, the brake that keeps a listing that lies from costing mail, and
 * what it means that a message of ours is not on the other side any more.
 */
#include <stdatomic.h>

#include "sync/mend.h"

#include "common/clock.h"
#include "sync/pace.h"

#define PURGE_AGE_S (7 * 86400) /* what is younger was not removed for its age */

/* ---- the brake */

static int64_t brake(const struct job *job, int64_t of)
{
	return MAX((int64_t)job->delete_brake, of * job->delete_brake_percent / 100);
}

/* What the folder held when it was last understood. */
static int known_messages(struct pass *p, const struct journal_folder *f, int64_t *out,
			  struct err *e)
{
	struct journal_counts c;

	*out = f->state[p->from].messages;
	if (journal_is_settled(f, p->from))
		return 0;
	if (journal_count(p->journal, f, &c, e) < 0)
		return -1;
	*out = c.at[p->from];
	return 0;
}

int deletes_survey(struct pass *p, const struct journal_folder *known, size_t n, struct err *e)
{
	int64_t there = 0, gone = 0, then;

	p->deletes = (struct pass_deletes){ 0 };
	for (size_t i = 0; i < n; i++) {
		const struct folder_info *now =
			folder_list_find(&p->list[p->from], known[i].name[p->from]);
		int64_t left = 0;

		if (known_messages(p, &known[i], &then, e) < 0)
			return -1;
		if (now && !now->noselect) /* one that refuses STATUS is looked at by itself */
			left = now->has_status ? (int64_t)now->messages : then;
		p->deletes.known += then;
		there += left;
		gone += MAX(then - left, (int64_t)0);
	}
	p->deletes.most = brake(p->job, p->deletes.known);
	if (gone <= p->deletes.most && (there || !gone || p->job->delete_brake_percent == 100))
		return 0;
	p->deletes.held = true;
	pass_unclean(p,
		     "%lld of %lld messages have gone from %s: nothing is deleted before a "
		     "person has looked (sync.delete_brake, sync.delete_brake_percent)",
		     (long long)gone, (long long)p->deletes.known, side_name(p->from));
	return 0;
}

/* A listing that lies must not cost more than this, in a folder or in all of them together. */
static bool brake_holds(struct work *w, size_t deletes)
{
	struct pass *p = w->pass;
	int64_t most = brake(p->job, MAX(w->count.rows, (int64_t)w->row_count)), wanted;

	if (p->deletes.held)
		return false;
	if ((int64_t)deletes > most) {
		pass_unclean(p,
			     "folder %s: %zu messages have gone from %s, more than the brake "
			     "lets follow (sync.delete_brake: %lld): look, then raise it",
			     w->f->name[p->from], deletes, side_name(p->from), (long long)most);
		return false;
	}
	/* clang has no value for "wanted += deletes" where it is atomic. */
	wanted = atomic_fetch_add(&p->deletes.wanted, (int64_t)deletes) + (int64_t)deletes;
	if (wanted <= p->deletes.most)
		return true;
	pass_unclean(
		p,
		"folder %s: with %zu messages that have gone from it more have gone from %s "
		"than the brake lets follow (sync.delete_brake: %lld): look, then raise it",
		w->f->name[p->from], deletes, side_name(p->from), (long long)p->deletes.most);
	return false;
}

/* ---- on the other side */

struct marked { /* \Deleted there, but not to be deleted */
	struct work *w;
	const struct uid_list *ours;
	struct uid_list others;
	bool strange;
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int take_marked(const struct message_info *i, void *arg, struct err *e)
{
	struct marked *m = arg;
	struct work *w = m->w;
	struct journal_msg *row = NULL;
	size_t n = 0;

	if (!flags_have(i->flags, "\\Deleted") ||
	    bsearch(&i->uid, m->ours->at, m->ours->count, sizeof i->uid, by_number))
		return 0;
	if (journal_msgs_between(w->pass->journal, w->f, w->pass->to, i->uid, i->uid,
				 w->lane->pool, &row, &n, e) < 0)
		return -1;
	mem_free(&row);
	m->strange |= n == 0;
	m->others.at = mem_grow(m->others.at, m->others.count + 1, sizeof *m->others.at);
	m->others.at[m->others.count++] = i->uid;
	return 0;
}

/*
 * Without UIDPLUS only EXPUNGE is left, which takes all that is \Deleted. Ours that carry it
 * lose it for that moment (a pass that ends in between gives it back: flags are absolute).
 * Where somebody else's mail carries it, nothing is expunged. *done: it was.
 */
static int expunge_all(struct work *w, const struct uid_list *ours, bool *done, struct err *e)
{
	struct mailbox *box = w->lane->box[w->pass->to];
	struct marked m = { .w = w, .ours = ours };
	struct listing got;
	int rc = mailbox_messages(box, 1, 0, take_marked, &m, &got, e);

	*done = rc == 0 && !m.strange && got.unparsed == 0 &&
		got.messages >= mailbox_exists(box);
	if (m.others.count)
		qsort(m.others.at, m.others.count, sizeof *m.others.at, by_number);
	if (*done) {
		rc = mailbox_store(box, m.others.at, m.others.count, STORE_REMOVE, "\\Deleted",
				   e);
		if (rc == 0)
			rc = mailbox_expunge_all(box, e);
		if (rc == 0)
			rc = mailbox_store(box, m.others.at, m.others.count, STORE_ADD,
					   "\\Deleted", e);
	} else if (rc == 0) {
		rc = mailbox_store(box, ours->at, ours->count, STORE_REMOVE, "\\Deleted", e);
		pass_unclean(w->pass,
			     "folder %s: %s cannot remove single messages (UIDPLUS), and mail "
			     "that is not ours is marked \\Deleted there: nothing is deleted",
			     w->f->name[w->pass->to], side_name(w->pass->to));
	}
	uid_list_release(&m.others);
	return rc;
}

/* Only these UIDs, each still what we put there; then nobody else's mail is hit. */
static void find_there(struct work *w, struct delete_plan *d)
{
	enum side to = w->pass->to;

	d->uids.at = mem_array(d->count + 1, sizeof *d->uids.at);
	copy_sort_rows(d->rows, d->count, to);
	for (size_t i = 0; i < d->count; i++)
		if (copy_find(w, to, d->rows[i]->uid[to]))
			d->uids.at[d->uids.count++] = d->rows[i]->uid[to];
}

bool deletes_allowed(struct work *w, size_t n)
{
	struct pass *p = w->pass;

	if (w->renumbered) /* the next pass knows better what has gone */
		return false;
	if (pace_is_in_trouble(p->from)) {
		pass_unclean(p,
			     "folder %s: %zu messages have gone from %s, which is in trouble: "
			     "nothing is deleted meanwhile (sync { trouble_s })",
			     w->f->name[p->from], n, side_name(p->from));
		return false;
	}
	if (w->adds_up[p->from])
		return brake_holds(w, n);
	pass_unclean(p, "folder %s: the listing of %s does not add up: nothing is deleted",
		     w->f->name[p->from], side_name(p->from));
	return false;
}

/*
 * Has it left `from`? What never was there (the direction has turned since) may be the only copy.
 * A row that is DONE was there, and lost its UID with a UIDVALIDITY.
 */
static bool has_left(const struct work *w, const struct journal_msg *row)
{
	enum side from = w->pass->from;

	if (row->state == MSG_INTENT)
		return false;
	if (row->uid[from])
		return !copy_find(w, from, row->uid[from]);
	return row->state == MSG_DONE || !row->uid[w->pass->to];
}

void deletes_plan(struct work *w, struct delete_plan *out)
{
	struct pass *p = w->pass;
	size_t n = 0;
	bool allowed = false;

	*out = (struct delete_plan){ .rows = mem_array(w->row_count + 1, sizeof *out->rows) };
	for (size_t i = 0; i < w->row_count; i++)
		if (has_left(w, &w->rows[i]))
			out->rows[n++] = &w->rows[i];
	if (n && w->sweep.on)
		allowed = w->sweep.may_delete && sweep_agrees(w, p->from, n);
	else if (n)
		allowed = deletes_allowed(w, n);
	out->count = allowed ? n : 0;
	find_there(w, out);
}

void deletes_plan_release(struct delete_plan *d)
{
	mem_free(&d->rows);
	uid_list_release(&d->uids);
	d->count = 0;
}

size_t deletes_changes(struct work *w, const struct delete_plan *d, struct message_change *out)
{
	if (d->uids.count == 0 || !mailbox_caps(w->lane->box[w->pass->to])->uidplus)
		return 0;
	out[0] = (struct message_change){
		.uids = d->uids.at, .n = d->uids.count, .how = STORE_ADD, .flags = "\\Deleted"
	};
	out[1] = out[0];
	out[1].how = UID_EXPUNGE;
	return DELETE_CHANGES;
}

static int remove_without_uidplus(struct work *w, const struct delete_plan *d, bool *done,
				  struct err *e)
{
	struct mailbox *box = w->lane->box[w->pass->to];
	int rc = mailbox_store(box, d->uids.at, d->uids.count, STORE_ADD, "\\Deleted", e);

	w->touched = true;
	pass_step();
	if (rc == 0)
		rc = expunge_all(w, &d->uids, done, e);
	pass_step();
	return rc;
}

int deletes_changed(struct work *w, const struct delete_plan *d,
		    const struct message_change *done, size_t n, bool *gone, struct err *e)
{
	int rc = 0;

	*gone = d->count > 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		if (done[i].rc < 0) {
			*e = done[i].e;
			rc = -1;
		}
	if (n == 0 && d->uids.count)
		rc = remove_without_uidplus(w, d, gone, e);
	if (rc < 0)
		return err_wrap(e, "%s: deletes in folder %s", side_name(w->pass->to),
				w->f->name[w->pass->to]);
	return 0;
}

int copy_expunge(struct work *w, const struct uid_list *uids, bool *gone, struct err *e)
{
	struct delete_plan d = { .count = uids->count, .uids = *uids };
	struct message_change changes[DELETE_CHANGES];
	size_t n = deletes_changes(w, &d, changes);
	int rc = 0;

	*gone = false;
	w->touched = true;
	pass_step();
	if (n)
		rc = mailbox_change_all(w->lane->box[w->pass->to], changes, n, e);
	if (rc == 0)
		rc = deletes_changed(w, &d, changes, n, gone, e);
	pass_step();
	return rc;
}

int deletes_write(struct work *w, const struct delete_plan *d, struct err *e)
{
	for (size_t i = 0; i < d->count; i++)
		if (journal_msg_drop(w->pass->journal, d->rows[i]->id, e) < 0)
			return -1;
	w->pass->count.deleted += (int64_t)d->count;
	return 0;
}

/* ---- what is not there any more */

/* With a window of `from` no listing of `to` is made that could be believed. */
static bool is_lost(const struct work *w, const struct journal_msg *row)
{
	enum side to = w->pass->to;

	if (row->state != MSG_DONE || (w->sweep.on && w->sweep.by != to && row->uid[to]))
		return false;
	return !copy_find(w, to, row->uid[to]);
}

size_t lost_count(const struct work *w, struct lost *sum)
{
	size_t n = 0;

	for (size_t i = 0; i < w->row_count; i++) {
		if (!is_lost(w, &w->rows[i]))
			continue;
		sum->youngest =
			n || sum->count ? MAX(sum->youngest, w->rows[i].date) : w->rows[i].date;
		n++;
	}
	sum->count += (int64_t)n;
	return n;
}

/*
 * Many servers remove from Trash and Junk what is older than some days. That is so if all that
 * is missing is older than all that is still there: then it is no loss, and is not brought
 * again at every pass.
 */
int lost_is_purge(const struct work *w, const struct lost *sum, bool *out, struct err *e)
{
	enum special_use use = w->pair ? w->pair->use : USE_NONE;
	int64_t older;

	*out = false;
	if ((use != USE_TRASH && use != USE_JUNK) ||
	    sum->youngest > clock_real_ms() / 1000 - PURGE_AGE_S)
		return 0;
	if (journal_not_after(w->pass->journal, w->f->id, sum->youngest, &older, e) < 0)
		return -1;
	*out = older == sum->count;
	if (*out)
		pass_note(w->pass, "folder %s: %s has removed %lld messages for their age",
			  w->f->name[w->pass->from], side_name(w->pass->to),
			  (long long)sum->count);
	return 0;
}

static int drop_one(struct work *w, struct journal_msg *row, bool purged, struct err *e)
{
	if (journal_lost_note(w->pass->journal, row->id, w->pass->to, e) < 0)
		return -1;
	if (!purged)
		return journal_msg_drop(w->pass->journal, row->id, e);
	row->state = MSG_SKIPPED;
	row->uid[w->pass->to] = 0;
	return journal_msg_write(w->pass->journal, w->f, row, NULL, "removed there for its age",
				 e);
}

int lost_drop(struct work *w, bool purged, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < w->row_count; i++) {
		if (!is_lost(w, &w->rows[i]))
			continue;
		w->lost.missed[w->pass->to] = true;
		if (drop_one(w, &w->rows[i], purged, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	}
	return journal_commit(j, e);
}

int copy_drop_lost(struct work *w, struct err *e)
{
	struct lost sum = { 0 };
	bool purged;

	if (!w->adds_up[w->pass->to] || lost_count(w, &sum) == 0)
		return 0;
	if (lost_is_purge(w, &sum, &purged, e) < 0 || lost_drop(w, purged, e) < 0)
		return -1;
	return copy_load_rows(w, e);
}
