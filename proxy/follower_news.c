/* Hides: the queue from the follower's thread to the loop, and what each piece of news does there. */
#include "proxy/follower_impl.h"

#include "proxy/ending.h"
#include "proxy/life.h"
#include "proxy/reload.h"
#include "proxy/route.h"
#include "proxy/shadow.h"
#include "proxy/trace.h"
#include "proxy/validity.h"

struct news *news_new(enum news_kind kind)
{
	struct news *n = mem_new(sizeof *n);

	n->kind = kind;
	return n;
}

void news_post(struct follower *f, struct news *n)
{
	pthread_mutex_lock(&f->lock);
	STAILQ_INSERT_TAIL(&f->news, n, next);
	pthread_mutex_unlock(&f->lock);
	follower_ring(f->news_fd);
}

void news_free(struct news *n)
{
	user_release(&n->user);
	uidl_map_free(&n->uidl.map);
	free(n->validities);
	free(n->alias);
	free(n->name);
	free(n);
}

static void reload(struct proxy *p, int64_t request)
{
	struct err e = { 0 };
	int rc = proxy_reload(p, &e);

	follower_answer(p->follower, &(struct answer_row){ .request = request,
							   .doing = rc < 0 ? e.text : "" });
}

static void apply(struct proxy *p, struct news *n)
{
	switch (n->kind) {
	case NEWS_USER:
		routes_apply(p->routes, &n->user);
		break;
	case NEWS_ALIAS:
		routes_alias(p->routes, n->alias, n->name);
		break;
	case NEWS_TRACE:
		if (n->trace)
			trace_begin(p, n->trace, n->name, n->until, n->max_bytes);
		else
			trace_end(p, n->name);
		break;
	case NEWS_TRACE_OVER:
		trace_over(p, n->trace);
		break;
	case NEWS_LOGLEVEL:
		log_set_level((enum log_level)n->level);
		break;
	case NEWS_RELOAD:
		reload(p, n->request);
		break;
	case NEWS_LEAVE:
		life_leave(p);
		break;
	case NEWS_DROP:
		ending_drop(p, n->request, n->name, n->cut_at);
		break;
	case NEWS_DRAIN:
		if (n->cut_at)
			life_drain(p, n->request, n->cut_at);
		else
			life_serve(p, n->request);
		break;
	case NEWS_UIDL:
		overlay_arrived(p, n->name, n->alias, &n->uidl);
		n->uidl.map = NULL;
		break;
	case NEWS_VALIDITY:
		validity_arrived(p, n->name, n->alias, n->change, n->validities);
		break;
	case NEWS_SHADOW:
		shadow_arrived(p, n->alias, n->on);
		break;
	case NEWS_DISTRUST: /* nobody works with such a store, so nobody is moved meanwhile */
		p->fence_ms = n->fence_ms;
		p->distrusts = true;
		break;
	case NEWS_LEASE:
		p->distrusts = false;
		p->fence_ms = n->fence_ms;
		p->store_seen_ms = n->fence_ms - (STORE_FENCE_MS - OWN_MARGIN_MS);
		break;
	case NEWS_LOST:
		log_error(NULL, "another process runs as node %s: this one ends", p->node);
		p->fence_ms = 0;
		routes_fence(p->routes);
		event_base_loopbreak(p->loop.base);
		break;
	}
}

void news_apply_all(struct follower *f)
{
	struct news_queue mine = STAILQ_HEAD_INITIALIZER(mine);
	struct news *n;

	pthread_mutex_lock(&f->lock);
	STAILQ_CONCAT(&mine, &f->news);
	pthread_mutex_unlock(&f->lock);
	while ((n = STAILQ_FIRST(&mine))) {
		STAILQ_REMOVE_HEAD(&mine, next);
		apply(f->proxy, n);
		news_free(n);
	}
}
