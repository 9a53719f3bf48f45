/* Hides: which logins count, and when it is known what became of a BYE. */
#include "proxy/past.h"

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/session_impl.h"

/* Outlives its session, as the client's stream does. */
struct farewell {
	struct proxy *proxy;
	struct drop_row *row;
	bool told;
};

/* ---- logins */

/* NULL: the server has not been the reason. */
static const char *result_of(enum reject r)
{
	switch (r) {
	case REJECT_NONE:
		return LOGIN_OK;
	case REJECT_BAD_LOGIN:
		return LOGIN_REFUSED;
	case REJECT_DOWN:
		return LOGIN_FAILED;
	case REJECT_MOVING:
	case REJECT_LIMIT:
	case REJECT_PRIVACY:
	case REJECT_DELAY:
	case REJECTS:
		break;
	}
	return NULL;
}

void past_login(const struct session *s, enum reject r)
{
	const char *result = result_of(r);
	char route[96];

	if (!result || !s->client || !s->route || s->route->stranger)
		return;
	session_describe_route(s, route, sizeof route);
	follower_login(s->proxy->follower,
		       &(struct login_row){ .name = s->route->name,
					    .proto = s->protocol->name,
					    .side = side_name(s->back.side),
					    .route = route,
					    .result = result,
					    .client = s->client_id,
					    .at = clock_real_ms(),
					    .held_ms = s->held_ms,
					    .took_ms = clock_mono_ms() - s->login.asked_ms });
}

/* ---- drops */

static void farewell_free(struct farewell **f)
{
	if (!*f)
		return;
	drop_row_free(&(*f)->row);
	mem_free(f);
}

void past_drop(struct session *s, const char *why, bool told)
{
	char doing[128] = "";
	struct farewell *f;

	if (s->farewell || s->state < SESSION_RELAY || !s->route || s->route->stranger)
		return;
	s->protocol->describe(s, doing, sizeof doing);
	f = mem_new(sizeof *f);
	*f = (struct farewell){ .proxy = s->proxy, .told = told };
	f->row = drop_row_copy(&(struct drop_row){ .session = s->id,
						   .name = s->route->name,
						   .proto = s->protocol->name,
						   .side = side_name(s->side),
						   .doing = doing,
						   .why = why,
						   .bye = told ? BYE_SENT : BYE_NONE,
						   .client = s->client_id,
						   .at = clock_real_ms() });
	s->farewell = f;
	follower_drop(s->proxy->follower, f->row);
}

void past_told(struct session *s)
{
	if (s->farewell)
		s->farewell->told = true;
}

void past_forget(struct session *s)
{
	farewell_free(&s->farewell);
}

/* When this process ends, closing its sockets proves nothing, and nobody is told. */
static void client_gone(void *arg, bool by_peer)
{
	struct farewell *f = arg;
	struct drop_row row = *f->row;

	row.bye = by_peer ? BYE_HEARD : BYE_SENT;
	if (f->proxy->follower && strcmp(row.bye, f->row->bye) != 0)
		follower_drop(f->proxy->follower, &row);
	farewell_free(&f);
}

void past_let_go(struct session *s, int linger_ms)
{
	struct farewell *f = s->farewell;

	if (!f || !f->told) {
		past_forget(s);
		stream_retire(&s->client, linger_ms, NULL, NULL);
		return;
	}
	s->farewell = NULL;
	stream_retire(&s->client, linger_ms, client_gone, f);
}
