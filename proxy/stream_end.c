/* Hides: how a stream ends: at once, or when the peer has heard the last word. */
#include "proxy/stream_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>

void stream_die(struct stream *st)
{
	if (st->phase == DEAD)
		return;
	if (st->phase == LINGER)
		LIST_REMOVE(st, lingers);
	st->phase = DEAD;
	stream_uncall(st);
	event_del(&st->readable);
	if (st->writable)
		event_free(st->writable);
	if (st->timer)
		event_free(st->timer);
	if (st->ssl)
		SSL_free(st->ssl);
	close(st->fd);
	stream_forget(st, &st->in); /* a login may have waited in either */
	stream_forget(st, &st->out);
	st->loop->live--;
	st->next_dead = st->loop->dead;
	st->loop->dead = st;
	event_active(st->loop->reaper, 0, 0);
	if (st->retired && st->on_gone)
		st->on_gone(st->gone_arg, st->finished && st->eof && !st->error);
}

void stream_finish(struct stream *st)
{
	if (st->finished || st->awaits)
		return;
	st->finished = true;
	if (st->ssl) {
		ERR_clear_error();
		SSL_shutdown(st->ssl);
		ERR_clear_error();
	}
	shutdown(st->fd, SHUT_WR);
	if (st->eof)
		stream_die(st);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *st = arg;

	if (st->phase == WAIT_TLS) {
		st->phase = HANDSHAKE;
		stream_step_handshake(st);
	} else if (st->awaits) {
		st->awaits = false; /* the server has been asked long enough to end it */
		if (buf_len(&st->out) == 0)
			stream_finish(st);
	} else {
		stream_die(st); /* it has lingered long enough */
	}
}

void stream_set_timer(struct stream *st, int ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (!st->timer)
		st->timer = evtimer_new(st->loop->base, on_timer, st);
	if (!st->timer)
		BUG("libevent makes no timer");
	evtimer_add(st->timer, &tv);
}

void stream_free(struct stream **st)
{
	if (*st)
		stream_die(*st);
	*st = NULL;
}

/* A host that has vanished would be waited for in vain: ask it now and then (RFC 9293 3.8.4).
 */
static void watch_for_death(struct stream *st)
{
	int idle_s = 30, every_s = 10, tries = 3;

	setsockopt(st->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
	setsockopt(st->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(st->fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
	setsockopt(st->fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

static void linger(struct stream **stp, int ms, stream_gone_fn *on_gone, void *arg, bool awaits)
{
	struct stream *st = *stp;

	*stp = NULL;
	if (!st)
		return;
	st->on_event = NULL;
	st->watch = NULL;
	st->retired = true;
	st->on_gone = on_gone;
	st->gone_arg = arg;
	if (st->phase != UP || st->error || (awaits && st->eof)) {
		stream_die(st);
		return;
	}
	st->phase = LINGER;
	LIST_INSERT_HEAD(&st->loop->lingering, st, lingers);
	st->paused = false;
	st->awaits = awaits;
	stream_forget(st, &st->in);
	if (awaits || ms == STREAM_UNTIL_GONE)
		watch_for_death(st);
	if (ms != STREAM_UNTIL_GONE)
		stream_set_timer(st, ms);
	if (buf_len(&st->out) == 0)
		stream_finish(st);
	stream_arm(st);
	if (st->phase == LINGER && stream_has_pending(st))
		stream_call_later(st);
}

void stream_retire(struct stream **st, int linger_ms, stream_gone_fn *on_gone, void *arg)
{
	linger(st, linger_ms, on_gone, arg, false);
}

void stream_await(struct stream **st, int patience_ms, stream_gone_fn *on_gone, void *arg)
{
	linger(st, patience_ms, on_gone, arg, true);
}
