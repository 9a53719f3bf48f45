/* Hides: what keeps a node that leaves or stops from ending. */
#include "proxy/life.h"

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/listener.h"
#include "proxy/session.h"

#define DRAIN_MAX_S 86400

static void enter(struct proxy *p, enum life_stage stage)
{
	/* Connections that wait in the backlog are ours to serve while we keep sessions. */
	if (p->life == LIFE_SERVES)
		listeners_stop(p->listeners, stage == LIFE_LEAVES);
	p->life = stage;
	p->life_since_ms = clock_mono_ms();
	follower_leaving(p->follower);
}

void life_leave(struct proxy *p)
{
	if (p->life != LIFE_SERVES)
		return;
	enter(p, LIFE_LEAVES);
	log_info(NULL, "leaving: takes no more connections, keeps %zu sessions",
		 p->session_count);
}

void life_stop(struct proxy *p, int within_s)
{
	int64_t end = clock_mono_ms() + 1000LL * within_s;

	if (p->life == LIFE_STOPS) {
		p->end_ms = MIN(p->end_ms, end);
		return;
	}
	enter(p, LIFE_STOPS);
	p->end_ms = end;
	log_info(NULL, "stopping: %zu sessions end within %d s", p->session_count, within_s);
	sessions_shut_down(p, false);
}

void life_obey(struct proxy *p, const char *verb, const char *args)
{
	uint64_t seconds = (uint64_t)p->settings->run.stop_s;

	if (strcmp(verb, "leave") == 0)
		life_leave(p);
	else if (!*args || slice_u64(slice_of(args), DRAIN_MAX_S, &seconds) == 0)
		life_stop(p, (int)seconds);
	else
		log_warn(NULL, "drain: \"%s\" is no number of seconds", args);
}

static void end_if_empty(struct proxy *p, bool over)
{
	if (p->session_count == 0 && (p->loop.live == 0 || over))
		event_base_loopbreak(p->loop.base);
}

static void tick_leaving(struct proxy *p)
{
	int64_t stay_ms = 1000LL * p->settings->run.leave_s;

	end_if_empty(p, false);
	if (stay_ms && clock_mono_ms() - p->life_since_ms >= stay_ms)
		life_stop(p, p->settings->run.stop_s);
}

void life_tick(struct proxy *p)
{
	bool over;

	switch (p->life) {
	case LIFE_SERVES:
		break;
	case LIFE_LEAVES:
		tick_leaving(p);
		break;
	case LIFE_STOPS:
		over = clock_mono_ms() >= p->end_ms;
		sessions_shut_down(p, over);
		end_if_empty(p, over);
		break;
	}
}
