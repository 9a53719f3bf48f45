/*
 * Wrong tokens, counted by address (IPv4: the address, IPv6: its /64). A token cannot be
 * guessed; this keeps the log and the processor from whoever tries. A right token is never
 * refused over it: else anybody behind the same proxy could keep everybody else out.
 */
#ifndef ADMIN_STRIKES_H
#define ADMIN_STRIKES_H

#include "common/wire/endpoint.h"

#define STRIKES_TRACKED 256 /* addresses; then the oldest is forgotten */

struct strikes {
	struct {
		struct endpoint from;
		int64_t since; /* clock_mono_ms() of the first; 0: free */
		int count;
	} at[STRIKES_TRACKED];
};

/* Whose they are: without the port, and of IPv6 only the /64. */
struct endpoint strikes_key(const struct endpoint *from);
/* One more; how many there are within the last window_ms. */
int strikes_add(struct strikes *s, const struct endpoint *from, int64_t window_ms);

#endif
