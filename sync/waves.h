/*
 * The engine's hand on waves: which timetable counts for whom, how fast the next may begin, and
 * the watch that pauses a wave or leads its users back. All that lasts is in the store.
 */
#ifndef SYNC_WAVES_H
#define SYNC_WAVES_H

#include "sync/speed.h"
#include "sync/wave.h"

struct waves;

/* Borrows all. */
struct waves *waves_new(struct store *st, const struct settings *s, const struct speed *speed);
void waves_free(struct waves **w);

/* Reads the timetables; counts are made anew when they are asked for. */
int waves_look(struct waves *w, struct err *e) MUST_CHECK;
/*
 * What is known for a user in ready; his sessions are not looked at. running: cutovers of his
 * wave under way. Texts in *out are borrowed until the next waves_look(). On -1 *out says
 * paused.
 */
int waves_facts(struct waves *w, const struct user *u, int running, int64_t now,
		struct wave_facts *out, struct err *e) MUST_CHECK;
/*
 * Often: once a second each wave under way is looked at, and paused where it goes ill; where
 * the settings say so, users who were moved lately begin their way back.
 */
void waves_tick(struct waves *w);
/* His cutover begins. */
void waves_begun(struct waves *w, const struct user *u, int64_t now);

#endif
