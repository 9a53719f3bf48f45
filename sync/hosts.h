/*
 * How much of the copier each of the two servers bears: connections at once, lowered by half
 * when a server says "too much", raised again one by one; and pauses that it asked for. Pure:
 * the time is handed in.
 */
#ifndef SYNC_HOSTS_H
#define SYNC_HOSTS_H

#include "common/err.h"
#include "common/user_state.h"

#define HOSTS_RAISE_MS	   30000 /* so long without a complaint: one connection more */
#define HOSTS_LOWER_GAP_MS 5000	 /* complaints of one moment count once */

struct host {
	double limit; /* connections at once; 0: it never complained */
	int64_t lowered, raised, paused_until;
	char said[200]; /* its last complaint */
};
struct hosts {
	struct host at[SIDES];
};

/* A server complained while so many connections to it were open. */
void hosts_hear(struct hosts *h, const struct later *l, const char *text, int open,
		int64_t now);
/* Connections to this server that may be open now; most: by the settings. 0 in a pause. */
int hosts_limit(struct hosts *h, enum side side, int most, int64_t now);
bool hosts_paused(const struct hosts *h, enum side side, int64_t now);
/* What holds us back there, "" if nothing. */
void hosts_text(struct hosts *h, enum side side, int most, int64_t now, char *out, size_t size);

#endif
