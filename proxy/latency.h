/*
 * How long the backends take to answer live users: from the last bytes that a client's commands
 * sent there to the first that come back. And whether they answered that they are in trouble.
 * Told to the store, for the copier to make room, and not to believe a server that is ill.
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
	bool failed;	/* an answer since the last row was NO [SERVERBUG] or the like … */
	int64_t failed_ms; /* … and when the store was last told of one out of turn */
};

void latency_asked(struct session *s);	  /* bytes went to the backend */
void latency_answered(struct session *s); /* bytes came from it */
void latency_failed(struct session *s);	  /* they said that it is in trouble */
/* Every STORE_LATENCY_MS, a row for each server that answered. */
void latency_tick(struct proxy *p, int64_t now_ms);

/* The median of samples in any order (which it changes); 0 if there is none. */
uint32_t latency_median(uint32_t *ms, size_t n);

#endif
