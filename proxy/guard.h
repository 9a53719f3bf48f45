/*
 * Who connects and who guesses: counts by client address (IPv4: the address, IPv6: its /64) and
 * by user, of this node.
 *
 * A login is counted before a backend is asked, so that guesses sent side by side do not slip
 * through: no more than limits.login_parallel of one user, or of one address, are under way at
 * once. Each wrong password beyond a few free ones (people mistype) makes the next login wait
 * longer, 1, 2, 4 … s up to limits.login_delay_s, and from then on they go one by one. A right
 * password forgives the user all and the address half of it; what no backend could answer
 * counts for nothing; time forgives half every GUARD_HALVE_MS.
 *
 * A user who got in from an address before is counted apart there: who guesses her password
 * elsewhere cannot keep her out.
 *
 * Keys are SipHash with a random seed, so that nobody can aim at a slot, and nothing of a name
 * is kept. At most limits.tracked entries: then the one that was not used for longest is
 * forgotten.
 */
#ifndef PROXY_GUARD_H
#define PROXY_GUARD_H

#include "common/wire/endpoint.h"
#include "proxy/proxy.h"

#define GUARD_USER_FREE	   2	  /* wrong passwords that cost nothing */
#define GUARD_ADDRESS_FREE 4	  /* of an address: there may be more people behind it */
#define GUARD_HALVE_MS	   300000 /* without new ones failures halve in this time */
#define GUARD_PACE_MS	   100 /* who waits for others, not for time, asks again after this */

struct guard;
struct guard_entry;

/* What is counted for a session; kept in it. Zeroed: nothing. */
struct guarded {
	struct guard_entry *address, *user; /* NULL: not counted */
	bool pending;			    /* a login is under way */
	bool inside;			    /* logged in, and counted as such */
};

enum guard_verdict { GUARD_RIGHT, GUARD_WRONG, GUARD_UNKNOWN };

struct guard *guard_new(struct proxy *p);
void guard_free(struct guard **g);
size_t guard_count(const struct guard *g); /* entries */

/*
 * A connection from this address. -1: it has too many that are not logged in
 * (limits.preauth_per_address); nothing is counted then. Those of limits.trusted are let in
 * uncounted.
 */
int guard_arrive(struct guard *g, struct guarded *s, const struct endpoint *from) MUST_CHECK;
/*
 * May this login go to a backend now? 0: yes, and it is counted until guard_settle(). Else ask
 * again after so many milliseconds, because of *by.
 */
int64_t guard_ask(struct guard *g, struct guarded *s, const char *user,
		  enum limit *by) MUST_CHECK;
/* What came of it. Nothing happens if none is under way. */
void guard_settle(struct guard *g, struct guarded *s, const char *user, enum guard_verdict v);
/* The session is logged in: it counts as such for its address. -1: it has too many
 * (limits.sessions_per_address). */
int guard_enter(struct guard *g, struct guarded *s) MUST_CHECK;
/* The session ends, wherever it stands. */
void guard_leave(struct guard *g, struct guarded *s);

#endif
