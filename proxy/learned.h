/*
 * Learning passwords: what old has just taken is sealed to the engine's key (common/seal.h) and
 * kept in the store, for users of the domains in learn.domains. We cannot read it again.
 */
#ifndef PROXY_LEARNED_H
#define PROXY_LEARNED_H

#include "proxy/session.h"

/* s has been let in and still has its password: keeps that, unless it is the one kept last. */
void learned_note(struct session *s);

#endif
