/*
 * How many sessions use which extension, for `mailferry check backends`: each session counts
 * once for each.
 */
#ifndef PROXY_USES_H
#define PROXY_USES_H

#include "common/wire/usage.h"
#include "proxy/session.h"

/* Bits of enum usage: what a command of this session uses. */
void uses_note(struct session *s, uint64_t bits);
/* Hands the counts since the last time to the follower. */
void uses_write(struct proxy *p);

#endif
