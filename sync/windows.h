/*
 * A large folder is never in memory as a whole: it is looked at in windows, ranges of UIDs of
 * one side that together are all UIDs there can be, so that what comes or goes meanwhile falls
 * into one of them. Where they end is told by every so manieth message that the server has, and
 * that the journal knows: a window holds a limited number of both, however far UIDs lie apart.
 */
#ifndef SYNC_WINDOWS_H
#define SYNC_WINDOWS_H

#include "common/buf.h"

#define WINDOW_MESSAGES 8192 /* of a window, at most, as the folder is when it is divided */

struct window {
	uint32_t lo, hi; /* UIDs, both included */
	uint32_t there, gone,
		unknown; /* counted: on the server; only in the journal; only there */
};

struct windows {
	struct window *at; /* ascending, from UID 1 to the highest there can be */
	size_t count;
	int64_t there, gone, unknown; /* of all */
};

/*
 * a and b: UIDs, ascending, between which lie less than n messages of one kind each. Then no
 * window has 2 n of either. Release with windows_release().
 */
void windows_divide(struct windows *out, const uint32_t *a, size_t a_count, const uint32_t *b,
		    size_t b_count);
void windows_release(struct windows *w);

/* Windows first … last-1 are counted: all UIDs there and known in them, ascending, each once.
 */
void windows_count(struct windows *w, size_t first, size_t last, const uint32_t *there,
		   size_t there_count, const uint32_t *known, size_t known_count);

#endif
