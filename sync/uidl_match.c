/* Hides: groups of equal ids, headers and bytes. */
#include "sync/uidl_match.h"

static void join(struct uidl_lists *l, int row, int entry)
{
	l->rows[row].entry = entry;
	l->entries[entry].row = row;
	l->entries[entry].ask = UIDL_ASK_NOTHING;
}

/* One of either list, while they are sorted together. */
struct item {
	const void *key; /* a C string, or DIGEST_SIZE bytes */
	int index;
	bool is_entry;
};

typedef int compare_fn(const void *a, const void *b);

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

/* By key, then entries before rows, each in their own order. */
static int by_item(const void *a, const void *b, void *compare)
{
	const struct item *x = a, *y = b;
	int c = (*(compare_fn **)compare)(x->key, y->key);

	if (c)
		return c;
	if (x->is_entry != y->is_entry)
		return x->is_entry ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* What a group of equal keys comes to: its entries, then its rows. */
typedef void group_fn(struct uidl_lists *l, const struct item *at, size_t entries, size_t rows);

static void each_group(struct uidl_lists *l, struct item *at, size_t n, compare_fn *compare,
		       group_fn *fn)
{
	size_t end;

	if (n)
		qsort_r(at, n, sizeof *at, by_item, &compare);
	for (size_t i = 0; i < n; i = end) {
		size_t entries = 0;

		for (end = i; end < n && compare(at[i].key, at[end].key) == 0; end++)
			entries += at[end].is_entry;
		fn(l, at + i, entries, end - i - entries);
	}
}

/* ---- by ids that were proven */

static void group_of_ids(struct uidl_lists *l, const struct item *at, size_t entries,
			 size_t rows)
{
	if (entries == 1 && rows == 1)
		join(l, at[1].index, at[0].index);
}

size_t uidl_match_known(struct uidl_lists *l)
{
	struct item *at = mem_array(l->row_count + l->entry_count + 1, sizeof *at);
	size_t n = 0, asked = 0;

	for (size_t i = 0; i < l->row_count; i++) {
		l->rows[i].entry = -1;
		if (l->rows[i].known)
			at[n++] = (struct item){ l->rows[i].known, (int)i, false };
	}
	for (size_t i = 0; i < l->entry_count; i++) {
		l->entries[i].row = -1;
		l->entries[i].ask = UIDL_ASK_HEADER;
		at[n++] = (struct item){ l->entries[i].id, (int)i, true };
	}
	each_group(l, at, n, by_id, group_of_ids);
	free(at);
	for (size_t i = 0; i < l->entry_count; i++)
		asked += l->entries[i].ask != UIDL_ASK_NOTHING;
	return asked;
}

/* ---- by content */

static size_t gather_open(const struct uidl_lists *l, bool canon, struct item *at)
{
	size_t n = 0;

	for (size_t i = 0; i < l->row_count; i++) {
		const struct digest *d = l->rows[i].digest;

		if (l->rows[i].entry < 0 && d)
			at[n++] = (struct item){ canon ? d->canon : d->header, (int)i, false };
	}
	for (size_t i = 0; i < l->entry_count; i++) {
		const struct digest *d = l->entries[i].digest;

		if (l->entries[i].row < 0 && d &&
		    (!canon || l->entries[i].ask == UIDL_ASK_BYTES))
			at[n++] = (struct item){ canon ? d->canon : d->header, (int)i, true };
	}
	return n;
}

static void group_of_headers(struct uidl_lists *l, const struct item *at, size_t entries,
			     size_t rows)
{
	if (entries == 1 && rows == 1)
		join(l, at[1].index, at[0].index);
	for (size_t i = 0; i < entries && rows && entries + rows > 2; i++)
		l->entries[at[i].index].ask = UIDL_ASK_BYTES;
}

size_t uidl_match_headers(struct uidl_lists *l)
{
	struct item *at = mem_array(l->row_count + l->entry_count + 1, sizeof *at);
	size_t asked = 0;

	for (size_t i = 0; i < l->entry_count; i++)
		l->entries[i].ask = UIDL_ASK_NOTHING;
	each_group(l, at, gather_open(l, false, at), by_digest, group_of_headers);
	free(at);
	for (size_t i = 0; i < l->entry_count; i++)
		asked += l->entries[i].ask == UIDL_ASK_BYTES;
	return asked;
}

/* Messages that are the same: which is which does not matter, as long as none is missing. */
static void group_of_twins(struct uidl_lists *l, const struct item *at, size_t entries,
			   size_t rows)
{
	for (size_t i = 0; i < entries && entries == rows; i++)
		join(l, at[entries + i].index, at[i].index);
}

void uidl_match_bytes(struct uidl_lists *l)
{
	struct item *at = mem_array(l->row_count + l->entry_count + 1, sizeof *at);

	each_group(l, at, gather_open(l, true, at), by_digest, group_of_twins);
	free(at);
}

/* ---- by place */

void uidl_match_order(struct uidl_lists *l)
{
	if (l->row_count != l->entry_count)
		return;
	for (size_t i = 0; i < l->row_count; i++)
		if (l->rows[i].entry >= 0 && l->rows[i].entry != (int)i)
			return;
	for (size_t i = 0; i < l->row_count; i++)
		if (l->rows[i].entry < 0 && l->rows[i].size == l->entries[i].size)
			join(l, (int)i, (int)i);
}
