/* Hides: how a session moves between its states, and what ends it. */
#include "proxy/session.h"

#include <openssl/rand.h>

#include "common/clock.h"
#include "common/wire/alien.h"
#include "proxy/ending.h"
#include "proxy/session_impl.h"
#include "proxy/trace.h"

#define NEXT(s)		  (1u << SESSION_##s)
#define DRAIN_LOOK_MS	  1000 /* how often a draining session is looked at for standing still */
#define VERDICT_GRACE_MS  2000 /* after hold_until: time for somebody's undo to reach us */
#define KEEP_ALIVE_MS	  10000
#define INPUT_KEEP	  (64 * 1024) /* of a client whose next command must wait */
#define EVICTED_LINGER_MS 500
#define CROWD_LOG_MS	  1000 /* refused connections are told at most this often */

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

static stream_fn on_client;

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

static void disarm_timer(struct session *s)
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
static bool is_held(const struct session *s)
{
	return s->route && user_is_held(s->route->state);
}

/* How long the session may stay in its state, or until it is looked at next. */
static int64_t deadline_ms(const struct session *s)
{
	const struct settings *set = s->proxy->settings;
	int64_t parked = clock_mono_ms() - s->parked_ms;

	switch (s->state) {
	case SESSION_GREET:
		return 1000LL * set->limits.handshake_s;
	case SESSION_AUTH:
		return 1000LL * set->limits.login_s;
	case SESSION_DELAY:
		return s->wait_ms;
	case SESSION_PARK:
		return MIN((int64_t)KEEP_ALIVE_MS,
			   MAX(1000LL * set->cutover.hold_s - parked, (int64_t)0));
	case SESSION_DIAL:
		return 1000LL * set->limits.dial_s;
	case SESSION_LOGIN:
		return 1000LL * set->limits.backend_login_s;
	case SESSION_DRAIN:
		if (!is_held(s))
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
static void was_heard(struct session *s)
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
		disarm_timer(s);
	else
		arm_timer(s, deadline_ms(s));
}

void session_delay(struct session *s, int64_t ms)
{
	s->wait_ms = (int)ms;
	if (s->state == SESSION_DELAY)
		arm_timer(s, ms);
	else
		session_enter(s, SESSION_DELAY);
}

static void new_id(char *out)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	unsigned char raw[SESSION_ID_MAX - 1];

	if (RAND_bytes(raw, sizeof raw) != 1)
		BUG("no randomness");
	for (size_t i = 0; i < sizeof raw; i++)
		out[i] = digits[raw[i] % 36];
	out[sizeof raw] = '\0';
}

/* ---- the end */

struct ghost {
	struct proxy *proxy;
	struct route *route;
};

/* A backend connection that we left has really ended: only now can it no longer change mail. */
static void ghost_gone(void *arg)
{
	struct ghost *g = arg;

	/* When this process ends, its closing proves nothing: nobody is told. */
	if (g->proxy->follower)
		route_remove_ghost(g->proxy->routes, g->route);
	free(g);
}

static void leave_backend(struct session *s, bool politely)
{
	bool quiet = s->protocol->quiet(s), ends;
	struct ghost *g;

	if (!s->backend)
		return;
	if (s->state < SESSION_RELAY) { /* nothing of the client's has passed */
		stream_free(&s->backend);
		return;
	}
	g = mem_new(sizeof *g);
	*g = (struct ghost){ s->proxy, s->route };
	route_add_ghost(s->route);
	/* With a command open only the server's own end proves that the command has, too. */
	ends = (politely || !quiet) && s->protocol->leave_backend(s);
	if (quiet)
		stream_retire(&s->backend, PROXY_GHOST_MS, ghost_gone, g);
	else if (ends)
		stream_await(&s->backend, PROXY_COMMAND_MS, ghost_gone, g);
	else
		stream_retire(&s->backend, STREAM_UNTIL_GONE, ghost_gone, g);
}

void session_forget_login(struct session *s)
{
	mem_free(&s->id_fields);
	secret_release(&s->login.password);
	buf_release(&s->login.challenge);
	mem_free(&s->login.proved_as);
	mem_free(&s->login.typed);
	mem_free(&s->login.tag);
	session_forget_backend(s);
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

void session_leave_route(struct session *s)
{
	struct route *r = s->route;

	s->route = NULL;
	if (r)
		route_remove_session(s->proxy->routes, r, s);
}

static void end(struct session *s, enum meter_end how, const char *why)
{
	struct proxy *p = s->proxy;

	log_info(&s->about, "closed: %s (%.1f s, %llu bytes up, %llu down)", why,
		 (double)(clock_real_ms() - s->since_ms) / 1000,
		 (unsigned long long)s->bytes_up, (unsigned long long)s->bytes_down);
	metrics_add(p->metrics, METER_CLOSED, AT(s->protocol->kind, how), 1);
	session_enter(s, SESSION_CLOSED);
	session_forget_login(s);
	guard_leave(p->guard, &s->guarded);
	if (s->dropping)
		TAILQ_REMOVE(&p->dropping, s, queue);
	s->dropping = false;
	TAILQ_REMOVE(&p->sessions, s, link);
	TAILQ_INSERT_TAIL(&p->closed, s, link);
	p->session_count--;
	event_active(p->reaper, 0, 0);
	ending_let_go(s);
	trace_note(s, "closed: %s", why);
	trace_leave(s);
	session_leave_route(s);
}

static void close_politely(struct session *s, enum meter_end how, const char *why)
{
	/* Who is evicted makes room: his descriptor must go soon. */
	int linger_ms = how == END_EVICTED ? EVICTED_LINGER_MS : PROXY_LINGER_MS;

	leave_backend(s, true);
	stream_retire(&s->client, linger_ms, NULL, NULL);
	end(s, how, why);
}

void session_evict(struct session *s)
{
	if (s->state != SESSION_GREET)
		s->protocol->say_bye(s, "Too many connections, please try again later.");
	close_politely(s, END_EVICTED,
		       "evicted, as the oldest without a login (limits.preauth_sessions)");
}

void session_close(struct session *s, const char *why)
{
	if (s->state != SESSION_CLOSED)
		close_politely(s, END_LEFT, why);
}

void session_close_by_limit(struct session *s, enum limit l, const char *why)
{
	char text[128];

	meter_limit(s->proxy, l);
	snprintf(text, sizeof text, "%s (limits.%s)", why, limit_name(l));
	session_close(s, text);
}

void session_cut(struct session *s, const char *why)
{
	if (s->state == SESSION_CLOSED)
		return;
	leave_backend(s, false);
	stream_free(&s->client);
	end(s, END_CUT, why);
}

static const char *last_words(const struct session *s)
{
	return s->last_words ? s->last_words : s->proxy->settings->cutover.bye;
}

void session_close_with_bye(struct session *s, const char *bye, const char *why)
{
	if (s->state == SESSION_CLOSED)
		return;
	if (s->protocol->at_line(s))
		s->protocol->say_bye(s, bye);
	close_politely(s, END_BYE, why);
}

/* ---- the relay */

/* Before any byte passes: a node that slept, or lost the store, must not serve who may have
 * moved. */
static bool may_forward(struct session *s)
{
	if (user_is_final(s->route->state) || proxy_has_lease(s->proxy))
		return true;
	routes_fence(s->proxy->routes);
	return false;
}

void session_send_up(struct session *s, const void *p, size_t n)
{
	if (n == 0)
		return;
	s->bytes_up += n;
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

void session_unblock(struct session *s)
{
	if (!s->blocked)
		return;
	pass_up(s);
	if (s->state != SESSION_CLOSED && !is_full(s) &&
	    stream_queued(s->backend) <= STREAM_HIGH)
		stream_resume(s->client);
}

bool session_is_quiet(const struct session *s)
{
	switch (s->state) {
	case SESSION_GREET:
	case SESSION_AUTH:
	case SESSION_DELAY:
	case SESSION_PARK:
	case SESSION_QUIET:
	case SESSION_PARTING:
	case SESSION_CLOSED:
		return true;
	case SESSION_DIAL:
	case SESSION_LOGIN:
	case SESSION_RELAY:
	case SESSION_DRAIN:
		return false;
	}
	return false;
}

static void quiet_down(struct session *s)
{
	session_enter(s, SESSION_QUIET);
	stream_pause(s->client);
	stream_pause(s->backend);
	route_check_quiet(s->proxy->routes, s->route);
}

/* No byte that passed can change mail any more, and what changed is written down. */
static bool is_settled(struct session *s)
{
	bool asks = is_held(s) && s->protocol->checkpoint &&
		    s->proxy->settings->backend[s->side].checkpoint;

	return s->protocol->quiet(s) && (!asks || s->protocol->checkpoint(s));
}

void session_relayed(struct session *s)
{
	if (s->state != SESSION_DRAIN || !is_settled(s))
		return;
	quiet_down(s);
	if (!is_held(s))
		session_part(s);
}

void session_hold(struct session *s)
{
	s->hold_at = s->route->hold_until;
	switch (s->state) {
	case SESSION_DIAL:
	case SESSION_LOGIN:
		s->change = s->route->change;
		session_park(s);
		break;
	case SESSION_RELAY:
		if (is_settled(s)) {
			quiet_down(s);
		} else {
			session_enter(s, SESSION_DRAIN);
			log_debug(&s->about, "drains");
		}
		break;
	case SESSION_DRAIN: /* from freezing to finalizing: the verdict's time may be another */
	case SESSION_QUIET:
		arm_timer(s, deadline_ms(s));
		break;
	case SESSION_GREET:
	case SESSION_AUTH:
	case SESSION_DELAY:
	case SESSION_PARK:
	case SESSION_PARTING:
	case SESSION_CLOSED:
		break;
	}
}

/* ---- the verdict */

static bool user_left(const struct session *s)
{
	return user_side(s->route->state, s->route->direction) != s->side;
}

/* PARTING has left its route: what its client will hear is settled before. */
void session_part(struct session *s)
{
	bool moved = !s->ending || user_left(s);
	const char *why = moved ? "the user was moved" : ending_why(s->ending);

	s->dropping = false;
	s->last_words = moved ? NULL : ending_bye(s->ending);
	if (s->protocol->kind == PROTO_POP3 && s->state == SESSION_QUIET) {
		leave_backend(s, true);
		ending_let_go(s);
		session_leave_route(s);
		session_enter(s, SESSION_PARTING);
		stream_resume(s->client);
		return;
	}
	if (moved && s->protocol->at_line(s))
		log_info(&s->about, "moved to %s: BYE",
			 side_name(s->side == SIDE_OLD ? SIDE_NEW : SIDE_OLD));
	session_close_with_bye(s, last_words(s), why);
}

/* ---- an end without a move */

void session_dismiss(struct session *s)
{
	switch (s->state) {
	case SESSION_GREET:
		session_close(s, ending_why(s->ending));
		break;
	case SESSION_AUTH:
		session_close_with_bye(s, ending_bye(s->ending), ending_why(s->ending));
		break;
	case SESSION_RELAY:
		session_enter(s, SESSION_DRAIN);
		session_relayed(s);
		break;
	case SESSION_DELAY: /* its login is answered first */
	case SESSION_PARK:
	case SESSION_DIAL:
	case SESSION_LOGIN:
	case SESSION_DRAIN: /* …and a cutover has its verdict first */
	case SESSION_QUIET:
	case SESSION_PARTING:
	case SESSION_CLOSED:
		break;
	}
}

void session_go_on(struct session *s)
{
	if (s->state != SESSION_DRAIN || is_held(s))
		return;
	session_enter(s, SESSION_RELAY);
	stream_poke(s->client);
}

void session_force(struct session *s, const char *bye, const char *why)
{
	char what[256];

	session_describe(s, what, sizeof what);
	log_warn(&s->about, "not at a boundary in time, %s: %s", why, what);
	if (s->protocol->at_line(s))
		session_close_with_bye(s, bye, why);
	else
		session_cut(s, why);
}

/* The BYEs of many users are paced, so that their clients do not all come back in one second.
 */
static void drop(struct session *s)
{
	struct proxy *p = s->proxy;

	if (s->dropping)
		return;
	if (p->drops_left >= 1 || s->state != SESSION_QUIET) {
		p->drops_left -= 1;
		session_part(s);
		return;
	}
	meter_limit(p, LIMIT_DROP_PER_S);
	s->dropping = true;
	disarm_timer(s);
	TAILQ_INSERT_TAIL(&p->dropping, s, queue);
}

/* Who is to end anyway does so now, or as soon as nothing is open. */
static void stay_to_end(struct session *s)
{
	if (s->state == SESSION_QUIET)
		session_part(s);
	else
		arm_timer(s, deadline_ms(s));
}

static void stay(struct session *s)
{
	if (s->state == SESSION_RELAY)
		return;
	if (s->dismissed) {
		stay_to_end(s);
		return;
	}
	session_enter(s, SESSION_RELAY);
	log_info(&s->about, "the cutover was undone: goes on");
	stream_resume(s->client);
	stream_resume(s->backend);
	stream_poke(s->client);
	stream_poke(s->backend);
}

static void release_parked(struct session *s)
{
	if (!s->at_user) {
		session_ask_route(s);
		return;
	}
	session_count_hold(s, side_name(user_side(s->route->state, s->route->direction)));
	s->protocol->answer_user(s, REJECT_NONE);
	session_to_auth(s);
}

void session_release(struct session *s)
{
	enum side side = user_side(s->route->state, s->route->direction);

	switch (s->state) {
	case SESSION_PARK:
		release_parked(s);
		break;
	case SESSION_DIAL:
	case SESSION_LOGIN:
		if (side != s->side)
			session_ask_route(s);
		break;
	case SESSION_RELAY:
	case SESSION_DRAIN:
	case SESSION_QUIET:
		if (side == s->side)
			stay(s);
		else
			drop(s);
		break;
	case SESSION_GREET:
	case SESSION_AUTH:
	case SESSION_DELAY: /* asks for its route later */
	case SESSION_PARTING:
	case SESSION_CLOSED:
		break;
	}
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
	arm_timer(s, deadline_ms(s));
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
		arm_timer(s, deadline_ms(s));
	}
}

static void on_drain_timer(struct session *s)
{
	if (is_held(s))
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
			was_heard(s);
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
		s->protocol->say_bye(s, last_words(s));
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

static void client_up(struct session *s)
{
	meter_handshake(s->proxy, PEER_CLIENT, s->client);
	if (stream_secure(s->client))
		was_heard(s);
	if (s->state == SESSION_GREET) {
		session_enter(s, SESSION_AUTH);
		s->protocol->greet(s);
	}
	stream_poke(s->client);
}

static void on_client(struct stream *st, enum stream_event ev, void *arg)
{
	struct session *s = arg;

	switch (ev) {
	case STREAM_UP:
		client_up(s);
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
		BUG("session %s: a backend in %s", s->id, rules[s->state].name);
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
		if ((s->state == SESSION_RELAY || s->state == SESSION_DRAIN) && !is_full(s))
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

/* ---- all of them */

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
	new_id(s->id);
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
	arm_timer(s, deadline_ms(s));
	log_debug(&s->about, "connected to %s", l->name);
	s->client = stream_accept(
		&p->loop, fd,
		l->tls == TLS_IMPLICIT ? tls_server_start(p->tls, s->protocol->name) : NULL,
		on_client, s);
	if (l->tls != TLS_IMPLICIT)
		client_up(s);
}
