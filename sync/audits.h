/*
 * Comparisons that people asked for (`mailferry verify`): a queue, a few workers of its own,
 * and the report of each user, kept in sync.reports as NAME.json and NAME.html.
 *
 * A comparison only reads, so it may run beside a pass of the same user.
 */
#ifndef SYNC_AUDITS_H
#define SYNC_AUDITS_H

#include "common/store.h"
#include "config/settings.h"
#include "sync/audit_user.h"
#include "sync/depot.h"
#include "sync/worker.h"

#define AUDITS_AT_ONCE 2
#define AUDITS_MAX     100000 /* that are remembered: waiting, at work, ended */

enum audit_state { AUDIT_NONE, AUDIT_WAITING, AUDIT_RUNNING, AUDIT_FAILED, AUDIT_DONE };
const char *audit_state_name(enum audit_state s);

struct audits;

struct learned;
struct audits_opts {
	struct store *store; /* borrowed, as is all here */
	const struct settings *settings;
	const struct workshop *shop;
	const struct learned *learned;
	struct depot *depot; /* NULL: journals stay on this host */
};
struct audits *audits_new(const struct audits_opts *o);
/* Only when audits_idle(). */
void audits_free(struct audits **a);

/* Queues one; a user who is waiting or at work already is left as he is. */
int audits_ask(struct audits *a, const char *user, enum audit_level level, int64_t sample,
	       struct err *e) MUST_CHECK;
/* Starts what may start; every second or so, for a user may be on lease to another host. */
void audits_tick(struct audits *a);
void audits_stop(struct audits *a); /* ends all workers, starts nothing more */
bool audits_idle(const struct audits *a);

struct audit_status {
	enum audit_state state;
	const char *text;	    /* AUDIT_FAILED: why; borrowed */
	struct audit_totals totals; /* AUDIT_DONE */
	json_t *document; /* if asked for: the last report kept, of the caller; NULL: none */
};
/* AUDIT_NONE: not asked for since the engine started. */
void audits_find(struct audits *a, const char *user, bool with_document,
		 struct audit_status *out);

#endif
