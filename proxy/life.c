/* Hides: what keeps a node that leaves or stops from ending. */
#include "proxy/life.h"

#include "common/clock.h"
#include "proxy/ending.h"
#include "proxy/follower.h"
#include "proxy/listener.h"
#include "proxy/probe.h"
#include "proxy/session.h"

static void enter(struct proxy *p, enum life_stage stage)
{
	/* Connections that wait in the backlog are ours to serve while we keep sessions. */
	if (p->life < LIFE_LEAVES)
		listeners_stop(p->listeners, stage == LIFE_LEAVES);
	probes_stop(&p->probes);
	p->life = stage;
	p->life_since_ms = clock_mono_ms();
	follower_leaving(p->follower);
}

void life_leave(struct proxy *p)
{
	if (p->life >= LIFE_LEAVES)
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

void life_drain(struct proxy *p, int64_t request, int64_t cut_at)
{
	if (p->life == LIFE_SERVES) {
		listeners_pause(p->listeners);
		p->life = LIFE_DRAINED;
	}
	ending_drain(p, request, cut_at);
}

void life_serve(struct proxy *p, int64_t request)
{
	if (p->life == LIFE_DRAINED) {
		listeners_start(p->listeners);
		p->life = LIFE_SERVES;
		log_info(NULL, "serves again");
	}
	ending_undo_drain(p, request);
}

static void end_if_empty(struct proxy *p, bool over)
{
	if (p->session_count == 0 && (p->loop.live == 0 || over))
		event_base_loopbreak(p->loop.base);
}

static void tick_leaving(struct proxy *p)
{
	int64_t stay_ms = 1000LL * p->settings->run.leave_s;

	if (listeners_arriving(p->listeners) == 0)
		end_if_empty(p, false);
	if (stay_ms && clock_mono_ms() - p->life_since_ms >= stay_ms)
		life_stop(p, p->settings->run.stop_s);
}

void life_tick(struct proxy *p)
{
	bool over;

	switch (p->life) {
	case LIFE_SERVES:
	case LIFE_DRAINED:
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
