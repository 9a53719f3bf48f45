/* Hides: how a backend is told who the client is. */
#include "proxy/identity.h"

#include "common/sockets.h"
#include "common/wire/proxyproto.h"
#include "proxy/listener.h"
#include "proxy/session.h"

static const struct backend_conf *backend_of(const struct session *s)
{
	return &s->proxy->settings->backend[s->back.side];
}

/* Where the client meant to go. */
static struct endpoint entry(const struct session *s)
{
	return endpoint_known(&s->origin.to) ? s->origin.to
					     : socket_local(stream_fd(s->client));
}

void identity_introduce(struct session *s)
{
	struct proxyproto header = { .version = (int)backend_of(s)->proxy_protocol,
				     .from = s->origin.from };
	struct buf out = { 0 };

	if (header.version == PROXY_NONE)
		return;
	header.to = entry(s);
	proxyproto_write(&header, &out);
	stream_preface(s->backend, buf_slice(&out));
	buf_release(&out);
}

bool identity_in_circle(struct session *s)
{
	const char *listener = listeners_find(s->proxy->listeners, stream_fd(s->backend));

	if (listener)
		log_error(&s->about,
			  "backend \"%s\": %s leads back to our own listener \"%s\": correct "
			  "backend.host or its port",
			  side_name(s->back.side), backend_of(s)->host, listener);
	return listener != NULL;
}
