/*
 * The gate: what must hold before a user's cutover may begin, and again at its flip, each as
 * one item that can be shown. Pure: everything it looks at is handed in.
 *
 *	gate.c		the items, the engine's own, what a waiver does, the flip
 *	gate_facts.c	those about what the last pass found
 *	gate_known.c	what is kept of a user in the store besides his row
 */
#ifndef SYNC_GATE_H
#define SYNC_GATE_H

#include "common/store.h"
#include "common/store_node.h"
#include "common/store_shadow.h"
#include "common/store_uidl.h"
#include "config/settings.h"
#include "sync/facts.h"
#include "sync/phases.h"
#include "sync/trouble.h"
#include "sync/wave.h"

enum gate_name {
	GATE_GO,
	GATE_WHEN,
	GATE_LOGINS,
	GATE_STUCK,
	GATE_BACKOFF,
	GATE_PASS,
	GATE_RECENT,
	GATE_VERIFIED,
	GATE_EXCEPTIONS,
	GATE_DOUBT,
	GATE_UIDVALIDITY,
	GATE_UIDS,
	GATE_STRANGERS,
	GATE_SUBSCRIPTIONS,
	GATE_SPECIAL_USE,
	GATE_NAMES,
	GATE_UNSEEN,
	GATE_POP3_IDS,
	GATE_PASSWORD,
	GATE_SERVER,
	GATE_QUOTA,
	GATE_SERVERS,
	GATE_SHORT,
	GATE_PHASES,
	GATE_NODES,
	GATE_SLOT,
	GATE_ITEMS
};

enum gate_state {
	GATE_OK,
	GATE_WARNS,  /* not as it should be; the settings let it pass */
	GATE_WAIVED, /* not as it must be; a person lets it pass */
	GATE_WAITS,  /* not as it must be */
	GATE_STATES
};
const char *gate_state_name(enum gate_state s); /* "ok", "warns", "waived", "waits" */

struct gate_item {
	const char *name; /* "pass", "nodes", … */
	bool ok;	  /* does not hold the user up */
	enum gate_state state;
	char text[560];	    /* what is so, or what is waited for */
	const char *remedy; /* for people; NULL: none is needed, or waiting is enough */
	bool waivable;	    /* a person may let it pass */
	bool of_wave;	    /* GATE_WAIVED: for all of the wave */
};

#define GATE_NOTE_MAX 200 /* bytes of a waiver that are shown; longer ones are cut */

struct gate_waiver {
	bool on;
	bool of_wave;
	char text[GATE_NOTE_MAX]; /* "for wave 1 by operator uid 0: ticket 4711" */
};

/* What is known of a user besides his row; zeroed: nothing. */
struct gate_known {
	struct facts facts;
	struct uidl_state pop3;
	bool learned;		    /* his password */
	struct shadow_row password; /* does new take the user's? */
	struct phase_words plan;    /* of the user's domain */
	struct gate_waiver waived[GATE_ITEMS];
};
/* Reads it. */
int gate_known_read(struct store *st, const char *name, const char *wave,
		    struct gate_known *out, struct err *e) MUST_CHECK;

/* What the gate looks at besides the user. */
struct gate_view {
	const struct settings *s;
	int64_t now;
	char lapsed[64]; /* name of a node that counts and is silent; "" none */
	char gone[64];	 /* of one that is silent and counts no more, but on the way back */
	struct trouble trouble;
	int cutovers_running;
	bool worker_free;
	/* Of this user; NULL: items about it are not asked, and what a person may have let pass
	   keeps nobody. On the way back only waivers and the password of it count. */
	const struct gate_known *known;
	const struct wave_facts *when;	/* likewise: may it begin now? */
	const struct dns_past *mx;	/* of a user who trails: see sync/trailing.h */
};

/* The item of this name if a waiver lets it pass, else -1. */
int gate_waivable(const char *name);
/* "uidvalidity, uids, …", for people. */
const char *gate_waivable_names(void);

/* Fills one item for each name, in their order; true if all are ok (but see known, above). */
bool gate_check(const struct user *u, const struct gate_view *v,
		struct gate_item out[GATE_ITEMS]);
/*
 * The short form, before the flip: what the last delta found, under the waivers that hold now.
 * false: *why names the item.
 */
bool gate_may_flip(const struct user *u, const struct gate_view *v, char *why, size_t size);
/* True if something is not ok that another pass may put right. */
bool gate_wants_pass(const struct gate_item items[GATE_ITEMS], const struct gate_view *v);
/* How old the last pass may be at a cutover. */
int64_t gate_recent_ms(const struct settings *s);

/*
 * The sentence of `mailferry why` for a cutover under way, "" while nothing is waited for:
 * "anna@example.com waits for: node proxy-2: session k3f9: APPEND 18/50 MB open".
 */
void gate_quiet_text(const struct user *u, const struct quiet *q, char *out, size_t size);

#endif
