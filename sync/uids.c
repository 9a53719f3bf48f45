/* Hides: where fillers belong, and what is given up when UIDs are not what they should be. */
#include "sync/uids.h"

#include <poll.h>

#include "common/clock.h"
#include "sync/filler.h"
#include "sync/journal_uids.h"

#define GAP_INLINE 128	/* a gap of at most so many is filled between the mail itself */
#define FINAL_MOST 2000 /* UIDs used up in a folder while its user is waiting */
#define FENCE_LOOK_MS 1000
#define NO_ROOM "new has no room for fillers"

/* Only before the flip, and towards new: nobody sees the folder yet. */
static bool is_ours(const struct work *w)
{
	return w->pass->from == SIDE_OLD && !pass_is_trailing(w->pass);
}

static void say(struct uids *u, const char *why)
{
	snprintf(u->now.why, sizeof u->now.why, "%s", why);
}

uint32_t uids_told(const struct work *w, enum side s)
{
	const struct pass *p = w->pass;
	const struct folder_info *listed = folder_list_find(&p->list[s], w->f->name[s]);
	uint32_t next = w->selected[s].uidnext;

	if (!next && listed && listed->has_status && listed->uidnext) {
		next = listed->uidnext;
		if (w->seen_count[s])
			next = MAX(next, w->seen[s][w->seen_count[s] - 1].uid + 1);
	}
	return next;
}

/* What has been sent counts as taken. */
static uint32_t uids_next(const struct work *w, enum side s)
{
	uint32_t next = uids_told(w, s);

	if (s == w->pass->to && w->uids.on && w->uids.now.mode == UID_EXACT)
		next = MAX(next, w->uids.next);
	return next;
}

/* ---- the journal */

static bool is_same(const struct uid_state *a, const struct uid_state *b)
{
	return a->known == b->known && a->mode == b->mode && a->filler == b->filler &&
	       a->fence == b->fence && strcmp(a->why, b->why) == 0;
}

static int note(struct work *w, struct err *e)
{
	struct uids *u = &w->uids;

	if (is_same(&u->now, &u->before))
		return 0;
	if (journal_uid_state_write(w->pass->journal, w->f->id, &u->now, e) < 0)
		return -1;
	u->before = u->now;
	return 0;
}

/* Before the first byte of one is sent. */
static int note_fillers(struct work *w, struct err *e)
{
	if (w->uids.now.filler)
		return 0;
	w->uids.now.filler = w->first_uid;
	if (note(w, e) < 0)
		return -1;
	pass_step();
	return 0;
}

/* ---- what an interrupted pass left */

/* Bytes of a dead session may still become fillers; what is left of the wait is kept. */
static int await_fence(struct work *w, struct err *e)
{
	const int64_t whole = 1000LL * w->pass->job->fence_s;
	struct uid_state *s = &w->uids.now;
	int64_t left = s->fence ? MIN(s->fence, whole) : whole;

	if (left > 0 && w->pass->job->kind == JOB_FINAL)
		return err_set(e, ERR_TEMP, "folder %s: fillers of an earlier pass may still come",
			       w->f->name[w->pass->to]);
	while (left > 0) {
		int64_t start = clock_mono_ms();

		if (pass_is_stopping(w->pass, e) < 0)
			return -1;
		pass_tell(w->pass, w->f->name[w->pass->from], 0, 0);
		poll(NULL, 0, (int)MIN(left, (int64_t)FENCE_LOOK_MS));
		left -= clock_mono_ms() - start;
		s->fence = left > 0 ? left : BATCH_FENCE_OVER;
		if (note(w, e) < 0)
			return -1;
	}
	return 0;
}

static int clear_away(struct work *w, struct err *e)
{
	struct uid_state *s = &w->uids.now;

	if (filler_remove(w, s->filler, e) < 0)
		return -1;
	s->filler = 0;
	s->fence = 0;
	w->uids.base_count = 0;
	return 0;
}

/* A journal in doubt does not know of those that were sent after it was copied; for the fence
 * the whole pass has waited. */
static void suspect_fillers(struct work *w)
{
	const struct folder_state *known = &w->f->state[w->pass->to];
	struct uid_state *s = &w->uids.now;

	if (!w->pass->doubt || w->pass->job->uids.wish == UID_PLAIN)
		return;
	if (!s->filler)
		s->fence = BATCH_FENCE_OVER;
	s->filler = MIN(s->filler ? s->filler : UINT32_MAX, MAX(known->uidnext, 1u));
}

int uids_recover(struct work *w, struct err *e)
{
	struct uids *u = &w->uids;

	if (!is_ours(w))
		return 0;
	if (journal_uid_state(w->pass->journal, w->f->id, &u->before, e) < 0)
		return -1;
	u->now = u->before;
	suspect_fillers(w);
	if (!u->now.filler)
		return 0;
	w->told[SIDE_OLD] = w->told[SIDE_NEW] = false;
	if (await_fence(w, e) < 0 || clear_away(w, e) < 0)
		return -1;
	pass_step();
	return note(w, e);
}

/* ---- the mode */

const char *uids_servers(const struct mailbox *old, const struct mailbox *new)
{
	if (mailbox_is_pop3(old))
		return "old is read by POP3 and has no UIDs";
	if (!mailbox_caps(new)->uidplus)
		return "new has no UIDPLUS";
	if (mailbox_quirks(new)->views)
		return "new keeps equal messages once";
	return NULL;
}

/* What keeps us from using UIDs up there; NULL: nothing. */
static const char *obstacle(const struct work *w)
{
	const struct pass *p = w->pass;
	const char *servers = uids_servers(w->lane->box[p->from], w->lane->box[p->to]);

	if (servers)
		return servers;
	if (w->selected[p->to].uid_not_sticky)
		return "new's UIDs do not last (UIDNOTSTICKY)";
	if (!uids_next(w, p->to) || !uids_next(w, p->from))
		return "a server does not tell UIDNEXT";
	if (w->lane->uids == UIDS_WRONG)
		return "new does not say where it puts mail";
	if (strcmp(w->uids.before.why, NO_ROOM) == 0)
		return NO_ROOM;
	return NULL;
}

static uint32_t most(const struct work *w, int64_t setting)
{
	bool waited_for = w->pass->job->kind == JOB_FINAL;

	return (uint32_t)(waited_for ? MIN(setting, (int64_t)FINAL_MOST) : setting);
}

static int describe(struct work *w, uint32_t first, struct uid_case *c, struct err *e)
{
	const struct pass *p = w->pass;
	struct uid_numbers have;

	if (journal_uid_numbers(p->journal, w->f->id, &have, e) < 0)
		return -1;
	*c = (struct uid_case){ .wish = p->job->uids.wish,
				.gaps_most = most(w, p->job->uids.gaps),
				.floor_most = most(w, p->job->uids.floor),
				.old_next = w->uids.old_next,
				.next = MAX(w->next_uid, uids_next(w, p->to)),
				.first = first,
				.to_come = w->uids.messages,
				.unequal = have.paired - have.equal,
				.lowest = have.lowest,
				.strangers = w->strangers - w->adopted };
	return 0;
}

/* Besides the mail itself. */
static bool has_room(const struct work *w, int64_t fillers)
{
	const struct uids *u = &w->uids;
	struct err ignored = { 0 };

	return quota_fits(&w->pass->room, u->bytes + fillers * FILLER_SIZE_MAX,
			  u->messages + fillers, &ignored) == 0;
}

static bool has_time(const struct work *w)
{
	return w->pass->count.burn_ms < 1000LL * w->pass->job->uids.seconds;
}

static void take_choice(struct work *w, struct uid_choice c)
{
	struct uids *u = &w->uids;

	if (c.to_burn && !has_room(w, c.to_burn))
		c = (struct uid_choice){ .mode = UID_PLAIN, .why = NO_ROOM };
	else if (c.to_burn && !has_time(w))
		c = (struct uid_choice){ .mode = UID_PLAIN, .why = UIDS_NO_TIME };
	u->now.known = true;
	u->now.mode = c.mode;
	u->next = MAX(w->next_uid, uids_next(w, w->pass->to));
	u->floor = c.floor;
	say(u, c.why ? c.why : "");
}

int uids_begin(struct work *w, uint32_t first, size_t n, int64_t bytes, struct err *e)
{
	struct uids *u = &w->uids;
	const char *why = obstacle(w);
	enum side from = w->pass->from;
	struct uid_case c;

	u->on = false;
	if (!is_ours(w))
		return 0;
	u->messages = (int64_t)n;
	u->bytes = bytes;
	u->old_next = uids_next(w, from);
	if (w->seen_count[from])
		u->old_next = MAX(u->old_next, w->seen[from][w->seen_count[from] - 1].uid + 1);
	if (w->pass->job->uids.wish == UID_PLAIN)
		why = "";
	if (!why && describe(w, first, &c, e) < 0)
		return -1;
	u->on = true;
	take_choice(w, why ? (struct uid_choice){ .mode = UID_PLAIN, .why = why }
			   : uids_choose(&c));
	return 0;
}

/* Not exact any more. low: a message has got a UID that is another's on old. */
static void give_up(struct work *w, const char *why, bool low)
{
	struct uids *u = &w->uids;
	struct uid_case c = { .wish = UID_FLOOR,
			      .floor_most = most(w, w->pass->job->uids.floor),
			      .old_next = u->old_next,
			      .next = w->next_uid,
			      .to_come = 1 };
	struct uid_choice choice = { .mode = UID_PLAIN };

	if (!low && u->now.mode == UID_EXACT)
		choice = uids_choose(&c);
	choice.why = why;
	take_choice(w, choice);
}

/* ---- a batch */

/* Will it be sent? */
static bool goes(const struct work *w, const struct batch_message *m)
{
	uint64_t limit = mailbox_caps(w->lane->box[w->pass->to])->append_limit;

	return m->fetched == FETCH_OK && !m->filler && !(limit && m->digest.size > limit);
}

static void forget_gaps(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		b->at[i].gap = 0;
		if (b->at[i].filler && b->at[i].appended == APPEND_NOT_SENT)
			b->at[i].fetched = FETCH_NONE;
	}
}

/* The first that is to be sent waits until the floor is reached. */
static void wait_for_floor(const struct work *w, struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (goes(w, &b->at[i]) && b->at[i].appended == APPEND_NOT_SENT) {
			b->at[i].gap = 1;
			return;
		}
}

/* How many fillers go between them; larger gaps are noted. false: one comes too late. */
static bool measure(struct work *w, struct batch *b, size_t *fillers, bool *any)
{
	uint32_t next = w->uids.next;

	*fillers = 0;
	*any = false;
	for (size_t i = 0; i < b->count; i++) {
		struct batch_message *m = &b->at[i];

		if (!goes(w, m))
			continue;
		if (m->uid < next)
			return false;
		*any |= m->uid > next;
		if (m->uid - next > GAP_INLINE)
			m->gap = m->uid - next;
		else
			*fillers += m->uid - next;
		next = m->uid + 1;
	}
	return true;
}

static int put_fillers(struct work *w, struct batch *b, size_t fillers, struct err *e)
{
	struct batch_message *at = mem_array(b->count + fillers, sizeof *at);
	uint32_t next = w->uids.next;
	uint64_t bytes;
	size_t n = 0;

	if (filler_put(b, &bytes, e) < 0) {
		free(at);
		return -1;
	}
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_message *m = &b->at[i];

		if (goes(w, m)) {
			for (; !m->gap && next < m->uid; next++)
				filler_describe(&at[n++], next, bytes);
			next = m->uid + 1;
		}
		at[n++] = *m;
	}
	ASSERT(n == b->count + fillers);
	free(b->at);
	b->at = at;
	b->count = n;
	return 0;
}

static uint32_t last_to_go(const struct work *w, const struct batch *b)
{
	uint32_t uid = 0;

	for (size_t i = 0; i < b->count; i++)
		if (goes(w, &b->at[i]))
			uid = b->at[i].uid;
	return uid;
}

static int fill_exactly(struct work *w, struct batch *b, struct err *e)
{
	struct uids *u = &w->uids;
	size_t fillers;
	bool any;

	if (!measure(w, b, &fillers, &any)) {
		forget_gaps(b);
		give_up(w, "a message came out of its order", false);
		return 0;
	}
	if ((any && note_fillers(w, e) < 0) || (fillers && put_fillers(w, b, fillers, e) < 0))
		return -1;
	u->next = MAX(u->next, last_to_go(w, b) + 1);
	return 0;
}

int uids_fill(struct work *w, struct batch *b, struct err *e)
{
	struct uids *u = &w->uids;

	if (u->on && u->now.mode == UID_EXACT && fill_exactly(w, b, e) < 0)
		return -1;
	if (u->on && u->now.mode == UID_FLOOR && u->floor) {
		if (note_fillers(w, e) < 0)
			return -1;
		wait_for_floor(w, b);
	}
	return 0;
}

static struct batch_message *first_gap(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->at[i].gap)
			return &b->at[i];
	return NULL;
}

bool uids_gap(const struct batch *b)
{
	return first_gap(b) != NULL;
}

/* 1: done, 0: that is given up, -1. */
static int burn(struct work *w, uint32_t first, uint32_t n, bool exact, struct err *e)
{
	int64_t start = clock_mono_ms();
	char why[UIDS_WHY_MAX] = "";
	int rc = filler_burn(w, first, n, exact, why, e);

	w->pass->count.burn_ms += clock_mono_ms() - start;
	if (rc == 0)
		give_up(w, why, false);
	return rc;
}

int uids_close_gap(struct work *w, struct batch *b, struct err *e)
{
	struct uids *u = &w->uids;
	struct batch_message *m = first_gap(b);
	int rc;

	if (u->now.mode == UID_EXACT) {
		rc = burn(w, m->uid - m->gap, m->gap, true, e);
	} else {
		/* At least: what was sent just now is not settled yet. */
		rc = u->floor > w->next_uid
			     ? burn(w, w->next_uid, u->floor - w->next_uid, false, e)
			     : 1;
		u->floor = rc > 0 ? 0 : u->floor;
	}
	if (rc > 0)
		m->gap = 0;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	forget_gaps(b);
	if (u->now.mode == UID_FLOOR && u->floor)
		wait_for_floor(w, b);
	return 0;
}

/* ---- what came of it */

static void check_one(struct work *w, const struct batch_message *m)
{
	struct uids *u = &w->uids;

	if (m->skip || u->now.mode == UID_PLAIN)
		return;
	if (m->filler && m->appended == APPEND_REFUSED)
		give_up(w, m->text ? m->text : "fillers are refused", false);
	else if (m->appended == APPEND_OK && !m->new_uid)
		give_up(w, "new does not say where it puts mail", true);
	else if (m->appended == APPEND_OK && !m->filler && m->new_uid != m->uid &&
		 m->new_uid < u->old_next)
		give_up(w, "a message before it was refused, or others put mail there", true);
	else if (m->appended == APPEND_OK && !m->filler && m->new_uid != m->uid &&
		 u->now.mode == UID_EXACT)
		give_up(w, "a message before it was refused, or others put mail there", false);
}

void uids_landed(struct work *w, const struct batch *b)
{
	for (size_t i = 0; i < b->count && w->uids.on; i++)
		check_one(w, &b->at[i]);
}

/* ---- the end */

/* What old has given, up to the last, new shall not give to other mail. */
static int close_end(struct work *w, struct err *e)
{
	struct uids *u = &w->uids;
	int rc;

	if (u->now.mode != UID_EXACT || u->next >= u->old_next)
		return 0;
	if (note_fillers(w, e) < 0)
		return -1;
	rc = burn(w, u->next, u->old_next - u->next, true, e);
	if (rc > 0)
		u->next = u->old_next;
	return rc < 0 ? -1 : 0;
}

int uids_end(struct work *w, struct err *e)
{
	struct uids *u = &w->uids;

	if (!u->on)
		return 0;
	if (sweep_is_last(w) && close_end(w, e) < 0)
		return -1;
	if (!u->now.filler)
		return 0;
	if (clear_away(w, e) < 0 || note(w, e) < 0)
		return -1;
	pass_step();
	return 0;
}

int uids_note(struct work *w, struct err *e)
{
	return w->uids.on ? note(w, e) : 0;
}

void uids_abandon(struct work *w, const struct err *why)
{
	struct err ignored = { 0 };
	struct uids *u = &w->uids;

	if (!u->on || !u->now.filler || !mailbox_is_usable(w->lane->box[w->pass->to]))
		return;
	if (why->kind == ERR_FULL)
		say(u, NO_ROOM); /* the next pass does without */
	if (clear_away(w, &ignored) < 0 || note(w, &ignored) < 0)
		err_clear(&ignored);
}
