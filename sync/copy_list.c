/* Hides: what each side of a folder holds, and what the journal knows of it. */
#include "sync/pass.h"

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct seen *)a)->uid, y = ((const struct seen *)b)->uid;

	return x < y ? -1 : x > y;
}

/* ---- listings */

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
		.flags = flags_of(w->lane->pool, slice_of(i->flags)),
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
	if (mailbox_messages(w->lane->box[s], 1, 0, take_message, &in, &got, e) < 0)
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
