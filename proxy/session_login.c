/* Hides: the way from a name and a password to a backend that has accepted them, or to a wait.
 */
#include "proxy/session_impl.h"

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/learned.h"
#include "proxy/past.h"
#include "proxy/shadow.h"
#include "proxy/uses.h"
#include "proxy/trace.h"
#include "proxy/validity.h"

#define TURN_MS	       18000 /* a login waits no longer for its turn: clients bear 20 s */
#define REFUSAL_MAX_MS 10000 /* no refusal is kept back longer because one took so long */

void session_to_auth(struct session *s)
{
	s->at_user = false;
	s->about.doing = s->about.side = NULL;
	trace_leave(s);
	session_leave_route(s);
	if (s->state != SESSION_AUTH)
		session_enter(s, SESSION_AUTH);
	stream_resume(s->client);
	stream_poke(s->client);
}

void session_count_hold(struct session *s, const char *released_to)
{
	int64_t held = clock_mono_ms() - s->parked_ms;
	enum meter_release to = strcmp(released_to, "old") == 0	  ? RELEASED_OLD
				: strcmp(released_to, "new") == 0 ? RELEASED_NEW
								  : RELEASED_REFUSED;

	if (!s->parked_ms)
		return;
	metrics_add(s->proxy->metrics, METER_HOLDS, AT(s->protocol->kind, to), 1);
	metrics_observe(s->proxy->metrics, METER_HOLD_SECONDS, AT_ALL, (double)held / 1000);
	log_info(&s->about, "login was held %lld ms, goes to %s", (long long)held, released_to);
	follower_hold(s->proxy->follower, s->login.name, s->protocol->name,
		      clock_real_ms() - held, held, released_to);
	s->held_ms += held;
	s->parked_ms = 0;
}

static void count_login(struct session *s, enum reject r)
{
	struct metrics *m = s->proxy->metrics;
	bool asked = s->state == SESSION_DIAL || s->state == SESSION_LOGIN;
	double now = (double)clock_mono_ms();

	if (asked)
		past_login(s, r);
	metrics_add(
		m, METER_LOGINS,
		AT(s->protocol->kind, asked ? METER_SIDE(s->back.side) : METER_SIDE_NONE, r),
		1);
	if (r == REJECT_NONE) {
		metrics_observe(m, METER_LOGIN_SECONDS, AT(s->protocol->kind),
				(now - (double)s->login.asked_ms) / 1000);
		metrics_observe(m, METER_BACKEND_LOGIN_SECONDS, AT(s->back.side),
				(now - (double)s->state_ms) / 1000);
	} else if (r == REJECT_DOWN && asked) {
		metrics_add(m, METER_BACKEND_FAILURES, AT(s->back.side), 1);
		if (s->state == SESSION_DIAL)
			metrics_set(m, METER_BACKEND_UP, AT(s->back.side, s->protocol->kind),
				    0);
	}
}

/* Wrong passwords, and logins that were not even asked for, are not tried for ever. */
static bool counts_as_try(enum reject r)
{
	return r == REJECT_BAD_LOGIN || r == REJECT_DELAY || r == REJECT_LIMIT;
}

static void give_answer(struct session *s, enum reject r, bool to_user)
{
	unsigned most = (unsigned)s->proxy->settings->limits.login_tries;
	bool last = counts_as_try(r) && ++s->login.tries >= most;

	if (last) /* no time for reasons */
		buf_release(&s->login.challenge);
	if (to_user)
		s->protocol->answer_user(s, r);
	else
		s->protocol->answer(s, r);
	s->held_ms = 0; /* of the next login; what is held at USER belongs to its PASS */
	if (last) {
		meter_limit(s->proxy, LIMIT_LOGIN_TRIES);
		session_close_with_bye(s, "Too many failed logins.",
				       "too many failed logins (limits.login_tries)");
		return;
	}
	session_to_auth(s);
}

/* ---- the time that a refusal takes */

/* The longest of late; falls slowly when refusals become quicker. */
static void learn_refusal_time(struct session *s)
{
	int64_t *known = &s->proxy->refusal_ms[s->back.side];
	int64_t took = MIN(clock_mono_ms() - s->login.dialed_ms, (int64_t)REFUSAL_MAX_MS);

	*known = MAX(took, *known - (*known - took) / 8);
}

/*
 * How long a refusal is kept back yet. Whether a name exists, is one at all, or belongs to a
 * user who was moved must not show in the time of the answer: all take as long as the slower of
 * both servers took lately, and at least limits.refusal_s.
 */
static int64_t refusal_wait_ms(const struct session *s)
{
	const struct proxy *p = s->proxy;
	int64_t least = 1000LL * p->settings->limits.refusal_s;
	int64_t since = s->login.dialed_ms ? s->login.dialed_ms : clock_mono_ms();

	for (int side = 0; side < SIDES; side++)
		least = MAX(least, p->refusal_ms[side]);
	return MAX(since + least - clock_mono_ms(), (int64_t)0);
}

static void owe(struct session *s, enum reject r, int64_t ms)
{
	meter_limit(s->proxy, LIMIT_REFUSAL_S);
	session_leave_route(s);
	s->about.doing = "keeping the refusal back";
	s->owed = r;
	session_delay(s, ms);
}

/* Nothing is left of the way to a server, nor does what the store was asked for it count any more. */
static void leave_way(struct session *s)
{
	stream_free(&s->backend);
	session_forget_backend(s);
	validity_end(s);
}

void session_refused(struct session *s, enum reject r, const char *why)
{
	bool was_user = s->at_user;
	int64_t wait;

	if (s->state == SESSION_CLOSED)
		return;
	if (s->shadow) {
		shadow_refused(s, r, why);
		return;
	}
	log_info(&s->about, "login refused: %s", why);
	trace_note(s, "login refused: %s", why);
	/* The client's password was proved: another one would not help. */
	if (s->back.master && r == REJECT_BAD_LOGIN) {
		log_error(&s->about,
			  "backend \"%s\" does not take the login of proxy_master_user",
			  side_name(s->back.side));
		r = REJECT_DOWN;
	}
	count_login(s, r);
	if (r == REJECT_BAD_LOGIN && s->state == SESSION_LOGIN)
		learn_refusal_time(s);
	guard_settle(s->proxy->guard, &s->guarded, s->login.name,
		     r == REJECT_BAD_LOGIN ? GUARD_WRONG : GUARD_UNKNOWN);
	leave_way(s);
	secret_release(&s->login.password);
	mem_free(&s->login.proved_as);
	if (s->state == SESSION_PARK)
		session_count_hold(s, "refused");
	wait = r == REJECT_BAD_LOGIN ? refusal_wait_ms(s) : 0;
	if (wait)
		owe(s, r, wait);
	else
		give_answer(s, r, was_user);
}

void session_park(struct session *s)
{
	struct proxy *p = s->proxy;

	leave_way(s);
	if (p->parked_count >= (size_t)p->settings->limits.parked) {
		meter_limit(p, LIMIT_PARKED);
		session_refused(s, REJECT_MOVING, "too many logins wait (limits.parked)");
		return;
	}
	if (!s->parked_ms)
		s->parked_ms = s->kept_alive_ms = clock_mono_ms();
	s->about.doing = "waiting for the cutover";
	session_enter(s, SESSION_PARK);
	log_info(&s->about, "login waits: the user is %s", user_state_name(s->route->state));
}

/* ---- the route */

/* The one place that looks where to go; the route it looks at was registered with before. */
void session_ask_route(struct session *s)
{
	struct route *r = s->route;

	s->change = r->change;
	trace_join(s);
	if (user_route(r->state) == ROUTE_HOLD) {
		session_park(s);
		return;
	}
	if (!proxy_may_serve(s->proxy, r)) {
		session_refused(s, REJECT_DOWN, "this node has lost the store");
		return;
	}
	s->side = user_side(r->state, r->direction);
	s->routed_state = r->state;
	s->routed_flip = r->flipped_at;
	if (s->parked_ms)
		session_count_hold(s, side_name(s->side));
	s->login.dialed_ms = clock_mono_ms();
	validity_begin(s);
	session_dial(s);
}

static void set_name(struct session *s, const char *name)
{
	free(s->login.name);
	s->login.name = mem_str(name);
	s->about.user = s->login.name;
}

/* Registers with the route; -1: the name is none. */
static int join_route(struct session *s)
{
	struct proxy *p = s->proxy;
	struct login_name_rules rules_of_names = settings_login_rules(p->settings);
	char name[LOGIN_NAME_MAX + 1];
	struct route *r;

	if (login_name_normalise(slice_of(s->login.typed), &rules_of_names, name, sizeof name) <
	    0)
		return -1;
	r = routes_get(p->routes, name);
	set_name(s, r->name);
	s->route = r;
	route_add_session(r, s);
	return 0;
}

/* ---- its turn */

/* A name that is none is asked for nowhere, but waits and is refused like any other. */
static void take_turn(struct session *s)
{
	int64_t waited = clock_mono_ms() - s->login.asked_ms, wait;
	enum limit by = LIMIT_LOGIN_DELAY_S;
	char why[96];

	s->owed = REJECT_NONE;
	wait = guard_ask(s->proxy->guard, &s->guarded, s->login.name, &by);
	if (wait == 0) {
		if (s->route)
			session_ask_route(s);
		else
			session_refused(s, REJECT_BAD_LOGIN, "not a login name");
		return;
	}
	if (s->state != SESSION_DELAY)
		meter_limit(s->proxy, by);
	if (waited + wait > TURN_MS) {
		snprintf(why, sizeof why, "its turn would come too late (limits.%s)",
			 limit_name(by));
		session_refused(s, REJECT_DELAY, why);
		return;
	}
	s->about.doing = "waiting for its turn";
	session_delay(s, wait);
}

void session_on_delay(struct session *s)
{
	enum reject r = s->owed;

	if (r == REJECT_NONE) {
		take_turn(s);
		return;
	}
	s->owed = REJECT_NONE;
	give_answer(s, r, false);
}

void session_login(struct session *s)
{
	mem_free(&s->login.proved_as);
	stream_pause(s->client);
	s->login.asked_ms = clock_mono_ms();
	s->login.dialed_ms = 0;
	if (join_route(s) < 0)
		set_name(s, "");
	take_turn(s);
}

bool session_may_answer_user(struct session *s)
{
	if (join_route(s) < 0)
		return true; /* the backend's answer to PASS, later, is the same for all names
			      */
	if (user_route(s->route->state) != ROUTE_HOLD) {
		session_leave_route(s);
		return true;
	}
	stream_pause(s->client);
	s->at_user = true;
	session_park(s);
	return false;
}

/* How many of the user's sessions and of the address's are in already; else it is refused. */
static bool has_place(struct session *s)
{
	size_t most = (size_t)s->proxy->settings->limits.sessions_per_user, inside = 0;
	struct session *other;

	TAILQ_FOREACH (other, &s->route->sessions, on_route)
		inside += other->state >= SESSION_RELAY;
	if (most && inside >= most) {
		meter_limit(s->proxy, LIMIT_SESSIONS_PER_USER);
		session_refused(s, REJECT_LIMIT,
				"the user has too many sessions (limits.sessions_per_user)");
		return false;
	}
	if (guard_enter(s->proxy->guard, &s->guarded) < 0) {
		meter_limit(s->proxy, LIMIT_SESSIONS_PER_ADDRESS);
		session_refused(
			s, REJECT_LIMIT,
			"the address has too many sessions (limits.sessions_per_address)");
		return false;
	}
	return true;
}

void session_accepted(struct session *s)
{
	struct route *r = s->route;

	if (s->shadow) {
		shadow_accepted(s);
		return;
	}
	if (s->change != r->change) { /* moved while we were logging in */
		if (user_is_held(r->state) || user_side(r->state, r->direction) != s->side) {
			session_ask_route(s);
			return;
		}
		s->change = r->change;
	}
	if (!proxy_may_serve(s->proxy, r)) {
		session_refused(s, REJECT_DOWN, "this node has lost the store");
		return;
	}
	if (s->back.side != s->side) {
		session_proved(s);
		return;
	}
	if (!validity_ready(s))
		return;
	guard_settle(s->proxy->guard, &s->guarded, s->login.name, GUARD_RIGHT);
	if (!has_place(s))
		return;
	if (r->stranger)
		follower_stranger(s->proxy->follower, r->name);
	count_login(s, REJECT_NONE);
	uses_note(s, USAGE_BIT(s->protocol->kind == PROTO_IMAP ? USAGE_IMAP_SESSIONS
							       : USAGE_POP3_SESSIONS));
	shadow_begin(s);
	learned_note(s);
	s->protocol->welcome(s);
	session_forget_login(s);
	memset(&s->open, 0, sizeof s->open);
	trace_relays(s);
	s->about.doing = NULL;
	stream_relays(s->client);
	stream_relays(s->backend);
	stream_ask_first(s->backend, session_may_send);
	session_enter(s, SESSION_RELAY);
	log_info(&s->about, "logged in (%lld ms)%s%s",
		 (long long)(clock_real_ms() - s->since_ms), s->client_id ? ", with " : "",
		 s->client_id ? s->client_id : "");
	stream_resume(s->client);
	stream_poke(s->client);
	stream_poke(s->backend);
	if (s->dismissed)
		session_dismiss(s);
}
