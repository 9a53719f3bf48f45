/*
 * Tells the MTA which server a recipient's mail goes to, by the same routes as logins: Postfix
 * asks a socketmap (socketmap_table(5)), "route anna@example.com", and hears lookup.old or
 * lookup.new, or TEMP while the user is held or the store is lost: then it keeps the mail and
 * asks again. Never a guess.
 *
 * One node of a host serves the socket; when it ends or leaves, another takes over at its next
 * tick.
 */
#ifndef PROXY_LOOKUP_H
#define PROXY_LOOKUP_H

#include "proxy/proxy.h"

#define LOOKUP_REQUEST_MAX 1024 /* bytes inside a request's netstring */

struct lookup;

/* NULL if the settings name no lookup.listen. */
struct lookup *lookup_new(struct proxy *p);
void lookup_free(struct lookup **l);
/* Takes or leaves the socket: once a tick. NULL is fine. */
void lookup_tick(struct lookup *l);

/* The answer to one request, without its netstring. For lookup.c and its test. */
void lookup_answer(struct proxy *p, struct slice request, struct buf *out);

#endif
