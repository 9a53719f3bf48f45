/* Hides: what each side of a folder holds, and what the journal knows of it. */
#include "sync/ahead.h"

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct seen *)a)->uid, y = ((const struct seen *)b)->uid;

	return x < y ? -1 : x > y;
}

/* ---- what is seen */

void copy_see_as(struct work *w, enum side s, const struct seen *m)
{
	if (w->seen_count[s] == w->seen_room[s]) {
		w->seen_room[s] = w->seen_room[s] ? w->seen_room[s] * 2 : 64;
		w->seen[s] = mem_grow(w->seen[s], w->seen_room[s], sizeof *w->seen[s]);
	}
	w->seen[s][w->seen_count[s]++] = *m;
}

void copy_see(struct work *w, enum side s, const struct message_info *i)
{
	struct seen m = { .uid = i->uid,
			  .size = i->size,
			  .flags = flags_of(w->lane->pool, slice_of(i->flags)),
			  .date = i->date_s };

	copy_see_as(w, s, &m);
}

static bool is_sorted(const struct seen *at, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (at[i - 1].uid > at[i].uid)
			return false;
	return true;
}

void copy_tidy_seen(struct work *w, enum side s)
{
	struct seen *at = w->seen[s];
	size_t kept = 0;

	if (!is_sorted(at, w->seen_count[s])) /* they nearly always are */
		qsort(at, w->seen_count[s], sizeof *at, by_uid);
	for (size_t i = 0; i < w->seen_count[s]; i++)
		if (kept == 0 ||
		    at[kept - 1].uid != at[i].uid) /* a server may name one twice */
			at[kept++] = at[i];
	w->seen_count[s] = kept;
}

const struct seen *copy_find_among(const struct work *w, enum side s, size_t n, uint32_t uid)
{
	struct seen key = { .uid = uid };

	if (!n || !uid)
		return NULL;
	return bsearch(&key, w->seen[s], n, sizeof key, by_uid);
}

const struct seen *copy_find(const struct work *w, enum side s, uint32_t uid)
{
	return copy_find_among(w, s, w->seen_count[s], uid);
}

int64_t copy_known_there(const struct work *w)
{
	int64_t n = 0;

	for (size_t i = 0; i < w->row_count; i++)
		n += copy_find(w, w->pass->to, w->rows[i].uid[w->pass->to]) != NULL;
	return n;
}

/* ---- listings */

int copy_take(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	struct side_of *so = arg;

	copy_see(so->w, so->side, i);
	return 0;
}

int copy_list(struct work *w, enum side s, struct err *e)
{
	struct side_of so = { w, s };
	struct listing got;

	if (s == w->pass->from && w->ahead.listed) /* it has been */
		return 0;
	if (s == w->pass->from && ahead_drop(w, e) < 0)
		return -1;
	w->seen_count[s] = 0;
	if (mailbox_messages(w->lane->box[s], 1, 0, copy_take, &so, &got, e) < 0)
		return err_wrap(e, "%s", side_name(s));
	copy_tidy_seen(w, s);
	w->adds_up[s] =
		got.unparsed == 0 && w->seen_count[s] >= mailbox_exists(w->lane->box[s]);
	return 0;
}

int copy_unknown_there(struct work *w, uint32_t from_uid, struct uid_list *out, struct err *e)
{
	enum side to = w->pass->to;
	uint32_t *known = NULL;
	size_t n = 0, k = 0, kept = 0;

	if (mailbox_uids(w->lane->box[to], from_uid, 0, out, e) < 0 ||
	    journal_uids_between(w->pass->journal, w->f->id, to, from_uid, UINT32_MAX, &known,
				 &n, e) < 0)
		return -1;
	for (size_t i = 0; i < out->count; i++) {
		while (k < n && known[k] < out->at[i])
			k++;
		if (k == n || known[k] != out->at[i])
			out->at[kept++] = out->at[i];
	}
	out->count = kept;
	mem_free(&known);
	return 0;
}

/* ---- what the journal knows */

static int by_side_uid(const void *a, const void *b, void *side);

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct journal_msg *)a)->id,
		y = ((const struct journal_msg *)b)->id;

	return x < y ? -1 : x > y;
}

static int by_from(const void *a, const void *b, void *side)
{
	return by_side_uid(&a, &b, side);
}

/* A row may be concerned on both sides. */
static void tidy_rows(struct work *w)
{
	size_t kept = 0;

	if (w->row_count)
		qsort(w->rows, w->row_count, sizeof *w->rows, by_id);
	for (size_t i = 0; i < w->row_count; i++)
		if (kept == 0 || w->rows[kept - 1].id != w->rows[i].id)
			w->rows[kept++] = w->rows[i];
	w->row_count = kept;
	if (kept)
		qsort_r(w->rows, kept, sizeof *w->rows, by_from, &w->pass->from);
}

/* Rows whose UIDs of one side are among these; neighbours are asked for together. */
static int load_of(struct work *w, enum side s, const struct uid_list *uids, struct err *e)
{
	for (size_t first = 0, i = 1; i <= uids->count; i++) {
		if (i < uids->count && uids->at[i] == uids->at[i - 1] + 1)
			continue;
		if (journal_msgs_between(w->pass->journal, w->f, s, uids->at[first],
					 uids->at[i - 1], w->lane->pool, &w->rows,
					 &w->row_count, e) < 0)
			return -1;
		first = i;
	}
	return 0;
}

static int load_concerned(struct work *w, struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		if (load_of(w, (enum side)s, &w->concerned[s], e) < 0)
			return -1;
	tidy_rows(w);
	return 0;
}

/* A page keeps its end when it is read again. */
static int load_page(struct work *w, struct err *e)
{
	if (journal_msgs_without(w->pass->journal, w->f, w->sweep.by, w->sweep.after,
				 w->pass->window, w->lane->pool, &w->rows, &w->row_count,
				 e) < 0)
		return -1;
	while (w->sweep.last && w->row_count && w->rows[w->row_count - 1].id > w->sweep.last)
		w->row_count--;
	if (w->row_count && !w->sweep.last)
		w->sweep.last = w->rows[w->row_count - 1].id;
	return 0;
}

static int load_window(struct work *w, struct err *e)
{
	const struct window *at = w->sweep.at;

	if (!at)
		return load_page(w, e);
	return journal_msgs_between(w->pass->journal, w->f, w->sweep.by, at->lo, at->hi,
				    w->lane->pool, &w->rows, &w->row_count, e);
}

int copy_load_rows(struct work *w, struct err *e)
{
	mem_free(&w->rows);
	w->row_count = 0;
	if (w->sweep.on)
		return load_window(w, e);
	if (!w->whole)
		return load_concerned(w, e);
	return journal_msgs(w->pass->journal, w->f, w->pass->from, w->lane->pool, &w->rows,
			    &w->row_count, e);
}

static int by_side_uid(const void *a, const void *b, void *side)
{
	const enum side s = *(const enum side *)side;
	uint32_t x = (*(struct journal_msg *const *)a)->uid[s];
	uint32_t y = (*(struct journal_msg *const *)b)->uid[s];

	return x < y ? -1 : x > y;
}

void copy_sort_rows(struct journal_msg **rows, size_t n, enum side s)
{
	qsort_r(rows, n, sizeof *rows, by_side_uid, &s);
}

struct journal_msg **copy_rows_by_to(const struct work *w)
{
	struct journal_msg **at = mem_array(w->row_count + 1, sizeof *at);

	for (size_t i = 0; i < w->row_count; i++)
		at[i] = &w->rows[i];
	copy_sort_rows(at, w->row_count, w->pass->to);
	return at;
}

struct journal_msg *copy_row_of(const struct work *w, uint32_t uid)
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
