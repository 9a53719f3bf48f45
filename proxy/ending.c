/* Hides: who is still to end, whose turn it is, and what was told about it. */
#include "proxy/ending.h"

#include "common/clock.h"
#include "proxy/follower.h"
#include "proxy/session_impl.h"

struct ending {
	TAILQ_ENTRY(ending) link;
	struct proxy *proxy;
	int64_t request, cut_at;
	char *name;		     /* of the user; NULL: everybody on this node */
	struct session_list waiting; /* for their turn */
	struct session_list going;   /* finish what is open, or wait for their verdict */
	int64_t ended, cut, remain;  /* sessions */
	bool changed;		     /* since the last answer */
};

const char *ending_bye(const struct ending *e)
{
	return e->name ? "Session was ended by the operator, please reconnect."
		       : "Server goes into maintenance, please reconnect.";
}

const char *ending_why(const struct ending *e)
{
	return e->name ? "dropped" : "the node is drained";
}

/* ---- who belongs to it */

static struct ending *ending_new(struct proxy *p, int64_t request, const char *name,
				 int64_t cut_at)
{
	struct ending *e = mem_new(sizeof *e);

	*e = (struct ending){ .proxy = p,
			      .request = request,
			      .cut_at = cut_at,
			      .name = mem_str(name),
			      .changed = true };
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->going);
	TAILQ_INSERT_TAIL(&p->endings, e, link);
	return e;
}

static void detach(struct session *s)
{
	struct ending *e = s->ending;

	if (s->dismissed)
		TAILQ_REMOVE(&e->going, s, on_ending);
	else
		TAILQ_REMOVE(&e->waiting, s, on_ending);
	s->ending = NULL;
	s->dismissed = false;
	e->remain--;
	e->changed = true;
}

static bool is_sooner(int64_t cut_at, int64_t than)
{
	return cut_at && (!than || cut_at < than);
}

/* A session has one ending: the later request takes it over, but never grants it more time. */
static void attach(struct ending *e, struct session *s)
{
	if (s->ending) {
		if (!e->name && is_sooner(s->ending->cut_at, e->cut_at))
			return;
		if (is_sooner(s->ending->cut_at, e->cut_at))
			e->cut_at = s->ending->cut_at;
		detach(s);
	}
	s->ending = e;
	e->remain++;
	TAILQ_INSERT_TAIL(&e->waiting, s, on_ending);
}

static void dismiss(struct session *s)
{
	struct ending *e = s->ending;

	TAILQ_REMOVE(&e->waiting, s, on_ending);
	TAILQ_INSERT_TAIL(&e->going, s, on_ending);
	s->dismissed = true;
	session_dismiss(s);
}

void ending_let_go(struct session *s)
{
	if (!s->ending)
		return;
	s->ending->ended++;
	detach(s);
}

/* ---- what is told */

static void answer(struct ending *e)
{
	const struct session *s = TAILQ_FIRST(&e->going);
	char text[256] = "";

	if (!s)
		s = TAILQ_FIRST(&e->waiting);
	if (s)
		session_describe(s, text, sizeof text);
	follower_answer(e->proxy->follower, &(struct answer_row){ .request = e->request,
								  .ended = e->ended,
								  .cut = e->cut,
								  .remain = e->remain,
								  .doing = text });
	e->changed = false;
}

static void ending_free(struct ending *e)
{
	TAILQ_REMOVE(&e->proxy->endings, e, link);
	free(e->name);
	free(e);
}

/* ---- requests */

static void take_all(struct ending *e, struct session_list *list, bool of_route)
{
	struct session *s;

	if (of_route)
		TAILQ_FOREACH (s, list, on_route)
			attach(e, s);
	else
		TAILQ_FOREACH (s, list, link)
			attach(e, s);
}

void ending_drop(struct proxy *p, int64_t request, const char *name, int64_t cut_at)
{
	struct ending *e = ending_new(p, request, name, cut_at);
	struct route *r = routes_find(p->routes, name);
	struct session *s;

	if (r)
		take_all(e, &r->sessions, true);
	log_info(&(struct log_about){ .what = "node", .user = name },
		 "drop: %lld sessions are to end", (long long)e->remain);
	while ((s = TAILQ_FIRST(&e->waiting)))
		dismiss(s);
	answer(e);
}

void ending_drain(struct proxy *p, int64_t request, int64_t cut_at)
{
	struct ending *e = ending_new(p, request, NULL, cut_at);

	take_all(e, &p->sessions, false);
	log_info(NULL, "drain: %lld sessions are to end", (long long)e->remain);
	endings_pace(p);
	answer(e);
}

static void spare(struct session *s)
{
	detach(s);
	session_go_on(s);
}

void ending_undo_drain(struct proxy *p, int64_t request)
{
	struct ending *e, *mine = ending_new(p, request, NULL, 0);
	struct session *s;

	TAILQ_FOREACH (e, &p->endings, link) {
		while (!e->name && (s = TAILQ_FIRST(&e->waiting)))
			spare(s);
		while (!e->name && (s = TAILQ_FIRST(&e->going)))
			spare(s);
	}
	answer(mine);
}

/* ---- as time goes by */

void endings_pace(struct proxy *p)
{
	struct ending *e;
	struct session *s;

	TAILQ_FOREACH (e, &p->endings, link) {
		while (p->drops_left >= 1 && (s = TAILQ_FIRST(&e->waiting))) {
			p->drops_left -= 1;
			dismiss(s);
		}
	}
}

static void cut(struct session *s)
{
	struct ending *e = s->ending;
	const char *why = e->name ? "cut by drop --force" : "cut by drain";

	detach(s);
	e->cut++;
	session_force(s, ending_bye(e), why);
}

/* Its cutover has a budget of its own: the verdict is near. */
static bool waits_for_verdict(const struct session *s)
{
	return s->route && user_is_held(s->route->state);
}

static void cut_list(struct session_list *list)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(list); s; s = next) {
		next = TAILQ_NEXT(s, on_ending);
		if (!waits_for_verdict(s))
			cut(s);
	}
}

void endings_tick(struct proxy *p)
{
	int64_t now = clock_real_ms();
	struct ending *e, *next;

	for (e = TAILQ_FIRST(&p->endings); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->cut_at && now >= e->cut_at) {
			cut_list(&e->waiting);
			cut_list(&e->going);
		}
		if (e->changed)
			answer(e);
		if (e->remain == 0)
			ending_free(e);
	}
}

void endings_release(struct proxy *p)
{
	struct ending *e;

	while ((e = TAILQ_FIRST(&p->endings))) {
		ASSERT(e->remain == 0);
		ending_free(e);
	}
}
