/* Hides: one folder: its identity, and the order in which what differs is mended. */
#include "sync/ahead.h"
#include "sync/exceptions.h"
#include "sync/found.h"
#include "sync/journal_suspect.h"
#include "sync/journal_uids.h"
#include "sync/pace.h"

/* ---- the folder's identity */

/*
 * Another UIDVALIDITY, or UIDs that begin again under the same one (some servers give 1 to
 * every folder they make): what the journal knows by UID means nothing any more.
 */
static bool is_another(const struct folder_state *known, const struct selected *now)
{
	if (!known->uidvalidity)
		return false;
	if (now->uid_not_sticky) /* RFC 4315 3: they do not last */
		return true;
	return known->uidvalidity != now->uidvalidity ||
	       (now->uidnext && now->uidnext < known->uidnext);
}

/* Fillers that a dead worker left there (sync/uids.h) may have any UID by now. */
static int renew(struct work *w, enum side s, struct err *e)
{
	struct journal *j = w->pass->journal;
	struct uid_state state;

	if (journal_uid_state(j, w->f->id, &state, e) < 0 ||
	    journal_folder_renew(j, w->f, s, e) < 0)
		return -1;
	if (!state.filler)
		return 0;
	state.filler = 1;
	return journal_uid_state_write(j, w->f->id, &state, e);
}

/* Within a transaction. What is known of side s is about UIDs that no longer mean anything. */
static int forget_uids(struct work *w, enum side s, struct err *e)
{
	struct pass *p = w->pass;

	if (s == p->from && journal_suspect_drop(p->journal, w->f->id, 0, e) < 0)
		return -1;
	/* After the flip new is the user's. What old had under its former UIDs is there, or was
	 * thrown away; and what was brought to new stays known by old's. */
	if (pass_is_trailing(p))
		return journal_lose_uids(p->journal, w->f->id, s, s == p->from, e);
	if (s != p->from)
		return renew(w, s, e);
	w->renumbered = true;
	return journal_renumber(p->journal, w->f->id, s, e);
}

static int start_again(struct work *w, enum side s, struct err *e)
{
	struct journal *j = w->pass->journal;

	w->f->settled = 0;
	w->told[SIDE_OLD] = w->told[SIDE_NEW] = false;
	if (journal_begin(j, e) < 0)
		return -1;
	if (forget_uids(w, s, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/* *note: the journal is to be told which folder this is. */
static int check_identity(struct work *w, enum side s, bool *note, struct err *e)
{
	struct folder_state *known = &w->f->state[s];
	bool changed = is_another(known, &w->selected[s]), first = !known->uidvalidity;
	const char *what = w->selected[s].uid_not_sticky ? "UIDs do not last (UIDNOTSTICKY)"
			   : known->uidvalidity == w->selected[s].uidvalidity
				   ? "the UIDs begin again"
				   : "UIDVALIDITY changed";

	if (changed || w->selected[s].uid_not_sticky)
		pass_unclean(w->pass, "folder %s: %s on %s", w->f->name[s], what, side_name(s));
	if (changed && start_again(w, s, e) < 0)
		return -1;
	if (changed) /* its UIDNEXT says nothing either: a trailing pass never tells new's anew
		      */
		*known = (struct folder_state){ 0 };
	if (changed || first)
		known->uidvalidity = w->selected[s].uidvalidity;
	*note |= changed || first;
	return 0;
}

/* The rows are of these folders from now on, also if the pass ends early. */
static int check_identities(struct work *w, const bool sides[SIDES], struct err *e)
{
	const enum side order[SIDES] = { w->pass->from, w->pass->to };
	bool note = false;

	for (int i = 0; i < SIDES; i++)
		if (sides[order[i]] && check_identity(w, order[i], &note, e) < 0)
			return -1;
	return note ? journal_folder_write(w->pass->journal, w->f, e) : 0;
}

static const bool both_sides[SIDES] = { true, true };

/* Where new UIDs begin; and batches that are open are settled before anything is concluded. */
static int settle_batches(struct work *w, struct err *e)
{
	w->next_uid = w->first_uid = MAX(w->selected[w->pass->to].uidnext, 1u);
	if (w->count.in_doubt == 0)
		return 0;
	w->told[SIDE_OLD] = w->told[SIDE_NEW] = false;
	return probe_batches(w, e);
}

static int open_folder(struct work *w, struct err *e)
{
	struct pass *p = w->pass;

	if (ahead_arrive(w, e) < 0 || copy_look(w, both_sides, e) < 0 ||
	    check_identities(w, both_sides, e) < 0)
		return -1;
	w->permanent = w->selected[p->to].any_keyword
			       ? NULL
			       : mem_str(w->selected[p->to].permanent_flags);
	if (journal_lost(p->journal, w->f->id, &w->lost, e) < 0)
		return -1;
	return settle_batches(w, e);
}

static void close_work(struct work *w)
{
	for (int s = 0; s < SIDES; s++)
		mem_free(&w->seen[s]);
	mem_free(&w->rows);
	ahead_release(w);
	copy_look_release(w);
	free((char *)(uintptr_t)w->permanent);
}

struct work *copy_work_new(struct pass *p, struct lane *l, const struct folder_pair *pair,
			   struct journal_folder *f)
{
	struct work *w = mem_new(sizeof *w);

	*w = (struct work){ .pass = p, .lane = l, .pair = pair, .f = f };
	return w;
}

void copy_work_free(struct work **at)
{
	if (!*at)
		return;
	close_work(*at);
	mem_free(at);
}

/* ---- the folder */

/* A folder that cannot be opened is one folder's trouble, unless the server asks for patience
 * or is gone. */
static bool is_its_own(const struct work *w, const struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		if (!mailbox_is_usable(w->lane->box[s]))
			return false;
	return (e->kind == ERR_TEMP || e->kind == ERR_PROTOCOL || e->kind == ERR_INPUT) &&
	       !e->later.whom;
}

/* Old's state is that before its listing, new's that of the last look at it: what happens later
 * shows. */
static void remember(struct work *w, enum side s)
{
	const struct selected *sel = &w->selected[s];

	w->f->state[s] = (struct folder_state){ sel->uidvalidity, uids_told(w, s),
						sel->messages, sel->highestmodseq };
}

/* Nobody has looked at the other side: it has to be listed before it is believed again. */
static void forget_state(struct work *w, enum side s)
{
	w->f->state[s].modseq = 0;
}

/* What is new is on its way already while the rest is mended. */
int copy_bring(struct work *w, bool mend, struct err *e)
{
	struct stream *st = NULL;
	struct mending *m = NULL;
	struct err second = { 0 };
	int rc = copy_new_begin(w, &st, e);

	if (rc == 0 && mend)
		rc = copy_mend_begin(w, &m, e);
	if (rc == 0) {
		rc = copy_new_send(st, e);
		/* Also if that was refused (no room): what was mended is done. */
		if (m && copy_mend_end(m, rc < 0 ? &second : e) < 0)
			rc = -1;
	}
	if (rc == 0)
		rc = copy_new_end(st, e);
	copy_mend_free(&m);
	copy_new_free(&st);
	return rc;
}

static int work_trailing(struct work *w, struct err *e)
{
	bool sides[SIDES] = { w->pass->doubt, w->pass->doubt };

	sides[w->pass->from] = true;
	if (exceptions_retry(w, e) < 0 || copy_gather(w, sides, e) < 0)
		return -1;
	forget_state(w, w->pass->to);
	if (w->sweep.on)
		return sweep_trailing(w, e);
	if (w->pass->doubt && adopt_unknown(w, e) < 0)
		return -1;
	if (copy_old_flags(w, e) < 0)
		return -1;
	return copy_bring(w, false, e);
}

static int work_in_step(struct work *w, bool *equal, struct err *e)
{
	if (uids_recover(w, e) < 0 || found_there(w, e) < 0 || exceptions_retry(w, e) < 0 ||
	    copy_gather(w, both_sides, e) < 0)
		return -1;
	if (w->sweep.on)
		return sweep_in_step(w, equal, e);
	if (copy_drop_lost(w, e) < 0 || adopt_unknown(w, e) < 0 || copy_bring(w, true, e) < 0 ||
	    copy_look_again_begin(w, e) < 0)
		return -1;
	ahead_go_on(w);
	if (verify_bytes(w, e) < 0)
		return -1;
	ahead_go_on_now(w);
	return verify_folder(w, equal, e);
}

static bool uids_last(const struct work *w)
{
	return !w->selected[SIDE_OLD].uid_not_sticky && !w->selected[SIDE_NEW].uid_not_sticky;
}

static int settle(struct work *w, bool equal, struct err *e)
{
	struct pass *p = w->pass;
	unsigned from = 1U << p->from, to = 1U << p->to;
	struct journal_counts now;

	/* What is surplus there is removed when the direction turns. */
	if (w->lost.surplus[p->from])
		w->f->settled &= from;
	if (pass_is_trailing(p)) { /* has not looked at new */
		w->f->settled = (w->f->settled & to) | from;
		return 0;
	}
	w->f->settled = 0;
	if (!equal || !uids_last(w) || w->lost.surplus[p->to])
		return 0;
	if (journal_count(p->journal, w->f, &now, e) < 0)
		return -1;
	w->f->settled = from;
	if (now.at[p->to] == w->f->state[p->to].messages && !w->lost.surplus[p->from])
		w->f->settled |= to;
	return 0;
}

static int end_folder(struct work *w, bool equal, struct err *e)
{
	struct pass *p = w->pass;

	remember(w, p->from);
	if (!pass_is_trailing(p))
		remember(w, p->to);
	if (settle(w, equal, e) < 0)
		return -1;
	if (journal_begin(p->journal, e) < 0)
		return -1;
	if (journal_folder_write(p->journal, w->f, e) < 0 || uids_note(w, e) < 0) {
		journal_rollback(p->journal);
		return -1;
	}
	return journal_commit(p->journal, e);
}

int copy_folder(struct pass *p, struct lane *l, const struct folder_pair *pair,
		struct journal_folder *f, struct err *e)
{
	struct work *w = ahead_take(l);
	bool equal = false;
	int rc;

	if (!w)
		w = copy_work_new(p, l, pair, f);
	ASSERT(w->f == f);
	rc = open_folder(w, e);
	if (rc < 0 && is_its_own(w, e)) {
		pass_unclean(p, "%s", e->text);
		p->doubt_stays = true;
		err_clear(e);
		rc = ahead_drop(w, e);
	} else if (rc == 0) {
		rc = pass_is_trailing(p) ? work_trailing(w, e) : work_in_step(w, &equal, e);
		if (rc == 0)
			rc = end_folder(w, equal, e);
	}
	copy_work_free(&w);
	return rc;
}

/* Is what has gone a sign of a client past the proxy? Before the first pass it may be a last
 * session's doing, and of a server in trouble it may come back. */
static bool are_strays(const struct pass *p, const struct journal_folder *f)
{
	return f->trailed && !p->doubt && !pace_is_in_trouble(p->from);
}

/*
 * Who is in the rows and was not seen on `from`. Of a server in trouble that may be all, which
 * comes back under other UIDs: then it is known by this, and not for new mail.
 */
static int mark_gone(struct work *w, void *arg UNUSED, struct err *e)
{
	struct journal *j = w->pass->journal;
	bool strays = are_strays(w->pass, w->f);

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < w->row_count; i++) {
		struct journal_msg *row = &w->rows[i];

		if (row->state != MSG_DONE ||
		    copy_find(w, w->pass->from, row->uid[w->pass->from]))
			continue;
		row->state = MSG_GONE;
		w->pass->count.strays += strays;
		if (journal_msg_write(j, w->f, row, NULL, "left old after the flip", e) < 0) {
			journal_rollback(j);
			return -1;
		}
	}
	return journal_commit(j, e);
}

int copy_note_gone(struct pass *p, struct lane *l, const struct folder_pair *pair,
		   struct journal_folder *f, struct err *e)
{
	struct work w = { .pass = p, .lane = l, .pair = pair, .f = f };
	bool sides[SIDES] = { false, false };
	int rc = -1;

	sides[p->from] = true;
	if (copy_look(&w, sides, e) < 0) {
		if (is_its_own(&w, e)) {
			err_clear(e); /* copy_folder() will name it */
			rc = 0;
		}
		goto out;
	}
	if (check_identities(&w, sides, e) < 0 || copy_gather(&w, sides, e) < 0)
		goto out;
	if (w.sweep.on)
		rc = sweep_gone(&w, p->from, mark_gone, NULL, e);
	else
		rc = w.adds_up[p->from] ? mark_gone(&w, NULL, e) : 0;
out:
	close_work(&w);
	return rc;
}

int copy_vanished(struct pass *p, struct lane *l, struct journal_folder *f, struct err *e)
{
	struct work w = { .pass = p, .lane = l, .f = f };
	bool sides[SIDES] = { false, false };
	int rc = -1;

	sides[p->to] = true;
	if (!folder_list_find(&p->list[p->to], f->name[p->to])) { /* gone there too */
		rc = journal_folder_drop(p->journal, f->id, e);
		goto out;
	}
	if (copy_look(&w, sides, e) < 0)
		goto out;
	w.adds_up[p->from] = true;
	/* What a worker was about when it was killed ends here, or it never would. */
	if (check_identities(&w, sides, e) < 0 || settle_batches(&w, e) < 0 ||
	    uids_recover(&w, e) < 0 || copy_gather(&w, sides, e) < 0)
		goto out;
	rc = w.sweep.on ? sweep_vanished(&w, e) : copy_mend(&w, e);
	if (rc == 0)
		rc = journal_count(p->journal, f, &w.count, e);
	if (rc == 0 && w.count.rows == 0)
		rc = journal_folder_drop(p->journal, f->id, e);
out:
	close_work(&w);
	return rc;
}

static int settle_vanished(struct work *w, struct err *e)
{
	bool sides[SIDES] = { false, false };

	sides[w->pass->to] = true;
	if (copy_look(w, sides, e) == 0)
		return check_identities(w, sides, e) < 0 || settle_batches(w, e) < 0 ? -1 : 0;
	if (!is_its_own(w, e))
		return -1;
	pass_unclean(w->pass, "%s", e->text); /* it stays in doubt */
	err_clear(e);
	return 0;
}

/* What was moved out of it before is not new mail where it is now. */
int copy_note_vanished(struct pass *p, struct lane *l, struct journal_folder *f, struct err *e)
{
	struct work w = { .pass = p, .lane = l, .f = f };
	int64_t n = 0;
	int rc = journal_count(p->journal, f, &w.count, e);

	if (rc == 0 && w.count.in_doubt && folder_list_find(&p->list[p->to], f->name[p->to]))
		rc = settle_vanished(&w, e);
	if (rc == 0)
		rc = journal_folder_left(p->journal, f->id, &n, e);
	if (rc == 0 && are_strays(p, f))
		p->count.strays += n;
	close_work(&w);
	return rc;
}
