/*
 * Hides: that while a folder is being brought to its end on the other side, the lane's
 * connection to `from` is at the next one already: looked at, listed where nothing is known of
 * it, and its new mail on the way. All of it only reads; what turns out to be of no use is
 * thrown away.
 */
#include "sync/ahead.h"

#include "sync/mailbox_impl.h"
#include "sync/readahead.h"
#include "sync/suspects.h"

#define AHEAD_NEWS_MAX	 1000  /* messages read ahead of a folder that has others, too */
#define AHEAD_LISTED_MAX 10000 /* listed ahead: two folders are in memory then */

/* ---- while the folder before is ending */

static void give_up(struct lane *l)
{
	struct work *next = l->ahead;

	l->ahead = NULL;
	copy_work_free(&next);
}

/* Nothing of ours is there yet, on the other side there is nothing at all: all is new. */
void ahead_ask_list(struct work *w)
{
	const struct pass *p = w->pass;
	const struct folder_info *here = w->pair ? w->pair->info : NULL, *there;

	if (!here || !here->has_status || !here->messages || w->count.rows ||
	    here->messages > AHEAD_LISTED_MAX || mailbox_is_pop3(w->lane->box[p->from]))
		return;
	there = folder_list_find(&p->list[p->to], w->f->name[p->to]);
	w->ahead.list_asked = there && there->has_status && there->messages == 0;
}

void ahead_listed(struct work *w)
{
	enum side from = w->pass->from;

	copy_tidy_seen(w, from);
	w->ahead.listed = w->changes[from].told &&
			  w->seen_count[from] >= w->selected[from].messages;
	w->adds_up[from] = w->ahead.listed;
}

void ahead_begin(struct work *w)
{
	struct pass *p = w->pass;
	struct mailbox *box = w->lane->box[p->from];
	const struct folder_pair *pair;
	struct journal_folder *f;
	struct err ignored = { 0 };
	struct work *next;

	/* One that is swept needs `from` in the next window, too. */
	if (w->sweep.on || mailbox_is_pop3(box) || !pass_next_folder(p, w->lane, &pair, &f))
		return;
	ASSERT(!w->lane->ahead);
	w->ahead.lent = true;
	next = w->lane->ahead = copy_work_new(p, w->lane, pair, f);
	next->ahead.asked = true;
	if (journal_count(p->journal, f, &next->count, &ignored) < 0) {
		give_up(w->lane);
		return;
	}
	ahead_ask_list(next);
	if (copy_look_begin(next, p->from, &ignored) < 0)
		give_up(w->lane);
}

/* Has a connection been lost at one of its messages? Then each has its own turn. */
static bool has_suspects(const struct work *w)
{
	struct suspects s = { 0 };
	struct err ignored = { 0 };
	bool has = suspects_load(w, &s, &ignored) < 0 || s.count;

	suspects_release(&s);
	return has;
}

/* What will be wanted if nothing odd turns up. */
static void plan(struct work *w)
{
	enum side from = w->pass->from;
	uint32_t floor = w->ahead.listed ? 0 : w->f->state[from].uidnext;

	copy_tidy_seen(w, from);
	w->ahead.uids = mem_array(w->seen_count[from] + 1, sizeof *w->ahead.uids);
	for (size_t i = 0; i < w->seen_count[from]; i++) {
		const struct seen *m = &w->seen[from][i];

		if (m->uid >= floor &&
		    !(w->pass->job->skip_deleted && flags_have(m->flags, "\\Deleted")))
			w->ahead.uids[w->ahead.count++] = m->uid;
	}
	if (has_suspects(w) || (!w->ahead.listed && w->ahead.count > AHEAD_NEWS_MAX))
		w->ahead.count = 0;
}

static void read_next(struct work *w)
{
	struct work *next = w->lane->ahead;
	struct err ignored = { 0 };
	struct flow_limits limits;
	enum side from = w->pass->from;

	if (!next || next->ahead.looked)
		return;
	next->ahead.looked = true;
	if (copy_look_end(next, from, &ignored) < 0) {
		give_up(w->lane);
		return;
	}
	if (next->told[from] || next->ahead.listed)
		plan(next);
	limits = copy_new_limits(next, false);
	if (next->ahead.count)
		next->ahead.in = readahead_start(w->lane->box[from], next->ahead.uids,
						 next->ahead.count, &limits);
}

/* A refusal is heard again when its turn has come. */
static int take_opened(void *work, struct err *e)
{
	struct work *w = work;
	enum side to = w->pass->to;
	int rc = copy_look_end(w, to, e);

	w->ahead.opening = false;
	w->ahead.opened = rc == 0;
	if (rc < 0 && mailbox_is_usable(w->lane->box[to])) {
		err_clear(e);
		rc = 0;
	}
	return rc;
}

static void open_next(void *work)
{
	struct work *w = work, *next = w->lane->ahead;
	enum side to = w->pass->to;
	struct err ignored = { 0 };

	if (!next || next->ahead.opening || next->ahead.opened ||
	    copy_look_begin(next, to, &ignored) < 0)
		return;
	next->ahead.opening = true;
	mailbox_read_first(w->lane->box[to], take_opened, next);
}

static void go_on(void *work)
{
	read_next(work);
	open_next(work);
}

void ahead_go_on(struct work *w)
{
	/* A connection that is to be listed or probed will be at other things first; what is
	 * read back in several parts takes longer than the next folder should wait. */
	if (!w->last.begun || w->row_count > AHEAD_NEWS_MAX)
		read_next(w);
	if (w->last.begun)
		mailbox_when_sent(w->lane->box[w->pass->to], go_on, w);
}

void ahead_go_on_now(struct work *w)
{
	mailbox_tell_sent(w->lane->box[w->pass->to]);
}

int ahead_take_back(struct work *w, struct err *e)
{
	struct work *next = w->lane->ahead;
	struct pass *p = w->pass;
	struct selected again;

	if (!w->ahead.lent)
		return 0;
	if (mailbox_read_now(w->lane->box[p->to], e) < 0 ||
	    (next && (ahead_arrive(next, e) < 0 || ahead_drop(next, e) < 0)))
		return -1;
	give_up(w->lane);
	w->ahead.lent = false;
	if (mailbox_select(w->lane->box[p->from], w->f->name[p->from], true, &again, e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(p->from), w->f->name[p->from]);
	return again.uidvalidity == w->selected[p->from].uidvalidity
		       ? 0
		       : err_set(e, ERR_TEMP, "%s: folder %s: UIDVALIDITY changed",
				 side_name(p->from), w->f->name[p->from]);
}

/* ---- when its turn has come */

struct work *ahead_take(struct lane *l)
{
	struct work *w = l->ahead;

	l->ahead = NULL;
	return w;
}

int ahead_arrive(struct work *w, struct err *e)
{
	enum side to = w->pass->to;

	/* Somebody may have needed that connection for the folder before. */
	if (mailbox_read_now(w->lane->box[to], e) < 0)
		return -1;
	if (strcmp(mailbox_folder(w->lane->box[to]), w->f->name[to]))
		w->ahead.opened = false;
	if (!w->ahead.asked || w->ahead.looked)
		return 0;
	w->ahead.looked = true;
	return copy_look_end(w, w->pass->from, e);
}

static void forget_plan(struct work *w)
{
	mem_free(&w->ahead.uids);
	w->ahead.count = 0;
}

int ahead_drop(struct work *w, struct err *e)
{
	struct batch b = { 0 };
	int rc = 0;

	w->ahead.listed = false;
	if (!w->ahead.in)
		return 0;
	/* To its end: stopped before, it breaks the connection. */
	while ((rc = readahead_next(w->ahead.in, &b, e)) > 0)
		batch_release(&b);
	readahead_stop(&w->ahead.in);
	forget_plan(w);
	return rc;
}

int ahead_reading(struct work *w, const uint32_t *uids, size_t n, uint32_t **planned,
		  struct readahead **out, struct err *e)
{
	*out = NULL;
	if (w->ahead.in &&
	    (n != w->ahead.count || memcmp(uids, w->ahead.uids, n * sizeof *uids)))
		return ahead_drop(w, e);
	*out = w->ahead.in;
	*planned = w->ahead.uids;
	w->ahead.in = NULL;
	w->ahead.uids = NULL;
	w->ahead.count = 0;
	return 0;
}

void ahead_release(struct work *w)
{
	readahead_stop(&w->ahead.in);
	forget_plan(w);
}
