/* Hides: the whole user: which folders need work, what follows them, and when a pass may be
 * called clean. */
#include "sync/tree.h"

#include <stdarg.h>

#include "sync/exceptions.h"
#include "sync/renames.h"

#define STEP_EXIT 99 /* a worker that a test stopped */

/* So much work for one lane: its logins cost both servers as much as some 100 messages do, and
 * other users' mail waits for them; but of a final pass the user is waiting for the end. */
#define LANE_MESSAGES	     1000
#define LANE_MESSAGES_FINAL  400
#define LANE_FOLDER_MESSAGES 10 /* a folder costs as much as so many messages */

/* ---- small things shared by the parts */

static _Atomic int64_t steps_left; /* 0: no end to them */

/* What tests set, in the environment; 0: not. */
static int64_t test_number(const char *name)
{
	const char *at = getenv(name);
	uint64_t n;

	return at && slice_u64(slice_of(at), INT32_MAX, &n) == 0 ? (int64_t)n : 0;
}

/* While there is one thread. */
static void read_tests(struct pass *p)
{
	int64_t window = test_number("MAILFERRY_WINDOW");

	steps_left = test_number("MAILFERRY_STOP_AT_STEP");
	p->window = window ? (uint32_t)window : WINDOW_MESSAGES;
}

void pass_step(void)
{
	if (steps_left && --steps_left == 0)
		_exit(STEP_EXIT);
}

int pass_is_stopping(const struct pass *p, struct err *e)
{
	if (!p->lanes.stopping)
		return 0;
	return err_set(e, ERR_TEMP, "stopped: another folder failed");
}

bool pass_is_trailing(const struct pass *p)
{
	return p->job->kind == JOB_TRAILING;
}

static void add_sentence(struct pass *p, struct buf *to, unsigned *count, const char *fmt,
			 va_list ap)
{
	char text[ERR_TEXT_MAX];

	vsnprintf(text, sizeof text, fmt, ap);
	pthread_mutex_lock(&p->lock);
	if ((*count)++ < PASS_NOTES_MAX)
		buf_printf(to, "%s%s", buf_len(to) ? "; " : "", text);
	pthread_mutex_unlock(&p->lock);
}

void pass_unclean(struct pass *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(p, &p->why, &p->why_count, fmt, ap);
	va_end(ap);
}

void pass_note(struct pass *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(p, &p->notes, &p->note_count, fmt, ap);
	va_end(ap);
}

void pass_tell(struct pass *p, const char *folder, int64_t done, int64_t total)
{
	struct pass_progress now = { folder, done, total, p->count.copied, p->count.bytes };

	if (!p->on_progress)
		return;
	pthread_mutex_lock(&p->lock);
	p->on_progress(&now, p->arg);
	pthread_mutex_unlock(&p->lock);
}

/* ---- folders */

/* Both are asked before either answers. spaces: the namespaces too. */
/* Gmail's "Starred" holds nothing of its own. (All Mail does: what was archived.) */
static void leave_views_out(struct folder_list *l, const struct quirks *q)
{
	for (size_t i = 0; i < l->count && q->views; i++)
		if (l->at[i].use == USE_FLAGGED)
			l->at[i].noselect = true;
}

static int list_sides(struct pass *p, bool spaces, bool sides[SIDES], struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		if (sides[s] && mailbox_survey_begin(p->lanes.at[0].box[s], spaces, e) < 0)
			return err_wrap(e, "%s", side_name((enum side)s));
	for (int s = 0; s < SIDES; s++) {
		if (!sides[s])
			continue;
		folder_list_release(&p->list[s]);
		if (spaces)
			namespace_info_release(&p->space[s]);
		if (mailbox_survey_end(p->lanes.at[0].box[s], &p->space[s], &p->list[s], e) < 0)
			return err_wrap(e, "%s", side_name((enum side)s));
		leave_views_out(&p->list[s], mailbox_quirks(p->lanes.at[0].box[s]));
	}
	return 0;
}

int pass_survey(struct pass *p, struct err *e)
{
	bool both[SIDES] = { true, true };

	return list_sides(p, true, both, e);
}

int pass_list_side(struct pass *p, enum side s, struct err *e)
{
	bool one[SIDES] = { s == SIDE_OLD, s == SIDE_NEW };

	return list_sides(p, false, one, e);
}

static bool stands_still(const struct journal_folder *f, const struct folder_info *now,
			 enum side s)
{
	const struct folder_state *then = &f->state[s];

	/* Without HIGHESTMODSEQ a changed flag would not show (RFC 7162). */
	return now && now->has_status && then->modseq && then->modseq == now->highestmodseq &&
	       then->uidvalidity == now->uidvalidity && then->uidnext == now->uidnext &&
	       then->messages == now->messages;
}

static bool needs_work(const struct pass *p, const struct journal_folder *f)
{
	const struct folder_info *from = folder_list_find(&p->list[p->from], f->name[p->from]);
	const struct folder_info *to = folder_list_find(&p->list[p->to], f->name[p->to]);

	if (!journal_is_settled(f, p->from) || !stands_still(f, from, p->from))
		return true;
	return !pass_is_trailing(p) && !stands_still(f, to, p->to);
}

static struct journal_folder *find_folder(struct journal_folder *at, size_t n, enum side s,
					  const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(at[i].name[s], name) == 0)
			return &at[i];
	return NULL;
}

static bool has_new_mail(const struct pass *p, const struct journal_folder *f)
{
	const struct folder_info *now = folder_list_find(&p->list[p->from], f->name[p->from]);
	const struct folder_state *then = &f->state[p->from];

	return !now || !now->has_status || !now->uidnext || now->uidnext != then->uidnext ||
	       now->uidvalidity != then->uidvalidity;
}

bool pass_wants_folder(const struct pass *p, const struct folder_pair *pair)
{
	struct journal_folder *known;
	struct err ignored = { 0 };
	bool wants = true;
	size_t n;

	if (journal_folders(p->journal, &known, &n, &ignored) == 0) {
		const struct journal_folder *f =
			find_folder(known, n, p->from, pair->name[p->from]);

		wants = !f || has_new_mail(p, f);
	}
	journal_folders_free(&known, &n);
	return wants;
}

typedef int folder_fn(struct pass *p, struct lane *l, const struct folder_pair *pair,
		      struct journal_folder *f, struct err *e);

struct folder_task {
	const struct folder_pair *pair;
	struct journal_folder *f;
	uint32_t messages; /* on the side that counts */
};

struct folder_tasks {
	struct pass *p;
	folder_fn *work;
	struct folder_task *at;
	size_t count;
	uint64_t messages;
	_Atomic size_t done;
};

/* What a worker was about when it was killed; what it read may stand still since. */
struct open_batches {
	struct journal_batch *at;
	size_t count;
};

static bool is_in_doubt(const struct open_batches *open, const struct journal_folder *f)
{
	for (size_t i = 0; i < open->count; i++)
		if (open->at[i].folder == f->id)
			return true;
	return false;
}

static void take_task(struct folder_tasks *t, const struct folder_pair *pair,
		      struct journal_folder *known, const struct open_batches *open)
{
	if (!needs_work(t->p, known) && !is_in_doubt(open, known))
		return;
	t->at[t->count++] = (struct folder_task){ pair, known, pair->info->messages };
	t->messages += pair->info->messages;
}

/* The largest first, so that the lanes end together. */
static int by_messages(const void *a, const void *b)
{
	uint32_t x = ((const struct folder_task *)a)->messages,
		 y = ((const struct folder_task *)b)->messages;

	return (x < y) - (x > y);
}

bool pass_next_folder(const struct pass *p, struct lane *l, const struct folder_pair **pair,
		      struct journal_folder **f)
{
	size_t at;

	if (p->tasks->work != copy_folder || !lane_reserve(l, &at))
		return false;
	*pair = p->tasks->at[at].pair;
	*f = p->tasks->at[at].f;
	return true;
}

/* After a failure what was begun is left over. */
static void forget_ahead(struct lanes *ls)
{
	for (int i = 0; i < LANES_MAX; i++)
		copy_work_free(&ls->at[i].ahead);
}

static int run_task(struct lane *l, size_t at, void *arg, struct err *e)
{
	struct folder_tasks *t = arg;
	struct folder_task *task = &t->at[at];
	int rc = t->work(t->p, l, task->pair, task->f, e);

	pass_tell(t->p, task->pair->name[t->p->from], (int64_t)++t->done, (int64_t)t->count);
	return rc;
}

/* A connection more is worth its login only where there is work for it. */
static int lanes_wanted(const struct folder_tasks *t)
{
	const uint64_t of_one =
		t->p->job->kind == JOB_FINAL ? LANE_MESSAGES_FINAL : LANE_MESSAGES;
	uint64_t n = 1 + (t->messages + t->count * LANE_FOLDER_MESSAGES) / of_one;

	for (int s = 0; s < SIDES; s++) {
		int most = mailbox_quirks(t->p->lanes.at[0].box[s])->connections;

		n = most ? MIN(n, (uint64_t)most) : n;
	}
	return (int)MIN(n, (uint64_t)t->p->job->connections);
}

static int each_folder(struct pass *p, const struct folder_map *map, folder_fn *work,
		       struct err *e)
{
	struct folder_tasks t = { .p = p, .work = work };
	struct name_index names = { 0 };
	struct open_batches open = { 0 };
	struct journal_folder *known;
	size_t n;
	int rc = journal_folders(p->journal, &known, &n, e);

	if (rc == 0)
		rc = journal_batches(p->journal, 0, &open.at, &open.count, e);
	for (size_t i = 0; i < n; i++)
		name_index_add(&names, known[i].name[p->from], i);
	t.at = mem_array(map->count + 1, sizeof *t.at);
	for (size_t i = 0; i < map->count && rc == 0; i++) {
		const struct folder_pair *pair = &map->at[i];
		size_t at = name_index_find(&names, pair->name[p->from]);

		if (pair->exists && !pair->container && at != NAME_NONE)
			take_task(&t, pair, &known[at], &open);
	}
	name_index_release(&names);
	mem_free(&open.at);
	qsort(t.at, t.count, sizeof *t.at, by_messages);
	p->tasks = &t;
	if (rc == 0 && t.count)
		rc = lanes_run(&p->lanes, t.count, lanes_wanted(&t), run_task, &t, e);
	forget_ahead(&p->lanes);
	p->tasks = NULL;
	free(t.at);
	journal_folders_free(&known, &n);
	return rc;
}

/* A listing may have left it out: then the folder itself still answers. */
static int is_gone(struct pass *p, const char *name, bool *gone, struct err *e)
{
	struct mailbox *box = p->lanes.at[0].box[p->from];
	struct folder_info f = { 0 };

	*gone = false;
	if (mailbox_unselect(box, e) < 0)
		return -1;
	if (mailbox_status(box, name, &f, e) < 0) {
		if (!mailbox_is_usable(box) || e->later.whom)
			return -1;
		err_clear(e);
		*gone = true;
		return 0;
	}
	folder_info_release(&f);
	pass_unclean(p, "folder %s: %s does not list it, but has it: nothing is deleted", name,
		     side_name(p->from));
	return 0;
}

/* Is there anything to be done about it, if it is? While trailing its rows stay. */
static int is_noted(struct pass *p, const struct journal_folder *f, bool *noted, struct err *e)
{
	struct journal_counts c;

	*noted = false;
	if (!pass_is_trailing(p))
		return 0;
	if (journal_count(p->journal, f, &c, e) < 0)
		return -1;
	*noted = c.at[p->from] == 0 && c.in_doubt == 0;
	return 0;
}

static int follow_one(struct pass *p, struct journal_folder *f, struct err *e)
{
	const struct folder_info *here = folder_list_find(&p->list[p->from], f->name[p->from]);
	struct lane *l = &p->lanes.at[0];
	bool noted, gone = false;

	if (here && !here->noselect)
		return 0;
	if (is_noted(p, f, &noted, e) < 0 ||
	    (!noted && is_gone(p, f->name[p->from], &gone, e) < 0))
		return -1;
	if (!gone)
		return 0;
	return pass_is_trailing(p) ? copy_note_vanished(p, l, f, e) : copy_vanished(p, l, f, e);
}

/* Folders of the journal that the side that counts no longer has. */
static int follow_vanished(struct pass *p, struct err *e)
{
	struct journal_folder *known;
	size_t n;
	int rc;

	if (mailbox_is_pop3(p->lanes.at[0].box[p->from])) /* it cannot show any other folder */
		return 0;
	rc = journal_folders(p->journal, &known, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = follow_one(p, &known[i], e);
	journal_folders_free(&known, &n);
	return rc;
}

/* ---- the pass */

/* A journal that was lost would make everything on old look new, and all of it would be brought
 * a second time. */
static int check_journal(struct pass *p, struct err *e)
{
	struct journal_folder *known;
	bool empty;
	size_t n;

	if (!pass_is_trailing(p))
		return 0;
	if (journal_folders(p->journal, &known, &n, e) < 0)
		return -1;
	empty = n == 0;
	journal_folders_free(&known, &n);
	return !empty ? 0
		      : err_set(e, ERR_STORE,
				"the user was moved, but the journal is empty: put %s back from a"
				" backup; until then nothing is pulled from old",
				p->job->journal);
}

static int survey_deletes(struct pass *p, struct err *e)
{
	struct journal_folder *known;
	size_t n;
	int rc = journal_folders(p->journal, &known, &n, e);

	if (rc == 0)
		rc = deletes_survey(p, known, n, e);
	journal_folders_free(&known, &n);
	return rc;
}

static int work_folders(struct pass *p, const struct folder_map *map, struct err *e)
{
	if (journal_lost_lapse(p->journal, e) < 0)
		return -1;
	if (pass_is_trailing(p)) {
		if (each_folder(p, map, copy_note_gone, e) < 0 || follow_vanished(p, e) < 0 ||
		    each_folder(p, map, copy_folder, e) < 0)
			return -1;
		return journal_trailed(p->journal, true, e);
	}
	if (p->from == SIDE_NEW && journal_turn_back(p->journal, e) < 0)
		return -1;
	if (survey_deletes(p, e) < 0 || journal_trailed(p->journal, false, e) < 0 ||
	    each_folder(p, map, copy_folder, e) < 0 || follow_vanished(p, e) < 0)
		return -1;
	return tree_subscribe(p, map, e) < 0 ? -1 : facts_gather(p, map, e);
}

static int64_t messages_of(const struct folder_list *l)
{
	int64_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += l->at[i].has_status && !l->at[i].noselect ? l->at[i].messages : 0;
	return n;
}

/*
 * Before anything is sent: does what is on the side that counts, and is not on the other yet,
 * fit there? Bytes are known where the source tells its own usage; else each folder's are
 * looked at.
 */
static int check_room(struct pass *p, struct err *e)
{
	struct journal_totals t;
	struct quota from;

	p->room = (struct quota){ 0 };
	if (p->job->kind != JOB_PASS)
		return 0;
	if (mailbox_quota(p->lanes.at[0].box[p->to], &p->room, e) < 0)
		return err_wrap(e, "%s", side_name(p->to));
	if (!p->room.bytes.known && !p->room.messages.known)
		return 0;
	if (mailbox_quota(p->lanes.at[0].box[p->from], &from, e) < 0)
		return err_wrap(e, "%s", side_name(p->from));
	if (journal_totals(p->journal, p->to, &t, e) < 0)
		return -1;
	if (quota_fits(&p->room, from.bytes.known ? from.bytes.used - t.bytes : 0,
		       messages_of(&p->list[p->from]) - t.messages, e) < 0)
		return err_wrap(e, "%s", side_name(p->to));
	return 0;
}

static int round_of_work(struct pass *p, struct err *e)
{
	struct folder_map map = { 0 };
	int rc;

	buf_drain(&p->why, buf_len(&p->why));
	buf_drain(&p->notes, buf_len(&p->notes));
	p->why_count = p->note_count = 0;
	if (exceptions_wake(p, e) < 0 || pass_survey(p, e) < 0 || doubt_survey(p, e) < 0 ||
	    renames_follow(p, e) < 0 ||
	    check_room(p, e) < 0 || tree_make(p, &map, e) < 0)
		return -1;
	rc = renames_remember(p, e);
	if (rc == 0)
		rc = work_folders(p, &map, e);
	folder_map_release(&map);
	return rc;
}

/* Did anything change on the side that is left since its folders were read? */
static int has_moved_on(struct pass *p, bool *moved, struct err *e)
{
	struct folder_list before = p->list[p->from];
	bool same;

	p->list[p->from] = (struct folder_list){ 0 };
	if (pass_list_side(p, p->from, e) < 0) {
		folder_list_release(&before);
		return -1;
	}
	same = before.count == p->list[p->from].count;
	for (size_t i = 0; i < before.count && same; i++) {
		const struct folder_info *then = &before.at[i];
		const struct folder_info *now = folder_list_find(&p->list[p->from], then->name);

		same = now && now->uidvalidity == then->uidvalidity &&
		       now->uidnext == then->uidnext && now->messages == then->messages &&
		       now->highestmodseq == then->highestmodseq &&
		       now->subscribed == then->subscribed;
		if (!same)
			fact_add(&p->result.facts.moved, 1, then->name);
	}
	*moved = !same;
	folder_list_release(&before);
	return 0;
}

/* The last delta: old must stand still from one look at it to the next. */
static int final_rounds(struct pass *p, struct err *e)
{
	bool moved = true;

	for (int i = 0; i < PASS_ROUNDS_MAX && moved; i++) {
		if (round_of_work(p, e) < 0)
			return -1;
		(void)mailbox_settled(p->lanes.at[0].box[p->from]);
		if (has_moved_on(p, &moved, e) < 0)
			return -1;
	}
	if (moved)
		pass_unclean(p,
			     "%s does not stand still (folder %s): somebody writes past the"
			     " proxy",
			     side_name(p->from), p->result.facts.moved.where);
	return 0;
}

/* A server that shows some of the mail at a time has more rounds. */
static int rounds(struct pass *p, struct err *e)
{
	do {
		if (round_of_work(p, e) < 0)
			return -1;
	} while (mailbox_settled(p->lanes.at[0].box[p->from]));
	return 0;
}

static int add_up(struct pass *p, struct err *e)
{
	struct journal_specials special = { 0 };
	struct journal_totals t;

	if (flags_report(p, e) < 0 || journal_totals(p->journal, p->to, &t, e) < 0 ||
	    journal_specials(p->journal, &special, e) < 0 || exceptions_tidy(p, e) < 0)
		return -1;
	p->result.copied = p->count.copied;
	p->result.copied_bytes = p->count.bytes;
	p->result.deleted = p->count.deleted;
	p->result.flags = p->count.flags;
	p->result.arrived = pass_is_trailing(p) ? p->count.copied : 0;
	p->result.strays = p->count.strays;
	p->result.waived = special.waived;
	p->result.repaired = special.repaired;
	p->result.differences = special.differences;
	p->result.messages = t.messages;
	p->result.bytes = t.bytes;
	p->result.verified = t.verified;
	p->result.exceptions = t.exceptions;
	if (t.exceptions)
		pass_unclean(p, "%lld messages could not be copied", (long long)t.exceptions);
	if (t.in_doubt)
		pass_unclean(p, "%lld messages are in doubt", (long long)t.in_doubt);
	if (!pass_is_trailing(p) && t.verified != t.messages)
		pass_unclean(p, "%lld of %lld messages are compared", (long long)t.verified,
			     (long long)t.messages);
	p->result.ok = true;
	p->result.clean = p->why_count == 0;
	if (buf_len(&p->notes))
		buf_printf(&p->why, "%s%.*s", buf_len(&p->why) ? "; " : "",
			   (int)buf_len(&p->notes), buf_slice(&p->notes).p);
	snprintf(p->result.text, sizeof p->result.text, "%.*s", (int)buf_len(&p->why),
		 buf_len(&p->why) ? buf_slice(&p->why).p : "");
	return 0;
}

int pass_run(struct pass *p, struct err *e)
{
	int rc = check_journal(p, e);

	read_tests(p);
	pthread_mutex_init(&p->lock, NULL);
	mailbox_attach(p->lanes.at[0].box[p->from], p->journal);
	if (rc == 0)
		rc = doubt_begin(p, e);
	if (rc == 0)
		rc = p->job->kind == JOB_FINAL ? final_rounds(p, e) : rounds(p, e);
	if (rc == 0)
		rc = doubt_end(p, e);
	if (rc == 0)
		rc = add_up(p, e);
	for (int s = 0; s < SIDES; s++) {
		folder_list_release(&p->list[s]);
		namespace_info_release(&p->space[s]);
	}
	buf_release(&p->why);
	buf_release(&p->notes);
	pthread_mutex_destroy(&p->lock);
	return rc;
}
