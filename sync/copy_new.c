/* Hides: new mail, batch by batch: read, intend, send, settle. */
#include "sync/exceptions.h"

static struct journal_msg intent_row(struct work *w, const struct batch_message *m,
				     int64_t batch, int pos)
{
	struct journal_msg row = { .state = MSG_INTENT,
				   .size = (uint32_t)m->digest.size,
				   .date = m->date_s,
				   .flags = flags_of(w->lane->pool, slice_of(m->flags)),
				   .batch = batch,
				   .pos = pos };

	row.kept = copy_fit_flags(w, row.flags);
	row.uid[w->pass->from] = m->uid;
	row.verified[w->pass->from] = true; /* the digest is of its bytes, just read */
	return row;
}

/* Why it cannot be copied, to be freed by the caller; NULL: it can. */
static char *unfit(const struct batch_message *m, enum exception_kind *kind)
{
	*kind = EXCEPTION_UNREADABLE;
	switch (m->fetched) {
	case FETCH_UNREADABLE:
		return mem_printf("the server lists it but does not give it%s%s",
				  m->text ? ": " : "", m->text ? m->text : "");
	case FETCH_TOO_LARGE:
		*kind = EXCEPTION_SIZE;
		return mem_str("larger than sync.message_max");
	case FETCH_NONE:
	case FETCH_OK:
	case FETCH_GONE:
		break;
	}
	return NULL;
}

/* After the flip: known bytes under a new UID were moved on old; their copy is the user's. */
static int is_moved(struct work *w, const struct batch_message *m, bool *moved, struct err *e)
{
	int64_t id = 0;

	*moved = false;
	if (!pass_is_trailing(w->pass))
		return 0;
	if (journal_gone(w->pass->journal, m->digest.raw, &id, e) < 0)
		return -1;
	*moved = id != 0;
	return 0;
}

/* One that is not sent, but has a row: unfit, or moved on old after the flip. */
static int write_unsent(struct work *w, const struct batch_message *m, struct journal_msg *row,
			const char *reason, enum exception_kind kind, struct err *e)
{
	const struct seen *listed = copy_find(w, w->pass->from, m->uid);
	struct journal *j = w->pass->journal;

	*row = intent_row(w, m, 0, 0);
	row->state = reason ? MSG_EXCEPTION : MSG_GONE;
	row->verified[w->pass->from] = false;
	if (reason && listed) { /* nothing better is known */
		row->size = listed->size;
		row->date = listed->date;
	}
	if (journal_msg_write(j, w->f, row, m->fetched == FETCH_OK ? &m->digest : NULL,
			      reason ? reason : "moved on old after the flip", e) < 0)
		return -1;
	return reason ? exception_add(w, row, kind, "", "", "", true, e) : 0;
}

static int write_one(struct work *w, struct batch_message *m, struct journal_msg *row,
		     int64_t batch, int *pos, struct err *e)
{
	enum exception_kind kind;
	char *reason = unfit(m, &kind);
	bool moved = false;
	int rc = 0;

	m->skip = true;
	if (m->fetched == FETCH_OK)
		rc = is_moved(w, m, &moved, e);
	if (rc == 0 && (reason || moved)) {
		rc = write_unsent(w, m, row, reason, kind, e);
	} else if (rc == 0 && m->fetched == FETCH_OK) {
		*row = intent_row(w, m, batch, (*pos)++);
		m->skip = false;
		mem_free(&m->flags);
		m->flags = mem_str(row->kept);
		rc = journal_msg_write(w->pass->journal, w->f, row, &m->digest, NULL, e);
	}
	mem_free(&reason);
	return rc;
}

/* The intent: all that is to be sent, with its digests and where the other side's UIDs stand.
 */
static int write_intent(struct work *w, struct batch *b, struct journal_msg *rows,
			struct journal_batch *batch, struct err *e)
{
	int pos = 0;

	if (journal_batch_open(w->pass->journal, batch, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++)
		if (write_one(w, &b->at[i], &rows[i], batch->id, &pos, e) < 0)
			return -1;
	return 0;
}

static int intend(struct work *w, struct batch *b, struct journal_msg *rows,
		  struct journal_batch *batch, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	if (write_intent(w, b, rows, batch, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/* What became of one message; the batch stays open as long as one of them is in doubt. */
static int settle(struct work *w, const struct batch_message *m, struct journal_msg *row,
		  bool *doubt, struct err *e)
{
	struct pass *p = w->pass;
	struct journal *j = p->journal;

	switch (m->appended) {
	case APPEND_OK:
		if (!m->new_uid || m->new_uidvalidity != w->selected[p->to].uidvalidity) {
			*doubt = true;
			return 0;
		}
		row->state = MSG_DONE;
		row->uid[p->to] = m->new_uid;
		row->batch = 0;
		w->next_uid = MAX(w->next_uid, m->new_uid + 1);
		p->count.copied++;
		p->count.bytes += (int64_t)m->digest.size;
		return journal_msg_write(j, w->f, row, NULL, NULL, e);
	case APPEND_REFUSED: /* for refused_batch(); until it is done, for the next pass */
		row->state = MSG_EXCEPTION;
		row->batch = 0;
		if (journal_msg_write(j, w->f, row, NULL, m->text ? m->text : "refused", e) < 0)
			return -1;
		return exception_add(w, row, EXCEPTION_OTHER, "", "", "", false, e);
	case APPEND_NOT_SENT:
	case APPEND_TEMPORARY:
		return journal_msg_drop(j, row->id, e);
	case APPEND_UNKNOWN:
		*doubt = true;
		return 0;
	}
	return 0;
}

static int resolve(struct work *w, struct batch *b, struct journal_msg *rows,
		   const struct journal_batch *batch, struct err *e)
{
	struct journal *j = w->pass->journal;
	bool doubt = false;
	int rc = 0;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count && rc == 0; i++)
		if (!b->at[i].skip)
			rc = settle(w, &b->at[i], &rows[i], &doubt, e);
	if (rc == 0 && !doubt)
		rc = journal_batch_close(j, batch->id, e);
	if (rc < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/* A refusal that may pass (quota, busy) ends the user's pass: the next one begins where this
 * one was. */
static int first_temporary(struct work *w, const struct batch *b, struct err *e)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_message *m = &b->at[i];

		if (m->appended != APPEND_TEMPORARY)
			continue;
		err_set(e, m->full ? ERR_FULL : ERR_TEMP, "%s: folder %s: APPEND: %s",
			side_name(w->pass->to), w->f->name[w->pass->to],
			m->text ? m->text : "refused");
		e->later = m->later;
		return -1;
	}
	return 0;
}

static int send_batch(struct work *w, struct batch *b, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_batch batch = { .folder = w->f->id,
				       .side = p->to,
				       .uidvalidity = w->selected[p->to].uidvalidity,
				       .uidnext = w->next_uid };
	struct journal_msg *rows = mem_array(b->count + 1, sizeof *rows);
	struct err lost = { 0 };
	int sent, rc = intend(w, b, rows, &batch, e);

	if (rc == 0) {
		pass_step();
		sent = pipeline_append(w->lane->box[p->to], w->f->name[p->to], b, &lost);
		w->touched = true;
		pass_step();
		rc = resolve(w, b, rows, &batch, e);
		pass_step();
		if (rc == 0 && sent < 0) {
			*e = lost;
			rc = err_wrap(e, "%s: folder %s", side_name(p->to), w->f->name[p->to]);
		}
		if (rc == 0)
			rc = first_temporary(w, b, e);
		if (rc == 0)
			rc = refused_batch(w, b, rows, e);
	}
	free(rows);
	return rc;
}

/* Listed, but nothing came, or nothing was in it: that may have been a moment's weakness. */
static bool is_doubtful(const struct work *w, const struct batch_message *m)
{
	const struct seen *listed = copy_find(w, w->pass->from, m->uid);

	if (m->fetched == FETCH_OK)
		return m->digest.size == 0 && listed && listed->size > 0;
	return m->fetched == FETCH_UNREADABLE || m->fetched == FETCH_GONE;
}

static int fetch(struct work *w, const uint32_t *uids, size_t n, struct batch *b, struct err *e)
{
	struct pass *p = w->pass;

	if (pipeline_fetch(w->lane->box[p->from], uids, n, (uint64_t)p->job->message_max, b,
			   e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(p->from), w->f->name[p->from]);
	return 0;
}

/* Nothing came a second time: is it listed still? Then it is not gone, but cannot be had. */
static int judge_again(struct work *w, struct batch_message *m, struct err *e)
{
	struct mailbox *box = w->lane->box[w->pass->from];
	struct uid_list still = { 0 };

	if (m->fetched == FETCH_OK && is_doubtful(w, m))
		m->fetched = FETCH_UNREADABLE;
	if (m->fetched != FETCH_GONE)
		return 0;
	if (mailbox_uids(box, m->uid, m->uid, &still, e) < 0)
		return -1;
	if (still.count)
		m->fetched = FETCH_UNREADABLE;
	uid_list_release(&still);
	return 0;
}

static int copy_again(struct work *w, uint32_t uid, struct err *e)
{
	struct batch b = { 0 };
	int rc = fetch(w, &uid, 1, &b, e);

	if (rc == 0)
		rc = judge_again(w, &b.at[0], e);
	if (rc == 0)
		rc = send_batch(w, &b, e);
	batch_release(&b);
	return rc;
}

static int copy_batch(struct work *w, const uint32_t *uids, size_t n, struct err *e)
{
	uint32_t again[PASS_BATCH_COUNT];
	struct batch b = { 0 };
	size_t doubtful = 0;
	int rc = fetch(w, uids, n, &b, e);

	pass_step();
	for (size_t i = 0; i < b.count && rc == 0; i++)
		if (is_doubtful(w, &b.at[i])) {
			again[doubtful++] = b.at[i].uid;
			b.at[i].fetched = FETCH_NONE;
		}
	if (rc == 0)
		rc = send_batch(w, &b, e);
	batch_release(&b);
	for (size_t i = 0; i < doubtful && rc == 0; i++)
		rc = copy_again(w, again[i], e);
	return rc;
}

/*
 * Some servers end the connection at the tenth command that they refuse, and then none of a
 * large batch would ever be done with: in small ones each pass is done with a few.
 */
static size_t next_batch(const struct work *w, const struct seen *const *todo, size_t n,
			 uint32_t *uids)
{
	const size_t most = w->wary ? PASS_WARY_COUNT : PASS_BATCH_COUNT;
	uint64_t bytes = 0;
	size_t k = 0;

	while (k < n && k < most && (k == 0 || bytes + todo[k]->size <= PASS_BATCH_BYTES)) {
		bytes += todo[k]->size;
		uids[k] = todo[k]->uid;
		k++;
	}
	return k;
}

/* The room that was there when the pass began: less than that is left for this folder alone. */
static int check_room(struct work *w, const struct seen *const *todo, size_t n, struct err *e)
{
	struct pass *p = w->pass;
	int64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += todo[i]->size;
	if (quota_fits(&p->room, bytes, (int64_t)n, e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(p->to), w->f->name[p->to]);
	return 0;
}

int copy_new(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	const struct seen **todo = mem_array(w->seen_count[p->from] + 1, sizeof *todo);
	uint32_t uids[PASS_BATCH_COUNT];
	size_t n = 0, k;
	int rc = 0;

	for (size_t i = 0; i < w->seen_count[p->from]; i++)
		if (!copy_row_of(w, w->seen[p->from][i].uid))
			todo[n++] = &w->seen[p->from][i];
	rc = check_room(w, todo, n, e);
	for (size_t i = 0; i < n && rc == 0; i += k) {
		k = next_batch(w, todo + i, n - i, uids);
		rc = pass_is_stopping(p, e) < 0 ? -1 : copy_batch(w, uids, k, e);
		pass_tell(p, w->f->name[p->from], (int64_t)(i + k), (int64_t)n);
	}
	free(todo);
	if (rc < 0 || n == 0)
		return rc;
	/* A server without APPENDUID leaves each batch in doubt: looked up at once. */
	return probe_batches(w, e) < 0 ? -1 : copy_load_rows(w, e);
}
