/* Hides: the proof. Bytes as the other side serves them, then its list of messages against
 * ours. */
#include "sync/ahead.h"
#include "sync/exceptions.h"

#include <time.h>

#define VERIFY_ROWS 256 /* marks of one transaction */

/* ---- bytes */

/* A message that is not where the server said it put it. */
struct astray {
	struct journal_msg *row;
	bool gone; /* nothing is there; else another of our messages */
};

struct proof {
	struct work *w;
	struct journal_msg **rows; /* by uid on `to`; those to be compared */
	size_t count, at;
	struct digest ours[VERIFY_ROWS]; /* of rows from at / VERIFY_ROWS * VERIFY_ROWS on */
	struct journal_msg *marked[VERIFY_ROWS]; /* compared, and not in the journal yet */
	const char *differs[VERIFY_ROWS];	 /* why it is an exception; NULL: it is none */
	size_t marked_count;
	struct journal_msg **missing; /* not given; NULL: this is the second time */
	size_t missing_count;
	struct astray *astray;
	size_t astray_count;
};

/* Between two answers, for nothing may be awaited while the journal is held. */
static int write_marks(struct proof *pr, struct err *e)
{
	struct work *w = pr->w;
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < pr->marked_count; i++) {
		struct journal_msg *row = pr->marked[i];
		int rc;

		if (!pr->differs[i])
			rc = journal_msg_verified(j, w->f, row, e);
		else
			rc = journal_msg_write(j, w->f, row, NULL, pr->differs[i], e);
		if (rc == 0 && pr->differs[i])
			rc = exception_add(w, row, EXCEPTION_ALTERED, "", "", "", true, e);
		if (rc < 0) {
			journal_rollback(j);
			return -1;
		}
	}
	pr->marked_count = 0;
	return journal_commit(j, e);
}

static int mark(struct proof *pr, struct journal_msg *row, const char *differs, struct err *e)
{
	row->verified[pr->w->pass->to] = !differs;
	if (differs)
		row->state = MSG_EXCEPTION;
	pr->differs[pr->marked_count] = differs;
	pr->marked[pr->marked_count++] = row;
	return pr->marked_count == VERIFY_ROWS ? write_marks(pr, e) : 0;
}

/* The server took it, said OK, and has it not: some lie, and Gmail keeps one of equal messages.
 */
static int mark_missing(struct proof *pr, struct journal_msg *row, const struct digest *ours,
			struct err *e)
{
	struct work *w = pr->w;
	bool twin = false;

	if (journal_knows(w->pass->journal, w->f->id, ours->canon, row->id, &twin, e) < 0)
		return -1;
	row->uid[w->pass->to] = 0;
	return mark(
		pr, row,
		twin ? "the server took it and has not kept it: it keeps one of equal messages"
		     : "the server took it and has not kept it",
		e);
}

static void add_astray(struct proof *pr, struct journal_msg *row, bool gone)
{
	pr->astray[pr->astray_count++] = (struct astray){ row, gone };
}

/* Other bytes than ours: the server altered them, unless they are those of another of ours. */
static int mark_differing(struct proof *pr, struct journal_msg *row, const struct digest *there,
			  struct err *e)
{
	struct work *w = pr->w;
	bool known = false;

	if (journal_knows(w->pass->journal, w->f->id, there->canon, row->id, &known, e) < 0)
		return -1;
	if (!known)
		return mark(pr, row, "the copy has other bytes", e);
	add_astray(pr, row, false);
	return 0;
}

/* What the next rows' messages should be. */
static int read_ours(struct proof *pr, struct err *e)
{
	size_t n = MIN(pr->count - pr->at, (size_t)VERIFY_ROWS);
	int64_t ids[VERIFY_ROWS];

	for (size_t i = 0; i < n; i++)
		ids[i] = pr->rows[pr->at + i]->id;
	return journal_digests(pr->w->pass->journal, ids, n, pr->ours, e);
}

static int compare(uint32_t uid, enum fetch_result r, const struct digest *d, void *arg,
		   struct err *e)
{
	struct proof *pr = arg;
	struct pass *p = pr->w->pass;
	const struct digest *ours = &pr->ours[pr->at % VERIFY_ROWS];
	struct journal_msg *row;

	if (pr->at % VERIFY_ROWS == 0 && read_ours(pr, e) < 0)
		return -1;
	row = pr->rows[pr->at++];
	ASSERT(row->uid[p->to] == uid);
	if (pr->at % 64 == 0)
		copy_tell(pr->w, pr->at, pr->count);
	if (!d && r == FETCH_GONE && pr->missing) {
		pr->missing[pr->missing_count++] = row;
		return 0;
	}
	if (!d && r != FETCH_GONE) {
		pass_unclean(p, "folder %s: UID %u cannot be read back", pr->w->f->name[p->to],
			     uid);
		return 0;
	}
	if (!d) {
		add_astray(pr, row, true);
		return 0;
	}
	return memcmp(ours->canon, d->canon, DIGEST_SIZE) ? mark_differing(pr, row, d, e)
							  : mark(pr, row, NULL, e);
}

static int compare_all(struct proof *pr, struct err *e)
{
	enum side to = pr->w->pass->to;
	uint32_t *uids = mem_array(pr->count + 1, sizeof *uids);
	int rc;

	for (size_t i = 0; i < pr->count; i++)
		uids[i] = pr->rows[i]->uid[to];
	rc = pipeline_digest(pr->w->lane->box[to], uids, pr->count, 0, compare, pr, e);
	if (rc == 0)
		rc = write_marks(pr, e);
	free(uids);
	return rc;
}

/* What was not given may only be late: the folder is opened afresh, and asked once more. */
static int compare_missing(struct proof *pr, struct err *e)
{
	struct work *w = pr->w;
	struct proof again = { .w = w,
			       .rows = pr->missing,
			       .count = pr->missing_count,
			       .astray = pr->astray + pr->astray_count };

	if (copy_reopen(w, e) < 0 || compare_all(&again, e) < 0)
		return -1;
	pr->astray_count += again.astray_count;
	return 0;
}

/* They are looked for by content, once; what is not found then is what it seems to be. */
static int look_for_astray(struct proof *pr, bool *looked, struct err *e)
{
	struct journal_msg **rows = mem_array(pr->astray_count + 1, sizeof *rows);
	bool must = false;
	int rc;

	for (size_t i = 0; i < pr->astray_count; i++) {
		rows[i] = pr->astray[i].row;
		must |= !pr->astray[i].gone;
	}
	rc = probe_astray(pr->w, rows, pr->astray_count, must, looked, e);
	free(rows);
	return rc;
}

static int judge_astray(struct proof *pr, struct err *e)
{
	for (size_t i = 0; i < pr->astray_count; i++) {
		const struct astray *a = &pr->astray[i];
		struct digest ours;

		if (journal_digest(pr->w->pass->journal, a->row->id, &ours, e) < 0)
			return -1;
		if ((a->gone ? mark_missing(pr, a->row, &ours, e)
			     : mark(pr, a->row, "the copy has other bytes", e)) < 0)
			return -1;
	}
	return write_marks(pr, e);
}

static int prove_all(struct proof *pr, bool may_look, bool *looked, struct err *e)
{
	struct mailbox *box = pr->w->lane->box[pr->w->pass->to];

	*looked = false;
	if (copy_have_open(pr->w, e) < 0)
		return -1;
	/* Courier shows what was appended to the selected folder only after a poll. */
	if (!pr->w->last.begun && !mailbox_quirks(box)->appends_seen &&
	    mailbox_noop(box, e) < 0)
		return -1;
	if (compare_all(pr, e) < 0 || (pr->missing_count && compare_missing(pr, e) < 0) ||
	    (may_look && pr->astray_count && look_for_astray(pr, looked, e) < 0))
		return -1;
	pass_step();
	return *looked ? 0 : judge_astray(pr, e);
}

/* The messages as they should be, for whoever has to look at them. */
static int keep_exceptions(struct proof *pr, struct err *e)
{
	for (size_t i = 0; i < pr->count; i++)
		if (pr->rows[i]->state == MSG_EXCEPTION &&
		    (ahead_take_back(pr->w, e) < 0 ||
		     exception_keep(pr->w, pr->rows[i], EXCEPTION_ALTERED, e) < 0))
			return -1;
	return 0;
}

static int verify_once(struct work *w, bool may_look, bool *looked, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_msg **rows = copy_rows_by_to(w);
	struct proof pr = { .w = w,
			    .rows = rows,
			    .missing = mem_array(w->row_count + 1, sizeof *rows),
			    .astray = mem_array(w->row_count + 1, sizeof *pr.astray) };
	int rc = 0;

	*looked = false;
	for (size_t i = 0; i < w->row_count; i++)
		if (rows[i]->state == MSG_DONE && rows[i]->hashed && !rows[i]->verified[p->to])
			rows[pr.count++] = rows[i];
	if (pr.count)
		rc = prove_all(&pr, may_look, looked, e);
	if (rc == 0)
		rc = keep_exceptions(&pr, e);
	free(pr.missing);
	free(pr.astray);
	free(rows);
	return rc;
}

/* ---- mail that was brought the other way, by a trailing pass, and never read back there */

struct review {
	struct work *w;
	struct journal_msg **rows; /* by uid on `from` */
	size_t count, at;
};

/* On the way back the original is on old: a copy with other bytes is a difference, and nothing
 * to be mended. */
static int accept_copy(struct work *w, const struct journal_msg *row, bool same, struct err *e)
{
	if (same)
		return 0;
	if (w->pass->from == SIDE_NEW)
		return journal_difference(w->pass->journal, row->id, "its copy had other bytes",
					  e);
	return err_set(e, ERR_PROTOCOL,
		       "folder %s: UID %u of old has other bytes than when it was copied",
		       w->f->name[SIDE_OLD], row->uid[SIDE_OLD]);
}

static int review(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d, void *arg,
		  struct err *e)
{
	struct review *rv = arg;
	enum side from = rv->w->pass->from;
	struct journal *j = rv->w->pass->journal;
	struct journal_msg *row = rv->rows[rv->at++];
	struct digest ours;

	ASSERT(row->uid[from] == uid);
	if (!d)
		return 0; /* gone, or not to be had: still not compared */
	if (journal_digest(j, row->id, &ours, e) < 0 ||
	    accept_copy(rv->w, row, memcmp(ours.canon, d->canon, DIGEST_SIZE) == 0, e) < 0)
		return -1;
	row->verified[from] = true;
	return journal_msg_verified(j, rv->w->f, row, e);
}

static int by_from(const void *a, const void *b, void *side)
{
	const enum side s = *(const enum side *)side;
	uint32_t x = (*(struct journal_msg *const *)a)->uid[s];
	uint32_t y = (*(struct journal_msg *const *)b)->uid[s];

	return x < y ? -1 : x > y;
}

static int review_brought(struct work *w, struct err *e)
{
	enum side from = w->pass->from;
	struct review rv = { .w = w, .rows = mem_array(w->row_count + 1, sizeof *rv.rows) };
	uint32_t *uids = mem_array(w->row_count + 1, sizeof *uids);
	int rc = 0;

	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].state == MSG_DONE && w->rows[i].hashed &&
		    !w->rows[i].verified[from] && copy_find(w, from, w->rows[i].uid[from]))
			rv.rows[rv.count++] = &w->rows[i];
	if (rv.count) {
		qsort_r(rv.rows, rv.count, sizeof *rv.rows, by_from, &from);
		rc = ahead_take_back(w, e);
	}
	for (size_t i = 0; i < rv.count; i++)
		uids[i] = rv.rows[i]->uid[from];
	if (rc == 0 && rv.count)
		rc = pipeline_digest(w->lane->box[from], uids, rv.count, 0, review, &rv, e);
	free(uids);
	free(rv.rows);
	return rc;
}

int verify_bytes(struct work *w, struct err *e)
{
	bool looked;

	if (verify_once(w, true, &looked, e) < 0)
		return -1;
	if (looked && (copy_load_rows(w, e) < 0 || verify_once(w, false, &looked, e) < 0))
		return -1;
	return review_brought(w, e);
}

/* ---- lists, flags, dates */

/* What the other side did not keep of flags it was given: keywords may be refused by a limit,
 * nothing else. */
static int accept_flags(struct work *w, struct journal_msg *row, const char *there, bool *equal,
			struct err *e)
{
	struct pass *p = w->pass;
	bool ours = !mailbox_is_pop3(w->lane->box[p->from]); /* else old has no say in flags */

	if (ours && (!flags_same_system(there, row->kept) || !flags_within(there, row->kept))) {
		*equal = false;
		return 0;
	}
	row->kept = there;
	return journal_msg_write(p->journal, w->f, row, NULL, NULL, e);
}

static const char *date_text(int64_t date, char out[static 40])
{
	time_t at = (time_t)date;
	struct tm tm;

	if (date == DATE_UNKNOWN || !gmtime_r(&at, &tm) || !strftime(out, 40, "%F %T", &tm))
		snprintf(out, 40, "none");
	return out;
}

/* The other side was given the date and keeps another one (Dovecot: none that is more than two
 * hours ahead). Another copy would not change that: it is reported. */
static int accept_date(struct work *w, const struct journal_msg *row, const struct seen *there,
		       struct err *e)
{
	char ours[40], theirs[40], text[120];

	snprintf(text, sizeof text, "date: %s instead of %s", date_text(there->date, theirs),
		 date_text(row->date, ours));
	return journal_difference(w->pass->journal, row->id, text, e);
}

static int check_row(struct work *w, struct journal_msg *row, bool *equal, struct err *e)
{
	struct pass *p = w->pass;
	const struct seen *there = copy_find(w, p->to, row->uid[p->to]);

	if (row->state != MSG_DONE)
		return 0;
	if (!there) {
		pass_unclean(p, "folder %s: UID %u has gone", w->f->name[p->to],
			     row->uid[p->to]);
		*equal = false;
	} else if (there->flags != row->kept &&
		   accept_flags(w, row, there->flags, equal, e) < 0) {
		return -1;
	}
	return there && there->date != row->date ? accept_date(w, row, there, e) : 0;
}

struct strangers {
	struct work *w;
	size_t doubled;
};

static int is_ours(uint32_t uid UNUSED, enum fetch_result r UNUSED, const struct digest *d,
		   void *arg, struct err *e)
{
	struct strangers *st = arg;
	bool known = false;

	if (d && journal_knows(st->w->pass->journal, st->w->f->id, d->canon, 0, &known, e) < 0)
		return -1;
	st->doubled += known;
	return 0;
}

/* Mail there that we did not bring: it may be somebody else's, but never a second copy of ours.
 */
static int check_bytes(struct work *w, const uint32_t *uids, size_t n, bool *equal,
			   struct err *e)
{
	struct pass *p = w->pass;
	struct strangers st = { .w = w };
	int rc = copy_have_open(w, e);

	if (rc == 0)
		rc = pipeline_digest(w->lane->box[p->to], uids, n, 0, is_ours, &st, e);

	if (st.doubled) {
		pass_unclean(p, "folder %s: %zu messages on %s are second copies",
			     w->f->name[p->to], st.doubled, side_name(p->to));
		*equal = false;
	}
	return rc;
}

int verify_there(struct work *w, bool *equal, struct err *e)
{
	struct journal *j = w->pass->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < w->row_count; i++)
		if (check_row(w, &w->rows[i], equal, e) < 0) {
			journal_rollback(j);
			return -1;
		}
	return journal_commit(j, e);
}

int verify_strangers(struct work *w, bool *equal, struct err *e)
{
	enum side to = w->pass->to;
	struct journal_msg **rows = copy_rows_by_to(w);
	uint32_t *uids = mem_array(w->seen_count[to] + 1, sizeof *uids);
	size_t n = 0, r = 0;
	int rc = 0;

	for (size_t i = 0; i < w->seen_count[to]; i++) {
		while (r < w->row_count && rows[r]->uid[to] < w->seen[to][i].uid)
			r++;
		if (r == w->row_count || rows[r]->uid[to] != w->seen[to][i].uid)
			uids[n++] = w->seen[to][i].uid;
	}
	if (n)
		rc = check_bytes(w, uids, n, equal, e);
	free(uids);
	free(rows);
	return rc;
}

/* Everything listed here has a row; a message that came while we worked is the next pass's. And
 * what has a row is here, but for deletes that the brake held back. */
void verify_here(const struct work *w, bool *equal)
{
	enum side from = w->pass->from;

	for (size_t i = 0; i < w->seen_count[from]; i++)
		if (!copy_row_of(w, w->seen[from][i].uid))
			*equal = false;
	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].state == MSG_DONE && !copy_find(w, from, w->rows[i].uid[from]))
			*equal = false;
}

int verify_folder(struct work *w, bool *equal, struct err *e)
{
	struct pass *p = w->pass;

	*equal = w->adds_up[p->from];
	if (copy_look_again(w, equal, e) < 0)
		return -1;
	if (verify_there(w, equal, e) < 0 || verify_strangers(w, equal, e) < 0)
		return -1;
	verify_here(w, equal);
	if (!*equal)
		pass_unclean(p, "folder %s: both sides are not equal yet", w->f->name[p->from]);
	return 0;
}
