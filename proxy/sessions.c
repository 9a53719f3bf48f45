/* Hides: what is done with all sessions: freeing, pacing of BYEs, rows for the store, shutdown.
 */
#include "proxy/session_impl.h"

#include <time.h>

#include "common/clock.h"
#include "proxy/ending.h"
#include "proxy/follower.h"
#include "proxy/shadow.h"
#include "proxy/validity.h"

#define DROP_TICK_MS   100
#define ROW_REFRESH_MS 3000 /* what is open, and byte counts, in a session that moves */
#define SHUTDOWN_BYE   "Server is restarting, please reconnect."

void session_free_closed(struct proxy *p)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&p->closed))) {
		TAILQ_REMOVE(&p->closed, s, link);
		overlay_end(s);
		validity_end(s);
		stream_free(&s->client);
		stream_free(&s->backend);
		shadow_free(&s->shadow);
		free(s->client_id);
		free(s->idle_tag);
		free(s->login.name);
		free(s->peer);
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
		TAILQ_REMOVE(&p->dropping, s, queue);
		p->drops_left -= 1;
		session_part(s);
	}
	endings_pace(p);
}

void sessions_init(struct proxy *p)
{
	struct timeval tick = { 0, DROP_TICK_MS * 1000 };

	TAILQ_INIT(&p->sessions);
	TAILQ_INIT(&p->shadows);
	TAILQ_INIT(&p->closed);
	TAILQ_INIT(&p->dropping);
	TAILQ_INIT(&p->endings);
	TAILQ_INIT(&p->traces);
	TAILQ_INIT(&p->silent);
	TAILQ_INIT(&p->heard);
	TAILQ_INIT(&p->delayed);
	p->drops_left = p->settings->limits.drop_per_s;
	p->reaper = event_new(p->loop.base, -1, 0, reap, p);
	p->dropper = event_new(p->loop.base, -1, EV_PERSIST, refill_drops, p);
	if (!p->reaper || !p->dropper)
		BUG("libevent makes no event");
	event_add(p->dropper, &tick);
}

void sessions_release(struct proxy *p)
{
	shadows_stop(p);
	session_free_closed(p);
	event_free(p->reaper);
	event_free(p->dropper);
}

static struct session *to_evict(const struct proxy *p)
{
	const struct session_list *lists[] = { &p->silent, &p->heard, &p->delayed };

	for (size_t i = 0; i < COUNT(lists); i++)
		if (!TAILQ_EMPTY(lists[i]))
			return TAILQ_FIRST(lists[i]);
	return NULL;
}

bool sessions_can_evict(const struct proxy *p)
{
	return to_evict(p) != NULL;
}

void sessions_evict(struct proxy *p)
{
	struct session *s = to_evict(p);

	if (!s)
		return;
	meter_limit(p, LIMIT_PREAUTH_SESSIONS);
	session_evict(s);
}

void session_describe(const struct session *s, char *out, size_t size)
{
	char what[128] = "";

	if (s->state >= SESSION_RELAY)
		s->protocol->describe(s, what, sizeof what);
	snprintf(out, size, "session %s %s from %s: %s%s%s", s->id, s->protocol->name, s->peer,
		 session_state_name(s->state), what[0] ? ", " : "", what);
}

void session_describe_route(const struct session *s, char *out, size_t size)
{
	time_t flip = (time_t)(s->routed_flip / 1000);
	const char *side = side_name(s->side);
	struct tm tm;
	char when[40];

	if (s->state < SESSION_DIAL || !s->route) {
		snprintf(out, size, "%s",
			 s->state == SESSION_PARK ? "waits for the cutover" : "");
	} else if (s->route->stranger) {
		snprintf(out, size, "%s: stranger", side);
	} else if (s->routed_flip) {
		gmtime_r(&flip, &tm);
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
		snprintf(out, size, "%s: flipped%s at %s", side,
			 s->side == SIDE_OLD ? " back" : "", when);
	} else {
		snprintf(out, size, "%s: user is %s", side, user_state_name(s->routed_state));
	}
}

/* Looked at once a second: the end of a command is known that well. */
static bool look_quiet(struct session *s, int64_t now)
{
	bool quiet = s->state == SESSION_PARTING ||
		     (s->state == SESSION_RELAY && s->protocol->quiet(s));

	if (!quiet)
		s->busy_ms = now;
	return quiet;
}

/* Where it is quiet: by the clock of the rows. */
static int64_t quiet_since(const struct session *s, int64_t now)
{
	return clock_real_ms() - (now - MAX(s->busy_ms, s->state_ms));
}

void session_end_row(struct session *s)
{
	bool was_in = s->state >= SESSION_RELAY;

	if (!s->row_written && !was_in)
		return;
	follower_session(s->proxy->follower,
			 &(struct session_row){ .id = s->id,
						.name = was_in ? s->login.name : NULL,
						.since = s->since_ms,
						.gone = true });
}

static void write_row(struct session *s, bool quiet, int64_t now)
{
	char doing[128] = "", route[96];
	struct session_row row = { .id = s->id,
				   .name = s->login.name,
				   .proto = s->protocol->name,
				   .peer = s->peer,
				   .side = s->about.side ? s->about.side : "",
				   .state = session_state_name(s->state),
				   .doing = doing,
				   .route = route,
				   .client = s->client_id ? s->client_id : "",
				   .since = s->since_ms,
				   .quiet_since = quiet ? quiet_since(s, now) : 0,
				   .bytes_up = (int64_t)s->bytes_up,
				   .bytes_down = (int64_t)s->bytes_down };

	if (s->state >= SESSION_RELAY)
		s->protocol->describe(s, doing, sizeof doing);
	else if (s->about.doing)
		snprintf(doing, sizeof doing, "%s", s->about.doing);
	session_describe_route(s, route, sizeof route);
	follower_session(s->proxy->follower, &row);
	s->row_written = true;
	s->row_state = s->state;
	s->row_quiet = quiet;
	s->row_ms = now;
}

static void look(struct session *s, int64_t now)
{
	int64_t moved = s->backend ? stream_moved_ms(s->backend) : 0;
	bool quiet = look_quiet(s, now);

	if (!s->row_written || s->row_state != s->state || s->row_quiet != quiet ||
	    (now - s->row_ms >= ROW_REFRESH_MS && moved > s->row_ms))
		write_row(s, quiet, now);
	overlay_tick(s, now);
	if (s->state == SESSION_RELAY)
		session_check_idle(s);
}

void sessions_look(struct proxy *p)
{
	int64_t now = clock_mono_ms();
	struct session *s, *next;

	for (s = TAILQ_FIRST(&p->sessions); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state >= SESSION_PARK)
			look(s, now);
	}
}

void sessions_shut_down(struct proxy *p, bool force)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&p->sessions); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state < SESSION_RELAY || s->protocol->quiet(s))
			session_close_with_bye(s, SHUTDOWN_BYE, "shutdown");
		else if (force)
			session_force(s, SHUTDOWN_BYE, "cut by shutdown");
	}
}
