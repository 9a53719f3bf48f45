/* Hides: how it is found out what arrived of a batch whose answers never came (facts: sync 2.4,
 * R6 and R7). */
#include "sync/ahead.h"
#include "sync/exceptions.h"

#include <poll.h>

#include "common/clock.h"

#define FENCE_LOOKS   20   /* during a fence, at least; each is a sign of life too */
#define FENCE_LOOK_MS 1000 /* at most between two of them */
#define FENCE_HOLD_MS 1000 /* of a fence that a last delta waits for: users are waiting too */

/* ---- the pure part */

static int by_canon(const void *a, const void *b, void *digests)
{
	const struct digest *d = digests;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int c = memcmp(d[x].canon, d[y].canon, DIGEST_SIZE);

	return c ? c : x < y ? -1 : x > y;
}

static size_t *order_of(const struct digest *d, size_t n)
{
	size_t *at = mem_array(n + 1, sizeof *at);

	for (size_t i = 0; i < n; i++)
		at[i] = i;
	qsort_r(at, n, sizeof *at, by_canon, (void *)(uintptr_t)d);
	return at;
}

/* Identical twins are interchangeable: their number decides, the first sent takes the first
 * found. */
void probe_align(const struct digest *sent, size_t sent_count, const struct digest *there,
		 size_t there_count, int *match)
{
	size_t *s = order_of(sent, sent_count), *t = order_of(there, there_count);
	size_t i = 0, k = 0;

	while (i < sent_count) {
		int c = k == there_count
				? -1
				: memcmp(sent[s[i]].canon, there[t[k]].canon, DIGEST_SIZE);

		if (c == 0)
			match[s[i++]] = (int)t[k++];
		else if (c < 0)
			match[s[i++]] = -1;
		else
			k++;
	}
	free(s);
	free(t);
}

/* ---- looking */

/* What of the folder may be ours; for all its open batches, which were sent one after the other
 * on one connection. */
struct candidates {
	struct work *w;
	struct uid_list known; /* on `to`, of the journal and of what was found, ascending */
	uint32_t floor;	       /* above all that was found: looked at first from here */
	int64_t held;	       /* ms waited so far, for all of them */

	/* of one batch */
	const struct digest *sent;
	size_t sent_count;
	uint32_t *uids;
	struct digest *digests; /* of the first `digested` */
	size_t count, digested;
	struct uid_list unknown; /* what it may have become, ascending */
	size_t unreadable;
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool has_uid(const struct uid_list *l, uint32_t uid)
{
	return l->count && bsearch(&uid, l->at, l->count, sizeof uid, by_number);
}

static int take_header(const struct message_info *i, struct slice header, void *arg,
		       struct err *e UNUSED)
{
	struct candidates *c = arg;
	unsigned char hash[DIGEST_SIZE];
	bool ours = false;

	if (!has_uid(&c->unknown, i->uid))
		return 0;
	digest_of_header(header, hash);
	for (size_t k = 0; k < c->sent_count && !ours; k++)
		ours = memcmp(hash, c->sent[k].header, DIGEST_SIZE) == 0;
	if (!ours)
		return 0;
	c->uids = mem_grow(c->uids, c->count + 1, sizeof *c->uids);
	c->uids[c->count++] = i->uid;
	return 0;
}

static int take_digest(uint32_t uid, enum fetch_result r, const struct digest *d, void *arg,
		       struct err *e UNUSED)
{
	struct candidates *c = arg;

	c->unreadable += r != FETCH_OK && r != FETCH_GONE;
	if (!d)
		return 0;
	c->uids[c->digested] = uid;
	c->digests[c->digested++] = *d;
	return 0;
}

/* UIDs of the folder from this one on that no row has. */
static int list_unknown(struct candidates *c, uint32_t uidnext, struct err *e)
{
	struct uid_list *l = &c->unknown;
	size_t kept = 0;

	uid_list_release(l);
	if (mailbox_uids(c->w->lane->box[c->w->pass->to], uidnext, 0, l, e) < 0)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		if (!has_uid(&c->known, l->at[i]))
			l->at[kept++] = l->at[i];
	l->count = kept;
	return 0;
}

/* A server may name a message twice. */
static void tidy(struct candidates *c)
{
	size_t kept = 0;

	if (c->count)
		qsort(c->uids, c->count, sizeof *c->uids, by_number);
	for (size_t i = 0; i < c->count; i++)
		if (kept == 0 || c->uids[kept - 1] != c->uids[i])
			c->uids[kept++] = c->uids[i];
	c->count = kept;
}

/* Candidates by header, decided by the whole message. */
static int look(struct candidates *c, uint32_t uidnext, struct err *e)
{
	struct pass *p = c->w->pass;
	struct mailbox *box = c->w->lane->box[p->to];
	struct listing got;

	c->count = c->digested = c->unreadable = 0;
	if (copy_reopen(c->w, e) < 0 || list_unknown(c, uidnext, e) < 0)
		return -1;
	if (c->unknown.count == 0)
		return 0;
	if (mailbox_headers(box, c->unknown.at[0], c->unknown.at[c->unknown.count - 1],
			    take_header, c, &got, e) < 0)
		return -1;
	c->unreadable += got.unparsed;
	tidy(c);
	mem_free(&c->digests);
	c->digests = mem_array(c->count + 1, sizeof *c->digests);
	return pipeline_digest(box, c->uids, c->count, 0, take_digest, c, e);
}

/* Before anything is believed lost: was all of the folder seen, and all that may be ours read?
 */
static int check_sight(const struct candidates *c, struct err *e)
{
	struct pass *p = c->w->pass;
	const struct selected *sel = &c->w->selected[p->to];
	struct uid_list all = { 0 };
	bool whole;

	if (mailbox_uids(c->w->lane->box[p->to], 1, 0, &all, e) < 0)
		return -1;
	whole = all.count >= sel->messages && c->unreadable == 0;
	uid_list_release(&all);
	return whole ? 0
		     : err_set(e, ERR_TEMP,
			       "folder %s: messages are in doubt, and %s does not show all it has",
			       c->w->f->name[p->to], side_name(p->to));
}

/* ---- one batch */

struct doubt {
	struct journal_msg *rows; /* of the batch, in sending order */
	struct digest *sent;
	size_t count;
	int *match;
};

static int collect(struct work *w, int64_t batch, struct doubt *d, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_batch_msgs(j, w->f, batch, w->lane->pool, &d->rows, &d->count, e) < 0)
		return -1;
	d->sent = mem_array(d->count + 1, sizeof *d->sent);
	d->match = mem_array(d->count + 1, sizeof *d->match);
	for (size_t i = 0; i < d->count; i++)
		if (journal_digest(j, d->rows[i].id, &d->sent[i], e) < 0)
			return -1;
	return 0;
}

static size_t missing(const struct doubt *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->count; i++)
		n += d->match[i] < 0;
	return n;
}

/* It did not arrive: it is sent again, unless the server had said OK to it; that one lies. (One
 * that has another UID on `from` by now is not known there: it is found out anew.) */
static int write_missing(struct work *w, struct journal_msg *row, struct err *e)
{
	struct journal *j = w->pass->journal;
	char reason[JOURNAL_REASON_MAX];

	if (journal_reason(j, row->id, reason, e) < 0)
		return -1;
	if (strcmp(reason, REASON_TAKEN) != 0 || !row->uid[w->pass->from])
		return journal_msg_drop(j, row->id, e);
	row->state = MSG_EXCEPTION;
	row->batch = 0;
	if (journal_msg_write(j, w->f, row, NULL, "the server took it, and does not have it like that", e) <
	    0)
		return -1;
	return exception_add(w, row, EXCEPTION_ALTERED, "", "", "", true, e);
}

static int write_one(struct work *w, struct journal_msg *row, uint32_t uid, struct err *e)
{
	struct pass *p = w->pass;

	if (!uid)
		return write_missing(w, row, e);
	/* After the flip it is old's no longer, if that has other UIDs by now. */
	row->state = pass_is_trailing(p) && !row->uid[p->from] ? MSG_GONE : MSG_DONE;
	row->batch = 0;
	row->uid[p->to] = uid;
	w->first_uid = MAX(w->first_uid, uid + 1);
	w->next_uid = MAX(w->next_uid, w->first_uid);
	p->count.copied++;
	return journal_msg_write(p->journal, w->f, row, NULL, NULL, e);
}

static int write_found(struct candidates *c, const struct doubt *d, int64_t batch,
		       struct err *e)
{
	for (size_t i = 0; i < d->count; i++) {
		uint32_t uid = d->match[i] < 0 ? 0 : c->uids[d->match[i]];

		if (write_one(c->w, &d->rows[i], uid, e) < 0)
			return -1;
	}
	return journal_batch_close(c->w->pass->journal, batch, e);
}

static void note_found(struct candidates *c, const struct doubt *d)
{
	struct uid_list *l = &c->known;

	l->at = mem_grow(l->at, l->count + d->count + 1, sizeof *l->at);
	for (size_t i = 0; i < d->count; i++) {
		if (d->match[i] < 0)
			continue;
		l->at[l->count++] = c->uids[d->match[i]];
		c->floor = MAX(c->floor, c->uids[d->match[i]] + 1);
	}
	if (l->count)
		qsort(l->at, l->count, sizeof *l->at, by_number);
}

/* The messages as they should be, for whoever has to look at them; of a folder that `from` has
 * no more they cannot be had. */
static int keep_exceptions(struct work *w, const struct doubt *d, struct err *e)
{
	for (size_t i = 0; i < d->count && w->pair; i++)
		if (d->rows[i].state == MSG_EXCEPTION &&
		    (ahead_take_back(w, e) < 0 ||
		     exception_keep(w, &d->rows[i], EXCEPTION_ALTERED, e) < 0))
			return -1;
	return 0;
}

static int conclude(struct candidates *c, const struct doubt *d, int64_t batch, struct err *e)
{
	struct journal *j = c->w->pass->journal;

	note_found(c, d);
	if (journal_begin(j, e) < 0)
		return -1;
	if (write_found(c, d, batch, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e) < 0 ? -1 : keep_exceptions(c->w, d, e);
}

/*
 * Bytes of a dead session may still be committed by its server: what is missing is believed
 * lost only after the fence. What is left of it is in the journal, as a length: no clock that
 * jumps, and no time in which nobody waited, can shorten it.
 */
static int await_fence(struct candidates *c, struct journal_batch *b, struct err *e)
{
	struct work *w = c->w;
	struct pass *p = w->pass;
	const int64_t whole = 1000LL * p->job->fence_s;
	const int64_t look = MIN(whole / FENCE_LOOKS + 1, (int64_t)FENCE_LOOK_MS);
	int64_t start = clock_mono_ms(), left = b->fence ? MIN(b->fence, whole) : whole;

	/* What was waited for the batches before was waited for this one, too. */
	left -= b->fence ? 0 : c->held;
	if (p->job->kind == JOB_FINAL && c->held >= FENCE_HOLD_MS)
		return err_set(e, ERR_TEMP,
			       "folder %s: messages of an earlier pass are in doubt",
			       w->f->name[p->to]);
	if (pass_is_stopping(p, e) < 0)
		return -1;
	pass_tell(p, w->f->name[p->from], 0, 0);
	if (left > 0)
		poll(NULL, 0, (int)MIN(left, look));
	c->held += clock_mono_ms() - start;
	left -= clock_mono_ms() - start;
	b->fence = left > 0 ? left : BATCH_FENCE_OVER;
	return journal_batch_fence(p->journal, b->id, b->fence, e);
}

/* Looks until all is found or the fence is over; then once more, and that counts. */
static int find(struct candidates *c, struct journal_batch *b, struct doubt *d, struct err *e)
{
	uint32_t from = MAX(b->uidnext, c->floor);

	for (;;) {
		bool over = b->fence == BATCH_FENCE_OVER && from == b->uidnext;

		if (look(c, from, e) < 0)
			return -1;
		probe_align(d->sent, d->count, c->digests, c->digested, d->match);
		if (missing(d) == 0)
			return 0;
		if (over)
			return check_sight(c, e);
		if (from == b->uidnext && await_fence(c, b, e) < 0)
			return -1;
		from = b->uidnext;
	}
}

static int probe_batch(struct candidates *c, struct journal_batch *b, struct err *e)
{
	struct doubt d = { 0 };
	int rc = collect(c->w, b->id, &d, e);

	c->sent = d.sent;
	c->sent_count = d.count;
	if (rc == 0)
		rc = find(c, b, &d, e);
	if (rc == 0) {
		pass_step();
		rc = conclude(c, &d, b->id, e);
		pass_step();
	}
	uid_list_release(&c->unknown);
	mem_free(&c->uids);
	mem_free(&c->digests);
	free(d.rows);
	free(d.sent);
	free(d.match);
	return rc;
}

/*
 * The direction has turned: these were on their way to what is read now. If they arrived, they
 * are recognised by their content, here as mail that both sides have, or after the flip as mail
 * that new has already.
 */
static int turn_batch(struct work *w, const struct journal_batch *b, struct journal_msg *rows,
		      size_t n, struct err *e)
{
	struct journal *j = w->pass->journal;

	for (size_t i = 0; i < n; i++) {
		if (!pass_is_trailing(w->pass)) {
			if (journal_msg_drop(j, rows[i].id, e) < 0)
				return -1;
			continue;
		}
		rows[i].state = MSG_GONE;
		rows[i].batch = 0;
		if (journal_msg_write(j, w->f, &rows[i], NULL, "the direction has turned", e) <
		    0)
			return -1;
	}
	return journal_batch_close(j, b->id, e);
}

static int turned_batch(struct work *w, const struct journal_batch *b, struct err *e)
{
	struct journal *j = w->pass->journal;
	struct journal_msg *rows = NULL;
	size_t n = 0;
	int rc = journal_batch_msgs(j, w->f, b->id, w->lane->pool, &rows, &n, e);

	if (rc == 0)
		rc = journal_begin(j, e);
	if (rc == 0 && (rc = turn_batch(w, b, rows, n, e)) < 0)
		journal_rollback(j);
	else if (rc == 0)
		rc = journal_commit(j, e);
	mem_free(&rows);
	return rc;
}

int probe_batches(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct candidates c = { .w = w };
	struct journal_batch *at = NULL;
	uint32_t from = UINT32_MAX; /* nothing below is looked at */
	size_t n = 0;
	int rc = journal_batches(p->journal, w->f->id, &at, &n, e);

	for (size_t i = 0; i < n; i++)
		if (at[i].side == p->to)
			from = MIN(from, at[i].uidnext);
	if (rc == 0 && n)
		rc = journal_uids_between(p->journal, w->f->id, p->to, from, UINT32_MAX,
					  &c.known.at, &c.known.count, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		w->touched = true;
		rc = at[i].side == p->to ? probe_batch(&c, &at[i], e)
					 : turned_batch(w, &at[i], e);
	}
	uid_list_release(&c.known);
	free(at);
	return rc;
}

/* ---- messages that are not where they should be */

static int write_astray(struct work *w, struct journal_msg **rows, size_t n, uint32_t from,
			struct err *e)
{
	struct journal *j = w->pass->journal;
	enum side to = w->pass->to;
	struct journal_batch batch = { .folder = w->f->id,
				       .side = to,
				       .uidvalidity = w->selected[to].uidvalidity,
				       .uidnext = from };

	if (journal_batch_open(j, &batch, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		rows[i]->state = MSG_INTENT;
		rows[i]->uid[to] = 0;
		rows[i]->batch = batch.id;
		rows[i]->pos = (int)i;
		if (journal_msg_write(j, w->f, rows[i], NULL, REASON_TAKEN, e) < 0)
			return -1;
	}
	return 0;
}

/* Is there mail in the folder that no row has, since we began to write there? */
static int has_strangers(struct work *w, uint32_t from, bool *out, struct err *e)
{
	struct candidates c = { .w = w };
	int rc = journal_uids_between(w->pass->journal, w->f->id, w->pass->to, from, UINT32_MAX,
				      &c.known.at, &c.known.count, e);

	if (rc == 0)
		rc = list_unknown(&c, from, e);
	*out = rc == 0 && c.unknown.count > 0;
	uid_list_release(&c.known);
	uid_list_release(&c.unknown);
	return rc;
}

int probe_astray(struct work *w, struct journal_msg **rows, size_t n, bool must, bool *looked,
		 struct err *e)
{
	struct journal *j = w->pass->journal;
	enum side to = w->pass->to;
	uint32_t from = 0;

	*looked = must;
	if (copy_have_open(w, e) < 0 ||
	    journal_first_uid(j, w->f->id, to, w->selected[to].uidvalidity, &from, e) < 0)
		return -1;
	from = MAX(from, 1u);
	if (!must && has_strangers(w, from, looked, e) < 0)
		return -1;
	if (!*looked)
		return 0;
	w->lane->uids = UIDS_WRONG;
	if (journal_begin(j, e) < 0)
		return -1;
	if (write_astray(w, rows, n, from, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e) < 0 ? -1 : probe_batches(w, e);
}

/* ---- what the server says became of a batch */

static bool is_stored(const struct batch_message *m)
{
	return !m->skip && m->appended == APPEND_OK;
}

static bool has(const struct batch *b, enum append_result r)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->at[i].skip && b->at[i].appended == r)
			return true;
	return false;
}

/* One for each that was stored, in the order of sending, above all that was there: so a server
 * counts that has one writer. */
static bool is_plausible(const struct work *w, const struct batch *b)
{
	uint32_t last = w->next_uid - 1;

	for (size_t i = 0; i < b->count; i++) {
		const struct batch_message *m = &b->at[i];

		if (!is_stored(m))
			continue;
		if (m->new_uidvalidity != w->selected[w->pass->to].uidvalidity ||
		    m->new_uid <= last)
			return false;
		last = m->new_uid;
	}
	return true;
}

static bool all_there(const struct batch *b, const struct uid_list *there)
{
	for (size_t i = 0; i < b->count; i++) {
		const uint32_t *uid = &b->at[i].new_uid;

		if (is_stored(&b->at[i]) &&
		    !bsearch(uid, there->at, there->count, sizeof *uid, by_number))
			return false;
	}
	return true;
}

static int take_opened(void *work, struct err *e)
{
	struct work *w = work;
	enum side to = w->pass->to;
	struct changes none = { 0 };

	return mailbox_look_end(w->lane->box[to], &w->selected[to], &none, e);
}

/* Are the messages where the server says they are? Asked once of each lane, in one round trip.
 */
static int prove(struct work *w, const struct batch *b, struct err *e)
{
	enum side to = w->pass->to;
	struct mailbox *box = w->lane->box[to];
	struct uid_list there = { 0 };

	if (mailbox_look_begin(box, w->f->name[to], false, 0, e) < 0)
		return -1;
	mailbox_read_first(box, take_opened, w);
	if (mailbox_uids(box, w->first_uid, 0, &there, e) < 0) {
		mailbox_forget_first(box);
		return -1;
	}
	w->lane->uids = all_there(b, &there) ? UIDS_PROVEN : UIDS_WRONG;
	uid_list_release(&there);
	return 0;
}

void probe_claims(struct work *w, struct batch *b, bool may_ask)
{
	enum uids_trust *trust = &w->lane->uids;
	bool plausible = is_plausible(w, b);
	struct err lost = { 0 };

	if (!has(b, APPEND_OK))
		return;
	/* A batch of which some was refused went again in halves, behind others. */
	if (!plausible && !has(b, APPEND_REFUSED))
		*trust = UIDS_WRONG;
	else if (plausible && *trust == UIDS_UNPROVEN && may_ask && prove(w, b, &lost) < 0)
		err_clear(&lost); /* what comes next will say that the connection is lost */
	for (size_t i = 0; i < b->count && !(plausible && *trust == UIDS_PROVEN); i++)
		b->at[i].new_uid = 0;
}
