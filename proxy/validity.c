/* Hides: the wait for the numbers, and which of them a folder shows. */
#include "proxy/validity.h"

#include "common/wire/imap_validity.h"
#include "proxy/follower.h"
#include "proxy/route.h"
#include "proxy/session.h"

struct pair {
	uint32_t own, shown;
};

struct validity {
	bool asked;	/* the store has not answered yet */
	bool waiting;	/* the backend has: the session waits */
	int64_t change; /* of the route when the store was asked */
	uint32_t shift; /* added to every number; 0: pairs count */
	struct pair *pairs; /* by own */
	size_t count;
};

/* ---- the numbers */

static int by_own(const void *a, const void *b)
{
	uint32_t x = ((const struct pair *)a)->own, y = ((const struct pair *)b)->own;

	return x < y ? -1 : x > y;
}

static bool read_number(struct slice *s, char end, uint32_t *out)
{
	const char *at = s->n ? memchr(s->p, end, s->n) : NULL;
	uint64_t n;

	if (!at || slice_u64((struct slice){ s->p, (size_t)(at - s->p) }, UINT32_MAX, &n) < 0)
		return false;
	*out = (uint32_t)n;
	*s = (struct slice){ at + 1, s->n - (size_t)(at + 1 - s->p) };
	return true;
}

/* "NEW OLD" LF …; false: they are no such lines. */
static bool read_pairs(struct validity *v, const char *lines)
{
	struct slice left = slice_of(lines);
	size_t room = 0;
	struct pair p;

	while (left.n) {
		if (!read_number(&left, ' ', &p.own) || !read_number(&left, '\n', &p.shown))
			return false;
		if (v->count == room) {
			room = room ? room * 2 : 16;
			v->pairs = mem_grow(v->pairs, room, sizeof *v->pairs);
		}
		v->pairs[v->count++] = p;
	}
	if (v->count)
		qsort(v->pairs, v->count, sizeof *v->pairs, by_own);
	return true;
}

static uint32_t show(uint32_t own, const void *arg)
{
	const struct validity *v = arg;
	struct pair key = { own, 0 }, *found;

	if (v->shift)
		return own + v->shift ? own + v->shift : 1; /* 0 is no UIDVALIDITY */
	found = v->count ? bsearch(&key, v->pairs, v->count, sizeof key, by_own) : NULL;
	return found ? found->shown : own;
}

/* ---- asking for them */

static void forget(struct session *s)
{
	if (!s->validity)
		return;
	free(s->validity->pairs);
	mem_free(&s->validity);
}

void validity_begin(struct session *s)
{
	const struct backend_conf *b = &s->proxy->settings->backend[SIDE_NEW];

	forget(s);
	if (s->protocol->kind != PROTO_IMAP || !b->keep_uidvalidity || s->route->epoch == 0 ||
	    !s->proxy->follower)
		return;
	s->validity = mem_new(sizeof *s->validity);
	*s->validity = (struct validity){ .asked = true, .change = s->change };
	follower_validity(s->proxy->follower, s->route->name, s->id, s->change);
}

void validity_end(struct session *s)
{
	forget(s);
}

bool validity_ready(struct session *s)
{
	if (!s->validity || !s->validity->asked)
		return true;
	s->validity->waiting = true;
	s->about.doing = "waiting for the store";
	stream_pause(s->backend);
	return false;
}

/* What the store has is what the session needs. */
static void take(struct session *s, const char *lines)
{
	struct validity *v = s->validity;

	v->asked = false;
	if (!*lines) {
		forget(s);
		return;
	}
	if (s->route->epoch > 1) {
		v->shift = (uint32_t)s->route->epoch;
	} else if (!read_pairs(v, lines)) {
		log_warn(&s->about, "the store's UIDVALIDITYs of old are none");
		forget(s);
	}
}

void validity_arrived(struct proxy *p, const char *user, const char *session, int64_t change,
		      const char *lines)
{
	struct session *s = routes_session(p->routes, user, session);
	bool waiting;

	if (!s || !s->validity || !s->validity->asked || s->validity->change != change)
		return; /* ended, or asked anew since */
	waiting = s->validity->waiting;
	if (!lines) { /* one login with other numbers, and all is loaded anew */
		session_refused(s, REJECT_DOWN, "the store does not tell what UIDVALIDITY to show");
		return;
	}
	take(s, lines);
	if (!waiting)
		return;
	stream_resume(s->backend);
	session_accepted(s);
}

/* ---- what passes */

enum held validity_hold(struct session *s, struct slice rest, size_t *len, struct buf *out)
{
	if (!s->validity)
		return HELD_NO;
	switch (imap_validity_look(rest.p, rest.n, len)) {
	case WIRE_BAD:
		return HELD_NO;
	case WIRE_MORE:
		return HELD_MORE;
	case WIRE_DONE:
		break;
	}
	imap_validity_rewrite((struct slice){ rest.p, *len }, show, s->validity, out);
	return HELD_REWRITTEN;
}

/* The command ESEARCH, not SEARCH with RETURN: its answer names folders by their own numbers. */
bool validity_may_pass(const struct session *s, struct slice line, struct slice verb)
{
	return !s->validity || !(imap_asks_modseq(line) || slice_is_nocase(verb, "ESEARCH"));
}

void validity_hide(const struct session *s, struct buf *capabilities)
{
	struct buf out = { 0 };

	if (!s->validity)
		return;
	imap_validity_filter(buf_slice(capabilities), &out);
	buf_release(capabilities);
	*capabilities = out;
}
