/* Hides: the wait for the map, and when there is none to be shown. */
#include "proxy/overlay.h"

#include "common/clock.h"
#include "common/store_uidl.h"
#include "proxy/follower.h"
#include "proxy/session.h"

#define SEEN_AGAIN_MS 3600000 /* of one user the store is told no more often */
#define WAIT_MS	      10000   /* a client waits no longer for its answer */
#define TOO_BIG	      "too much memory is in use for maps (limits.uidl_bytes)"
#define REFUSE_MS     5000 /* then the store is asked again */

static void tell_seen(struct session *s)
{
	struct route *r = s->route;
	int64_t now = clock_mono_ms();

	if (r->pop3_told_ms && now - r->pop3_told_ms < SEEN_AGAIN_MS)
		return;
	r->pop3_told_ms = now;
	if (s->proxy->follower)
		follower_pop3_seen(s->proxy->follower, r->name);
}

void overlay_begin(struct session *s)
{
	if (s->side == SIDE_OLD)
		tell_seen(s);
	else if (settings_keep_uidl(s->proxy->settings))
		s->overlay.state = OVERLAY_UNASKED;
}

void overlay_end(struct session *s)
{
	if (s->overlay.map)
		s->proxy->uidl_bytes -= uidl_map_bytes(s->overlay.map);
	uidl_map_free(&s->overlay.map);
	s->overlay = (struct overlay){ 0 };
}

static void enter(struct session *s, enum overlay_state state)
{
	s->overlay.state = state;
	s->overlay.since_ms = clock_mono_ms();
}

static void refuse(struct session *s, const char *why)
{
	enter(s, OVERLAY_REFUSED);
	log_warn(&s->about, "UIDL is refused: %s", why);
}

static int64_t room(const struct proxy *p)
{
	int64_t most = p->settings->limits.uidl_bytes;

	return MAX(most - (int64_t)p->uidl_bytes, (int64_t)0);
}

static void ask_store(struct session *s)
{
	enter(s, OVERLAY_ASKED);
	if (s->proxy->follower)
		follower_uidl(s->proxy->follower, s->route->name, s->id, room(s->proxy));
}

enum overlay_answer overlay_ask(struct session *s)
{
	switch (s->overlay.state) {
	case OVERLAY_NATIVE:
	case OVERLAY_READY:
		return OVERLAY_PASS;
	case OVERLAY_REFUSED:
		if (clock_mono_ms() - s->overlay.since_ms < REFUSE_MS)
			return OVERLAY_REFUSE;
		ask_store(s);
		break;
	case OVERLAY_UNASKED:
		ask_store(s);
		break;
	case OVERLAY_ASKED:
		break;
	}
	return OVERLAY_WAIT;
}

void overlay_tick(struct session *s, int64_t now)
{
	if (s->overlay.state != OVERLAY_ASKED || now - s->overlay.since_ms < WAIT_MS)
		return;
	refuse(s, "the store does not answer");
	session_unblock(s);
}

/* ---- the map */

static void say(struct overlay_found *out, const char *why)
{
	out->state = OVERLAY_REFUSED;
	snprintf(out->why, sizeof out->why, "%s", why);
}

static void make_map(const struct uidl_state *state, struct buf *text,
		     struct overlay_found *out)
{
	struct err e = { 0 };

	if (uidl_map_new(text, state->entries, &out->map, &e) < 0)
		say(out, e.text);
	else
		out->state = OVERLAY_READY;
}

void overlay_fetch(struct store *st, const char *user, int64_t most, struct overlay_found *out)
{
	struct uidl_state state;
	struct buf text = { 0 };
	struct err e = { 0 };

	*out = (struct overlay_found){ .state = OVERLAY_NATIVE };
	if (store_uidl_read(st, user, most, &state, &text, &e) < 0)
		say(out, e.text);
	else if (!store_uidl_serves(&state))
		say(out, state.why[0] ? state.why : "there is no whole map of its user's ids");
	else if ((out->too_big = state.bytes > most))
		say(out, TOO_BIG);
	else if (state.mapped_at)
		make_map(&state, &text, out);
	buf_release(&text);
}

/* What was promised to several at once may be more than there is. */
static void check_room(struct proxy *p, struct overlay_found *found)
{
	if (found->map && (int64_t)uidl_map_bytes(found->map) > room(p)) {
		uidl_map_free(&found->map);
		found->too_big = true;
		say(found, TOO_BIG);
	}
	if (found->too_big)
		meter_limit(p, LIMIT_UIDL_BYTES);
}

void overlay_arrived(struct proxy *p, const char *user, const char *session,
		     struct overlay_found *found)
{
	struct session *s = routes_session(p->routes, user, session);

	if (!s || s->overlay.state != OVERLAY_ASKED) { /* ended, or waits no more */
		uidl_map_free(&found->map);
		return;
	}
	check_room(p, found);
	if (found->state == OVERLAY_REFUSED) {
		refuse(s, found->why);
	} else {
		s->overlay.map = found->map;
		p->uidl_bytes += found->map ? uidl_map_bytes(found->map) : 0;
		enter(s, found->state);
	}
	session_unblock(s);
}
