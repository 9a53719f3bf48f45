/* Hides: the states of a session, how long each may last, and how one begins. */
#include "proxy/session.h"

#include <openssl/rand.h>

#include "common/clock.h"
#include "proxy/session_impl.h"
#include "proxy/trace.h"

#define NEXT(s)		 (1u << SESSION_##s)
#define DRAIN_LOOK_MS	 1000 /* how often a draining session is looked at for standing still */
#define VERDICT_GRACE_MS 2000 /* after hold_until: time for somebody's undo to reach us */
#define KEEP_ALIVE_MS	 10000
#define CROWD_LOG_MS	 1000 /* refused connections are told at most this often */

static const struct {
	const char *name;
	unsigned next;
} rules[] = {
	[SESSION_GREET] = { "GREET", NEXT(AUTH) | NEXT(CLOSED) },
	[SESSION_AUTH] = { "AUTH", NEXT(DELAY) | NEXT(PARK) | NEXT(DIAL) | NEXT(CLOSED) },
	[SESSION_DELAY] = { "DELAY", NEXT(AUTH) | NEXT(PARK) | NEXT(DIAL) | NEXT(CLOSED) },
	[SESSION_PARK] = { "PARK", NEXT(AUTH) | NEXT(DIAL) | NEXT(CLOSED) },
	[SESSION_DIAL] = { "DIAL", NEXT(DIAL) | NEXT(AUTH) | NEXT(DELAY) | NEXT(LOGIN) |
					   NEXT(PARK) | NEXT(CLOSED) },
	[SESSION_LOGIN] = { "LOGIN", NEXT(AUTH) | NEXT(DELAY) | NEXT(DIAL) | NEXT(PARK) |
					     NEXT(RELAY) | NEXT(CLOSED) },
	[SESSION_RELAY] = { "RELAY", NEXT(DRAIN) | NEXT(QUIET) | NEXT(CLOSED) },
	[SESSION_DRAIN] = { "DRAIN", NEXT(RELAY) | NEXT(QUIET) | NEXT(CLOSED) },
	[SESSION_QUIET] = { "QUIET", NEXT(RELAY) | NEXT(PARTING) | NEXT(CLOSED) },
	[SESSION_PARTING] = { "PARTING", NEXT(CLOSED) },
	[SESSION_CLOSED] = { "CLOSED", 0 },
};
_Static_assert(COUNT(rules) == SESSION_STATES, "a rule for every state");

const char *session_state_name(enum session_state st)
{
	return rules[st].name;
}

/* ---- states and deadlines */

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void arm_timer(struct session *s, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (ms < 0)
		tv = (struct timeval){ 0, 0 };
	if (!s->timer)
		s->timer = evtimer_new(s->proxy->loop.base, on_timer, s);
	if (!s->timer)
		BUG("libevent makes no timer");
	evtimer_add(s->timer, &tv);
}

void session_disarm(struct session *s)
{
	if (s->timer)
		event_free(s->timer);
	s->timer = NULL;
}

static int64_t idle_limit_ms(const struct session *s)
{
	const struct settings *set = s->proxy->settings;

	return 1000LL * (s->protocol->kind == PROTO_IMAP ? set->limits.imap_idle_s
							 : set->limits.pop3_idle_s);
}

static int64_t until_verdict(const struct session *s)
{
	return MAX(s->hold_at + VERDICT_GRACE_MS - clock_real_ms(), (int64_t)0);
}

/* It stands at a boundary, or goes there, because of a cutover. */
bool session_is_held(const struct session *s)
{
	return s->route && user_is_held(s->route->state);
}

/* How long the session may stay in its state, or until it is looked at next. */
static int64_t deadline_ms(const struct session *s)
{
	const struct settings *set = s->proxy->settings;
	int64_t now = clock_mono_ms(), parked = now - s->parked_ms;

	switch (s->state) {
	case SESSION_GREET:
		return 1000LL * set->limits.handshake_s;
	case SESSION_AUTH:
		return 1000LL * set->limits.login_s;
	case SESSION_DELAY:
		return s->wait_ms;
	case SESSION_PARK:
		return MAX(MIN(s->kept_alive_ms + KEEP_ALIVE_MS - now,
			       1000LL * set->cutover.hold_s - parked),
			   (int64_t)0);
	case SESSION_DIAL:
		return 1000LL * set->limits.dial_s;
	case SESSION_LOGIN:
		return 1000LL * set->limits.backend_login_s;
	case SESSION_DRAIN:
		if (!session_is_held(s))
			return idle_limit_ms(s);
		return MIN((int64_t)DRAIN_LOOK_MS, until_verdict(s) + 1);
	case SESSION_QUIET:
		return until_verdict(s);
	case SESSION_PARTING:
		return 1000LL * set->limits.login_s;
	case SESSION_RELAY: /* session_check_idle() */
	case SESSION_CLOSED:
		break;
	}
	return 0;
}

void session_arm(struct session *s)
{
	arm_timer(s, deadline_ms(s));
}

static bool is_preauth(enum session_state st)
{
	return st < SESSION_RELAY;
}

/* Among whom a session waits that no backend was asked for; NULL: not so. */
static struct session_list *evictable(const struct session *s, enum session_state st)
{
	if (st == SESSION_DELAY)
		return &s->proxy->delayed;
	if (st > SESSION_AUTH)
		return NULL;
	return s->heard ? &s->proxy->heard : &s->proxy->silent;
}

static void queue_again(struct session *s, enum session_state to)
{
	struct session_list *from = evictable(s, s->state), *into = evictable(s, to);

	if (from == into)
		return;
	if (from)
		TAILQ_REMOVE(from, s, queue);
	if (into)
		TAILQ_INSERT_TAIL(into, s, queue);
}

/* It took the trouble to say something. */
void session_was_heard(struct session *s)
{
	struct session_list *from = evictable(s, s->state);

	s->heard = true;
	if (from != &s->proxy->silent)
		return;
	TAILQ_REMOVE(from, s, queue);
	TAILQ_INSERT_TAIL(&s->proxy->heard, s, queue);
}

void session_enter(struct session *s, enum session_state to)
{
	struct proxy *p = s->proxy;

	if (!(rules[s->state].next & (1u << to)))
		BUG("session %s: %s -> %s", s->id, rules[s->state].name, rules[to].name);
	log_debug(&s->about, "%s -> %s", rules[s->state].name, rules[to].name);
	trace_note(s, "%s -> %s", rules[s->state].name, rules[to].name);
	if (s->state == SESSION_PARK)
		p->parked_count--;
	if (to == SESSION_PARK)
		p->parked_count++;
	if (is_preauth(s->state) && !is_preauth(to))
		p->preauth_count--;
	queue_again(s, to);
	if (to == SESSION_RELAY && s->checkpoint == CHECKPOINT_DONE)
		s->checkpoint = CHECKPOINT_NONE;
	s->state = to;
	s->state_ms = clock_mono_ms();
	s->about.state = rules[to].name;
	if (to == SESSION_RELAY || to == SESSION_CLOSED)
		session_disarm(s);
	else
		session_arm(s);
}

void session_delay(struct session *s, int64_t ms)
{
	s->wait_ms = (int)ms;
	if (s->state == SESSION_DELAY)
		arm_timer(s, ms);
	else
		session_enter(s, SESSION_DELAY);
}

/* ---- deadlines */

void session_check_idle(struct session *s)
{
	int64_t moved = MAX(stream_moved_ms(s->client), stream_moved_ms(s->backend));
	int64_t left = idle_limit_ms(s) - (clock_mono_ms() - moved);

	if (left > 0) {
		if (s->state == SESSION_DRAIN)
			arm_timer(s, left);
		return;
	}
	meter_limit(s->proxy,
		    s->protocol->kind == PROTO_IMAP ? LIMIT_IMAP_IDLE_S : LIMIT_POP3_IDLE_S);
	session_close_with_bye(s, "Autologout; idle for too long.", "idle too long");
}

static void on_park_timer(struct session *s)
{
	int64_t now = clock_mono_ms();

	if (now - s->parked_ms >= 1000LL * s->proxy->settings->cutover.hold_s) {
		session_refused(s, REJECT_MOVING, "held for too long (cutover.hold_s)");
		return;
	}
	if (now - s->kept_alive_ms >= KEEP_ALIVE_MS) {
		s->kept_alive_ms = now;
		s->protocol->keep_alive(s);
	}
	session_arm(s);
}

/* Nothing has been half done by who stands still: an upload that is cut leaves no message
 * behind. */
static void on_held_timer(struct session *s)
{
	int64_t stall = 1000LL * s->proxy->settings->limits.stall_s, now = clock_mono_ms();
	bool stuck = (s->protocol->uploading(s) || stream_queued(s->client)) &&
		     now - stream_moved_ms(s->client) >= stall;

	if (clock_real_ms() >= s->hold_at + VERDICT_GRACE_MS) {
		session_cut(s, "no verdict in time");
	} else if (stuck) {
		meter_limit(s->proxy, LIMIT_STALL_S);
		session_cut(s, "stood still while the user is moved (limits.stall_s)");
	} else {
		session_arm(s);
	}
}

static void on_drain_timer(struct session *s)
{
	if (session_is_held(s))
		on_held_timer(s);
	else
		session_check_idle(s);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct session *s = arg;

	switch (s->state) {
	case SESSION_GREET:
		meter_limit(s->proxy, LIMIT_HANDSHAKE_S);
		session_cut(s, "no TLS handshake in time (limits.handshake_s)");
		break;
	case SESSION_AUTH:
		meter_limit(s->proxy, LIMIT_LOGIN_S);
		session_close_with_bye(s, "Timeout; no login.",
				       "no login in time (limits.login_s)");
		break;
	case SESSION_DELAY:
		session_on_delay(s);
		break;
	case SESSION_PARK:
		on_park_timer(s);
		break;
	case SESSION_DIAL:
		meter_limit(s->proxy, LIMIT_DIAL_S);
		session_refused(s, REJECT_DOWN, "backend: connection timed out");
		break;
	case SESSION_LOGIN:
		meter_limit(s->proxy, LIMIT_BACKEND_LOGIN_S);
		session_refused(s, REJECT_DOWN, "backend: login timed out");
		break;
	case SESSION_DRAIN:
		on_drain_timer(s);
		break;
	case SESSION_QUIET: /* never resumed by a timer */
		session_close_with_bye(s, s->proxy->settings->cutover.bye,
				       "no verdict in time");
		break;
	case SESSION_PARTING:
		session_close(s, "asked nothing any more");
		break;
	case SESSION_RELAY:
	case SESSION_CLOSED:
		break;
	}
}

/* ---- the beginning */

void session_new_id(char *out)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	unsigned char raw[SESSION_ID_MAX - 1];

	if (RAND_bytes(raw, sizeof raw) != 1)
		BUG("no randomness");
	for (size_t i = 0; i < sizeof raw; i++)
		out[i] = digits[raw[i] % 36];
	out[sizeof raw] = '\0';
}

static void set_origin(struct session *s, const struct origin *origin)
{
	char peer[ENDPOINT_TEXT_MAX];

	s->origin = *origin;
	endpoint_text(&origin->from, peer);
	free(s->peer);
	s->peer = mem_str(peer);
	s->about.peer = s->peer;
}

/* A proxy that we trust is not counted: it speaks for many, and says for whom. */
static int arrive(struct proxy *p, const struct listener_conf *l, struct guarded *g,
		  const struct endpoint *from)
{
	return networks_have(l->trusted, from) ? 0 : guard_arrive(p->guard, g, from);
}

int session_move(struct session *s, const struct origin *origin)
{
	struct proxy *p = s->proxy;

	guard_leave(p->guard, &s->guarded);
	set_origin(s, origin);
	if (arrive(p, s->listener, &s->guarded, &origin->from) == 0)
		return 0;
	meter_limit(p, LIMIT_PREAUTH_PER_ADDRESS);
	session_close_with_bye(s, "Too many connections.",
			       "too many connections without a login "
			       "(limits.preauth_per_address)");
	return -1;
}

/* Its address has too many that do not log in: not worth a handshake. */
static void turn_away(struct proxy *p, const struct listener_conf *l, int fd,
		      const struct endpoint *from)
{
	const char *words = l->proto == PROTO_IMAP
				    ? "* BYE Too many connections.\r\n"
				    : "-ERR [SYS/TEMP] Too many connections.\r\n";
	int64_t now = clock_mono_ms();
	char peer[ENDPOINT_TEXT_MAX];

	meter_limit(p, LIMIT_PREAUTH_PER_ADDRESS);
	if (now - p->crowd_logged_ms >= CROWD_LOG_MS) {
		p->crowd_logged_ms = now;
		endpoint_text(from, peer);
		log_warn(NULL,
			 "%s: turned away: too many connections without a login "
			 "(limits.preauth_per_address)",
			 peer);
	}
	if (l->tls != TLS_IMPLICIT && send(fd, words, strlen(words), MSG_NOSIGNAL) < 0)
		log_debug(NULL, "a client that was turned away did not wait to hear it");
	close(fd);
}

void session_new(struct proxy *p, const struct listener_conf *l, int fd,
		 const struct origin *origin)
{
	struct guarded guarded = { 0 };
	struct session *s;

	metrics_add(p->metrics, METER_CONNECTIONS, AT(l->proto), 1);
	if (arrive(p, l, &guarded, &origin->from) < 0) {
		turn_away(p, l, fd, &origin->from);
		return;
	}
	s = mem_new(sizeof *s);
	s->proxy = p;
	s->guarded = guarded;
	s->listener = l;
	s->protocol = l->proto == PROTO_IMAP ? &imap_protocol : &pop3_protocol;
	session_new_id(s->id);
	s->arrived = *origin;
	s->hops = IDENTITY_HOPS;
	set_origin(s, origin);
	s->about = (struct log_about){ .what = "session",
				       .id = s->id,
				       .proto = s->protocol->name,
				       .peer = s->peer,
				       .state = rules[SESSION_GREET].name };
	s->since_ms = clock_real_ms();
	s->state_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&p->sessions, s, link);
	TAILQ_INSERT_TAIL(&p->silent, s, queue);
	p->session_count++;
	p->preauth_count++;
	session_arm(s);
	log_debug(&s->about, "connected to %s", l->name);
	s->client = stream_accept(
		&p->loop, fd,
		l->tls == TLS_IMPLICIT ? tls_server_start(p->tls, s->protocol->name) : NULL,
		session_on_client, s);
	if (l->tls != TLS_IMPLICIT)
		session_client_up(s);
}
