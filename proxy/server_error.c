/* Hides: how seldom the store is told. */
#include "proxy/server_error.h"

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/route.h"
#include "proxy/session.h"

#define AGAIN_MS STORE_LATENCY_MS

void server_error_heard(struct session *s)
{
	struct server_errors *x = &s->proxy->server_errors[s->side];
	const char *user = s->route->name;
	int64_t now = clock_mono_ms();
	size_t at = 0;

	/* The user's own place, else that of who was told of first. */
	for (size_t i = 0; i < COUNT(x->told); i++) {
		if (strcmp(x->told[i].user, user) == 0) {
			at = i;
			break;
		}
		if (x->told[i].ms < x->told[at].ms)
			at = i;
	}
	if (x->told[at].ms && now - x->told[at].ms < AGAIN_MS)
		return;
	snprintf(x->told[at].user, sizeof x->told[at].user, "%s", user);
	x->told[at].ms = now;
	follower_server_error(s->proxy->follower, s->side, user, now);
}
