/*
 * Sessions that are to end although their users stay where they are: `drop` of a user, `drain`
 * of this node. Each finishes what is open, takes no new command, then hears BYE; who is in the
 * middle of a cutover gets that verdict first. Only after its deadline an ending cuts, and the
 * log says what was open.
 */
#ifndef PROXY_ENDING_H
#define PROXY_ENDING_H

#include "proxy/session.h"

/*
 * All sessions of a user, at once. cut_at: when force is used, in ms since 1970; 0: never. The
 * request's number is what answers go under.
 */
void ending_drop(struct proxy *p, int64_t request, const char *name, int64_t cut_at);
/* All sessions of this node, limits.drop_per_s of them a second. */
void ending_drain(struct proxy *p, int64_t request, int64_t cut_at);
/* Sessions that a drain was still to end go on. */
void ending_undo_drain(struct proxy *p, int64_t request);

/* What a client hears last, and the operator's word for it in the log. */
const char *ending_bye(const struct ending *e);
const char *ending_why(const struct ending *e);
/* The session is on its way out, or gone: it does not count any more. */
void ending_let_go(struct session *s);

/* Spends the drops that are left on those who wait for their turn. */
void endings_pace(struct proxy *p);
/* Deadlines, and answers for the store: once a tick. */
void endings_tick(struct proxy *p);
void endings_release(struct proxy *p);

#endif
