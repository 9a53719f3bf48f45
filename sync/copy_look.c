/*
 * Hides: how it is found out what a pass has to do in a folder. Where both servers tell what
 * changed since the last pass (CONDSTORE, QRESYNC), only that is looked at; what they tell has
 * to add up with the journal and with their own counts, else the folder is listed as a whole.
 */
#include "sync/ahead.h"

/* ---- sets of UIDs */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void set_add(struct uid_list *l, uint32_t uid)
{
	if ((l->count & (l->count + 1)) == 0)
		l->at = mem_grow(l->at, l->count * 2 + 1, sizeof *l->at);
	l->at[l->count++] = uid;
}

static void set_tidy(struct uid_list *l)
{
	size_t kept = 0;

	if (l->count)
		qsort(l->at, l->count, sizeof *l->at, by_number);
	for (size_t i = 0; i < l->count; i++)
		if (kept == 0 || l->at[kept - 1] != l->at[i])
			l->at[kept++] = l->at[i];
	l->count = kept;
}

static bool set_has(const struct uid_list *l, uint32_t uid)
{
	return l->count && bsearch(&uid, l->at, l->count, sizeof uid, by_number);
}

/* ---- asking */

/* Only from a state in which both sides were equal and compared does a change tell all. */
static uint64_t ask_since(const struct work *w, enum side s)
{
	const struct folder_state *base = &w->f->state[s];

	if (!w->pair || !journal_is_settled(w->f, w->pass->from) || !base->uidvalidity ||
	    w->count.unverified || w->count.in_doubt || !mailbox_caps(w->lane->box[s])->condstore)
		return 0;
	return base->modseq;
}

static uint64_t asked_since(const struct work *w, enum side s)
{
	return s == w->pass->from && w->ahead.list_asked ? LOOK_ALL : ask_since(w, s);
}

/* Does what was told go on from what the journal knows? */
static bool goes_on(const struct work *w, enum side s)
{
	const struct folder_state *base = &w->f->state[s];
	const struct selected *now = &w->selected[s];

	return w->changes[s].told && now->uidvalidity == base->uidvalidity &&
	       now->highestmodseq >= base->modseq && now->uidnext >= base->uidnext;
}

/* More than a window's worth of changes is not held: then the folder is swept. */
static int take_change(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	struct side_of *so = arg;
	struct work *w = so->w;

	if (w->seen_count[so->side] < 2 * (size_t)w->pass->window)
		copy_see(w, so->side, i);
	else
		w->flood[so->side] = true;
	return 0;
}

int copy_look_end(struct work *w, enum side s, struct err *e)
{
	struct side_of so = { w, s };
	uint64_t since = asked_since(w, s);

	w->seen_count[s] = 0;
	w->changes[s] = (struct changes){ .on_message = take_change, .arg = &so };
	if (mailbox_look_end(w->lane->box[s], &w->selected[s], &w->changes[s], e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(s), w->f->name[s]);
	w->seen_modseq[s] = w->selected[s].highestmodseq;
	w->seen_uidnext[s] = w->selected[s].uidnext;
	if (since == LOOK_ALL)
		ahead_listed(w);
	w->told[s] = since && since != LOOK_ALL && goes_on(w, s) && !w->flood[s];
	return 0;
}

int copy_look_begin(struct work *w, enum side s, struct err *e)
{
	if (mailbox_look_begin(w->lane->box[s], w->f->name[s], s == w->pass->from,
			       asked_since(w, s), e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(s), w->f->name[s]);
	return 0;
}

int copy_look(struct work *w, const bool sides[SIDES], struct err *e)
{
	bool begun[SIDES] = { false, false };
	int rc = journal_count(w->pass->journal, w->f, &w->count, e);

	for (int s = 0; s < SIDES && rc == 0; s++) {
		if (!sides[s] || (s == (int)w->pass->from ? w->ahead.looked : w->ahead.opened))
			continue;
		if (s == (int)w->pass->from)
			ahead_ask_list(w);
		rc = copy_look_begin(w, (enum side)s, e);
		begun[s] = rc == 0;
	}
	/* Also when the other one has refused: nobody else would take these answers. */
	for (int s = 0; s < SIDES; s++) {
		struct err second = { 0 };

		if (begun[s] && copy_look_end(w, (enum side)s, rc < 0 ? &second : e) < 0)
			rc = -1;
	}
	return rc;
}

/* ---- does it add up? */

/* Of what the server named, those that the journal does not know. */
static int find_unknown(struct work *w, enum side s, struct uid_list *out, struct err *e)
{
	const struct seen *seen = w->seen[s];
	size_t count = w->seen_count[s], known_count = 0, k = 0;
	uint32_t *known = NULL;

	if (count == 0)
		return 0;
	if (journal_uids_between(w->pass->journal, w->f->id, s, seen[0].uid,
				 seen[count - 1].uid, &known, &known_count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		while (k < known_count && known[k] < seen[i].uid)
			k++;
		if (k == known_count || known[k] != seen[i].uid)
			set_add(out, seen[i].uid);
	}
	mem_free(&known);
	return 0;
}

/* What the journal knows in the ranges that have vanished. */
static int find_vanished(struct work *w, enum side s, struct err *e)
{
	const struct changes *c = &w->changes[s];
	struct journal_msg *rows = NULL;
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < c->vanished_count && rc == 0; i++)
		rc = journal_msgs_between(w->pass->journal, w->f, s, c->vanished[i].lo,
					  c->vanished[i].hi, w->lane->pool, &rows, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (s == SIDE_NEW || rows[i].state != MSG_GONE)
			set_add(&w->gone[s], rows[i].uid[s]);
	mem_free(&rows);
	set_tidy(&w->gone[s]);
	return rc;
}

static bool is_vanished(const struct changes *c, uint32_t uid)
{
	for (size_t i = 0; i < c->vanished_count; i++)
		if (c->vanished[i].lo <= uid && uid <= c->vanished[i].hi)
			return true;
	return false;
}

/* Named first and gone a moment later. */
static void forget_vanished(struct work *w, enum side s)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->seen_count[s]; i++)
		if (!is_vanished(&w->changes[s], w->seen[s][i].uid))
			w->seen[s][kept++] = w->seen[s][i];
	w->seen_count[s] = kept;
}

/* Strangers on the other side as the last pass left it. */
static int64_t strangers_before(const struct work *w)
{
	enum side to = w->pass->to;

	return (int64_t)w->f->state[to].messages - w->count.below[to];
}

/*
 * How many messages there must be: those of the journal less those that have gone, and those
 * that it does not know: on `from` they are new; on `to` strangers, old ones and new ones.
 */
static int64_t expected(const struct work *w, enum side s, const struct uid_list *unknown)
{
	int64_t n = w->count.at[s] - (int64_t)w->gone[s].count;

	if (s == w->pass->from)
		return n + (int64_t)unknown->count;
	n += strangers_before(w);
	for (size_t i = 0; i < unknown->count; i++)
		n += unknown->at[i] >= w->f->state[s].uidnext;
	return n;
}

/* Both ascending: what of a is not in b. */
static void difference(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
		       struct uid_list *out)
{
	for (size_t i = 0, k = 0; i < a_count; i++) {
		while (k < b_count && b[k] < a[i])
			k++;
		if (k == b_count || b[k] != a[i])
			set_add(out, a[i]);
	}
}

static bool all_named(const struct work *w, enum side s, const struct uid_list *uids)
{
	for (size_t i = 0; i < uids->count; i++)
		if (!copy_find(w, s, uids->at[i]))
			return false;
	return true;
}

/* The UIDs alone, of all messages, settle what has gone and what is unknown. */
static int compare_uids(struct work *w, enum side s, struct uid_list *unknown, struct err *e)
{
	struct uid_list there = { 0 };
	uint32_t *known = NULL;
	size_t n = 0;
	int rc = journal_uids(w->pass->journal, w->f->id, s, &known, &n, e);

	if (rc == 0 && s == w->pass->from)
		rc = ahead_drop(w, e);
	if (rc == 0)
		rc = mailbox_uids(w->lane->box[s], 1, 0, &there, e);
	if (rc == 0) {
		w->gone[s].count = unknown->count = 0;
		difference(known, n, there.at, there.count, &w->gone[s]);
		difference(there.at, there.count, known, n, unknown);
		w->adds_up[s] = there.count == mailbox_exists(w->lane->box[s]) &&
				(s == w->pass->to || all_named(w, s, unknown));
	}
	mem_free(&known);
	uid_list_release(&there);
	return rc < 0 ? err_wrap(e, "%s", side_name(s)) : 0;
}

/*
 * Does the number of messages tell that nothing has left which was not named? Not after the flip
 * where some of old's are known and not brought, or had left and are there again: what comes
 * and what leaves may be as many.
 */
static bool is_told_whole(const struct work *w, enum side s, const struct uid_list *unknown)
{
	if (expected(w, s, unknown) != mailbox_exists(w->lane->box[s]))
		return false;
	if (s == w->pass->to)
		return strangers_before(w) >= 0;
	return !pass_is_trailing(w->pass) || w->count.gone == 0;
}

/* *unknown: on `to` only those that the server named, unless all had to be compared. */
static int settle_side(struct work *w, enum side s, struct uid_list *unknown, bool *compared,
		       struct err *e)
{
	copy_tidy_seen(w, s);
	if (find_vanished(w, s, e) < 0)
		return -1;
	forget_vanished(w, s);
	if (find_unknown(w, s, unknown, e) < 0)
		return -1;
	w->adds_up[s] = is_told_whole(w, s, unknown);
	*compared = !w->adds_up[s];
	return w->adds_up[s] ? 0 : compare_uids(w, s, unknown, e);
}

/* Those that the server did not name, because they have not changed. */
static int list_unnamed(struct work *w, enum side s, const struct uid_list *uids, struct err *e)
{
	struct uid_list unnamed = { 0 };
	struct side_of so = { w, s };
	struct listing got;
	int rc;

	for (size_t i = 0; i < uids->count; i++)
		if (!copy_find(w, s, uids->at[i]))
			set_add(&unnamed, uids->at[i]);
	rc = mailbox_messages_of(w->lane->box[s], unnamed.at, unnamed.count, copy_take, &so,
				 &got, e);
	uid_list_release(&unnamed);
	copy_tidy_seen(w, s);
	return rc;
}

/* New mail may be here already, brought by others: then all strangers have to be known. */
static int know_strangers(struct work *w, struct uid_list *unknown, bool compared,
			  struct err *e)
{
	enum side to = w->pass->to;

	if (w->strangers == 0)
		return 0;
	if (!compared && compare_uids(w, to, unknown, e) < 0)
		return -1;
	return w->adds_up[to] ? list_unnamed(w, to, unknown, e) : 0;
}

static void note_concerned(struct work *w, enum side s)
{
	for (size_t i = 0; i < w->gone[s].count; i++)
		set_add(&w->concerned[s], w->gone[s].at[i]);
	for (size_t i = 0; i < w->seen_count[s]; i++)
		set_add(&w->concerned[s], w->seen[s][i].uid);
	set_tidy(&w->concerned[s]);
}

/* Under both UIDs, so that they are found when they have lost one of them. */
static void note_rows(struct work *w)
{
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; i < w->row_count; i++)
			if (w->rows[i].uid[s])
				set_add(&w->concerned[s], w->rows[i].uid[s]);
		set_tidy(&w->concerned[s]);
	}
}

/* Clears w->told where what was told does not add up. */
static int settle_told(struct work *w, struct err *e)
{
	struct uid_list unknown[SIDES] = { { 0 }, { 0 } };
	enum side to = w->pass->to, from = w->pass->from;
	bool compared[SIDES] = { false, false };
	int rc = 0;

	for (int s = 0; s < SIDES && rc == 0; s++)
		if (w->told[s])
			rc = settle_side(w, (enum side)s, &unknown[s], &compared[s], e);
	if (rc == 0 && w->told[to]) {
		w->strangers = mailbox_exists(w->lane->box[to]) -
			       (w->count.at[to] - (int64_t)w->gone[to].count);
		if (unknown[from].count || w->gone[to].count)
			rc = know_strangers(w, &unknown[to], compared[to], e);
	}
	for (int s = 0; s < SIDES; s++) {
		w->told[s] = w->told[s] && w->adds_up[s];
		uid_list_release(&unknown[s]);
	}
	return rc;
}

/* ---- what is to be worked on */

/* A row whose message has not changed stands there as the journal has it. */
static void see_rows(struct work *w, enum side s)
{
	size_t named = w->seen_count[s];

	for (size_t i = 0; i < w->row_count; i++) {
		const struct journal_msg *row = &w->rows[i];
		struct seen key = { .uid = row->uid[s] };

		if (!key.uid || (s == SIDE_OLD && row->state == MSG_GONE) ||
		    set_has(&w->gone[s], key.uid) || copy_find_among(w, s, named, key.uid))
			continue;
		key.size = (uint32_t)row->size;
		key.date = row->date;
		key.flags = s == w->pass->from ? row->flags : row->kept;
		copy_see_as(w, s, &key);
	}
	copy_tidy_seen(w, s);
}

int copy_gather(struct work *w, const bool sides[SIDES], struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		w->told[s] &= sides[s];
	if (settle_told(w, e) < 0)
		return -1;
	w->whole = false;
	for (int s = 0; s < SIDES; s++)
		w->whole |= sides[s] && !w->told[s];
	w->sweep.on = w->whole && sweep_is_due(w, sides);
	if (w->sweep.on)
		return 0;
	for (int s = 0; s < SIDES; s++)
		if (sides[s] && !w->whole)
			note_concerned(w, (enum side)s);
	if (copy_load_rows(w, e) < 0)
		return -1;
	if (!w->whole)
		note_rows(w);
	for (int s = 0; s < SIDES; s++) {
		if (!sides[s])
			continue;
		if (w->told[s])
			see_rows(w, (enum side)s);
		else if (copy_list(w, (enum side)s, e) < 0)
			return -1;
	}
	if (!w->told[w->pass->to] && sides[w->pass->to])
		w->strangers = (int64_t)w->seen_count[w->pass->to] - copy_known_there(w);
	return 0;
}

/* ---- afterwards */

/* Mid-run nothing can be made of it: the next pass finds out, from what the journal says. */
static int check_still(struct work *w, enum side s, struct err *e)
{
	if (w->selected[s].uidvalidity == w->f->state[s].uidvalidity)
		return 0;
	return err_set(e, ERR_TEMP, "%s: folder %s: UIDVALIDITY changed while we were at it",
		       side_name(s), w->f->name[s]);
}

int copy_reopen(struct work *w, struct err *e)
{
	enum side to = w->pass->to;

	w->last.stale = true;
	if (mailbox_select(w->lane->box[to], w->f->name[to], false, &w->selected[to], e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(to), w->f->name[to]);
	return check_still(w, to, e);
}

int copy_have_open(struct work *w, struct err *e)
{
	enum side to = w->pass->to;

	struct selected looked_at = w->selected[to];
	int rc;

	if (strcmp(mailbox_folder(w->lane->box[to]), w->f->name[to]) == 0)
		return 0;
	rc = copy_reopen(w, e);
	w->selected[to] = looked_at; /* what is remembered is what was looked at */
	return rc;
}

/* What was seen before and has not changed since is still so. */
static void see_unchanged(struct work *w, enum side s, const struct seen *before, size_t n)
{
	size_t named = w->seen_count[s];

	for (size_t i = 0; i < n; i++)
		if (!is_vanished(&w->changes[s], before[i].uid) &&
		    !copy_find_among(w, s, named, before[i].uid))
			copy_see_as(w, s, &before[i]);
	copy_tidy_seen(w, s);
}

/* Strangers that came while we worked. */
static int count_newcomers(struct work *w, int64_t *out, struct err *e)
{
	struct uid_list unknown = { 0 };
	int rc = find_unknown(w, w->pass->to, &unknown, e);

	*out = 0;
	for (size_t i = 0; i < unknown.count; i++)
		*out += unknown.at[i] >= w->seen_uidnext[w->pass->to];
	uid_list_release(&unknown);
	return rc;
}

/* The strangers that were there, less those that turned out to be ours, and those that came. */
static int check_count(struct work *w, bool *equal, struct err *e)
{
	enum side to = w->pass->to;
	struct journal_counts now;
	int64_t came;

	if (count_newcomers(w, &came, e) < 0 ||
	    journal_count(w->pass->journal, w->f, &now, e) < 0)
		return -1;
	if (now.at[to] + w->strangers - w->adopted + came != w->changes[to].exists ||
	    now.unverified)
		*equal = false;
	return 0;
}

static int take_last(void *work, struct err *e)
{
	struct work *w = work;
	enum side to = w->pass->to;

	if (mailbox_look_end(w->lane->box[to], &w->selected[to], &w->changes[to], e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(to), w->f->name[to]);
	w->last.taken = true;
	return check_still(w, to, e);
}

static int ask_last(struct work *w, struct err *e)
{
	enum side to = w->pass->to;
	struct mailbox *box = w->lane->box[to];

	w->last.stale = w->last.taken = false;
	w->last.side = (struct side_of){ w, to };
	changes_release(&w->changes[to]);
	w->changes[to] = (struct changes){ .on_message = copy_take, .arg = &w->last.side };
	w->seen_count[to] = 0;
	if (mailbox_look_again_begin(box, w->f->name[to], w->seen_modseq[to], e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(to), w->f->name[to]);
	mailbox_read_first(box, take_last, w);
	return 0;
}

/* Can the server say what has changed since it was first looked at? */
static bool can_look_from_here(const struct work *w)
{
	enum side to = w->pass->to;

	return w->seen_modseq[to] && mailbox_caps(w->lane->box[to])->condstore;
}

int copy_look_again_begin(struct work *w, struct err *e)
{
	enum side to = w->pass->to;

	if (!w->touched || !can_look_from_here(w))
		return 0;
	w->last.begun = true;
	w->last.before = w->seen[to];
	w->last.before_count = w->seen_count[to];
	w->seen[to] = NULL;
	w->seen_count[to] = w->seen_room[to] = 0;
	return ask_last(w, e);
}

static int end_last(struct work *w, bool *equal, struct err *e)
{
	enum side to = w->pass->to;
	struct mailbox *box = w->lane->box[to];

	if (!w->last.taken && mailbox_read_now(box, e) < 0)
		return -1;
	/* The state that is remembered has to be the one that was looked at. */
	if (w->last.stale && (ask_last(w, e) < 0 || mailbox_read_now(box, e) < 0))
		return -1;
	copy_tidy_seen(w, to);
	forget_vanished(w, to);
	if (check_count(w, equal, e) < 0)
		return -1;
	see_unchanged(w, to, w->last.before, w->last.before_count);
	if (!w->changes[to].told)
		*equal = false; /* the next pass lists it all */
	return 0;
}

int copy_look_again(struct work *w, bool *equal, struct err *e)
{
	if (!w->touched)
		return 0;
	if (!w->last.begun && copy_look_again_begin(w, e) < 0)
		return -1;
	if (w->last.begun)
		return end_last(w, equal, e);
	return copy_reopen(w, e) < 0 ? -1 : copy_list(w, w->pass->to, e);
}

void copy_look_release(struct work *w)
{
	if (w->last.begun)
		mailbox_when_sent(w->lane->box[w->pass->to], NULL, NULL);
	if ((w->last.begun && !w->last.taken) || w->ahead.opening)
		mailbox_forget_first(w->lane->box[w->pass->to]);
	mem_free(&w->last.before);
	sweep_release(w);
	for (int s = 0; s < SIDES; s++) {
		changes_release(&w->changes[s]);
		uid_list_release(&w->gone[s]);
		uid_list_release(&w->concerned[s]);
	}
}
