/* Hides: what a session needs to be one without a client. */
#include "proxy/shadow.h"

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/identity.h"
#include "proxy/session_impl.h"

struct shadow {
	struct route route; /* a copy without sessions: the user's cutover does not wait for us */
};

/* Where a master user logs in on new, no client's password is ever asked there. */
static bool is_asked_on_new(const struct settings *set)
{
	return !set->backend[SIDE_NEW].proxy_master_user;
}

static bool is_wanted(const struct session *s)
{
	const struct proxy *p = s->proxy;

	return p->settings->gate.shadow_login && s->side == SIDE_OLD && !s->route->stranger &&
	       s->login.mech == SASL_PLAIN && is_asked_on_new(p->settings) &&
	       s->route->state != USER_PENDING && p->shadow_count < SHADOWS_MAX;
}

static struct shadow *shadow_new(const struct route *r)
{
	struct shadow *sh = mem_new(sizeof *sh);

	sh->route = (struct route){ .name = mem_str(r->name),
				    .state = r->state,
				    .direction = r->direction,
				    .change = r->change };
	for (int side = 0; side < SIDES; side++)
		if (r->login[side])
			sh->route.login[side] = mem_str(r->login[side]);
	TAILQ_INIT(&sh->route.sessions);
	return sh;
}

void shadow_free(struct shadow **sh)
{
	if (!*sh)
		return;
	free((*sh)->route.name);
	for (int side = 0; side < SIDES; side++)
		free((*sh)->route.login[side]);
	mem_free(sh);
}

static struct session *session_like(const struct session *s)
{
	struct session *n = mem_new(sizeof *n);
	struct slice password = secret_slice(&s->login.password);

	n->proxy = s->proxy;
	n->protocol = s->protocol;
	n->listener = s->listener;
	n->arrived = s->arrived;
	n->origin = identity_origin(s);
	n->hops = s->hops;
	n->side = SIDE_NEW;
	n->state = SESSION_DIAL;
	n->since_ms = clock_real_ms();
	n->login.typed = mem_str(s->login.typed);
	n->login.name = mem_str(s->login.name);
	n->login.mech = s->login.mech;
	secret_set(&n->login.password, password.p, password.n);
	n->peer = mem_str(s->peer);
	n->shadow = shadow_new(s->route);
	n->route = &n->shadow->route;
	session_new_id(n->id);
	n->about = (struct log_about){ .what = "shadow",
				       .id = n->id,
				       .proto = n->protocol->name,
				       .peer = n->peer,
				       .user = n->login.name,
				       .state = session_state_name(n->state) };
	return n;
}

void shadow_begin(const struct session *s)
{
	struct proxy *p = s->proxy;
	struct session *n;

	if (!is_wanted(s))
		return;
	n = session_like(s);
	TAILQ_INSERT_TAIL(&p->shadows, n, link);
	p->shadow_count++;
	follower_shadow_claim(p->follower, n->login.name, n->id);
}

/* The reaper frees it: we may be under a callback of its stream. */
static void end(struct session *s)
{
	struct proxy *p = s->proxy;

	session_disarm(s);
	stream_free(&s->backend);
	session_forget_login(s);
	s->route = NULL;
	s->state = SESSION_CLOSED;
	TAILQ_REMOVE(&p->shadows, s, link);
	TAILQ_INSERT_TAIL(&p->closed, s, link);
	p->shadow_count--;
	event_active(p->reaper, 0, 0);
}

void shadow_arrived(struct proxy *p, const char *session, bool mine)
{
	struct session *s;

	TAILQ_FOREACH (s, &p->shadows, link)
		if (strcmp(s->id, session) == 0)
			break;
	if (!s)
		return;
	if (mine)
		session_dial(s);
	else
		end(s);
}

void shadow_accepted(struct session *s)
{
	log_info(&s->about, "new takes the password that old has taken");
	follower_shadow_answer(s->proxy->follower, s->login.name, true);
	s->protocol->leave_backend(s);
	stream_retire(&s->backend, PROXY_LINGER_MS, NULL, NULL);
	end(s);
}

void shadow_refused(struct session *s, enum reject r, const char *why)
{
	if (r == REJECT_BAD_LOGIN) {
		log_warn(&s->about, "new refuses the password that old has taken: %s", why);
		follower_shadow_answer(s->proxy->follower, s->login.name, false);
	} else {
		log_info(&s->about, "not known whether new takes the password: %s", why);
		follower_shadow_again(s->proxy->follower, s->login.name, SHADOW_AGAIN_MS);
	}
	end(s);
}

void shadows_stop(struct proxy *p)
{
	while (!TAILQ_EMPTY(&p->shadows))
		end(TAILQ_FIRST(&p->shadows));
}
