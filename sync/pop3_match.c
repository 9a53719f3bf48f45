/* Hides: the order in which ids, sizes and bytes are compared. */
#include "sync/pop3_match.h"

/* ---- by ids */

static int by_id(const void *a, const void *b)
{
	const struct pop3_known *x = *(const struct pop3_known *const *)a;
	const struct pop3_known *y = *(const struct pop3_known *const *)b;
	int c = strcmp(x->uidl, y->uidl);

	if (c == 0 && x->size != y->size)
		c = x->size < y->size ? -1 : 1;
	return c ? c : x->uid < y->uid ? -1 : x->uid > y->uid;
}

static int here_by_id(const void *a, const void *b)
{
	const struct pop3_here *x = *(struct pop3_here *const *)a;
	const struct pop3_here *y = *(struct pop3_here *const *)b;
	int c = strcmp(x->uidl, y->uidl);

	if (c == 0 && x->size != y->size)
		c = x->size < y->size ? -1 : 1;
	return c ? c : x->number < y->number ? -1 : x->number > y->number;
}

/* A group whose number is the same and whose sizes are is what it was; a single one may change
 * its size: LIST is not to be trusted. */
static bool same_group(const struct pop3_known *const *k, size_t kn, struct pop3_here *const *h,
		       size_t hn)
{
	if (kn != hn || !*k[0]->uidl)
		return false;
	for (size_t i = 0; i < kn && kn > 1; i++)
		if (k[i]->size != h[i]->size)
			return false;
	return true;
}

static size_t group(const struct pop3_known *const *k, size_t n)
{
	size_t i = n ? 1 : 0;

	while (i < n && strcmp(k[i]->uidl, k[0]->uidl) == 0)
		i++;
	return i;
}

static size_t group_here(struct pop3_here *const *h, size_t m)
{
	size_t i = m ? 1 : 0;

	while (i < m && strcmp(h[i]->uidl, h[0]->uidl) == 0)
		i++;
	return i;
}

static void walk_groups(const struct pop3_known *first, const struct pop3_known *const *k,
			size_t n, struct pop3_here *const *h, size_t m)
{
	while (m) {
		size_t kn = group(k, n), hn = group_here(h, m);
		int c = n ? strcmp(k[0]->uidl, h[0]->uidl) : 1;

		if (c < 0) {
			k += kn, n -= kn;
			continue;
		}
		if (c == 0 && same_group(k, kn, h, hn))
			for (size_t i = 0; i < hn; i++)
				h[i]->known = (int)(k[i] - first);
		h += hn, m -= hn;
	}
}

/* ---- who has to be read */

static bool *taken(const struct pop3_here *here, size_t m, size_t n)
{
	bool *at = mem_array(n + 1, sizeof *at);

	for (size_t i = 0; i < m; i++)
		if (here[i].known >= 0)
			at[here[i].known] = true;
	return at;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One of its size or its id has gone, or nothing but bytes tells anything here. */
static void mark_asked(const struct pop3_known *known, size_t n, struct pop3_here *here,
		       size_t m)
{
	bool *known_taken = taken(here, m, n);
	uint64_t *sizes = mem_array(n + 1, sizeof *sizes);
	const char **ids = mem_array(n + 1, sizeof *ids);
	size_t lost = 0;

	for (size_t i = 0; i < n; i++)
		if (!known_taken[i] && known[i].hashed) {
			sizes[lost] = known[i].size;
			ids[lost++] = known[i].uidl;
		}
	qsort(sizes, lost, sizeof *sizes, by_size);
	qsort(ids, lost, sizeof *ids, by_text);
	for (size_t i = 0; i < m; i++)
		here[i].ask = here[i].known < 0 && lost &&
			      (!*here[i].uidl ||
			       bsearch(&here[i].size, sizes, lost, sizeof *sizes, by_size) ||
			       bsearch(&here[i].uidl, ids, lost, sizeof *ids, by_text));
	free(known_taken);
	free(sizes);
	free(ids);
}

static int here_by_place(const void *a, const void *b)
{
	const struct pop3_here *x = *(struct pop3_here *const *)a;
	const struct pop3_here *y = *(struct pop3_here *const *)b;
	int c = strcmp(x->uidl, y->uidl);

	return c ? c : x->number < y->number ? -1 : x->number > y->number;
}

static void number_twins(struct pop3_here **h, size_t m)
{
	qsort(h, m, sizeof *h, here_by_place);
	for (size_t i = 1; i < m; i++)
		if (*h[i]->uidl && strcmp(h[i]->uidl, h[i - 1]->uidl) == 0)
			h[i]->ordinal = h[i - 1]->ordinal + 1;
}

void pop3_match_uidls(const struct pop3_known *known, size_t n, struct pop3_here *here,
		      size_t m)
{
	const struct pop3_known **k = mem_array(n + 1, sizeof *k);
	struct pop3_here **h = mem_array(m + 1, sizeof *h);

	for (size_t i = 0; i < n; i++)
		k[i] = &known[i];
	for (size_t i = 0; i < m; i++) {
		here[i].known = -1;
		here[i].ordinal = 0;
		h[i] = &here[i];
	}
	number_twins(h, m);
	qsort(k, n, sizeof *k, by_id);
	qsort(h, m, sizeof *h, here_by_id);
	walk_groups(known, k, n, h, m);
	free(k);
	free(h);
	mark_asked(known, n, here, m);
}

/* ---- by bytes */

static int by_raw(const void *a, const void *b)
{
	const struct pop3_known *x = *(const struct pop3_known *const *)a;
	const struct pop3_known *y = *(const struct pop3_known *const *)b;
	int c = memcmp(x->raw, y->raw, DIGEST_SIZE);

	return c ? c : x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* The first of these bytes in a row sorted by them. */
static size_t first_of(const struct pop3_known *const *k, size_t n, const unsigned char *raw)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(k[mid]->raw, raw, DIGEST_SIZE) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void pop3_match_bytes(const struct pop3_known *known, size_t n, struct pop3_here *here,
		      size_t m, const unsigned char *const *digests)
{
	const struct pop3_known **k = mem_array(n + 1, sizeof *k);
	bool *known_taken = taken(here, m, n);
	size_t lost = 0, asked = 0;

	for (size_t i = 0; i < n; i++)
		if (!known_taken[i] && known[i].hashed)
			k[lost++] = &known[i];
	qsort(k, lost, sizeof *k, by_raw);
	for (size_t i = 0; i < m; i++) {
		const unsigned char *raw = here[i].ask ? digests[asked++] : NULL;

		for (size_t at = raw ? first_of(k, lost, raw) : lost;
		     at < lost && memcmp(k[at]->raw, raw, DIGEST_SIZE) == 0; at++) {
			size_t index = (size_t)(k[at] - known);

			if (known_taken[index])
				continue;
			known_taken[index] = true;
			here[i].known = (int)index;
			break;
		}
	}
	free(k);
	free(known_taken);
}
