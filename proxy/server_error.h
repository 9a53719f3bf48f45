/*
 * A backend answered a live user that it is in trouble itself: NO [SERVERBUG], [UNAVAILABLE] or
 * [CORRUPTION] (RFC 5530). The store hears who it was at once: a cutover may be about to believe
 * that server (sync/trouble.h).
 */
#ifndef PROXY_SERVER_ERROR_H
#define PROXY_SERVER_ERROR_H

#include "common/store.h"
#include "common/store_node.h"

struct session;

/* Of one backend: the last users who were told of. More of them say nothing new. */
struct server_errors {
	struct {
		char user[STORE_NAME_MAX + 1];
		int64_t ms; /* 0: none */
	} told[STORE_ERROR_USERS];
};

void server_error_heard(struct session *s);

#endif
