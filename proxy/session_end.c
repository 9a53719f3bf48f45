/* Hides: what ends a session, what its client still hears, and when its backend has really
 * gone. */
#include "proxy/session.h"

#include "common/clock.h"
#include "proxy/ending.h"
#include "proxy/past.h"
#include "proxy/session_impl.h"
#include "proxy/trace.h"

#define EVICTED_LINGER_MS 500

struct ghost {
	struct proxy *proxy;
	struct route *route;
};

/* A backend connection that we left has really ended: only now can it no longer change mail. */
static void ghost_gone(void *arg, bool by_peer UNUSED)
{
	struct ghost *g = arg;

	/* When this process ends, its closing proves nothing: nobody is told. */
	if (g->proxy->follower)
		route_remove_ghost(g->proxy->routes, g->route);
	free(g);
}

void session_leave_backend(struct session *s, bool politely)
{
	bool quiet = s->protocol->quiet(s), ends, torn;
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
	torn = !politely && stream_queued(s->backend);
	if (torn) /* it may stand in the middle of a literal: no word of ours behind it */
		stream_drop_queued(s->backend);
	/* With a command open only the server's own end proves that the command has, too. */
	ends = (politely || !quiet) && !torn && s->protocol->leave_backend(s);
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
	session_end_row(s);
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

	session_leave_backend(s, true);
	past_let_go(s, linger_ms);
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
	past_drop(s, why, false);
	past_forget(s);
	session_leave_backend(s, false);
	stream_free(&s->client);
	end(s, END_CUT, why);
}

const char *session_last_words(const struct session *s)
{
	return s->last_words ? s->last_words : s->proxy->settings->cutover.bye;
}

void session_close_with_bye(struct session *s, const char *bye, const char *why)
{
	if (s->state == SESSION_CLOSED)
		return;
	past_drop(s, why, s->protocol->at_line(s) && s->protocol->say_bye(s, bye));
	close_politely(s, END_BYE, why);
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
