/*
 * The command's way to the engine: HTTP over the Unix socket, by libcurl. One client, one
 * thread.
 */
#ifndef ADMIN_CLIENT_H
#define ADMIN_CLIENT_H

#include <jansson.h>

#include "common/err.h"

#define CLIENT_ANSWER_MAX (256 * 1024 * 1024) /* bytes */
#define CLIENT_CONNECT_S  5
#define CLIENT_TIMEOUT_S  120 /* for people: an import of a large list takes a while */

struct client;

/*
 * Nothing is connected yet. Fails (ERR_INPUT) when the libcurl at hand is not the OpenSSL
 * flavour: mailferry trusts one TLS library.
 */
int client_new(struct client **out, const char *socket_path, int timeout_s,
	       struct err *e) MUST_CHECK;
void client_free(struct client **c);

enum client_result {
	CLIENT_NO_ENGINE = -1, /* nobody answers on the socket; *e says more */
	CLIENT_REFUSED,	       /* the engine says no; *answer holds "error" and "remedy" */
	CLIENT_OK
};

/*
 * Asks for a path ("/v1/users?wave=1"); body NULL: GET, else POST. *answer is always an object,
 * owned by the caller, except with CLIENT_NO_ENGINE.
 */
enum client_result client_ask(struct client *c, const char *path, const json_t *body,
			      json_t **answer, struct err *e) MUST_CHECK;

/* A name made fit for a path or query; freed by the caller. */
char *client_escape(struct client *c, const char *text);

#endif
