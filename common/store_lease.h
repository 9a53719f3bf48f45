/*
 * The store, its leases of users: a pass that the engine at work offers, and an engine that
 * stands by on another host makes. The user is its own until it says how that ended, or until
 * it has been silent for STORE_ENGINE_LEASE_MS: then the engine at work takes him back.
 *
 * What is written about a user on lease (his journal's row, his unique ids) is compared with the
 * lease in the same transaction, as everything else is with the engine's own: an engine that
 * wakes late writes nothing.
 */
#ifndef COMMON_STORE_LEASE_H
#define COMMON_STORE_LEASE_H

#include "common/store.h"

#define STORE_LEASE_TEXT_MAX (64 * 1024) /* bytes of what is said about one pass */

/* How it stands with a pass. */
enum lease_state {
	LEASE_OFFERED, /* nobody has taken it */
	LEASE_AT_WORK,
	LEASE_RESULT,  /* text: what its worker said */
	LEASE_DIED,    /* its worker said nothing; text: why, for people */
	LEASE_REFUSED, /* it could not even be begun there; text: why */
	LEASE_STOPPED, /* it was ended there, and says nothing about the user */
	LEASE_STATES
};

struct lease_row {
	const char *name, *kind; /* of a job */
	int64_t change;		 /* the user's, when it was offered */
	int connections;	 /* to each server, at most */
	const char *rules;	 /* digest of what is copied and how, by the settings of its host */
	const char *folder;	 /* where his journal was last; "": nowhere */
	int64_t offered;	 /* ms, the store's clock */
	enum lease_state state;
	const char *place, *host; /* whose it is; "": nobody's, or not known any more */
	bool lapsed;		  /* at work, and that engine is silent or gone */
	const char *text;	  /* AT_WORK: progress; else as above */
};
typedef int store_lease_fn(const struct lease_row *l, void *arg);

/* ---- the engine at work; an error in the hands of one that has lost its lease */

/* Of l: name to folder. 1, or 0: there is one already. */
int store_lease_offer(struct store *st, const struct lease_row *l, struct err *e) MUST_CHECK;
/*
 * Ends it, unless another engine is at work on it: what was offered and not taken, what has
 * ended, what has lapsed. 1, or 0: it is at work, or there is none.
 */
int store_lease_close(struct store *st, const char *name, struct err *e) MUST_CHECK;
/* All, by name; with place only those of that one. fn may not ask the store. */
int store_leases_each(struct store *st, const char *place, store_lease_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;

/* ---- an engine that stands by; it is the one of this handle's place */

/*
 * Takes up to n of those that are offered: of journals that were last in this folder first; then,
 * by age, of those that were in none, and of others when nobody has taken them for
 * STORE_LEASE_SHY_MS. Nothing, when this engine was not heard of in time.
 */
#define STORE_LEASE_SHY_MS 1000
int store_lease_pick(struct store *st, const char *folder, int n, struct err *e) MUST_CHECK;
/* How far it is. 1, or 0: it is not ours any more. */
int store_lease_tell(struct store *st, const char *name, const char *progress,
		     struct err *e) MUST_CHECK;
/* How it ended: from LEASE_RESULT on. 1, or 0: it is not ours any more. */
int store_lease_end(struct store *st, const char *name, enum lease_state state,
		    const char *text, struct err *e) MUST_CHECK;

/* Is the user on lease to an engine of another place? 1, 0, -1. */
int store_lease_elsewhere(struct store *st, const char *name, struct err *e) MUST_CHECK;

#endif
