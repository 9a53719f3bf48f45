/* The store, its rows of the operator's plan (sync/phases.h). */
#ifndef COMMON_STORE_PHASES_H
#define COMMON_STORE_PHASES_H

#include "common/store.h"

#define STORE_PHASE_NOTE_MAX 1024 /* bytes of what a person says about an item */

/* A person's word about one item of a domain's plan. */
struct phase_note {
	const char *domain, *item;
	bool done; /* false: taken back */
	const char *note, *actor;
	int64_t at;
};
/* Nothing is written where the item's last word says the same (or there is none, and none is
 * taken back): *changed. Of n the time does not count. */
int store_phase_note(struct store *st, const struct phase_note *n, bool *changed,
		     struct err *e) MUST_CHECK;
typedef int store_phase_fn(const struct phase_note *n, void *arg);
/* All that was ever said of the domain's items, the oldest first: an item's last word counts.
 */
int store_phases_each(struct store *st, const char *domain, store_phase_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;

/* Of a domain's users, as the store has them now. */
struct phase_counts {
	int64_t state[USER_STATES];
	int64_t seen, imap,
		pop3;	   /* users in a login that is remembered, or a session; by protocol */
	int64_t strangers; /* names that logged in and nobody imported */
	int64_t waived;	   /* users for whom a check of the gate is let pass */
	int64_t left_on_old; /* sessions there of users who live on new */
};
int store_phase_counts(struct store *st, const char *domain, struct phase_counts *out,
		       struct err *e) MUST_CHECK;

#endif
