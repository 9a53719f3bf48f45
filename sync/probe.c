/* Hides: how it is found out what arrived of a batch whose answers never came (facts: sync 2.4,
 * R6 and R7). */
#include "sync/pass.h"

#include <poll.h>

#include "common/clock.h"

#define FENCE_LOOK_MS 1000 /* while waiting for the fence: a sign of life this often */

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

struct candidates {
	struct work *w;
	const struct digest *sent;
	size_t sent_count;
	uint32_t *known; /* uids on `to` that are in the journal, ascending */
	size_t known_count;
	uint32_t from_uid;
	uint32_t *uids;
	struct digest *digests;
	size_t count, digested;
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_known(const struct candidates *c, uint32_t uid)
{
	return c->known_count && bsearch(&uid, c->known, c->known_count, sizeof uid, by_number);
}

static int take_header(const struct message_info *i, struct slice header, void *arg,
		       struct err *e UNUSED)
{
	struct candidates *c = arg;
	unsigned char hash[DIGEST_SIZE];
	bool ours = false;

	if (i->uid < c->from_uid ||
	    is_known(c, i->uid)) /* "n:*" names the last one even below n */
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

static int take_digest(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d,
		       void *arg, struct err *e UNUSED)
{
	struct candidates *c = arg;

	if (!d)
		return 0;
	c->uids[c->digested] = uid;
	c->digests[c->digested++] = *d;
	return 0;
}

/* Candidates by header, decided by the whole message. */
static int look(struct candidates *c, uint32_t uidnext, struct err *e)
{
	struct pass *p = c->w->pass;
	struct mailbox *box = c->w->lane->box[p->to];
	struct listing got;

	c->count = c->digested = 0;
	c->from_uid = uidnext;
	if (mailbox_select(box, c->w->f->name[p->to], false, &c->w->selected[p->to], e) < 0 ||
	    mailbox_headers(box, uidnext, 0, take_header, c, &got, e) < 0)
		return -1;
	if (c->count)
		qsort(c->uids, c->count, sizeof *c->uids, by_number);
	mem_free(&c->digests);
	c->digests = mem_array(c->count + 1, sizeof *c->digests);
	return pipeline_digest(box, c->uids, c->count, 0, take_digest, c, e);
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

static int write_found(struct work *w, const struct doubt *d, const struct candidates *c,
		       int64_t batch, struct err *e)
{
	struct pass *p = w->pass;

	for (size_t i = 0; i < d->count; i++) {
		struct journal_msg *row = &d->rows[i];
		int rc;

		if (d->match[i] < 0) {
			rc = journal_msg_drop(p->journal, row->id, e);
		} else {
			row->state = MSG_DONE;
			row->batch = 0;
			row->uid[p->to] = c->uids[d->match[i]];
			w->next_uid = MAX(w->next_uid, row->uid[p->to] + 1);
			p->count.copied++;
			rc = journal_msg_write(p->journal, w->f, row, NULL, NULL, e);
		}
		if (rc < 0)
			return -1;
	}
	return journal_batch_close(p->journal, batch, e);
}

static int conclude(struct work *w, const struct doubt *d, const struct candidates *c,
		    int64_t batch, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	if (write_found(w, d, c, batch, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/*
 * Bytes of a dead session may still be committed by its server: what is missing is believed
 * lost only after the fence. In the hold there is no time for that.
 */
static int await_fence(struct work *w, struct journal_batch *b, struct err *e)
{
	struct pass *p = w->pass;
	int64_t now = clock_real_ms(), left;

	if (!b->fence) {
		b->fence = now + 1000LL * p->job->fence_s;
		if (journal_batch_fence(p->journal, b->id, b->fence, e) < 0)
			return -1;
	}
	if (p->job->kind == JOB_FINAL && b->fence > now)
		return err_set(e, ERR_TEMP,
			       "folder %s: messages of an earlier pass are in doubt",
			       w->f->name[p->to]);
	while ((left = b->fence - clock_real_ms()) > 0) {
		if (pass_is_stopping(p, e) < 0)
			return -1;
		pass_tell(p, w->f->name[p->from], 0, 0);
		poll(NULL, 0, (int)MIN(left, (int64_t)FENCE_LOOK_MS));
	}
	return 0;
}

static int probe_batch(struct work *w, struct journal_batch *b, struct err *e)
{
	struct doubt d = { 0 };
	struct candidates c = { .w = w };
	int rc = collect(w, b->id, &d, e);
	bool fenced = false;

	if (rc == 0)
		rc = journal_uids(w->pass->journal, w->f->id, w->pass->to, &c.known,
				  &c.known_count, e);
	c.sent = d.sent;
	c.sent_count = d.count;
	while (rc == 0) {
		fenced = b->fence && clock_real_ms() >= b->fence;
		rc = look(&c, b->uidnext, e);
		if (rc < 0)
			break;
		probe_align(d.sent, d.count, c.digests, c.digested, d.match);
		if (fenced || missing(&d) == 0) {
			pass_step();
			rc = conclude(w, &d, &c, b->id, e);
			pass_step();
			break;
		}
		rc = await_fence(w, b, e);
	}
	free(c.known);
	free(c.uids);
	free(c.digests);
	free(d.rows);
	free(d.sent);
	free(d.match);
	return rc;
}

int probe_batches(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_batch *at = NULL;
	size_t n = 0;
	int rc = journal_batches(p->journal, w->f->id, &at, &n, e);

	for (size_t i = 0; i < n && rc == 0; i++) {
		w->touched = true;
		rc = probe_batch(w, &at[i], e);
	}
	free(at);
	return rc;
}
