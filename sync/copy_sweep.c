/*
 * Hides: that a folder may be too large for memory. UIDs alone are counted first, on both
 * sides, and compared with the journal's: what has gone, what is new or strange, and whether it
 * all is there. Then the work is done, a window of `from` after the other, and at last the
 * other side is looked at in windows of its own. Between two windows only the counts are kept;
 * killed there, the next pass counts again, and finds done what is done.
 */
#include "sync/ahead.h"

#define COUNTED_AT_ONCE 16 /* windows: of each message there is only its UID */

static uint32_t end_of(const struct window *at)
{
	return at->hi == UINT32_MAX ? 0 : at->hi;
}

/* ---- counting */

bool sweep_is_due(const struct work *w, const bool sides[SIDES])
{
	int64_t most = 2 * (int64_t)w->pass->window;
	bool due = w->count.rows > most;

	for (int s = 0; s < SIDES; s++)
		due |= sides[s] && mailbox_exists(w->lane->box[s]) > most;
	return due;
}

bool sweep_is_last(const struct work *w)
{
	return !w->sweep.at || w->sweep.at->hi == UINT32_MAX;
}

size_t sweep_to_come(const struct work *w)
{
	const struct windows *all = &w->sweep.of[w->pass->from];
	size_t n = 0;

	for (const struct window *i = w->sweep.at; i && i < all->at + all->count; i++)
		n += i->unknown;
	return n;
}

/* marks: the server's, which may be none. */
static int divide(struct work *w, enum side s, const struct uid_list *marks, struct err *e)
{
	uint32_t *known = NULL;
	size_t n = 0;

	windows_release(&w->sweep.of[s]);
	if (journal_uid_marks(w->pass->journal, w->f->id, s, MAX(w->pass->window / 2, 1u),
			      &known, &n, e) < 0)
		return -1;
	windows_divide(&w->sweep.of[s], marks->at, marks->count, known, n);
	mem_free(&known);
	return 0;
}

static int divide_listed(struct work *w, enum side s, struct err *e)
{
	struct uid_list marks = { 0 };
	int rc = mailbox_marks(w->lane->box[s], MAX(w->pass->window / 2, 1u), &marks, e);

	if (rc == 0)
		rc = divide(w, s, &marks, e);
	uid_list_release(&marks);
	return rc;
}

static int count_some(struct work *w, enum side s, size_t first, size_t last, struct err *e)
{
	struct windows *all = &w->sweep.of[s];
	struct uid_list there = { 0 };
	uint32_t *known = NULL;
	size_t n = 0;
	int rc = mailbox_uids(w->lane->box[s], all->at[first].lo, end_of(&all->at[last - 1]),
			      &there, e);

	if (rc == 0)
		rc = journal_uids_between(w->pass->journal, w->f->id, s, all->at[first].lo,
					  all->at[last - 1].hi, &known, &n, e);
	if (rc == 0)
		windows_count(all, first, last, there.at, there.count, known, n);
	uid_list_release(&there);
	mem_free(&known);
	return rc;
}

static int count(struct work *w, enum side s, struct err *e)
{
	struct windows *all = &w->sweep.of[s];
	size_t last;

	if ((s == w->pass->from && ahead_drop(w, e) < 0) || divide_listed(w, s, e) < 0)
		return err_wrap(e, "%s", side_name(s));
	for (size_t i = 0; i < all->count; i = last) {
		last = MIN(i + COUNTED_AT_ONCE, all->count);
		if (pass_is_stopping(w->pass, e) < 0)
			return -1;
		if (count_some(w, s, i, last, e) < 0)
			return err_wrap(e, "%s", side_name(s));
		pass_tell(w->pass, w->f->name[w->pass->from], 0, all->there);
	}
	w->adds_up[s] = all->there >= mailbox_exists(w->lane->box[s]);
	return 0;
}

bool sweep_agrees(struct work *w, enum side s, size_t missing)
{
	if (!w->sweep.at || missing <= w->sweep.at->gone)
		return w->adds_up[s];
	w->adds_up[s] = false;
	pass_unclean(w->pass, "folder %s: two listings of %s differ: nothing is concluded",
		     w->f->name[s], side_name(s));
	return false;
}

void copy_tell(const struct work *w, size_t done, size_t total)
{
	enum side from = w->pass->from;

	if (w->sweep.on)
		pass_tell(w->pass, w->f->name[from], w->sweep.done + (int64_t)done,
			  w->sweep.of[from].there);
	else
		pass_tell(w->pass, w->f->name[from], (int64_t)done, (int64_t)total);
}

/* ---- one window */

static void enter(struct work *w, enum side by, struct window *at)
{
	w->sweep.on = true;
	w->sweep.by = by;
	w->sweep.at = at;
	w->seen_count[SIDE_OLD] = w->seen_count[SIDE_NEW] = 0;
}

static int list_window(struct work *w, enum side s, struct err *e)
{
	const struct window *at = w->sweep.at;
	struct side_of so = { w, s };
	struct listing got;

	if (mailbox_messages(w->lane->box[s], at->lo, end_of(at), copy_take, &so, &got, e) < 0)
		return err_wrap(e, "%s", side_name(s));
	copy_tidy_seen(w, s);
	w->adds_up[s] = w->adds_up[s] && got.unparsed == 0 && w->seen_count[s] >= at->there;
	return 0;
}

/* What the rows name on the other side. */
static int list_named(struct work *w, struct err *e)
{
	enum side to = w->pass->to;
	struct journal_msg **rows = copy_rows_by_to(w);
	uint32_t *uids = mem_array(w->row_count + 1, sizeof *uids);
	struct side_of so = { w, to };
	struct listing got;
	size_t n = 0;
	int rc = copy_have_open(w, e);

	for (size_t i = 0; i < w->row_count; i++)
		if (rows[i]->uid[to])
			uids[n++] = rows[i]->uid[to];
	if (rc == 0)
		rc = mailbox_messages_of(w->lane->box[to], uids, n, copy_take, &so, &got, e);
	copy_tidy_seen(w, to);
	free(uids);
	free(rows);
	return rc < 0 ? err_wrap(e, "%s", side_name(to)) : 0;
}

int sweep_uids(struct work *w, enum side s, struct window *at, struct err *e)
{
	struct uid_list there = { 0 };

	enter(w, s, at);
	if (copy_load_rows(w, e) < 0 ||
	    mailbox_uids(w->lane->box[s], at->lo, end_of(at), &there, e) < 0)
		return err_wrap(e, "%s", side_name(s));
	for (size_t i = 0; i < there.count; i++)
		copy_see_as(w, s, &(struct seen){ .uid = there.at[i], .flags = "" });
	uid_list_release(&there);
	return 0;
}

/* Rows that have no UID on `from`: a page after the other. */
static int each_page(struct work *w, sweep_fn *fn, void *arg, struct err *e)
{
	w->sweep.last = 0;
	do {
		enter(w, w->pass->from, NULL);
		w->sweep.after = w->sweep.last;
		w->sweep.last = 0;
		if (copy_load_rows(w, e) < 0 || (w->row_count && fn(w, arg, e) < 0))
			return -1;
	} while (w->sweep.last);
	return 0;
}

/* fn finds the window's rows. */
static int each_window(struct work *w, sweep_fn *fn, void *arg, struct err *e)
{
	struct windows *all = &w->sweep.of[w->pass->from];

	w->sweep.done = 0;
	for (size_t i = 0; i < all->count; i++) {
		enter(w, w->pass->from, &all->at[i]);
		if (pass_is_stopping(w->pass, e) < 0 || copy_load_rows(w, e) < 0 ||
		    fn(w, arg, e) < 0)
			return -1;
		w->sweep.done += all->at[i].there;
		copy_tell(w, 0, 0);
	}
	return each_page(w, fn, arg, e);
}

/* ---- what is missing on one side */

static bool is_missing(const struct work *w, enum side s, const struct journal_msg *row)
{
	return !copy_find(w, s, row->uid[s]);
}

int sweep_gone(struct work *w, enum side s, sweep_fn *fn, void *arg, struct err *e)
{
	struct windows *all = &w->sweep.of[s];

	if (!all->count && count(w, s, e) < 0)
		return -1;
	for (size_t i = 0; i < all->count && w->adds_up[s]; i++) {
		size_t missing = 0;

		if (!all->at[i].gone)
			continue;
		if (pass_is_stopping(w->pass, e) < 0 || sweep_uids(w, s, &all->at[i], e) < 0)
			return -1;
		for (size_t k = 0; k < w->row_count; k++)
			missing += is_missing(w, s, &w->rows[k]);
		if (sweep_agrees(w, s, missing) && fn(w, arg, e) < 0)
			return -1;
	}
	return s == w->pass->from && w->adds_up[s] ? each_page(w, fn, arg, e) : 0;
}

static int add_lost(struct work *w, void *sum, struct err *e UNUSED)
{
	lost_count(w, sum);
	return 0;
}

static int drop_lost(struct work *w, void *purged, struct err *e)
{
	return lost_drop(w, *(bool *)purged, e);
}

/* What is not on the other side any more comes again, unless it was removed for its age. Then
 * it is unknown on `from`, and perhaps there under another UID. */
static int follow_lost(struct work *w, struct err *e)
{
	enum side to = w->pass->to;
	struct lost sum = { 0 };
	bool purged;

	if (!w->sweep.of[to].gone || !w->adds_up[to])
		return 0;
	if (sweep_gone(w, to, add_lost, &sum, e) < 0)
		return -1;
	if (!sum.count || !w->adds_up[to])
		return 0;
	if (lost_is_purge(w, &sum, &purged, e) < 0)
		return -1;
	if (sweep_gone(w, to, drop_lost, &purged, e) < 0)
		return -1;
	return count(w, w->pass->from, e);
}

/* ---- before the flip */

static int count_both(struct work *w, struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		if (count(w, (enum side)s, e) < 0)
			return -1;
	w->strangers = w->sweep.of[w->pass->to].unknown;
	return journal_count(w->pass->journal, w->f, &w->count, e);
}

/* What has been adopted is not to come any more. */
static int adopt(struct work *w, struct err *e)
{
	if (adopt_unknown(w, e) < 0)
		return -1;
	return w->adopted || w->renumbered ? count(w, w->pass->from, e) : 0;
}

/* All that has gone from `from`, of all windows: within the brake, or nothing of it follows. */
static int judge_deletes(struct work *w, struct err *e)
{
	int64_t gone = w->sweep.of[w->pass->from].gone;

	if (journal_count(w->pass->journal, w->f, &w->count, e) < 0)
		return -1;
	gone += w->count.without[w->pass->from];
	w->sweep.may_delete = gone && deletes_allowed(w, (size_t)gone);
	return 0;
}

/* What has been read back stands below all that will be sent from now on: a batch of which the
 * answers never come is looked for from there. */
static void note_proven(struct work *w)
{
	enum side to = w->pass->to;

	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].state == MSG_DONE && w->rows[i].verified[to])
			w->first_uid = MAX(w->first_uid, w->rows[i].uid[to] + 1);
	w->next_uid = MAX(w->next_uid, w->first_uid);
}

static int step_window(struct work *w, void *equal, struct err *e)
{
	if ((w->sweep.at && list_window(w, w->pass->from, e) < 0) || list_named(w, e) < 0 ||
	    copy_drop_lost(w, e) < 0 || copy_bring(w, true, e) < 0 || verify_bytes(w, e) < 0)
		return -1;
	note_proven(w);
	verify_here(w, equal);
	pass_step();
	/* What was changed there has to be looked at again, all of it. */
	return w->touched ? 0 : verify_there(w, equal, e);
}

static int look_there(struct work *w, struct window *at, struct err *e)
{
	enter(w, w->pass->to, at);
	return copy_load_rows(w, e) < 0 ? -1 : list_window(w, w->pass->to, e);
}

/* Of the other side all windows, if anything was changed there; else those with strangers. */
static int verify_windows(struct work *w, bool *equal, struct err *e)
{
	enum side to = w->pass->to;
	struct windows *all = &w->sweep.of[to];
	bool whole = w->touched;

	if (whole && (copy_reopen(w, e) < 0 || divide_listed(w, to, e) < 0))
		return -1;
	for (size_t i = 0; i < all->count; i++) {
		if (!whole && !all->at[i].unknown)
			continue;
		if (pass_is_stopping(w->pass, e) < 0 || look_there(w, &all->at[i], e) < 0 ||
		    verify_there(w, equal, e) < 0 || verify_strangers(w, equal, e) < 0)
			return -1;
		all->there += whole ? (int64_t)w->seen_count[to] : 0;
	}
	if (whole && all->there < mailbox_exists(w->lane->box[to]))
		*equal = false;
	return 0;
}

int sweep_in_step(struct work *w, bool *equal, struct err *e)
{
	bool same = true;

	if (count_both(w, e) < 0 || follow_lost(w, e) < 0 || adopt(w, e) < 0 ||
	    judge_deletes(w, e) < 0 || each_window(w, step_window, &same, e) < 0 ||
	    verify_windows(w, &same, e) < 0)
		return -1;
	*equal = same && w->adds_up[w->pass->from] && w->adds_up[w->pass->to];
	if (!*equal)
		pass_unclean(w->pass, "folder %s: both sides are not equal yet",
			     w->f->name[w->pass->from]);
	return 0;
}

/* ---- a folder that has gone on `from` */

static int vanished_window(struct work *w, void *arg UNUSED, struct err *e)
{
	return list_named(w, e) < 0 ? -1 : copy_mend(w, e);
}

int sweep_vanished(struct work *w, struct err *e)
{
	enum side from = w->pass->from;
	const struct uid_list none = { 0 };

	w->sweep.may_delete = w->count.rows && deletes_allowed(w, (size_t)w->count.rows);
	if (!w->sweep.may_delete)
		return 0;
	if (divide(w, from, &none, e) < 0)
		return -1;
	for (size_t i = 0; i < w->sweep.of[from].count; i++) /* nobody lists anything */
		w->sweep.of[from].at[i].gone = UINT32_MAX;
	return each_window(w, vanished_window, NULL, e);
}

/* ---- after the flip */

/* Flags of all of it, and new mail; rows without a UID there have neither. */
static int trailing_window(struct work *w, void *arg UNUSED, struct err *e)
{
	if (!w->sweep.at)
		return 0;
	if (list_window(w, w->pass->from, e) < 0 || copy_old_flags(w, e) < 0)
		return -1;
	pass_step();
	return copy_bring(w, false, e);
}

int sweep_trailing(struct work *w, struct err *e)
{
	if (w->pass->doubt ? count_both(w, e) < 0 || adopt(w, e) < 0
			   : count(w, w->pass->from, e) < 0)
		return -1;
	return each_window(w, trailing_window, NULL, e);
}

/* ---- strangers, for who looks for one of them in the middle of a window */

int sweep_strangers(const struct work *w, sweep_fn *fn, void *arg, struct err *e)
{
	const struct windows *all = &w->sweep.of[w->pass->to];
	struct work *there = copy_work_new(w->pass, w->lane, w->pair, w->f);
	int rc = 0;

	for (size_t i = 0; i < all->count && rc == 0; i++) {
		if (!all->at[i].unknown)
			continue;
		rc = look_there(there, &all->at[i], e);
		if (rc == 0)
			rc = fn(there, arg, e);
	}
	copy_work_free(&there);
	return rc;
}

void sweep_release(struct work *w)
{
	for (int s = 0; s < SIDES; s++)
		windows_release(&w->sweep.of[s]);
}
