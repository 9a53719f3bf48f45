/*
 * Who a client is, beyond its name: where it comes from and what program it is.
 */
#ifndef PROXY_IDENTITY_H
#define PROXY_IDENTITY_H

#include "common/wire/endpoint.h"

struct session;

/* Where a client comes from and where it meant to go: by the socket, or by the word of somebody
 * whom the listener trusts. */
struct origin {
	struct endpoint from;
	struct endpoint to; /* not known: our end of the socket */
};

/* Right after the backend was dialled: the PROXY header, where it wants one. */
void identity_introduce(struct session *s);
/* Does the connection to the backend lead back to us? Then every login would make another. */
bool identity_in_circle(struct session *s);

#endif
