/* Hides: what a node must have to serve whom. */
#include "proxy/proxy.h"

#include "proxy/route.h"

#include "common/clock.h"
#include "proxy/listener.h"

bool proxy_has_lease(const struct proxy *p)
{
	return clock_mono_ms() < p->fence_ms;
}

bool proxy_may_serve(const struct proxy *p, const struct route *r)
{
	if (user_is_final(r->state))
		return true;
	return proxy_has_lease(p) && !(p->distrusts && r->stranger);
}

const char *proxy_not_ready(const struct proxy *p)
{
	switch (p->life) {
	case LIFE_LEAVES:
		return "leaving: its sessions stay, no new ones are taken";
	case LIFE_STOPS:
		return "stopping: sessions finish, no new ones are taken";
	case LIFE_DRAINED:
		return "drained for maintenance: no new sessions are taken";
	case LIFE_SERVES:
		break;
	}
	if (!p->listeners || !listeners_started(p->listeners))
		return "no listener is open yet";
	if (!proxy_has_lease(p))
		return "the store is lost: no lease";
	if (p->distrusts)
		return "the store is not the one that this host has followed";
	return NULL;
}
