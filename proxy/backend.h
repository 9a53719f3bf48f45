/*
 * The two servers: where they are and how to reach them. Names are resolved off the event loop.
 */
#ifndef PROXY_BACKEND_H
#define PROXY_BACKEND_H

#include "certs/tls.h"
#include "common/secret.h"
#include "config/settings.h"
#include "proxy/identity.h"
#include "proxy/stream.h"

struct backend;

int backend_new(enum side side, const struct backend_conf *conf, struct backend **out,
		struct err *e) MUST_CHECK;
void backend_free(struct backend **b);
/* Looks the name up again; keeps the old addresses when that fails. Called by the follower's
 * thread. */
int backend_resolve(struct backend *b, struct err *e) MUST_CHECK;
/*
 * Starts a connection for the protocol, with a PROXY header and TLS at once where that is
 * configured. client: whom the header names; NULL: ourselves. NULL: the
 * name has no address yet, or we are out of descriptors (*e).
 */
struct stream *backend_connect(struct backend *b, struct loop *l, enum protocol_kind proto,
			       const struct origin *client, stream_fn *on_event, void *arg,
			       struct err *e);
/* For STARTTLS on a stream of this backend. The caller hands it to stream_start_tls(). */
SSL *backend_ssl(struct backend *b, int fd);
/* Of proxy_master_user. Borrowed. */
struct slice backend_master_password(const struct backend *b);
enum tls_mode backend_tls(const struct backend *b, enum protocol_kind proto);

#endif
