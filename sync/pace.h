/*
 * How fast the workers go: one page of clocks that all of them share with the engine, so that a
 * limit holds for all of them together and none of it lies idle. The engine sets the rates; who
 * moves something books it on the clock and waits for its turn (GCRA, the virtual scheduling of
 * a leaky bucket). A worker can harm nothing with that page but speed: no wait for a turn is
 * longer than PACE_WAIT_MAX_MS.
 * What else all of them have to know at any moment stands on another one, which workers can
 * only read: until when they may send, and whether a server is in trouble.
 */
#ifndef SYNC_PACE_H
#define SYNC_PACE_H

#include "common/err.h"
#include "common/user_state.h"

#define PACE_FD		 3     /* of the first page in a worker, … */
#define PACE_PAGES	 2     /* … and the second one behind it */
#define PACE_BURST_MS	 100   /* what was not used so long ago is lost */
#define PACE_WAIT_MAX_MS 60000 /* for one turn */
#define PACE_CHUNK_MIN	 512   /* bytes moved at once, however slow */

enum pace_what { PACE_BYTES, PACE_MESSAGES, PACE_WHATS };

struct pace_clock {
	_Atomic int64_t rate;	/* units per second; 0: no limit */
	_Atomic int64_t due_us; /* when all that was booked is paid for */
};

/* Books n units at now_us; returns after how many µs they may be moved. Any thread, any
 * process. */
int64_t pace_book(struct pace_clock *c, int64_t n, int64_t now_us);

struct pace_page {
	struct pace_clock host[SIDES][PACE_WHATS];
	_Atomic int64_t user_rate[PACE_WHATS]; /* of each user; clocks of their own */
	_Atomic int64_t moved[SIDES]; /* bytes, by all workers since the engine's start */
};

/* The engine's word. */
struct pace_word {
	/* Until then the engine is sure to be the one at work, by the monotonic clock in ms; 0:
	 * it needs no lease (sync/lease.h). */
	_Atomic int64_t lease_until;
	/* Likewise: what is missing there is not believed to be gone (sync/trouble.h); 0: it
	 * is. Of one user, by the hash of his name, it may be so for longer. */
	_Atomic int64_t trouble_until[SIDES], user_trouble_until[SIDES];
	_Atomic uint64_t trouble_user[SIDES];
};

/* The engine's. */
struct pace_shared {
	struct pace_page *page;
	struct pace_word *word;
	int fd[PACE_PAGES]; /* that workers get as PACE_FD and behind it */
};
int pace_shared_new(struct pace_shared *out, struct err *e) MUST_CHECK;
void pace_shared_free(struct pace_shared *s);

/* A worker's: uses the pages if it was given them; else nothing below ever waits. */
void pace_attach(void);
/* Whom the worker works for. */
void pace_user(const char *name);
uint64_t pace_hash(const char *name);
/* The last delta of a cutover: people wait. It books what it moves, and never waits. */
void pace_urgent(void);
/* For tests: the same with these pages. NULL: none. */
void pace_use(struct pace_page *p, const struct pace_word *w);

/* Most bytes to move at once towards this server. */
size_t pace_chunk(enum side side, size_t want);
/* May another byte be sent? Not when the engine's lease has run out: another one may be at the
 * same user by now. */
int pace_may_send(struct err *e) MUST_CHECK;
/* Is this server in trouble, as far as this worker's user is concerned? */
bool pace_is_in_trouble(enum side side);
/* n units were moved, or are about to be: waits until that is right. Any thread. */
void pace_wait(enum side side, enum pace_what what, int64_t n);

#endif
