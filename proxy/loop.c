/* Hides: how streams that are called later, and those that have died, wait for the end of a
 * turn. */
#include "proxy/stream_impl.h"

static void reap(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop *l = arg;

	while (l->dead) {
		struct stream *st = l->dead;

		l->dead = st->next_dead;
		free(st->error);
		free(st);
	}
}

/* Changes of one turn reach the kernel together, and those that cancel out not at all. */
static struct event_base *base_new(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	if (c && event_config_set_flag(c, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(c);
	if (c)
		event_config_free(c);
	return base;
}

/* A timer and no active event: sockets of others have their turn in between. */
static const struct timeval at_once;

/* Who is poked meanwhile has to wait for the next turn. */
static void on_poke(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop *l = arg;
	struct stream *st;

	for (size_t n = l->poked_count; n && (st = TAILQ_FIRST(&l->poked)); n--) {
		stream_uncall(st);
		stream_on_call(st);
	}
	if (l->poked_count)
		evtimer_add(l->poker, &at_once);
}

int loop_init(struct loop *l, struct err *e)
{
	memset(l, 0, offsetof(struct loop, scratch));
	TAILQ_INIT(&l->poked);
	l->base = base_new();
	if (!l->base)
		return err_set(e, ERR_LIMIT, "cannot make an event loop");
	l->reaper = event_new(l->base, -1, 0, reap, l);
	l->poker = evtimer_new(l->base, on_poke, l);
	if (!l->reaper || !l->poker)
		return err_set(e, ERR_LIMIT, "cannot make an event");
	return 0;
}

void loop_release(struct loop *l)
{
	struct stream *st;

	while ((st = LIST_FIRST(&l->lingering)))
		stream_die(st);
	reap(-1, 0, l);
	if (l->reaper)
		event_free(l->reaper);
	if (l->poker)
		event_free(l->poker);
	if (l->base)
		event_base_free(l->base);
	l->reaper = l->poker = NULL;
	l->base = NULL;
}

void stream_call_later(struct stream *st)
{
	if (st->poked)
		return;
	st->poked = true;
	if (st->loop->poked_count++ == 0)
		evtimer_add(st->loop->poker, &at_once);
	TAILQ_INSERT_TAIL(&st->loop->poked, st, poke);
}

void stream_uncall(struct stream *st)
{
	if (!st->poked)
		return;
	st->poked = false;
	st->loop->poked_count--;
	TAILQ_REMOVE(&st->loop->poked, st, poke);
}
