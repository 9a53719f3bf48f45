/*
 * Hides: the ladder. A message that was refused as it is goes out again with the smallest
 * repair that changes it, then with the next; each try is an intent of its own, so that a kill
 * in the middle neither loses nor doubles it. What nothing helps is exported.
 */
#include "sync/exceptions.h"
#include "sync/repair.h"
#include "sync/sender.h"

#include "common/clock.h"

#define MASKS 32 /* of repairs */

struct climb {
	struct work *w;
	const struct batch *b;
	const struct batch_message *m; /* as it was fetched */
	struct journal_msg *row;
	bool tried[MASKS];  /* which repairs together */
	struct buf told;    /* "NUL+line ends: what the server said" */
	struct batch made;  /* of the present rung */
	struct buf receipt; /* of the same */
	unsigned done;	    /* what it came to */
};

static const char *const names[] = { "NUL", "line ends", "header lines", "8-bit header",
				     "long lines" };

static void tell_tried(struct climb *c, const char *answer)
{
	bool more = false;

	if (buf_len(&c->told) > EXCEPTION_TEXT_MAX)
		return;
	if (buf_len(&c->told))
		buf_add_str(&c->told, "; ");
	for (size_t i = 0; i < COUNT(names); i++)
		if (c->done & 1u << i) {
			buf_printf(&c->told, "%s%s", more ? "+" : "", names[i]);
			more = true;
		}
	buf_printf(&c->told, ": %.100s", answer);
}

/* ---- a rung */

static int add_made(struct slice bytes, void *arg, struct err *e)
{
	return batch_add(arg, bytes, e);
}

static int feed(struct slice bytes, void *arg, struct err *e)
{
	return repair_feed(arg, bytes, e);
}

static int make(struct climb *c, unsigned steps, struct err *e)
{
	struct repair *r = repair_new(steps, add_made, &c->made);
	int rc;

	batch_make(&c->made, c->m);
	rc = batch_read(c->b, c->m, feed, r, e);
	if (rc == 0)
		rc = repair_end(r, e);
	batch_end(&c->made);
	c->done = repair_done(r);
	buf_drain(&c->receipt, buf_len(&c->receipt));
	repair_receipt(r, &c->receipt);
	repair_free(&r);
	return rc;
}

static char *text_of(const struct buf *b, size_t max)
{
	return mem_strn(buf_slice(b).p, MIN(buf_len(b), max));
}

static int write_receipt(struct climb *c, struct err *e)
{
	char *receipt = text_of(&c->receipt, SIZE_MAX);
	struct journal_repair r = { .receipt = receipt,
				    .refusal = c->m->text ? c->m->text : "",
				    .before = c->m->digest,
				    .after = c->made.at[0].digest,
				    .at = clock_real_ms() };
	int rc = journal_repair_write(c->w->pass->journal, c->row->id, &r, e);

	mem_free(&receipt);
	return rc;
}

static int write_intent(struct climb *c, struct journal_batch *batch, struct err *e)
{
	struct journal *j = c->w->pass->journal;

	if (journal_batch_open(j, batch, e) < 0)
		return -1;
	c->row->state = MSG_INTENT;
	c->row->batch = batch->id;
	c->row->pos = 0;
	if (journal_msg_write(j, c->w->f, c->row, &c->made.at[0].digest, NULL, e) < 0 ||
	    journal_exception_end(j, c->row->id, e) < 0)
		return -1;
	return write_receipt(c, e);
}

static int in_transaction(struct climb *c, struct journal_batch *batch,
			  int (*write)(struct climb *, struct journal_batch *, struct err *),
			  struct err *e)
{
	struct journal *j = c->w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	if (write(c, batch, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

static enum exception_kind kind_of(const struct batch_message *m)
{
	switch (m->refusal) {
	case REFUSAL_SIZE:
		return EXCEPTION_SIZE;
	case REFUSAL_POLICY:
		return EXCEPTION_POLICY;
	case REFUSAL_CONTENT:
	case REFUSAL_FOLDER:
		break;
	}
	return EXCEPTION_CONTENT;
}

/* The same words as for the message as it was: those of the repaired one are in what was tried.
 */
static int write_refused(struct climb *c, struct journal_batch *batch, struct err *e)
{
	struct journal *j = c->w->pass->journal;

	c->row->state = MSG_EXCEPTION;
	c->row->batch = 0;
	if (journal_msg_write(j, c->w->f, c->row, &c->m->digest, c->m->text, e) < 0 ||
	    journal_repair_drop(j, c->row->id, e) < 0 ||
	    exception_add(c->w, c->row, kind_of(c->m), "", "", "", false, e) < 0)
		return -1;
	return journal_batch_close(j, batch->id, e);
}

static int write_taken(struct climb *c, struct journal_batch *batch, struct err *e)
{
	struct work *w = c->w;
	struct pass *p = w->pass;
	const struct batch_message *made = &c->made.at[0];

	/* Without a UID the batch stays open: the probe looks. */
	if (!made->new_uid)
		return 0;
	c->row->state = MSG_DONE;
	c->row->uid[p->to] = made->new_uid;
	c->row->batch = 0;
	w->next_uid = MAX(w->next_uid, made->new_uid + 1);
	p->count.copied++;
	p->count.bytes += (int64_t)made->digest.size;
	if (journal_msg_write(p->journal, w->f, c->row, NULL, NULL, e) < 0)
		return -1;
	return journal_batch_close(p->journal, batch->id, e);
}

/* It may pass: the next pass begins with the message as it was. */
static int write_later(struct climb *c, struct journal_batch *batch, struct err *e)
{
	struct journal *j = c->w->pass->journal;

	if (journal_msg_drop(j, c->row->id, e) < 0)
		return -1;
	return journal_batch_close(j, batch->id, e);
}

static int fail_later(const struct climb *c, struct err *e)
{
	const struct batch_message *made = &c->made.at[0];
	struct work *w = c->w;

	err_set(e, made->full ? ERR_FULL : ERR_TEMP, "%s: folder %s: APPEND: %s",
		side_name(w->pass->to), w->f->name[w->pass->to],
		made->text ? made->text : "refused");
	e->later = made->later;
	return -1;
}

/* 1: taken (or in doubt, for the probe to find), 0: refused again, -1. */
static int send(struct climb *c, struct err *e)
{
	struct work *w = c->w;
	enum side to = w->pass->to;
	struct journal_batch batch = { .folder = w->f->id,
				       .side = to,
				       .uidvalidity = w->selected[to].uidvalidity,
				       .uidnext = w->first_uid };

	if (in_transaction(c, &batch, write_intent, e) < 0)
		return -1;
	pass_step();
	if (pipeline_append(w->lane->box[to], w->f->name[to], &c->made, e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(to), w->f->name[to]);
	w->touched = true;
	pass_step();
	probe_claims(w, &c->made, true);
	uids_landed(w, &c->made);
	switch (c->made.at[0].appended) {
	case APPEND_OK:
		return in_transaction(c, &batch, write_taken, e) < 0 ? -1 : 1;
	case APPEND_REFUSED:
		tell_tried(c, c->made.at[0].text);
		return in_transaction(c, &batch, write_refused, e);
	case APPEND_TEMPORARY:
	case APPEND_NOT_SENT:
		return in_transaction(c, &batch, write_later, e) < 0 ? -1 : fail_later(c, e);
	case APPEND_UNKNOWN:
		break;
	}
	return 1;
}

/* ---- a repaired copy that stands there already: the journal was lost since it was made */

struct finding {
	const struct digest *want;
	uint32_t uid; /* 0: not found */
};

static int compare(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d, void *arg,
		   struct err *e UNUSED)
{
	struct finding *f = arg;

	if (d && !f->uid && memcmp(d->canon, f->want->canon, DIGEST_SIZE) == 0)
		f->uid = uid;
	return 0;
}

/* Mail that no row knows, of the same size. */
static int look_at(struct work *w, void *finding, struct err *e)
{
	struct finding *f = finding;
	enum side to = w->pass->to;
	struct journal_msg **rows = copy_rows_by_to(w);
	uint32_t *uids = mem_array(w->seen_count[to] + 1, sizeof *uids);
	size_t n = 0, r = 0;
	int rc = 0;

	for (size_t i = 0; i < w->seen_count[to]; i++) {
		while (r < w->row_count && rows[r]->uid[to] < w->seen[to][i].uid)
			r++;
		if (w->seen[to][i].size == f->want->size &&
		    (r == w->row_count || rows[r]->uid[to] != w->seen[to][i].uid))
			uids[n++] = w->seen[to][i].uid;
	}
	if (n)
		rc = pipeline_digest(w->lane->box[to], uids, n, 0, compare, f, e);
	free(uids);
	free(rows);
	return rc;
}

static int look_there(struct climb *c, struct finding *f, struct err *e)
{
	struct work *w = c->w;

	return w->sweep.on ? sweep_strangers(w, look_at, f, e) : look_at(w, f, e);
}

/* 1: it is there and now in the journal, 0, -1. */
static int adopt(struct climb *c, struct err *e)
{
	struct work *w = c->w;
	struct finding f = { .want = &c->made.at[0].digest };
	struct journal *j = w->pass->journal;
	int rc;

	if (look_there(c, &f, e) < 0)
		return -1;
	if (!f.uid)
		return 0;
	c->row->state = MSG_DONE;
	c->row->uid[w->pass->to] = f.uid;
	c->row->adopted = true;
	if (journal_begin(j, e) < 0)
		return -1;
	rc = journal_msg_write(j, w->f, c->row, &c->made.at[0].digest, NULL, e);
	if (rc == 0)
		rc = journal_exception_end(j, c->row->id, e);
	if (rc == 0)
		rc = write_receipt(c, e);
	if (rc < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e) < 0 ? -1 : 1;
}

/* ---- the ladder */

/* 1: taken, 0: it changes nothing or was refused again, -1. */
static int try_rung(struct climb *c, int rung, struct err *e)
{
	int rc = make(c, repair_rung(rung), e);

	if (rc < 0 || !c->done || c->tried[c->done])
		return rc;
	c->tried[c->done] = true;
	rc = adopt(c, e);
	return rc == 0 ? send(c, e) : rc;
}

static int climb(struct climb *c, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < REPAIR_RUNGS && rc == 0; i++) {
		rc = try_rung(c, i, e);
		batch_release(&c->made);
	}
	return rc;
}

/* Nothing helped. Where its bytes cannot be kept, that is said and tried again. */
static int give_up(struct climb *c, struct err *e)
{
	struct journal *j = c->w->pass->journal;
	char *told = text_of(&c->told, EXCEPTION_TEXT_MAX), *file = NULL, *subject = NULL;
	struct err why = { 0 };
	bool kept = exception_export(c->w, c->b, c->m, &file, &why) == 0;
	int rc = exception_subject(c->b, c->m, &subject, e);

	if (!kept)
		pass_unclean(c->w->pass, "%s", why.text);
	if (rc == 0)
		rc = journal_begin(j, e);
	if (rc == 0) {
		rc = exception_add(c->w, c->row, kind_of(c->m), told, subject, kept ? file : "",
				   kept, e);
		if (rc < 0)
			journal_rollback(j);
		else
			rc = journal_commit(j, e);
	}
	pass_step();
	mem_free(&told);
	mem_free(&file);
	mem_free(&subject);
	return rc;
}

static int refused_one(struct work *w, const struct batch *b, const struct batch_message *m,
		       struct journal_msg *row, struct err *e)
{
	struct climb c = { .w = w, .b = b, .m = m, .row = row };
	int rc = 0;

	if (m->refusal == REFUSAL_CONTENT && m->digest.size > 0)
		rc = climb(&c, e);
	if (rc == 0)
		rc = give_up(&c, e);
	buf_release(&c.told);
	buf_release(&c.receipt);
	return rc < 0 ? -1 : 0;
}

/* A folder that takes nothing at all is not a row of bad messages. */
static int count_refusals(struct work *w, const struct batch_message *m, struct err *e)
{
	if (m->appended == APPEND_OK)
		w->refusals = 0;
	if (m->appended != APPEND_REFUSED || ++w->refusals <= REFUSALS_MAX)
		return 0;
	return err_set(e, ERR_TEMP, "%s: folder %s: takes no message: %s",
		       side_name(w->pass->to), w->f->name[w->pass->to],
		       m->text ? m->text : "refused");
}

int refused_batch(struct work *w, const struct batch *b, struct journal_msg *rows,
		  struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->at[i].skip && !b->at[i].filler && count_refusals(w, &b->at[i], e) < 0)
			return -1;
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_message *m = &b->at[i];

		if (!m->skip && !m->filler && m->appended == APPEND_REFUSED &&
		    refused_one(w, b, m, &rows[i], e) < 0)
			return -1;
	}
	return 0;
}
