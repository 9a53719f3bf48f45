/* Hides: one folder. What differs from the side that counts, and in which order it is mended.
 */
#include "sync/pass.h"

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct seen *)a)->uid, y = ((const struct seen *)b)->uid;

	return x < y ? -1 : x > y;
}

/* ---- looking */

struct listing_in {
	struct work *w;
	enum side side;
	size_t room;
};

static int take_message(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	struct listing_in *in = arg;
	struct work *w = in->w;
	enum side s = in->side;

	if (w->seen_count[s] == in->room) {
		in->room = in->room ? in->room * 2 : 256;
		w->seen[s] = mem_grow(w->seen[s], in->room, sizeof *w->seen[s]);
	}
	w->seen[s][w->seen_count[s]++] = (struct seen){
		.uid = i->uid,
		.size = i->size,
		.flags = flags_of(w->pass->pool, slice_of(i->flags)),
		.date = i->date_s,
	};
	return 0;
}

int copy_list(struct work *w, enum side s, struct err *e)
{
	struct listing_in in = { w, s, 0 };
	struct listing got;
	size_t kept = 0;

	mem_free(&w->seen[s]);
	w->seen_count[s] = 0;
	if (mailbox_messages(w->pass->box[s], 1, 0, take_message, &in, &got, e) < 0)
		return -1;
	if (w->seen_count[s])
		qsort(w->seen[s], w->seen_count[s], sizeof *w->seen[s], by_uid);
	for (size_t i = 0; i < w->seen_count[s]; i++) /* a server may name one twice */
		if (kept == 0 || w->seen[s][kept - 1].uid != w->seen[s][i].uid)
			w->seen[s][kept++] = w->seen[s][i];
	w->seen_count[s] = kept;
	w->adds_up[s] = got.unparsed == 0 && kept >= w->selected[s].messages;
	return 0;
}

const struct seen *copy_find(const struct work *w, enum side s, uint32_t uid)
{
	struct seen key = { .uid = uid };

	if (!w->seen_count[s] || !uid)
		return NULL;
	return bsearch(&key, w->seen[s], w->seen_count[s], sizeof key, by_uid);
}

int copy_load_rows(struct work *w, struct err *e)
{
	mem_free(&w->rows);
	w->row_count = 0;
	return journal_msgs(w->pass->journal, w->f, w->pass->from, w->pass->pool, &w->rows,
			    &w->row_count, e);
}

static enum side sort_side; /* one worker, one thread */

static int by_side_uid(const void *a, const void *b)
{
	uint32_t x = (*(struct journal_msg *const *)a)->uid[sort_side];
	uint32_t y = (*(struct journal_msg *const *)b)->uid[sort_side];

	return x < y ? -1 : x > y;
}

struct journal_msg **copy_rows_by_to(const struct work *w)
{
	struct journal_msg **at = mem_array(w->row_count + 1, sizeof *at);

	for (size_t i = 0; i < w->row_count; i++)
		at[i] = &w->rows[i];
	sort_side = w->pass->to;
	qsort(at, w->row_count, sizeof *at, by_side_uid);
	return at;
}

static struct journal_msg *row_of(const struct work *w, uint32_t uid)
{
	size_t lo = 0, hi = w->row_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		uint32_t at = w->rows[mid].uid[w->pass->from];

		if (at == uid)
			return &w->rows[mid];
		if (at < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- the folder's identity */

/* All that is known of the folder is about UIDs that no longer mean anything. */
static int forget_rows(struct work *w, struct err *e)
{
	struct journal *j = w->pass->journal;
	const char *names[SIDES] = { w->f->name[SIDE_OLD], w->f->name[SIDE_NEW] };

	if (journal_begin(j, e) < 0)
		return -1;
	if (journal_folder_drop(j, w->f->id, e) < 0 ||
	    journal_folder_add(j, names, &w->f->id, e) < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

/* After the flip new is the user's: what old had under its former UIDs is there, or was thrown
 * away. */
static int mark_all_gone(struct work *w, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (copy_load_rows(w, e) < 0 || journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < w->row_count; i++) {
		w->rows[i].state = MSG_GONE;
		w->rows[i].uid[w->pass->from] = 0;
		if (journal_msg_write(j, w->f, &w->rows[i], NULL, "UIDVALIDITY changed", e) <
		    0) {
			journal_rollback(j);
			return -1;
		}
	}
	return journal_commit(j, e);
}

static int open_side(struct work *w, enum side s, struct err *e)
{
	struct pass *p = w->pass;
	struct folder_state *known = &w->f->state[s];
	bool changed;

	if (mailbox_select(p->box[s], w->f->name[s], s == p->from, &w->selected[s], e) < 0)
		return err_wrap(e, "%s: folder %s", side_name(s), w->f->name[s]);
	changed = known->uidvalidity && known->uidvalidity != w->selected[s].uidvalidity;
	known->uidvalidity = w->selected[s].uidvalidity;
	if (!changed)
		return 0;
	w->f->settled = false;
	pass_unclean(p, "folder %s: UIDVALIDITY changed on %s", w->f->name[s], side_name(s));
	if (!pass_is_trailing(p))
		return forget_rows(w, e);
	return s == p->from ? mark_all_gone(w, e) : 0;
}

static int open_folder(struct work *w, struct err *e)
{
	struct pass *p = w->pass;

	if (open_side(w, p->from, e) < 0 || open_side(w, p->to, e) < 0)
		return -1;
	w->permanent = w->selected[p->to].any_keyword
			       ? NULL
			       : mem_str(w->selected[p->to].permanent_flags);
	w->next_uid = MAX(w->selected[p->to].uidnext, 1u);
	return 0;
}

static void close_work(struct work *w)
{
	for (int s = 0; s < SIDES; s++)
		mem_free(&w->seen[s]);
	mem_free(&w->rows);
	free((char *)(uintptr_t)w->permanent);
}

/* ---- flags */

struct flag_job {
	const char *want;
	uint32_t uid; /* on `to` */
	struct journal_msg *row;
	const char *flags;
};

static int by_want(const void *a, const void *b)
{
	const struct flag_job *x = a, *y = b;

	if (x->want != y->want)
		return (uintptr_t)x->want < (uintptr_t)y->want ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static const char *fit(const struct work *w, const char *flags)
{
	return flags_that_fit(w->pass->pool, flags, w->permanent);
}

static int write_flag_rows(struct work *w, struct flag_job *jobs, size_t n, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		jobs[i].row->flags = jobs[i].flags;
		jobs[i].row->kept = jobs[i].want;
		if (journal_msg_write(j, w->f, jobs[i].row, NULL, NULL, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	}
	return journal_commit(j, e);
}

static int send_flags(struct work *w, struct flag_job *jobs, size_t n, struct err *e)
{
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	int rc = 0;

	qsort(jobs, n, sizeof *jobs, by_want);
	for (size_t i = 0, k; i < n && rc == 0; i += k) {
		for (k = 0; i + k < n && jobs[i + k].want == jobs[i].want; k++)
			uids[k] = jobs[i + k].uid;
		rc = mailbox_store(w->pass->box[w->pass->to], uids, k, STORE_SET, jobs[i].want,
				   e);
		pass_step();
	}
	free(uids);
	if (rc < 0)
		return err_wrap(e, "%s: flags in folder %s", side_name(w->pass->to),
				w->f->name[w->pass->to]);
	w->touched = true;
	w->pass->result.flags += (int64_t)n;
	return write_flag_rows(w, jobs, n, e);
}

/* Before the flip the side that counts decides; absolute flags, so that a repeat does no harm.
 */
static int copy_flags(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct flag_job *jobs = mem_array(w->row_count + 1, sizeof *jobs);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count; i++) {
		struct journal_msg *row = &w->rows[i];
		const struct seen *here = copy_find(w, p->from, row->uid[p->from]);
		const struct seen *there = copy_find(w, p->to, row->uid[p->to]);

		if (row->state == MSG_DONE && here && there &&
		    (here->flags != row->flags || there->flags != row->kept))
			jobs[n++] = (struct flag_job){ fit(w, here->flags), there->uid, row,
						       here->flags };
	}
	if (n)
		rc = send_flags(w, jobs, n, e);
	free(jobs);
	return rc;
}

/* ---- deletes */

/* A listing that lies must not cost more than this. */
static bool brake_holds(struct work *w, size_t deletes)
{
	const struct job *job = w->pass->job;
	size_t most = MAX((size_t)job->delete_brake,
			  w->row_count * (size_t)job->delete_brake_percent / 100);

	if (deletes <= most)
		return true;
	pass_unclean(
		w->pass,
		"folder %s: %zu messages have gone from %s, more than the brake lets follow"
		" (sync.delete_brake: %zu): look, then raise it",
		w->f->name[w->pass->from], deletes, side_name(w->pass->from), most);
	return false;
}

static int drop_rows(struct work *w, struct journal_msg **rows, size_t n, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (journal_msg_drop(j, rows[i]->id, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	return journal_commit(j, e);
}

/* Only these UIDs, each still what we put there; then nobody else's mail is hit. */
static int expunge(struct work *w, struct journal_msg **rows, size_t n, struct err *e)
{
	struct pass *p = w->pass;
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	size_t count = 0;
	int rc = 0;

	sort_side = p->to;
	qsort(rows, n, sizeof *rows, by_side_uid);
	for (size_t i = 0; i < n; i++)
		if (copy_find(w, p->to, rows[i]->uid[p->to]))
			uids[count++] = rows[i]->uid[p->to];
	if (count) {
		rc = mailbox_store(p->box[p->to], uids, count, STORE_ADD, "\\Deleted", e);
		pass_step();
		if (rc == 0)
			rc = mailbox_expunge(p->box[p->to], uids, count, e);
		pass_step();
		w->touched = true;
	}
	free(uids);
	if (rc < 0)
		return err_wrap(e, "%s: deletes in folder %s", side_name(p->to),
				w->f->name[p->to]);
	p->result.deleted += (int64_t)n;
	return drop_rows(w, rows, n, e);
}

static int copy_deletes(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_msg **gone = mem_array(w->row_count + 1, sizeof *gone);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].state != MSG_INTENT &&
		    !copy_find(w, p->from, w->rows[i].uid[p->from]))
			gone[n++] = &w->rows[i];
	if (n && !w->adds_up[p->from])
		pass_unclean(p,
			     "folder %s: the listing of %s does not add up: nothing is deleted",
			     w->f->name[p->from], side_name(p->from));
	else if (n && brake_holds(w, n)) {
		rc = expunge(w, gone, n, e);
		if (rc == 0)
			rc = copy_load_rows(w, e);
	}
	free(gone);
	return rc;
}

/* Rows whose message somebody removed on the other side before the flip: it is copied again. */
static int drop_lost(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_msg **lost = mem_array(w->row_count + 1, sizeof *lost);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < w->row_count && w->adds_up[p->to]; i++)
		if (w->rows[i].state == MSG_DONE && !copy_find(w, p->to, w->rows[i].uid[p->to]))
			lost[n++] = &w->rows[i];
	if (n) {
		rc = drop_rows(w, lost, n, e);
		if (rc == 0)
			rc = copy_load_rows(w, e);
	}
	free(lost);
	return rc;
}

/* ---- new messages */

static struct journal_msg intent_row(struct work *w, const struct batch_message *m,
				     int64_t batch, int pos)
{
	struct journal_msg row = { .state = MSG_INTENT,
				   .size = (uint32_t)m->digest.size,
				   .date = m->date_s,
				   .flags = flags_of(w->pass->pool, slice_of(m->flags)),
				   .batch = batch,
				   .pos = pos };

	row.kept = fit(w, row.flags);
	row.uid[w->pass->from] = m->uid;
	row.verified[w->pass->from] = true; /* the digest is of its bytes, just read */
	return row;
}

static const char *unfit(const struct batch_message *m)
{
	switch (m->fetched) {
	case FETCH_UNREADABLE:
		return "the server lists it but does not give it";
	case FETCH_TOO_LARGE:
		return "larger than sync.message_max";
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

/* The intent: all that is to be sent, with its digests and where the other side's UIDs stand.
 */
static int write_intent(struct work *w, struct batch *b, struct journal_msg *rows,
			struct journal_batch *batch, struct err *e)
{
	struct journal *j = w->pass->journal;
	int pos = 0;

	if (journal_batch_open(j, batch, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		struct batch_message *m = &b->at[i];
		const char *reason = unfit(m);
		bool moved = false;

		m->skip = true;
		if (m->fetched == FETCH_GONE)
			continue;
		if (m->fetched == FETCH_OK && is_moved(w, m, &moved, e) < 0)
			return -1;
		rows[i] = intent_row(w, m, reason || moved ? 0 : batch->id, pos);
		if (reason || moved) {
			rows[i].state = reason ? MSG_EXCEPTION : MSG_GONE;
			rows[i].verified[w->pass->from] = false;
			reason = reason ? reason : "moved on old after the flip";
		} else {
			pos++;
			m->skip = false;
			mem_free(&m->flags);
			m->flags = mem_str(rows[i].kept);
		}
		if (journal_msg_write(j, w->f, &rows[i],
				      m->fetched == FETCH_OK ? &m->digest : NULL, reason,
				      e) < 0)
			return -1;
	}
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
		p->result.copied++;
		p->result.bytes += (int64_t)m->digest.size;
		return journal_msg_write(j, w->f, row, NULL, NULL, e);
	case APPEND_REFUSED:
		row->state = MSG_EXCEPTION;
		row->batch = 0;
		return journal_msg_write(j, w->f, row, NULL, m->text ? m->text : "refused", e);
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
	for (size_t i = 0; i < b->count; i++)
		if (b->at[i].appended == APPEND_TEMPORARY)
			return err_set(e, ERR_TEMP, "%s: folder %s: APPEND: %s",
				       side_name(w->pass->to), w->f->name[w->pass->to],
				       b->at[i].text ? b->at[i].text : "refused");
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
		sent = pipeline_append(p->box[p->to], w->f->name[p->to], b, &lost);
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
	}
	free(rows);
	return rc;
}

static int copy_batch(struct work *w, const uint32_t *uids, size_t n, struct err *e)
{
	struct pass *p = w->pass;
	struct batch b = { 0 };
	int rc = pipeline_fetch(p->box[p->from], uids, n, (uint64_t)p->job->message_max, &b, e);

	pass_step();
	if (rc < 0)
		err_wrap(e, "%s: folder %s", side_name(p->from), w->f->name[p->from]);
	else
		rc = send_batch(w, &b, e);
	batch_release(&b);
	return rc;
}

static size_t next_batch(const struct seen *const *todo, size_t n, uint32_t *uids)
{
	uint64_t bytes = 0;
	size_t k = 0;

	while (k < n && k < PASS_BATCH_COUNT &&
	       (k == 0 || bytes + todo[k]->size <= PASS_BATCH_BYTES)) {
		bytes += todo[k]->size;
		uids[k] = todo[k]->uid;
		k++;
	}
	return k;
}

static int copy_new(struct work *w, struct err *e)
{
	struct pass *p = w->pass;
	const struct seen **todo = mem_array(w->seen_count[p->from] + 1, sizeof *todo);
	int64_t before = p->result.copied;
	uint32_t uids[PASS_BATCH_COUNT];
	size_t n = 0, k;
	int rc = 0;

	for (size_t i = 0; i < w->seen_count[p->from]; i++)
		if (!row_of(w, w->seen[p->from][i].uid))
			todo[n++] = &w->seen[p->from][i];
	for (size_t i = 0; i < n && rc == 0; i += k) {
		k = next_batch(todo + i, n - i, uids);
		rc = copy_batch(w, uids, k, e);
		pass_tell(p, w->f->name[p->from], (int64_t)(i + k), (int64_t)n);
	}
	free(todo);
	if (pass_is_trailing(p))
		p->result.arrived += p->result.copied - before;
	if (rc < 0 || n == 0)
		return rc;
	if (copy_load_rows(w, e) < 0)
		return -1;
	/* A server without APPENDUID leaves each batch in doubt: looked up at once. */
	return probe_batches(w, e);
}

/* ---- the folder */

/* Old's state is that before its listing, new's that of the last look at it: what happens later
 * shows. */
static void remember(struct work *w, enum side s)
{
	const struct selected *sel = &w->selected[s];

	w->f->state[s] = (struct folder_state){ sel->uidvalidity, sel->uidnext, sel->messages,
						sel->highestmodseq };
}

static int work_trailing(struct work *w, struct err *e)
{
	if (copy_load_rows(w, e) < 0 || probe_batches(w, e) < 0 ||
	    copy_list(w, w->pass->from, e) < 0)
		return -1;
	return copy_new(w, e);
}

static int work_in_step(struct work *w, bool *equal, struct err *e)
{
	struct pass *p = w->pass;

	if (copy_load_rows(w, e) < 0 || probe_batches(w, e) < 0 ||
	    copy_list(w, p->from, e) < 0 || copy_list(w, p->to, e) < 0 || drop_lost(w, e) < 0 ||
	    adopt_unknown(w, e) < 0 || copy_deletes(w, e) < 0 || copy_flags(w, e) < 0 ||
	    copy_new(w, e) < 0 || verify_bytes(w, e) < 0)
		return -1;
	return verify_folder(w, equal, e);
}

int copy_folder(struct pass *p, const struct folder_pair *pair, struct journal_folder *f,
		struct err *e)
{
	struct work w = { .pass = p, .pair = pair, .f = f };
	bool equal = false;
	int rc = open_folder(&w, e);

	if (rc == 0)
		rc = pass_is_trailing(p) ? work_trailing(&w, e) : work_in_step(&w, &equal, e);
	if (rc == 0) {
		remember(&w, p->from);
		remember(&w, p->to);
		f->settled = pass_is_trailing(p) || equal;
		rc = journal_folder_write(p->journal, f, e);
	}
	close_work(&w);
	return rc;
}

int copy_note_gone(struct pass *p, const struct folder_pair *pair, struct journal_folder *f,
		   struct err *e)
{
	struct work w = { .pass = p, .pair = pair, .f = f };
	int rc = -1;

	if (open_side(&w, p->from, e) < 0 || copy_load_rows(&w, e) < 0 ||
	    copy_list(&w, p->from, e) < 0)
		goto out;
	rc = journal_begin(p->journal, e);
	for (size_t i = 0; i < w.row_count && rc == 0 && w.adds_up[p->from]; i++) {
		struct journal_msg *row = &w.rows[i];

		if (row->state != MSG_DONE || copy_find(&w, p->from, row->uid[p->from]))
			continue;
		row->state = MSG_GONE;
		rc = journal_msg_write(p->journal, f, row, NULL, "left old after the flip", e);
	}
	if (rc < 0)
		journal_rollback(p->journal);
	else
		rc = journal_commit(p->journal, e);
out:
	close_work(&w);
	return rc;
}

int copy_vanished(struct pass *p, struct journal_folder *f, struct err *e)
{
	struct work w = { .pass = p, .f = f };
	int rc = -1;

	if (open_side(&w, p->to, e) < 0) {
		if (!mailbox_is_usable(p->box[p->to]))
			goto out;
		rc = journal_folder_drop(p->journal, f->id, e); /* gone there too */
		goto out;
	}
	w.adds_up[p->from] = true;
	if (copy_load_rows(&w, e) < 0 || copy_list(&w, p->to, e) < 0)
		goto out;
	rc = copy_deletes(&w, e);
	if (rc == 0 && w.row_count == 0)
		rc = journal_folder_drop(p->journal, f->id, e);
out:
	close_work(&w);
	return rc;
}
