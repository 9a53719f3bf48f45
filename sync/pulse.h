/*
 * A worker's sign of life while bytes move: one large message at a small rate is hours without
 * any other news. Nothing moves, no sign: then the engine ends it.
 */
#ifndef SYNC_PULSE_H
#define SYNC_PULSE_H

#define PULSE_MS 5000 /* at most so often */

/* Called once, before any thread; beat must be safe in any thread. */
void pulse_start(void (*beat)(void));
void pulse_beat(void);

#endif
