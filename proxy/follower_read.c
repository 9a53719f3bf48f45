/* Hides: how rows of the store become news. */
#include "proxy/follower_impl.h"

/* The log first: what we route by, this host remembers. False: the row is older than that. */
static bool log_flip(struct follower *f, const struct user *u)
{
	int64_t known = flips_epoch(f->flips, u->name);
	struct err e = { 0 };

	if (u->epoch < known) {
		log_error(
			&f->about,
			"user %s: the store has lost his move: he stays on the side where he is",
			u->name);
		return false;
	}
	if (u->epoch > known && (flips_add(f->flips, u->name, u->epoch, u->change, &e) < 0 ||
				 (!f->joining && flips_sync(f->flips, &e) < 0)))
		log_error(&f->about, "user %s: his move is in the store alone: %s", u->name,
			  e.text);
	return true;
}

static int take_user(const struct user *u, void *arg)
{
	struct follower *f = arg;
	struct news *n;

	if (!log_flip(f, u))
		return 0;
	n = news_new(NEWS_USER);

	n->user = (struct user){ .name = mem_str(u->name),
				 .login = { mem_str(u->login[SIDE_OLD]),
					    mem_str(u->login[SIDE_NEW]) },
				 .state = u->state,
				 .direction = u->direction,
				 .change = u->change,
				 .epoch = u->epoch,
				 .hold_until = u->hold_until,
				 .flipped_at = u->flipped_at };
	news_post(f, n);
	return 0;
}

static int take_alias(const char *alias, const char *name, void *arg)
{
	struct news *n = news_new(NEWS_ALIAS);

	n->alias = mem_str(alias);
	n->name = mem_str(name);
	news_post(arg, n);
	return 0;
}

/* "" is every node. */
static bool is_meant(const struct follower *f, const struct request_row *r)
{
	return !r->name[0] || strcmp(r->name, f->proxy->node) == 0;
}

/* A drop, or a drain of this node: when force is used is their argument. NULL: not for us. */
static struct news *news_of_ending(const struct follower *f, const struct request_row *r)
{
	bool drain = strcmp(r->verb, "drain") == 0;
	struct news *n;
	uint64_t cut_at;

	if (slice_u64(slice_of(r->args), INT64_MAX, &cut_at) < 0 || (drain && !is_meant(f, r)))
		return NULL;
	n = news_new(drain ? NEWS_DRAIN : NEWS_DROP);
	n->name = mem_str(r->name);
	n->request = r->id;
	n->cut_at = (int64_t)cut_at;
	return n;
}

/* The number that *s begins with, and the blank behind it; 0 where there is none. */
static int64_t take_number(struct slice *s)
{
	const char *space = s->n ? memchr(s->p, ' ', s->n) : NULL;
	size_t n = space ? (size_t)(space - s->p) : s->n;
	uint64_t v;

	if (slice_u64((struct slice){ s->p, n }, INT64_MAX, &v) < 0)
		v = 0;
	n += space != NULL;
	*s = (struct slice){ s->p + n, s->n - n };
	return (int64_t)v;
}

/* "ID UNTIL MAX_BYTES", or "" for the end of it. */
static struct news *news_of_trace(const struct request_row *r)
{
	struct slice args = slice_of(r->args);
	struct news *n = news_new(NEWS_TRACE);

	n->name = mem_str(r->name);
	n->trace = take_number(&args);
	n->until = take_number(&args);
	n->max_bytes = take_number(&args);
	return n;
}

/* A node that starts takes part in what is traced already. */
int follower_take_trace(const struct trace_row *t, void *arg)
{
	struct news *n = news_new(NEWS_TRACE);

	n->name = mem_str(t->name);
	n->trace = t->id;
	n->until = t->until;
	n->max_bytes = t->max_bytes;
	news_post(arg, n);
	return 0;
}

static int take_request(const struct request_row *r, void *arg)
{
	struct follower *f = arg;
	struct news *n = NULL;

	if (strcmp(r->verb, "trace") == 0) {
		n = news_of_trace(r);
	} else if (strcmp(r->verb, "loglevel") == 0 && log_level_find(r->args) >= 0) {
		n = news_new(NEWS_LOGLEVEL);
		n->level = log_level_find(r->args);
	} else if (strcmp(r->verb, "reload") == 0) {
		n = news_new(NEWS_RELOAD);
		n->request = r->id;
	} else if (strcmp(r->verb, "leave") == 0 && is_meant(f, r)) {
		n = news_new(NEWS_LEAVE);
	} else if (strcmp(r->verb, "aliases") == 0) {
		f->aliases_due = true;
	} else if (strcmp(r->verb, "drop") == 0 || strcmp(r->verb, "drain") == 0) {
		n = news_of_ending(f, r);
	}
	if (n)
		news_post(f, n);
	f->last_request = r->id;
	return 0;
}

int follower_read(struct follower *f, struct err *e)
{
	if (store_changes_after(f->store, f->last_change, take_user, f, &f->last_change, e) <
		    0 ||
	    store_requests_after(f->store, f->last_request, take_request, f, e) < 0)
		return -1;
	if (f->aliases_due && store_aliases_each(f->store, take_alias, f, e) < 0)
		return -1;
	f->aliases_due = false;
	return 0;
}
