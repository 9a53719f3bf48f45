/*
 * The gate: what must hold before a user's cutover may begin, each as one item that can be
 * shown. Pure: everything it looks at is handed in.
 */
#ifndef SYNC_GATE_H
#define SYNC_GATE_H

#include "common/store.h"
#include "config/settings.h"

enum gate_name {
	GATE_GO,
	GATE_LOGINS,
	GATE_STUCK,
	GATE_BACKOFF,
	GATE_PASS,
	GATE_RECENT,
	GATE_VERIFIED,
	GATE_EXCEPTIONS,
	GATE_QUOTA,
	GATE_SERVERS,
	GATE_SHORT,
	GATE_NODES,
	GATE_SLOT,
	GATE_ITEMS
};

struct gate_item {
	const char *name; /* "pass", "nodes", … */
	bool ok;
	char text[560];	    /* what is so, or what is waited for */
	const char *remedy; /* for people; NULL: waiting is enough */
};

/* What the gate looks at besides the user. */
struct gate_view {
	const struct settings *s;
	int64_t now;
	char lapsed[64]; /* name of a node that counts and is silent; "" none */
	int cutovers_running;
	bool worker_free;
};

/* Fills one item for each name, in their order; true if all are ok. */
bool gate_check(const struct user *u, const struct gate_view *v,
		struct gate_item out[GATE_ITEMS]);
/* True if something is not ok that another pass may put right. */
bool gate_wants_pass(const struct gate_item items[GATE_ITEMS]);
/* How old the last pass may be at a cutover. */
int64_t gate_recent_ms(const struct settings *s);

/*
 * The sentence of `mailferry why` for a cutover under way, "" while nothing is waited for:
 * "anna@example.com waits for: node proxy-2: session k3f9: APPEND 18/50 MB open".
 */
void gate_quiet_text(const struct user *u, const struct quiet *q, char *out, size_t size);

#endif
