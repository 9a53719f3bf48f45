/* Hides: the way from a name and a password to a backend that has accepted them, or to a wait.
 */
#include "proxy/session_impl.h"

#include "common/clock.h"
#include "proxy/backend.h"
#include "proxy/follower.h"

void session_to_auth(struct session *s)
{
	s->at_user = false;
	s->about.doing = s->about.side = NULL;
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
	s->parked_ms = 0;
}

static void count_login(struct session *s, enum reject r)
{
	struct metrics *m = s->proxy->metrics;
	bool asked = s->state == SESSION_DIAL || s->state == SESSION_LOGIN;
	double now = (double)clock_mono_ms();

	metrics_add(m, METER_LOGINS,
		    AT(s->protocol->kind, asked ? METER_SIDE(s->side) : METER_SIDE_NONE, r), 1);
	if (r == REJECT_NONE) {
		metrics_observe(m, METER_LOGIN_SECONDS, AT(s->protocol->kind),
				(now - (double)s->login.asked_ms) / 1000);
		metrics_observe(m, METER_BACKEND_LOGIN_SECONDS, AT(s->side),
				(now - (double)s->state_ms) / 1000);
	} else if (r == REJECT_DOWN && asked) {
		metrics_add(m, METER_BACKEND_FAILURES, AT(s->side), 1);
		if (s->state == SESSION_DIAL)
			metrics_set(m, METER_BACKEND_UP, AT(s->side, s->protocol->kind), 0);
	}
}

void session_refused(struct session *s, enum reject r, const char *why)
{
	const struct settings *set = s->proxy->settings;
	bool was_user = s->at_user;

	if (s->state == SESSION_CLOSED)
		return;
	log_info(&s->about, "login refused: %s", why);
	count_login(s, r);
	stream_free(&s->backend);
	buf_wipe(&s->back.caps);
	secret_release(&s->login.password);
	if (s->state == SESSION_PARK)
		session_count_hold(s, "refused");
	if (was_user)
		s->protocol->answer_user(s, r);
	else
		s->protocol->answer(s, r);
	if (r == REJECT_BAD_LOGIN && ++s->login.tries >= (unsigned)set->limits.login_tries) {
		meter_limit(s->proxy, LIMIT_LOGIN_TRIES);
		session_close_with_bye(s, "Too many failed logins.", "too many failed logins");
		return;
	}
	session_to_auth(s);
}

void session_park(struct session *s)
{
	struct proxy *p = s->proxy;

	stream_free(&s->backend);
	buf_wipe(&s->back.caps);
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

static void dial(struct session *s)
{
	struct proxy *p = s->proxy;
	struct err e = { 0 };

	s->about.side = side_name(s->side);
	s->about.doing = "connecting";
	stream_free(&s->backend);
	buf_wipe(&s->back.caps);
	s->back.step = 0;
	session_enter(s, SESSION_DIAL);
	s->backend = backend_connect(p->backend[s->side], &p->loop, s->protocol->kind,
				     session_on_backend, s, &e);
	if (!s->backend)
		session_refused(s, REJECT_DOWN, e.text);
	else
		identity_introduce(s);
}

/* The one place that looks where to go; the route it looks at was registered with before. */
void session_ask_route(struct session *s)
{
	struct route *r = s->route;

	s->change = r->change;
	s->about.traced = r->traced;
	if (user_route(r->state) == ROUTE_HOLD) {
		session_park(s);
		return;
	}
	if (!user_is_final(r->state) && !proxy_has_lease(s->proxy)) {
		session_refused(s, REJECT_DOWN, "this node has lost the store: no lease");
		return;
	}
	s->side = user_side(r->state, r->direction);
	s->routed_state = r->state;
	s->routed_flip = r->flipped_at;
	if (s->parked_ms)
		session_count_hold(s, side_name(s->side));
	dial(s);
}

/* Registers with the route; -1: the name is none. */
static int join_route(struct session *s)
{
	struct proxy *p = s->proxy;
	struct login_name_rules rules_of_names = settings_login_rules(p->settings);
	struct route *r;

	if (login_name_normalise(slice_of(s->login.typed), &rules_of_names, s->login.name,
				 sizeof s->login.name) < 0)
		return -1;
	r = routes_get(p->routes, s->login.name);
	snprintf(s->login.name, sizeof s->login.name, "%s", r->name);
	s->about.user = s->login.name;
	s->route = r;
	route_add_session(r, s);
	return 0;
}

void session_login(struct session *s)
{
	stream_pause(s->client);
	s->login.asked_ms = clock_mono_ms();
	if (join_route(s) < 0) {
		session_refused(s, REJECT_BAD_LOGIN, "not a login name");
		return;
	}
	session_ask_route(s);
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

void session_accepted(struct session *s)
{
	struct route *r = s->route;

	if (s->change != r->change) { /* moved while we were logging in */
		if (user_is_held(r->state) || user_side(r->state, r->direction) != s->side) {
			session_ask_route(s);
			return;
		}
		s->change = r->change;
	}
	if (!user_is_final(r->state) && !proxy_has_lease(s->proxy)) {
		session_refused(s, REJECT_DOWN, "this node has lost the store: no lease");
		return;
	}
	if (r->stranger)
		follower_stranger(s->proxy->follower, r->name);
	count_login(s, REJECT_NONE);
	s->protocol->welcome(s);
	session_forget_login(s);
	memset(&s->open, 0, sizeof s->open);
	s->about.doing = NULL;
	session_enter(s, SESSION_RELAY);
	log_info(&s->about, "logged in (%lld ms)", (long long)(clock_real_ms() - s->since_ms));
	stream_resume(s->client);
	stream_poke(s->client);
	stream_poke(s->backend);
	if (s->dismissed)
		session_dismiss(s);
}
