/*
 * Live users come first: when a server's answers to them grow slow while the copier works
 * there, the copier gets half of what it moved, and a quarter more each time they are quick
 * again. Pure: figures in, a limit out.
 */
#ifndef SYNC_EASE_H
#define SYNC_EASE_H

#include <stdbool.h>
#include <stdint.h>

#define EASE_MS		  5000	      /* between two looks */
#define EASE_COMMANDS_MIN 5	      /* answers that say something */
#define EASE_SLOWER	  3	      /* times the quiet baseline is slow, … */
#define EASE_SLOWER_US	  20000	      /* … if it is this much more as well */
#define EASE_QUIET_BYTES  65536	      /* per second: the copier does not count as busy */
#define EASE_BYTES_MIN	  (64 * 1024) /* per second: less is never asked of the copier */
#define EASE_US_MIN	  1000	      /* the nodes' clock tells no less; 0 would be "not seen" */

struct ease {
	int64_t quiet_us; /* what answers take while the copier is quiet; 0: not seen yet */
	int64_t limit;	  /* bytes/s for the copier; 0: none */
	int64_t most;	  /* what it moved before it was slowed */
	int64_t typical_us;
};

/*
 * Once every EASE_MS: answers seen (how many, their median) and the bytes/s that the copier
 * moved there meanwhile.
 */
void ease_look(struct ease *x, int64_t commands, int64_t typical_us, int64_t moved_per_s);
bool ease_is_slow(const struct ease *x);

#endif
