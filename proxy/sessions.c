/* Hides: what is done with all sessions: freeing, pacing of BYEs, rows for the store, shutdown.
 */
#include "proxy/session_impl.h"

#include "common/clock.h"
#include "proxy/follower.h"

#define DROP_TICK_MS   100
#define ROW_REFRESH_MS 10000 /* byte counts of a session that stays in its state */

void session_free_closed(struct proxy *p)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&p->closed))) {
		if (s->row_written)
			follower_session(p->follower,
					 &(struct session_row){ .id = s->id, .gone = true });
		TAILQ_REMOVE(&p->closed, s, link);
		event_free(s->timer);
		stream_free(&s->client);
		stream_free(&s->backend);
		free(s->login.typed);
		free(s);
	}
}

static void reap(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	session_free_closed(arg);
}

static void refill_drops(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct proxy *p = arg;
	double per_s = p->settings->limits.drop_per_s;
	struct session *s;

	p->drops_left = MIN(p->drops_left + per_s * DROP_TICK_MS / 1000, per_s);
	while (p->drops_left >= 1 && (s = TAILQ_FIRST(&p->dropping))) {
		TAILQ_REMOVE(&p->dropping, s, drop);
		p->drops_left -= 1;
		session_part(s);
	}
}

void sessions_init(struct proxy *p)
{
	struct timeval tick = { 0, DROP_TICK_MS * 1000 };

	TAILQ_INIT(&p->sessions);
	TAILQ_INIT(&p->closed);
	TAILQ_INIT(&p->dropping);
	p->drops_left = p->settings->limits.drop_per_s;
	p->reaper = event_new(p->loop.base, -1, 0, reap, p);
	p->dropper = event_new(p->loop.base, -1, EV_PERSIST, refill_drops, p);
	if (!p->reaper || !p->dropper)
		BUG("libevent makes no event");
	event_add(p->dropper, &tick);
}

void sessions_release(struct proxy *p)
{
	session_free_closed(p);
	event_free(p->reaper);
	event_free(p->dropper);
}

void session_describe(const struct session *s, char *out, size_t size)
{
	char what[128] = "";

	if (s->state >= SESSION_RELAY)
		s->protocol->describe(s, what, sizeof what);
	snprintf(out, size, "session %s %s from %s: %s%s%s", s->id, s->protocol->name, s->peer,
		 session_state_name(s->state), what[0] ? ", " : "", what);
}

static void write_row(struct session *s, int64_t now)
{
	char doing[128] = "";
	struct session_row row = { .id = s->id,
				   .name = s->login.name,
				   .proto = s->protocol->name,
				   .peer = s->peer,
				   .side = s->about.side ? s->about.side : "",
				   .state = session_state_name(s->state),
				   .doing = doing,
				   .since = s->since_ms,
				   .bytes_up = (int64_t)s->bytes_up,
				   .bytes_down = (int64_t)s->bytes_down };

	if (s->state >= SESSION_RELAY)
		s->protocol->describe(s, doing, sizeof doing);
	else if (s->about.doing)
		snprintf(doing, sizeof doing, "%s", s->about.doing);
	follower_session(s->proxy->follower, &row);
	s->row_written = true;
	s->row_state = s->state;
	s->row_ms = now;
}

void sessions_write_rows(struct proxy *p)
{
	int64_t now = clock_mono_ms(), moved;
	struct session *s;

	TAILQ_FOREACH (s, &p->sessions, link) {
		if (s->state < SESSION_PARK)
			continue;
		moved = s->backend ? stream_moved_ms(s->backend) : 0;
		if (!s->row_written || s->row_state != s->state ||
		    (now - s->row_ms >= ROW_REFRESH_MS && moved > s->row_ms))
			write_row(s, now);
	}
}

/* A user may miss what was open: the log says so. */
static void cut_open(struct session *s)
{
	char what[256];

	session_describe(s, what, sizeof what);
	log_warn(&s->about, "not at a boundary in time, cut: %s", what);
	session_cut(s, "shutdown");
}

void sessions_shut_down(struct proxy *p, bool force)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&p->sessions); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state < SESSION_RELAY || s->protocol->quiet(s))
			session_close_with_bye(s, "Server is restarting, please reconnect.",
					       "shutdown");
		else if (force)
			cut_open(s);
	}
}
