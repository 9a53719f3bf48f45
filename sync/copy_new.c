/* Hides: new mail, batch by batch: read, intend, send, settle, each while the next is under
 * way.
 */
#include "sync/ahead.h"
#include "sync/exceptions.h"
#include "sync/found.h"
#include "sync/readahead.h"
#include "sync/sender.h"
#include "sync/suspects.h"

#define FLIGHTS_MAX 3 /* batches sent and not settled */

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
	bool moved = false, back = false;
	int rc = 0;

	m->skip = true;
	if (m->fetched == FETCH_OK)
		rc = is_moved(w, m, &moved, e);
	if (rc == 0 && m->fetched == FETCH_OK && !moved)
		rc = found_here(w, m, &back, e);
	if (rc == 0 && (reason || moved)) {
		rc = write_unsent(w, m, row, reason, kind, e);
	} else if (rc == 0 && m->fetched == FETCH_OK && !back) {
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
		if (!b->at[i].filler &&
		    write_one(w, &b->at[i], &rows[i], batch->id, &pos, e) < 0)
			return -1;
	return 0;
}

static int intend(struct work *w, struct batch *b, struct journal_msg *rows,
		  struct journal_batch *batch, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	/* The folder's: rows mean nothing without the UIDVALIDITYs that their UIDs are of. */
	if (journal_folder_write(j, w->f, e) < 0 || write_intent(w, b, rows, batch, e) < 0) {
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
		if (!m->new_uid) {
			*doubt = true; /* remembered, in case that it does not turn up */
			return journal_msg_write(j, w->f, row, NULL, REASON_TAKEN, e);
		}
		row->state = MSG_DONE;
		row->uid[p->to] = m->new_uid;
		row->batch = 0;
		w->next_uid = MAX(w->next_uid, m->new_uid + 1);
		p->count.copied++;
		p->count.bytes += (int64_t)m->digest.size;
		return journal_msg_placed(j, row, p->to, e);
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
		if (!b->at[i].skip && !b->at[i].filler)
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

/* ---- batches on their way */

/* A batch that is sent, but not answered yet. */
struct flight {
	struct batch b;
	struct journal_msg *rows;
	struct journal_batch intent;
};

/* The new mail of a folder, from one side to the other. */
struct stream {
	struct work *w;
	uint32_t *uids; /* on `from` */
	size_t todo;
	int64_t bytes; /* of them, as listed */
	bool changed;  /* rows of messages that are skipped were written or dropped */
	struct readahead *in;
	uint32_t *planned; /* of one that was begun ahead; the same UIDs */
	struct sender *out;
	struct flight *at[FLIGHTS_MAX]; /* oldest first */
	size_t count;
	uint32_t *again; /* UIDs to be asked for once more */
	size_t again_count;
	struct suspects suspects; /* those that are wanted go last, each alone */
	uint32_t *alone;
	size_t alone_count;
	uint32_t unanswered, unread; /* the first that a lost connection left so; 0: none */
};

static struct flight *land_first(struct stream *st)
{
	struct flight *f = st->at[0];

	st->count--;
	memmove(st->at, st->at + 1, st->count * sizeof *st->at);
	return f;
}

static void flight_free(struct flight **f)
{
	batch_release(&(*f)->b);
	mem_free(&(*f)->rows);
	mem_free(f);
}

static int wait_for(struct stream *st, struct flight *f, struct err *e)
{
	struct work *w = st->w;
	enum side to = w->pass->to;

	if (sender_wait(st->out, &f->b, e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(to), w->f->name[to]);
	return 0;
}

/* Servers answer in order: the first that has no answer was the one they were at. */
static void note_unanswered(struct stream *st, const struct batch *b, enum append_result r)
{
	for (size_t i = 0; i < b->count && !st->unanswered; i++)
		if (!b->at[i].skip && b->at[i].appended == r)
			st->unanswered = b->at[i].uid;
}

static bool has_refused(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->at[i].skip && b->at[i].appended == APPEND_REFUSED)
			return true;
	return false;
}

/* What was refused is looked at when the connection has nothing else under way. */
static int look_at_refused(struct stream *st, struct flight *f, struct err *e)
{
	if (has_refused(&f->b))
		for (size_t i = 0; i < st->count; i++)
			if (wait_for(st, st->at[i], e) < 0)
				return -1;
	return refused_batch(st->w, &f->b, f->rows, e);
}

/* The connection has nothing else under way when it is asked where the messages are. */
static int check_claims(struct stream *st, struct flight *f, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < st->count && rc == 0 && st->w->lane->uids == UIDS_UNPROVEN; i++)
		rc = wait_for(st, st->at[i], e);
	probe_claims(st->w, &f->b, rc == 0);
	return rc;
}

/* The oldest flight gets its answers, and the journal says what became of it. */
static int land(struct stream *st, struct err *e)
{
	struct flight *f = land_first(st);
	struct err lost = { 0 };
	int sent = wait_for(st, f, &lost), rc;

	pass_step();
	if (sent == 0)
		sent = check_claims(st, f, &lost);
	else {
		note_unanswered(st, &f->b, APPEND_UNKNOWN);
		probe_claims(st->w, &f->b, false);
	}
	if (sent == 0)
		uids_landed(st->w, &f->b);
	rc = resolve(st->w, &f->b, f->rows, &f->intent, e);
	pass_step();
	if (rc == 0 && sent < 0) {
		*e = lost;
		rc = -1;
	}
	if (rc == 0)
		rc = first_temporary(st->w, &f->b, e);
	if (rc == 0) {
		rc = look_at_refused(st, f, e);
		if (rc < 0)
			note_unanswered(st, &f->b, APPEND_REFUSED);
	}
	flight_free(&f);
	return rc;
}

static int land_all(struct stream *st, struct err *e)
{
	int rc = 0;

	while (st->count && rc == 0)
		rc = land(st, e);
	return rc;
}

/* After a failure: what can still be learnt of the others is written down. */
static void abandon(struct stream *st)
{
	while (st->count) {
		struct flight *f = land_first(st);
		struct err ignored = { 0 };

		if (wait_for(st, f, &ignored) < 0)
			err_clear(&ignored);
		note_unanswered(st, &f->b, APPEND_UNKNOWN);
		probe_claims(st->w, &f->b, false);
		if (resolve(st->w, &f->b, f->rows, &f->intent, &ignored) < 0)
			err_clear(&ignored); /* the intent stands: the probe looks */
		flight_free(&f);
	}
}

static int send_all(struct stream *st, struct flight *f, struct err *e)
{
	while (sender_send(st->out, &f->b, e) == 0) {
		if (!uids_gap(&f->b))
			return 0;
		for (size_t i = 0; i < st->count; i++) /* f is among them */
			if (wait_for(st, st->at[i], e) < 0)
				return -1;
		if (uids_close_gap(st->w, &f->b, e) < 0)
			return -1;
	}
	return err_wrap(e, "%s: folder %s", side_name(st->w->pass->to),
			st->w->f->name[st->w->pass->to]);
}

/* Intends and sends; takes the batch. The answers are awaited when room is needed. */
static int take_off(struct stream *st, struct batch *b, struct err *e)
{
	struct work *w = st->w;
	enum side to = w->pass->to;
	struct flight *f;

	if (uids_fill(w, b, e) < 0)
		return -1;
	f = mem_new(sizeof *f);
	*f = (struct flight){ .b = *b,
			      .rows = mem_array(b->count + 1, sizeof *f->rows),
			      .intent = { .folder = w->f->id,
					  .side = to,
					  .uidvalidity = w->selected[to].uidvalidity,
					  .uidnext = w->first_uid } };
	*b = (struct batch){ 0 };
	if (intend(w, &f->b, f->rows, &f->intent, e) < 0) {
		flight_free(&f);
		return -1;
	}
	pass_step();
	w->touched = true;
	st->at[st->count++] = f;
	if (send_all(st, f, e) < 0)
		return -1;
	pass_step();
	return st->count == (w->wary ? 1 : FLIGHTS_MAX) ? land(st, e) : 0;
}

/* ---- what came of the reading */

/* Listed, but nothing came, or nothing was in it: that may have been a moment's weakness. */
static bool is_doubtful(const struct work *w, const struct batch_message *m)
{
	const struct seen *listed = copy_find(w, w->pass->from, m->uid);

	if (m->fetched == FETCH_OK)
		return m->digest.size == 0 && listed && listed->size > 0;
	return m->fetched == FETCH_UNREADABLE || m->fetched == FETCH_GONE;
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

static int copy_again(struct stream *st, uint32_t uid, struct err *e)
{
	struct work *w = st->w;
	enum side from = w->pass->from;
	struct batch b = { 0 };
	int rc = pipeline_fetch(w->lane->box[from], &uid, 1,
				(uint64_t)w->pass->job->message_max, &b, e);

	if (rc < 0) {
		st->unread = uid;
		err_wrap(e, "%s: folder %s", side_name(from), w->f->name[from]);
	} else
		rc = judge_again(w, &b.at[0], e);
	if (rc == 0)
		rc = take_off(st, &b, e);
	batch_release(&b);
	return rc;
}

/* Takes the batch, but for what has to be asked for again. */
static int copy_batch(struct stream *st, struct batch *b, struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		if (is_doubtful(st->w, &b->at[i])) {
			st->again[st->again_count++] = b->at[i].uid;
			b->at[i].fetched = FETCH_NONE;
		}
	return take_off(st, b, e);
}

static int copy_batches(struct stream *st, struct err *e)
{
	struct work *w = st->w;
	struct pass *p = w->pass;
	struct batch b = { 0 };
	size_t done = 0;
	int rc;

	while ((rc = readahead_next(st->in, &b, e)) > 0) {
		pass_step();
		done += b.count;
		rc = pass_is_stopping(p, e);
		if (rc == 0)
			rc = copy_batch(st, &b, e);
		batch_release(&b);
		if (rc < 0)
			return rc;
		copy_tell(w, done, st->todo);
	}
	if (rc < 0 && done < st->todo)
		st->unread = st->uids[done];
	return rc < 0 ? err_wrap(e, "%s: folder %s", side_name(p->from), w->f->name[p->from])
		      : 0;
}

/*
 * Some servers end the connection at the tenth command that they refuse, and then none of a
 * large batch would ever be done with: in small ones, one at a time, each pass is done with a
 * few.
 */
struct flow_limits copy_new_limits(const struct work *w, bool one_by_one)
{
	const struct job *job = w->pass->job;

	return (struct flow_limits){ one_by_one ? 1
				     : w->wary	? PASS_WARY_COUNT
						: PASS_BATCH_COUNT,
				     PASS_BATCH_BYTES / (uint64_t)job->connections,
				     (uint64_t)job->message_max };
}

static int copy_suspect(struct stream *st, uint32_t uid, struct err *e)
{
	const struct journal_suspect *s = suspects_find(&st->suspects, uid);

	if (s->times >= SUSPECT_LOSSES)
		return suspects_give_up(st->w, s, e);
	return copy_again(st, uid, e) < 0 ? -1 : land_all(st, e);
}

static int blame(struct stream *st, struct err *why)
{
	struct err e = { 0 };
	int rc = 0;

	if (st->unanswered)
		rc = suspects_blame(st->w, st->unanswered, st->w->pass->to, why, &e);
	else if (st->unread)
		rc = suspects_blame(st->w, st->unread, st->w->pass->from, why, &e);
	if (rc < 0)
		*why = e;
	return -1;
}

static int copy_stream(struct stream *st, struct err *e)
{
	int rc = st->in ? copy_batches(st, e) : 0;

	readahead_stop(&st->in);
	for (size_t i = 0; i < st->again_count && rc == 0; i++)
		rc = copy_again(st, st->again[i], e);
	if (rc == 0 && !st->alone_count)
		ahead_begin(st->w);
	if (rc == 0)
		rc = land_all(st, e);
	for (size_t i = 0; i < st->alone_count && rc == 0; i++)
		rc = copy_suspect(st, st->alone[i], e);
	if (rc < 0) {
		abandon(st);
		return blame(st, e);
	}
	if (st->alone_count)
		ahead_begin(st->w);
	return 0;
}

/* The room that was there when the pass began: less than that is left for this folder alone. */
static int check_room(const struct stream *st, struct err *e)
{
	struct work *w = st->w;
	struct pass *p = w->pass;

	w->wanted_bytes += st->bytes;
	w->wanted += (int64_t)(st->todo + st->alone_count);
	if (quota_fits(&p->room, w->wanted_bytes, w->wanted, e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(p->to), w->f->name[p->to]);
	return 0;
}

/* sync.deleted = "skip": noted, so that it is not new again; copied if the mark goes. */
static int write_skipped(struct work *w, const struct seen *m, struct err *e)
{
	struct journal_msg row = { .state = MSG_SKIPPED,
				   .size = m->size,
				   .date = m->date,
				   .flags = m->flags,
				   .kept = m->flags };

	row.uid[w->pass->from] = m->uid;
	return journal_msg_write(w->pass->journal, w->f, &row, NULL, "marked \\Deleted", e);
}

/* Is this to be copied? *changed: a row of it was written or dropped. */
static int wanted(struct work *w, const struct seen *m, bool *yes, bool *changed, struct err *e)
{
	const struct journal_msg *row = copy_row_of(w, m->uid);
	bool skip = w->pass->job->skip_deleted && flags_have(m->flags, "\\Deleted");

	*yes = !row && !skip;
	if (!row && skip) {
		*changed = true;
		return write_skipped(w, m, e);
	}
	if (row && row->state == MSG_SKIPPED && flags_have(row->flags, "\\Deleted") && !skip) {
		*yes = *changed = true;
		return journal_msg_drop(w->pass->journal, row->id, e);
	}
	return 0;
}

/* Mail that is delivered comes without these; what a client saves or moves has them. */
static bool is_stray(const struct work *w, const struct seen *m)
{
	return pass_is_trailing(w->pass) && !w->pass->doubt &&
	       (flags_have(m->flags, "\\Seen") || flags_have(m->flags, "\\Draft") ||
		flags_have(m->flags, "\\Answered"));
}

static int find_wanted(struct stream *st, struct err *e)
{
	struct work *w = st->w;
	enum side from = w->pass->from;
	bool yes;

	if (suspects_load(w, &st->suspects, e) < 0)
		return -1;
	st->uids = mem_array(w->seen_count[from] + 1, sizeof *st->uids);
	st->alone = mem_array(st->suspects.count + 1, sizeof *st->alone);
	for (size_t i = 0; i < w->seen_count[from]; i++) {
		if (wanted(w, &w->seen[from][i], &yes, &st->changed, e) < 0)
			return -1;
		if (!yes)
			continue;
		w->pass->count.strays += is_stray(w, &w->seen[from][i]);
		if (suspects_find(&st->suspects, w->seen[from][i].uid))
			st->alone[st->alone_count++] = w->seen[from][i].uid;
		else
			st->uids[st->todo++] = w->seen[from][i].uid;
		st->bytes += w->seen[from][i].size;
	}
	return 0;
}

int copy_new_begin(struct work *w, struct stream **out, struct err *e)
{
	struct stream *st = mem_new(sizeof *st);
	struct flow_limits limits;

	*st = (struct stream){ .w = w };
	if (find_wanted(st, e) < 0 ||
	    ahead_reading(w, st->uids, st->todo, &st->planned, &st->in, e) < 0) {
		copy_new_free(&st);
		return -1;
	}
	limits = copy_new_limits(w, st->suspects.count > 0);
	if (st->todo && !st->in)
		st->in = readahead_start(w->lane->box[w->pass->from], st->uids, st->todo,
					 &limits);
	*out = st;
	return 0;
}

/* Where the folder is swept, once for all that is to come in its windows. */
static int begin_uids(struct stream *st, struct err *e)
{
	struct work *w = st->w;
	const uint32_t *first = st->todo ? st->uids : st->alone;
	size_t n = st->todo + st->alone_count;

	if (w->sweep.on && (w->uids.on || (!n && !sweep_is_last(w))))
		return 0;
	return uids_begin(w, n ? *first : 0, MAX(n, sweep_to_come(w)), st->bytes, e);
}

int copy_new_send(struct stream *st, struct err *e)
{
	struct work *w = st->w;
	enum side to = w->pass->to;

	if (check_room(st, e) < 0 || begin_uids(st, e) < 0)
		return -1;
	if (st->todo || st->alone_count) {
		st->out = sender_new(w->lane->box[to], w->f->name[to]);
		st->again = mem_array(st->todo + 1, sizeof *st->again);
		if (copy_stream(st, e) < 0) {
			uids_abandon(w, e);
			return -1;
		}
	} else {
		ahead_begin(w);
	}
	if (uids_end(w, e) < 0)
		return -1;
	return suspects_clear(w, &st->suspects, e);
}

int copy_new_end(struct stream *st, struct err *e)
{
	if (!st->todo && !st->alone_count && !st->changed)
		return 0;
	/* A server without APPENDUID leaves each batch in doubt: looked up at once. */
	return probe_batches(st->w, e) < 0 ? -1 : copy_load_rows(st->w, e);
}

void copy_new_free(struct stream **at)
{
	struct stream *st = *at;

	if (!st)
		return;
	readahead_stop(&st->in);
	sender_free(&st->out);
	suspects_release(&st->suspects);
	free(st->again);
	free(st->alone);
	free(st->uids);
	free(st->planned);
	mem_free(at);
}
