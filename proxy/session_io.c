/* Hides: what the events of a session's two streams mean in each of its states. */
#include "proxy/session.h"

#include "common/clock.h"
#include "common/wire/alien.h"
#include "proxy/latency.h"
#include "proxy/past.h"
#include "proxy/session_impl.h"

#define INPUT_KEEP (64 * 1024) /* of a client whose next command must wait */

/* ---- the relay */

static bool is_relaying(const struct session *s)
{
	return s->state == SESSION_RELAY || s->state == SESSION_DRAIN;
}

/* Before any byte passes: a node that slept, or lost the store, must not serve who may have
 * moved. */
static bool may_forward(struct session *s)
{
	if (user_is_final(s->route->state) || proxy_has_lease(s->proxy))
		return true;
	routes_fence(s->proxy->routes);
	return false;
}

/* Nor what the server was too slow to take: a node may stand still at any instant. */
bool session_may_send(void *arg)
{
	struct session *s = arg;

	return !is_relaying(s) || may_forward(s);
}

void session_send_up(struct session *s, const void *p, size_t n)
{
	if (n == 0)
		return;
	s->bytes_up += n;
	latency_asked(s);
	s->busy_ms = s->asked_ms;
	metrics_add(s->proxy->metrics, METER_BYTES, AT(s->protocol->kind, WAY_UP), (double)n);
	stream_write(s->backend, p, n);
	if (stream_queued(s->backend) > STREAM_HIGH)
		stream_pause(s->client);
}

void session_send_down(struct session *s, const void *p, size_t n)
{
	if (n == 0)
		return;
	s->bytes_down += n;
	metrics_add(s->proxy->metrics, METER_BYTES, AT(s->protocol->kind, WAY_DOWN), (double)n);
	stream_write(s->client, p, n);
	if (stream_queued(s->client) > STREAM_HIGH)
		stream_pause(s->backend);
}

/* What a client goes on sending while its next command must wait is left in the socket. */
static bool is_full(const struct session *s)
{
	return s->blocked && stream_input(s->client).n > INPUT_KEEP;
}

static void pass_up(struct session *s)
{
	if (!may_forward(s))
		return;
	s->protocol->pass_up(s);
	if (s->state != SESSION_CLOSED && is_full(s))
		stream_pause(s->client);
}

/* In the hold nothing is read of either side; what ends it sees to what has waited. */
void session_unblock(struct session *s)
{
	if (!s->blocked || !is_relaying(s))
		return;
	pass_up(s);
	if (s->state != SESSION_CLOSED && !is_full(s) &&
	    stream_queued(s->backend) <= STREAM_HIGH)
		stream_resume(s->client);
}

/* ---- events of the two streams */

static void foreign(struct session *s, enum meter_foreign spoke, const char *why)
{
	metrics_add(s->proxy->metrics, METER_FOREIGN, AT(s->protocol->kind, spoke), 1);
	session_cut(s, why);
}

/* A browser that is led here must not make us say what it would show (ALPACA). */
static void hear_before_login(struct session *s)
{
	struct slice in = stream_input(s->client);
	enum alien spoken = s->is_mail ? ALIEN_NONE : alien_of(in.p, in.n);

	switch (spoken) {
	case ALIEN_NONE:
		s->is_mail = s->is_mail || in.n >= ALIEN_SURE || memchr(in.p, '\n', in.n);
		if (s->is_mail)
			session_was_heard(s);
		s->protocol->hear_client(s);
		break;
	case ALIEN_HTTP:
		foreign(s, FOREIGN_HTTP, "speaks HTTP");
		break;
	case ALIEN_TLS:
		foreign(s, FOREIGN_TLS, "speaks TLS where clear text begins");
		break;
	}
}

static void client_failed(struct session *s, struct stream *st)
{
	if (stream_handshaking(st))
		meter_handshake(s->proxy, PEER_CLIENT, st);
	switch (stream_spoke(st)) {
	case STREAM_SPOKE_TLS:
		session_close(s, stream_error(st));
		break;
	case STREAM_SPOKE_HTTP:
		foreign(s, FOREIGN_HTTP, "speaks HTTP where TLS begins");
		break;
	case STREAM_SPOKE_PLAIN:
		foreign(s, FOREIGN_PLAIN, "speaks clear text where TLS begins");
		break;
	}
}

static void client_data(struct session *s)
{
	switch (s->state) {
	case SESSION_AUTH:
		hear_before_login(s);
		break;
	case SESSION_RELAY:
	case SESSION_DRAIN:
		pass_up(s);
		break;
	case SESSION_PARTING:
		if (s->protocol->say_bye(s, session_last_words(s)))
			past_told(s);
		session_close(s, "told at its next command");
		break;
	case SESSION_GREET:
	case SESSION_DELAY:
	case SESSION_PARK:
	case SESSION_DIAL:
	case SESSION_LOGIN:
	case SESSION_QUIET:
	case SESSION_CLOSED:
		break; /* stays where it is */
	}
}

void session_client_up(struct session *s)
{
	meter_handshake(s->proxy, PEER_CLIENT, s->client);
	if (stream_secure(s->client))
		session_was_heard(s);
	if (s->state == SESSION_GREET) {
		session_enter(s, SESSION_AUTH);
		s->protocol->greet(s);
	}
	stream_poke(s->client);
}

void session_on_client(struct stream *st, enum stream_event ev, void *arg)
{
	struct session *s = arg;

	switch (ev) {
	case STREAM_UP:
		session_client_up(s);
		break;
	case STREAM_DATA:
		client_data(s);
		break;
	case STREAM_DRAINED:
		if (s->backend && s->state != SESSION_QUIET)
			stream_resume(s->backend);
		break;
	case STREAM_EOF:
		session_close(s, "client left");
		break;
	case STREAM_FAILED:
		client_failed(s, st);
		break;
	}
}

static void backend_ended(struct session *s, const char *why)
{
	switch (s->state) {
	case SESSION_DIAL:
	case SESSION_LOGIN:
		session_backend_lost(s, why);
		break;
	case SESSION_RELAY:
	case SESSION_DRAIN:
	case SESSION_QUIET:
		if (s->leaving) /* it answered LOGOUT or QUIT, or said BYE itself */
			session_close(s, "logged out");
		else
			session_close_with_bye(
				s, "Mail server closed the connection, please reconnect.", why);
		break;
	case SESSION_GREET:
	case SESSION_AUTH:
	case SESSION_DELAY:
	case SESSION_PARK:
	case SESSION_PARTING:
	case SESSION_CLOSED:
		BUG("session %s: a backend in %s", s->id, session_state_name(s->state));
	}
}

static void backend_data(struct session *s)
{
	switch (s->state) {
	case SESSION_LOGIN:
		s->protocol->hear_backend(s);
		break;
	case SESSION_RELAY:
	case SESSION_DRAIN:
		latency_answered(s);
		if (may_forward(s))
			s->protocol->pass_down(s);
		break;
	case SESSION_GREET:
	case SESSION_AUTH:
	case SESSION_DELAY:
	case SESSION_PARK:
	case SESSION_DIAL:
	case SESSION_QUIET:
	case SESSION_PARTING:
	case SESSION_CLOSED:
		break;
	}
}

static void backend_is_up(struct session *s)
{
	struct metrics *m = s->proxy->metrics;

	metrics_set(m, METER_BACKEND_UP, AT(s->back.side, s->protocol->kind), 1);
	metrics_observe(m, METER_DIAL_SECONDS, AT(s->back.side),
			(double)(clock_mono_ms() - s->state_ms) / 1000);
}

void session_on_backend(struct stream *st, enum stream_event ev, void *arg)
{
	struct session *s = arg;

	switch (ev) {
	case STREAM_UP:
		meter_handshake(s->proxy, PEER_BACKEND, st);
		if (s->state == SESSION_DIAL && identity_in_circle(s)) {
			session_refused(s, REJECT_DOWN, "the backend is ourselves");
		} else if (s->state == SESSION_DIAL) {
			backend_is_up(s);
			s->about.doing = "logging in";
			session_enter(s, SESSION_LOGIN);
		} else {
			s->protocol->backend_secure(s);
		}
		break;
	case STREAM_DATA:
		backend_data(s);
		break;
	case STREAM_DRAINED:
		if (is_relaying(s) && !is_full(s))
			stream_resume(s->client);
		break;
	case STREAM_EOF:
		backend_ended(s, "the backend closed the connection");
		break;
	case STREAM_FAILED:
		if (stream_handshaking(st))
			meter_handshake(s->proxy, PEER_BACKEND, st);
		log_warn(&s->about, "backend: %s", stream_error(st));
		backend_ended(s, stream_error(st));
		break;
	}
}
