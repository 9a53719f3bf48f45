/* Hides: how names are looked up, and when a freeze is acknowledged. */
#include "proxy/route.h"

#include <search.h>

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/session.h"

#define UNDO_GRACE_MS 100  /* after hold_until: first the engine, then we */
#define UNDO_AGAIN_MS 1000 /* ask the store once more */
#define BLOCKER_TICKS 4	   /* a blocker's text is written every so many ticks */

/* A name that leads to a route: its own, an alias, a login on one of the sides. */
struct alias {
	char *alias, *name;
};

TAILQ_HEAD(held_list, route);

struct routes {
	struct proxy *proxy;
	void *by_name, *by_alias; /* tsearch trees */
	struct held_list held;
	unsigned ticks;
};

static int compare_routes(const void *a, const void *b)
{
	return strcmp(((const struct route *)a)->name, ((const struct route *)b)->name);
}

static int compare_aliases(const void *a, const void *b)
{
	return strcmp(((const struct alias *)a)->alias, ((const struct alias *)b)->alias);
}

/* ---- names */

static struct route *find(const struct routes *t, const char *name)
{
	struct route key = { .name = (char *)(uintptr_t)name };
	struct route **at = tfind(&key, &t->by_name, compare_routes);

	return at ? *at : NULL;
}

static struct route *find_by_alias(const struct routes *t, const char *alias)
{
	struct alias key = { .alias = (char *)(uintptr_t)alias };
	struct alias **at = tfind(&key, &t->by_alias, compare_aliases);

	return at ? find(t, (*at)->name) : NULL;
}

static struct route *add(struct routes *t, const char *name)
{
	struct route *r = mem_new(sizeof *r);

	r->name = mem_str(name);
	TAILQ_INIT(&r->sessions);
	if (!tsearch(r, &t->by_name, compare_routes))
		BUG("no memory for a route");
	return r;
}

static void free_route(void *p)
{
	struct route *r = p;

	free(r->name);
	free(r->login[SIDE_OLD]);
	free(r->login[SIDE_NEW]);
	free(r);
}

static void free_alias(void *p)
{
	struct alias *a = p;

	free(a->alias);
	free(a->name);
	free(a);
}

static void forget_stranger(struct routes *t, struct route *r)
{
	if (!r->stranger || r->ghosts || !TAILQ_EMPTY(&r->sessions))
		return;
	tdelete(r, &t->by_name, compare_routes);
	free_route(r);
}

/* Sessions that came under this name before it was known whose it is: a cutover must find them.
 */
static void adopt_sessions(struct routes *t, const char *alias, struct route *r)
{
	struct route *stranger = find(t, alias);
	struct session *s;

	if (!stranger || !stranger->stranger || stranger == r)
		return;
	while ((s = TAILQ_FIRST(&stranger->sessions))) {
		TAILQ_REMOVE(&stranger->sessions, s, on_route);
		TAILQ_INSERT_TAIL(&r->sessions, s, on_route);
		s->route = r;
		if (user_is_held(r->state))
			session_hold(s);
		else
			session_release(s);
	}
	forget_stranger(t, stranger);
}

void routes_alias(struct routes *t, const char *alias, const char *name)
{
	struct alias key = { .alias = (char *)(uintptr_t)alias }, *a;
	struct alias **at = tfind(&key, &t->by_alias, compare_aliases);

	if (at) {
		free((*at)->name);
		(*at)->name = mem_str(name);
	} else {
		a = mem_new(sizeof *a);
		*a = (struct alias){ mem_str(alias), mem_str(name) };
		if (!tsearch(a, &t->by_alias, compare_aliases))
			BUG("no memory for an alias");
	}
	if (find(t, name))
		adopt_sessions(t, alias, find(t, name));
}

/* A client may come with the login that its server knows: that leads to the user too, unless it
 * is a user itself. */
static void alias_login(struct routes *t, const struct route *r, enum side side)
{
	struct login_name_rules rules = settings_login_rules(t->proxy->settings);
	char name[LOGIN_NAME_MAX + 1];

	if (login_name_normalise(slice_of(r->login[side]), &rules, name, sizeof name) == 0 &&
	    strcmp(name, r->name) != 0 && !find_by_alias(t, name))
		routes_alias(t, name, r->name);
}

struct route *routes_find(const struct routes *t, const char *name)
{
	struct route *r = find(t, name), *known;

	if (r && !r->stranger)
		return r;
	known = find_by_alias(t, name);
	return known ? known : r;
}

struct route *routes_get(struct routes *t, const char *name)
{
	struct route *r = routes_find(t, name);

	if (!r) {
		r = add(t, name);
		r->stranger = true;
		r->state = USER_PENDING;
	}
	return r;
}

struct routes *routes_new(struct proxy *p)
{
	struct routes *t = mem_new(sizeof *t);

	t->proxy = p;
	TAILQ_INIT(&t->held);
	return t;
}

void routes_free(struct routes **t)
{
	if (!*t)
		return;
	tdestroy((*t)->by_name, free_route);
	tdestroy((*t)->by_alias, free_alias);
	mem_free(t);
}

/* ---- sessions of a route */

struct session *routes_session(const struct routes *t, const char *name, const char *id)
{
	const struct route *r = routes_find(t, name);
	struct session *s;

	if (!r)
		return NULL;
	TAILQ_FOREACH (s, &r->sessions, on_route)
		if (strcmp(s->id, id) == 0)
			return s;
	return NULL;
}

void route_add_session(struct route *r, struct session *s)
{
	TAILQ_INSERT_TAIL(&r->sessions, s, on_route);
}

void route_remove_session(struct routes *t, struct route *r, struct session *s)
{
	TAILQ_REMOVE(&r->sessions, s, on_route);
	route_check_quiet(t, r);
	forget_stranger(t, r);
}

void route_add_ghost(struct route *r)
{
	r->ghosts++;
}

void route_remove_ghost(struct routes *t, struct route *r)
{
	ASSERT(r->ghosts > 0);
	r->ghosts--;
	route_check_quiet(t, r);
	forget_stranger(t, r);
}

/* ---- freeze and verdict */

static const struct session *first_loud(const struct route *r)
{
	const struct session *s;

	TAILQ_FOREACH (s, &r->sessions, on_route)
		if (!session_is_quiet(s))
			return s;
	return NULL;
}

void route_check_quiet(struct routes *t, struct route *r)
{
	if (r->state != USER_FREEZING || r->acked == r->change || r->ghosts || first_loud(r))
		return;
	r->acked = r->change;
	follower_ack(t->proxy->follower, r->name, r->change);
}

static void tell_sessions(struct route *r, void (*what)(struct session *s))
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&r->sessions); s; s = next) {
		next = TAILQ_NEXT(s, on_route);
		what(s);
	}
}

static void set_login(struct route *r, enum side side, const char *login)
{
	free(r->login[side]);
	r->login[side] = mem_str(login);
}

void routes_apply(struct routes *t, const struct user *u)
{
	struct route *r = find(t, u->name);
	bool was_held, is_held = user_is_held(u->state);

	if (!r)
		r = add(t, u->name);
	if (u->change < r->change || u->epoch < r->epoch)
		return; /* an older row than the one we have */
	was_held = user_is_held(r->state);
	r->stranger = false;
	r->state = u->state;
	/* Erased when he was done, which we may not have seen. */
	if (r->state == USER_DONE || r->state == USER_RETURNING)
		r->learned = 0;
	r->direction = u->direction;
	r->change = u->change;
	r->epoch = u->epoch;
	r->hold_until = u->hold_until;
	r->flipped_at = u->flipped_at;
	set_login(r, SIDE_OLD, u->login[SIDE_OLD]);
	set_login(r, SIDE_NEW, u->login[SIDE_NEW]);
	alias_login(t, r, SIDE_OLD);
	alias_login(t, r, SIDE_NEW);
	if (is_held && !was_held)
		TAILQ_INSERT_TAIL(&t->held, r, held);
	if (was_held && !is_held)
		TAILQ_REMOVE(&t->held, r, held);
	tell_sessions(r, is_held ? session_hold : session_release);
	route_check_quiet(t, r);
}

static void tell_blocker(struct routes *t, struct route *r)
{
	const struct session *s = first_loud(r);
	char text[256];

	if (r->state != USER_FREEZING || r->acked == r->change)
		return;
	if (s)
		session_describe(s, text, sizeof text);
	else
		snprintf(text, sizeof text, "%u connections to the server have not ended yet",
			 r->ghosts);
	follower_blocker(t->proxy->follower, r->name, text);
}

static void undo_if_over(struct routes *t, struct route *r)
{
	int64_t now = clock_mono_ms();

	if (clock_real_ms() < r->hold_until + UNDO_GRACE_MS ||
	    now - r->undo_asked_ms < UNDO_AGAIN_MS)
		return;
	r->undo_asked_ms = now;
	follower_undo(t->proxy->follower, r->name, r->state, r->direction, r->change);
}

void routes_tick(struct routes *t)
{
	struct route *r;

	t->ticks++;
	TAILQ_FOREACH (r, &t->held, held) {
		undo_if_over(t, r);
		if (t->ticks % BLOCKER_TICKS == 1)
			tell_blocker(t, r);
	}
}

/* ---- fence */

void routes_fence(struct routes *t)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&t->proxy->sessions); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->route && !user_is_final(s->route->state) && s->state >= SESSION_DIAL)
			session_cut(s, "this node has lost the store: the user may have moved");
	}
}
