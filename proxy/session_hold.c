/* Hides: how a session is brought to a boundary, and how it goes on or ends from there. */
#include "proxy/session.h"

#include "proxy/ending.h"
#include "proxy/past.h"
#include "proxy/session_impl.h"

/* ---- quiet */

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
	bool asks = session_is_held(s) && s->protocol->checkpoint &&
		    s->proxy->settings->backend[s->side].checkpoint;

	return s->protocol->quiet(s) && (!asks || s->protocol->checkpoint(s));
}

void session_relayed(struct session *s)
{
	if (s->state != SESSION_DRAIN || !is_settled(s))
		return;
	quiet_down(s);
	if (!session_is_held(s))
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
		session_arm(s);
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
	const char *why = moved ? DROP_MOVED : ending_why(s->ending);

	s->dropping = false;
	s->last_words = moved ? NULL : ending_bye(s->ending);
	if (s->protocol->kind == PROTO_POP3 && s->state == SESSION_QUIET) {
		past_drop(s, why, false);
		session_leave_backend(s, true);
		ending_let_go(s);
		session_leave_route(s);
		session_enter(s, SESSION_PARTING);
		stream_resume(s->client);
		return;
	}
	if (moved && s->protocol->at_line(s))
		log_info(&s->about, "moved to %s: BYE",
			 side_name(s->side == SIDE_OLD ? SIDE_NEW : SIDE_OLD));
	session_close_with_bye(s, session_last_words(s), why);
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
	if (s->state != SESSION_DRAIN || session_is_held(s))
		return;
	session_enter(s, SESSION_RELAY);
	stream_poke(s->client);
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
	session_disarm(s);
	TAILQ_INSERT_TAIL(&p->dropping, s, queue);
}

/* Who is to end anyway does so now, or as soon as nothing is open. */
static void stay_to_end(struct session *s)
{
	if (s->state == SESSION_QUIET)
		session_part(s);
	else
		session_arm(s);
}

static void stay(struct session *s)
{
	/* Two flips back its client was not told of the first one: it still is to be. */
	if (s->state == SESSION_RELAY || s->dropping)
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
