/*
 * The engine's hand on the workers' speed: limits of the settings by the time of day, less
 * while live users wait for a server's answers.
 */
#ifndef SYNC_SPEED_H
#define SYNC_SPEED_H

#include "common/store.h"
#include "config/settings.h"

struct speed;

/* Borrows both. */
struct speed *speed_new(struct store *st, const struct settings *s);
void speed_free(struct speed **sp);
/* Tells the workers until when they may send (struct pace_word). */
void speed_lease(struct speed *sp, int64_t until);
/* So many hosts have workers: each gets its part of what the settings allow, so that all of
 * them together keep to it. */
void speed_share(struct speed *sp, int hosts);
const int *speed_fds(const struct speed *sp); /* PACE_PAGES, for workers; borrowed */
/* Often: looks at the clock and, every few seconds, at what the nodes measured. */
void speed_tick(struct speed *sp);
/* Connections to this server at once, by the settings and the time of day. */
int speed_connections(const struct speed *sp, enum side side);
/* What its answers to live users take now, and took when the copier was quiet; 0: not known. */
void speed_answers(const struct speed *sp, enum side side, int64_t *typical_us,
		   int64_t *quiet_us);
/* What slows the copier there, "" if nothing. */
void speed_text(const struct speed *sp, enum side side, char *out, size_t size);

#endif
