/*
 * How long the backends take to answer live users: from the last bytes that a client's commands
 * sent there to the first that come back. Told to the store, for the copier to make room.
 */
#ifndef PROXY_LATENCY_H
#define PROXY_LATENCY_H

#include "common/user_state.h"

#define LATENCY_SAMPLES 256 /* of one server between two rows; later ones replace earlier */

struct proxy;
struct session;

struct latency {
	uint32_t ms[LATENCY_SAMPLES];
	uint32_t count; /* answers since the last row, also beyond the samples */
	bool told;	/* the store has a row that is not "nothing" */
};

void latency_asked(struct session *s);	  /* bytes went to the backend */
void latency_answered(struct session *s); /* bytes came from it */
/* Every STORE_LATENCY_MS, a row for each server that answered. */
void latency_tick(struct proxy *p, int64_t now_ms);

/* The median of samples in any order (which it changes); 0 if there is none. */
uint32_t latency_median(uint32_t *ms, size_t n);

#endif
