/* Hides: where one window ends and the next begins, and what is counted in them. */
#include "sync/windows.h"

/* ---- dividing */

/* Two marks of one list end a window: with one, lists that are nearly the same, but for a
 * message, would make every second window one of a single message. */
#define MARKS 2

static void add(struct windows *w, uint32_t hi)
{
	uint32_t lo = w->count ? w->at[w->count - 1].hi + 1 : 1;

	if ((w->count & (w->count + 1)) == 0)
		w->at = mem_grow(w->at, w->count * 2 + 1, sizeof *w->at);
	w->at[w->count++] = (struct window){ .lo = lo, .hi = hi };
}

void windows_divide(struct windows *out, const uint32_t *a, size_t a_count, const uint32_t *b,
		    size_t b_count)
{
	size_t i = 0, k = 0, of_a = 0, of_b = 0;

	*out = (struct windows){ 0 };
	while (i < a_count || k < b_count) {
		uint32_t uid = i == a_count ? b[k] : k == b_count ? a[i] : MIN(a[i], b[k]);

		for (; i < a_count && a[i] == uid; i++)
			of_a++;
		for (; k < b_count && b[k] == uid; k++)
			of_b++;
		if ((of_a < MARKS && of_b < MARKS) || uid == UINT32_MAX)
			continue;
		add(out, uid);
		of_a = of_b = 0;
	}
	add(out, UINT32_MAX);
}

void windows_release(struct windows *w)
{
	mem_free(&w->at);
	*w = (struct windows){ 0 };
}

/* ---- counting */

void windows_count(struct windows *w, size_t first, size_t last, const uint32_t *there,
		   size_t there_count, const uint32_t *known, size_t known_count)
{
	size_t t = 0, k = 0;

	for (size_t i = first; i < last; i++) {
		struct window *at = &w->at[i];
		uint32_t both = 0, of_known = 0;

		at->there = 0;
		for (; t < there_count && there[t] <= at->hi; t++) {
			for (; k < known_count && known[k] < there[t]; k++)
				of_known++;
			both += k < known_count && known[k] == there[t];
			at->there++;
		}
		for (; k < known_count && known[k] <= at->hi; k++)
			of_known++;
		at->gone = of_known - both;
		at->unknown = at->there - both;
		w->there += at->there;
		w->gone += at->gone;
		w->unknown += at->unknown;
	}
}
