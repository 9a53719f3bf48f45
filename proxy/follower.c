/* Hides: a thread, two queues, and that the store may be slow or gone. */
#include "proxy/follower.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "common/build.h"
#include "common/clock.h"
#include "common/flips.h"
#include "proxy/backend.h"
#include "proxy/ending.h"
#include "proxy/life.h"
#include "proxy/overlay.h"
#include "proxy/validity.h"
#include "proxy/reload.h"
#include "proxy/route.h"
#include "proxy/session.h"
#include "proxy/shadow.h"
#include "proxy/trace.h"

#define LOOK_MS	   250	 /* without a nudge changes are looked for this often */
#define RESOLVE_MS 60000 /* the backends' names are looked up this often */
#define OWN_MARGIN_MS                                                                        \
	5000		  /* we fence ourselves this much before others may count us as gone \
			   */
#define SESSION_BATCH 256 /* rows of one transaction */

/* To the loop. */
enum news_kind {
	NEWS_USER,
	NEWS_ALIAS,
	NEWS_TRACE,
	NEWS_TRACE_OVER,
	NEWS_LOGLEVEL,
	NEWS_LEAVE,
	NEWS_RELOAD,
	NEWS_DROP,
	NEWS_DRAIN,
	NEWS_UIDL,
	NEWS_VALIDITY,
	NEWS_SHADOW,
	NEWS_LEASE,
	NEWS_DISTRUST,
	NEWS_LOST
};
struct news {
	STAILQ_ENTRY(news) next;
	enum news_kind kind;
	struct user user;
	char *alias, *name; /* NEWS_LIFE: what to obey, and how long that may take */
	bool on;
	int level;
	int64_t fence_ms;
	int64_t request, cut_at;
	int64_t trace, until, max_bytes; /* trace 0: none any more */
	struct overlay_found uidl;	 /* for session `alias` of user `name` */
	char *validities;		 /* for the same, asked at this change; NULL: failed */
	int64_t change;
};

/* To the store. */
enum order_kind {
	ORDER_ACK,
	ORDER_BLOCKER,
	ORDER_UNDO,
	ORDER_SESSION,
	ORDER_HOLD,
	ORDER_LOGIN,
	ORDER_DROP,
	ORDER_ANSWER,
	ORDER_TRACE,
	ORDER_STRANGER,
	ORDER_POP3_SEEN,
	ORDER_UIDL,
	ORDER_LEARNED,
	ORDER_VALIDITY,
	ORDER_SHADOW_CLAIM,
	ORDER_SHADOW_ANSWER,
	ORDER_SHADOW_AGAIN,
	ORDER_USES,
	ORDER_LEAVING,
	ORDER_LATENCY,
	ORDER_CERTIFICATES
};
struct order {
	STAILQ_ENTRY(order) next;
	enum order_kind kind;
	char *name, *text, *proto;
	uint32_t *uses;
	int64_t change, at, held_ms;
	bool on;
	enum user_state state;
	enum direction direction;
	enum side side;
	struct session_row row; /* its texts are ours */
	int64_t trace;
	struct trace_line line;	  /* its texts are name, proto and text */
	struct answer_row answer; /* its text is `text` */
	struct login_row *login;
	struct drop_row *drop;
	struct certificate_row *certificates;
	size_t certificate_count;
};

STAILQ_HEAD(news_queue, news);
STAILQ_HEAD(order_queue, order);

struct follower {
	struct proxy *proxy;
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of both queues and stop */
	struct news_queue news;
	struct order_queue orders;
	bool stop;
	int news_fd, orders_fd, nudge_fd;
	struct event *on_news;
	/* the thread's own from here on */
	int64_t incarnation, last_change, last_request;
	int64_t renewed_ms, resolved_ms;
	bool store_trouble, aliases_due, joining, distrusts;
	struct flips *flips;
	char *nudges; /* folder of sockets */
	struct log_about about;
};

/* ---- towards the loop */

static void ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
		BUG("eventfd: %s", strerror(errno));
}

static void hush(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
		BUG("eventfd: %s", strerror(errno));
}

static struct news *news_new(enum news_kind kind)
{
	struct news *n = mem_new(sizeof *n);

	n->kind = kind;
	return n;
}

static void post(struct follower *f, struct news *n)
{
	pthread_mutex_lock(&f->lock);
	STAILQ_INSERT_TAIL(&f->news, n, next);
	pthread_mutex_unlock(&f->lock);
	ring(f->news_fd);
}

static void news_free(struct news *n)
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

static void apply_all(struct follower *f)
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

static void on_news(evutil_socket_t fd, short what UNUSED, void *arg)
{
	hush(fd);
	apply_all(arg);
}

/* ---- reading the store */

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
	post(f, n);
	return 0;
}

static int take_alias(const char *alias, const char *name, void *arg)
{
	struct news *n = news_new(NEWS_ALIAS);

	n->alias = mem_str(alias);
	n->name = mem_str(name);
	post(arg, n);
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
static int take_trace(const struct trace_row *t, void *arg)
{
	struct news *n = news_new(NEWS_TRACE);

	n->name = mem_str(t->name);
	n->trace = t->id;
	n->until = t->until;
	n->max_bytes = t->max_bytes;
	post(arg, n);
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
		post(f, n);
	f->last_request = r->id;
	return 0;
}

static int read_news(struct follower *f, struct err *e)
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

/* The lease counts from before its renewal was sent; the loop hears of it behind all changes
 * before it. */
static int renew(struct follower *f, struct err *e)
{
	int64_t before = clock_mono_ms();
	struct news *n;
	int rc = store_node_renew(f->store, f->proxy->node, f->incarnation, f->last_change, e);

	if (rc < 0 || (rc == 1 && read_news(f, e) < 0))
		return -1;
	n = news_new(rc ? NEWS_LEASE : NEWS_LOST);
	n->fence_ms = before + STORE_FENCE_MS - OWN_MARGIN_MS;
	f->renewed_ms = before;
	post(f, n);
	return 0;
}

/* ---- writing it */

static void order_free(struct order *o)
{
	free(o->name);
	free(o->text);
	free(o->proto);
	free(o->uses);
	login_row_free(&o->login);
	drop_row_free(&o->drop);
	free((char *)(uintptr_t)o->row.id);
	free((char *)(uintptr_t)o->row.name);
	free((char *)(uintptr_t)o->row.peer);
	free((char *)(uintptr_t)o->row.doing);
	free((char *)(uintptr_t)o->row.client);
	free((char *)(uintptr_t)o->row.route);
	for (size_t i = 0; i < o->certificate_count; i++)
		free((char *)(uintptr_t)o->certificates[i].name);
	free(o->certificates);
	free(o);
}

static int mark(struct follower *f, bool leaving, struct err *e)
{
	return store_node_mark(f->store, f->proxy->node, f->incarnation, build_name(), leaving,
			       e);
}

static int undo(struct follower *f, const struct order *o, struct err *e)
{
	struct user_move m = { .name = o->name,
			       .from = o->state,
			       .to = user_undo_state(o->direction),
			       .change = o->change,
			       .retry_ms = 1000LL * f->proxy->settings->cutover.retry_s,
			       .tries = f->proxy->settings->cutover.tries,
			       .actor = f->proxy->node,
			       .why = "no verdict before hold_until" };
	int64_t change;
	enum move_result rc = store_user_move(f->store, &m, &change, e);

	if (rc == MOVE_DONE)
		log_warn(&f->about,
			 "user %s: the cutover was undone: no verdict before hold_until",
			 o->name);
	return rc == MOVE_FAILED ? -1 : 0;
}

static int answer(struct follower *f, const struct order *o, struct err *e)
{
	struct answer_row row = o->answer;

	row.doing = o->text;
	return store_answer(f->store, f->proxy->node, &row, e);
}

static int write_uses(struct follower *f, const uint32_t *counts, struct err *e)
{
	struct usage_row rows[USAGES];
	size_t n = 0;

	for (int u = 0; u < USAGES; u++)
		if (counts[u])
			rows[n++] = (struct usage_row){
				.proto = usage_is_pop3((enum usage)u) ? "pop3" : "imap",
				.extension = usage_name((enum usage)u),
				.sessions = counts[u],
			};
	return store_usage_add(f->store, rows, n, e);
}

static void find_uidl(struct follower *f, const struct order *o)
{
	struct news *n = news_new(NEWS_UIDL);

	n->name = mem_str(o->name);
	n->alias = mem_str(o->text);
	overlay_fetch(f->store, o->name, o->at, &n->uidl);
	post(f, n);
}

static int find_validity(struct follower *f, const struct order *o, struct err *e)
{
	struct news *n = news_new(NEWS_VALIDITY);
	int rc = store_validity_read(f->store, o->name, &n->validities, e);

	n->name = mem_str(o->name);
	n->alias = mem_str(o->text);
	n->change = o->change;
	post(f, n);
	return rc;
}

/* A store that does not answer is no yes. */
static int claim_shadow(struct follower *f, const struct order *o, struct err *e)
{
	struct news *n = news_new(NEWS_SHADOW);
	int rc = store_shadow_claim(f->store, o->name, &n->on, e);

	n->alias = mem_str(o->text);
	post(f, n);
	return rc;
}

static int carry_out(struct follower *f, const struct order *o, struct err *e)
{
	const char *node = f->proxy->node;

	switch (o->kind) {
	case ORDER_ACK:
		return store_ack(f->store, node, o->name, o->change, e);
	case ORDER_BLOCKER:
		return store_blocker(f->store, node, o->name, o->text, e);
	case ORDER_UNDO:
		return undo(f, o, e);
	case ORDER_SESSION:
		return store_sessions_write(f->store, node, &o->row, 1, e);
	case ORDER_HOLD:
		return store_hold_add(f->store, node,
				      &(struct hold_row){ .name = o->name,
							  .proto = o->proto,
							  .at = o->at,
							  .held_ms = o->held_ms,
							  .released_to = o->text },
				      e);
	case ORDER_LOGIN:
	case ORDER_DROP:
		break; /* write_past() */
	case ORDER_ANSWER:
		return answer(f, o, e);
	case ORDER_TRACE:
		break; /* write_trace() */
	case ORDER_STRANGER:
		return store_stranger(f->store, o->name, e);
	case ORDER_POP3_SEEN:
		return store_pop3_seen(f->store, o->name, e);
	case ORDER_UIDL:
		find_uidl(f, o);
		break;
	case ORDER_LEARNED:
		return store_learned_write(f->store, o->name, o->text, e);
	case ORDER_VALIDITY:
		return find_validity(f, o, e);
	case ORDER_SHADOW_CLAIM:
		return claim_shadow(f, o, e);
	case ORDER_SHADOW_ANSWER:
		return store_shadow_write(f->store, o->name, o->on, e);
	case ORDER_SHADOW_AGAIN:
		return store_shadow_again(f->store, o->name, o->at, e);
	case ORDER_USES:
		return write_uses(f, o->uses, e);
	case ORDER_LEAVING:
		return mark(f, true, e);
	case ORDER_LATENCY:
		return store_latency_write(f->store, node, o->side, o->change, o->at, e);
	case ORDER_CERTIFICATES:
		return store_certificates_write(f->store, node, o->certificates,
						o->certificate_count, e);
	}
	return 0;
}

/* Rows of sessions that stand behind each other in the queue go in one transaction. */
static int write_sessions(struct follower *f, struct order_queue *q, struct err *e)
{
	struct session_row rows[SESSION_BATCH];
	struct order *o, *taken[SESSION_BATCH];
	size_t n = 0;
	int rc;

	while (n < SESSION_BATCH && (o = STAILQ_FIRST(q)) && o->kind == ORDER_SESSION) {
		STAILQ_REMOVE_HEAD(q, next);
		taken[n] = o;
		rows[n++] = o->row;
	}
	rc = store_sessions_write(f->store, f->proxy->node, rows, n, e);
	for (size_t i = 0; i < n; i++)
		order_free(taken[i]);
	return rc;
}

/* Logins, or drops, likewise: a node that ends drops thousands at once. */
static int write_past(struct follower *f, struct order_queue *q, struct err *e)
{
	struct login_row logins[SESSION_BATCH];
	struct drop_row drops[SESSION_BATCH];
	struct order *o, *taken[SESSION_BATCH];
	enum order_kind kind = STAILQ_FIRST(q)->kind;
	size_t n = 0;
	int rc;

	while (n < SESSION_BATCH && (o = STAILQ_FIRST(q)) && o->kind == kind) {
		STAILQ_REMOVE_HEAD(q, next);
		if (kind == ORDER_LOGIN)
			logins[n] = *o->login;
		else
			drops[n] = *o->drop;
		taken[n++] = o;
	}
	if (kind == ORDER_LOGIN)
		rc = store_logins_write(f->store, f->proxy->node, logins, n, e);
	else
		rc = store_drops_write(f->store, f->proxy->node, drops, n, e);
	for (size_t i = 0; i < n; i++)
		order_free(taken[i]);
	return rc;
}

/* Lines of one trace that stand behind each other, likewise. */
static int write_trace(struct follower *f, struct order_queue *q, struct err *e)
{
	struct trace_line lines[SESSION_BATCH];
	struct order *o, *taken[SESSION_BATCH];
	int64_t trace = STAILQ_FIRST(q)->trace;
	size_t n = 0;
	struct news *over;
	int rc;

	while (n < SESSION_BATCH && (o = STAILQ_FIRST(q)) && o->kind == ORDER_TRACE &&
	       o->trace == trace) {
		STAILQ_REMOVE_HEAD(q, next);
		taken[n] = o;
		lines[n++] = (struct trace_line){
			.at = o->line.at, .session = o->name, .way = o->proto, .line = o->text
		};
	}
	rc = store_trace_write(f->store, f->proxy->node, trace, lines, n, e);
	if (rc == 0) {
		over = news_new(NEWS_TRACE_OVER);
		over->trace = trace;
		post(f, over);
	}
	for (size_t i = 0; i < n; i++)
		order_free(taken[i]);
	return rc < 0 ? -1 : 0;
}

/* A user who is not known to read by POP3 could be moved without a map: said until it is heard.
 */
static bool say_again(struct follower *f, struct order *o)
{
	bool again;

	pthread_mutex_lock(&f->lock);
	again = o->kind == ORDER_POP3_SEEN && !f->stop;
	if (again)
		STAILQ_INSERT_TAIL(&f->orders, o, next);
	pthread_mutex_unlock(&f->lock);
	return again;
}

/* An acknowledgement that cannot be written is not lost silently: the cutover waits for it and
 * is undone. */
static int write_orders(struct follower *f, struct err *e)
{
	struct order_queue mine = STAILQ_HEAD_INITIALIZER(mine);
	struct order *o;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	STAILQ_CONCAT(&mine, &f->orders);
	pthread_mutex_unlock(&f->lock);
	while ((o = STAILQ_FIRST(&mine))) {
		if (o->kind == ORDER_SESSION) {
			rc |= write_sessions(f, &mine, e);
			continue;
		}
		if (o->kind == ORDER_LOGIN || o->kind == ORDER_DROP) {
			rc |= write_past(f, &mine, e);
			continue;
		}
		if (o->kind == ORDER_TRACE) {
			rc |= write_trace(f, &mine, e);
			continue;
		}
		STAILQ_REMOVE_HEAD(&mine, next);
		if (carry_out(f, o, e) < 0) {
			rc = -1;
			if (say_again(f, o))
				continue;
		}
		order_free(o);
	}
	return rc;
}

/* ---- the thread */

static void note_trouble(struct follower *f, bool trouble, const struct err *e)
{
	if (trouble && !f->store_trouble)
		log_error(&f->about, "store: %s", e->text);
	if (!trouble && f->store_trouble)
		log_info(&f->about, "store: works again");
	f->store_trouble = trouble;
}

static void resolve(struct follower *f)
{
	struct err e = { 0 };

	for (int side = 0; side < SIDES; side++)
		if (backend_resolve(f->proxy->backend[side], &e) < 0)
			log_warn(&f->about, "%s", e.text);
	f->resolved_ms = clock_mono_ms();
}

static bool told_to_stop(struct follower *f)
{
	bool stop;

	pthread_mutex_lock(&f->lock);
	stop = f->stop && STAILQ_EMPTY(&f->orders);
	pthread_mutex_unlock(&f->lock);
	return stop;
}

static void drop_orders(struct follower *f)
{
	struct order_queue mine = STAILQ_HEAD_INITIALIZER(mine);
	struct order *o;

	pthread_mutex_lock(&f->lock);
	STAILQ_CONCAT(&mine, &f->orders);
	pthread_mutex_unlock(&f->lock);
	while ((o = STAILQ_FIRST(&mine))) {
		STAILQ_REMOVE_HEAD(&mine, next);
		order_free(o);
	}
}

static struct store_opts opts_of(const struct follower *f)
{
	const struct settings *set = f->proxy->settings;

	return (struct store_opts){ .path = set->store.path,
				    .url = set->store.url,
				    .place = &f->proxy->place,
				    .nudge_dir = f->nudges };
}

static int open_store(struct follower *f, struct err *e)
{
	struct store_opts opts = opts_of(f);
	char *flips = settings_flips(f->proxy->settings);
	int rc = store_open(&f->store, &opts, e);

	if (rc == 0)
		rc = flips_open(&f->flips, flips, e);
	if (rc == 0)
		rc = store_nudge_listen(&opts, f->proxy->node, &f->nudge_fd, e);
	free(flips);
	return rc;
}

/* A file that was put in the place of ours is another one only to who opens it. */
static void look_again(struct follower *f)
{
	struct store_opts opts = opts_of(f);
	struct store *fresh = NULL;
	struct err e = { 0 };

	if (store_open(&fresh, &opts, &e) < 0)
		return; /* it is not there at all, and we have said so */
	store_close(&f->store);
	f->store = fresh;
}

/* Nothing is written to such a store, and nothing taken from it. */
static void distrust(struct follower *f, const char *why)
{
	struct news *n = news_new(NEWS_DISTRUST);

	if (!f->distrusts)
		log_error(&f->about, "%s; until then users whom this node knows are served",
			  why);
	f->distrusts = true;
	f->renewed_ms = clock_mono_ms();
	n->fence_ms = f->renewed_ms + STORE_FENCE_MS - OWN_MARGIN_MS;
	post(f, n);
	drop_orders(f);
	look_again(f);
}

static int enter_store(struct follower *f, struct err *e);

/* 1: it is the store that it was; 0: it is not. */
static int check_store(struct follower *f, struct err *e)
{
	char why[ERR_TEXT_MAX];
	int trusted = flips_judge(f->flips, f->store, f->last_change, why, sizeof why, e);

	if (trusted == 0)
		distrust(f, why);
	if (trusted <= 0 || !f->distrusts)
		return trusted;
	if (enter_store(f, e) < 0)
		return -1;
	f->distrusts = false;
	log_info(&f->about, "the store is the one it was again");
	return 1;
}

static int meet_store(struct follower *f, struct err *e)
{
	bool due = clock_mono_ms() - f->renewed_ms >= STORE_RENEW_MS;
	int trusted = due ? check_store(f, e) : !f->distrusts;

	if (trusted == 0)
		return 0;
	/* Even to one that does not answer: what waits must not pile up. */
	if (write_orders(f, e) < 0 || trusted < 0)
		return -1;
	return due ? renew(f, e) : read_news(f, e);
}

static void turn(struct follower *f)
{
	int64_t now = clock_mono_ms();
	struct err e = { 0 };
	int rc = meet_store(f, &e);

	note_trouble(f, rc < 0, &e);
	if (now - f->resolved_ms >= RESOLVE_MS)
		resolve(f);
}

static void *run(void *arg)
{
	struct follower *f = arg;

	while (!told_to_stop(f)) {
		struct pollfd fds[] = { { f->orders_fd, POLLIN, 0 },
					{ f->nudge_fd, POLLIN, 0 } };

		poll(fds, COUNT(fds), LOOK_MS);
		if (fds[0].revents)
			hush(f->orders_fd);
		store_nudge_drain(f->nudge_fd);
		turn(f);
	}
	return NULL;
}

/* A node that was drained and crashed stays drained; nobody waits for an answer to that. */
static int take_own_row(const struct node_row *n, void *arg)
{
	struct follower *f = arg;
	struct proxy *p = f->proxy;

	if (strcmp(n->node, p->node) == 0)
		p->life = n->drain_until ? LIFE_DRAINED : LIFE_SERVES;
	return 0;
}

/* Join first, read then: each freeze is either in what we read or waits for us. */
static int enter_store(struct follower *f, struct err *e)
{
	int rc;

	f->last_change = 0;
	f->aliases_due = true;
	if (store_node_join(f->store, f->proxy->node, &f->incarnation, e) < 0 ||
	    store_requests_last(f->store, &f->last_request, e) < 0 || mark(f, false, e) < 0)
		return -1;
	f->joining = true;
	rc = renew(f, e);
	f->joining = false;
	return rc == 0 ? flips_sync(f->flips, e) : -1;
}

/* Without a table of its own a node has nothing to go by but the store. */
static int trust(struct follower *f, struct err *e)
{
	char why[ERR_TEXT_MAX];
	int trusted = flips_judge(f->flips, f->store, 0, why, sizeof why, e);

	if (trusted > 0)
		trusted = flips_compare(f->flips, f->store, why, sizeof why, e);
	return trusted == 0 ? err_set(e, ERR_INPUT, "%s", why) : MIN(trusted, 0);
}

static int join(struct follower *f, struct err *e)
{
	if (trust(f, e) < 0 || enter_store(f, e) < 0 ||
	    store_nodes_each(f->store, take_own_row, f, e) < 0 ||
	    store_traces_each(f->store, 0, take_trace, f, e) < 0)
		return -1;
	resolve(f);
	apply_all(f);
	return 0;
}

int follower_start(struct proxy *p, struct follower **out, struct err *e)
{
	struct follower *f = mem_new(sizeof *f);

	f->proxy = p;
	f->nudges = mem_printf("%s/" STORE_NUDGES, p->settings->run.dir);
	f->about = (struct log_about){ .what = "node" };
	f->nudge_fd = -1;
	STAILQ_INIT(&f->news);
	STAILQ_INIT(&f->orders);
	pthread_mutex_init(&f->lock, NULL);
	f->news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	f->orders_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (f->news_fd < 0 || f->orders_fd < 0)
		return err_set(e, ERR_LIMIT, "eventfd: %s", strerror(errno));
	*out = f;
	if (open_store(f, e) < 0 || join(f, e) < 0)
		return -1;
	f->on_news = event_new(p->loop.base, f->news_fd, EV_READ | EV_PERSIST, on_news, f);
	if (!f->on_news)
		BUG("libevent makes no event");
	event_add(f->on_news, NULL);
	if (pthread_create(&f->thread, NULL, run, f) != 0)
		return err_set(e, ERR_LIMIT, "cannot start the follower's thread");
	return 0;
}

void follower_stop(struct follower **fp)
{
	struct follower *f = *fp;
	struct err e = { 0 };
	struct news *n;

	if (!f)
		return;
	*fp = NULL;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_mutex_unlock(&f->lock);
	ring(f->orders_fd);
	pthread_join(f->thread, NULL);
	if (!f->distrusts && store_node_leave(f->store, f->proxy->node, f->incarnation, &e) < 0)
		log_warn(&f->about, "store: %s", e.text);
	store_close(&f->store);
	flips_free(&f->flips);
	mem_free(&f->nudges);
	event_free(f->on_news);
	while ((n = STAILQ_FIRST(&f->news))) {
		STAILQ_REMOVE_HEAD(&f->news, next);
		news_free(n);
	}
	close(f->news_fd);
	close(f->orders_fd);
	close(f->nudge_fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- called by the loop */

static void send_order(struct follower *f, struct order o)
{
	struct order *mine = mem_new(sizeof *mine);

	*mine = o;
	pthread_mutex_lock(&f->lock);
	STAILQ_INSERT_TAIL(&f->orders, mine, next);
	pthread_mutex_unlock(&f->lock);
	ring(f->orders_fd);
}

void follower_ack(struct follower *f, const char *name, int64_t change)
{
	send_order(f, (struct order){
			      .kind = ORDER_ACK, .name = mem_str(name), .change = change });
}

void follower_blocker(struct follower *f, const char *name, const char *text)
{
	send_order(f, (struct order){ .kind = ORDER_BLOCKER,
				      .name = mem_str(name),
				      .text = mem_str(text) });
}

void follower_undo(struct follower *f, const char *name, enum user_state state,
		   enum direction d, int64_t change)
{
	send_order(f, (struct order){ .kind = ORDER_UNDO,
				      .name = mem_str(name),
				      .state = state,
				      .direction = d,
				      .change = change });
}

void follower_session(struct follower *f, const struct session_row *row)
{
	struct order o = { .kind = ORDER_SESSION, .row = *row };

	o.row.id = mem_str(row->id);
	o.row.name = mem_str(row->name);
	o.row.peer = mem_str(row->peer);
	o.row.doing = mem_str(row->doing);
	o.row.client = mem_str(row->client);
	o.row.route = mem_str(row->route);
	send_order(f, o);
}

void follower_hold(struct follower *f, const char *name, const char *proto, int64_t at,
		   int64_t held_ms, const char *released_to)
{
	send_order(f, (struct order){ .kind = ORDER_HOLD,
				      .name = mem_str(name),
				      .proto = mem_str(proto),
				      .text = mem_str(released_to),
				      .at = at,
				      .held_ms = held_ms });
}

void follower_login(struct follower *f, const struct login_row *l)
{
	send_order(f, (struct order){ .kind = ORDER_LOGIN, .login = login_row_copy(l) });
}

void follower_drop(struct follower *f, const struct drop_row *d)
{
	send_order(f, (struct order){ .kind = ORDER_DROP, .drop = drop_row_copy(d) });
}

void follower_trace(struct follower *f, int64_t trace, const struct trace_line *l)
{
	send_order(f, (struct order){ .kind = ORDER_TRACE,
				      .trace = trace,
				      .line = { .at = l->at },
				      .name = mem_str(l->session),
				      .proto = mem_str(l->way),
				      .text = mem_str(l->line) });
}

void follower_answer(struct follower *f, const struct answer_row *a)
{
	send_order(f, (struct order){
			      .kind = ORDER_ANSWER, .answer = *a, .text = mem_str(a->doing) });
}

void follower_stranger(struct follower *f, const char *name)
{
	send_order(f, (struct order){ .kind = ORDER_STRANGER, .name = mem_str(name) });
}

void follower_pop3_seen(struct follower *f, const char *name)
{
	send_order(f, (struct order){ .kind = ORDER_POP3_SEEN, .name = mem_str(name) });
}

void follower_uidl(struct follower *f, const char *name, const char *session, int64_t most)
{
	send_order(f, (struct order){ .kind = ORDER_UIDL,
				      .name = mem_str(name),
				      .text = mem_str(session),
				      .at = most });
}

void follower_learned(struct follower *f, const char *name, const char *sealed)
{
	send_order(f, (struct order){ .kind = ORDER_LEARNED,
				      .name = mem_str(name),
				      .text = mem_str(sealed) });
}

void follower_validity(struct follower *f, const char *name, const char *session,
		       int64_t change)
{
	send_order(f, (struct order){ .kind = ORDER_VALIDITY,
				      .name = mem_str(name),
				      .text = mem_str(session),
				      .change = change });
}

void follower_shadow_claim(struct follower *f, const char *name, const char *session)
{
	send_order(f, (struct order){ .kind = ORDER_SHADOW_CLAIM,
				      .name = mem_str(name),
				      .text = mem_str(session) });
}

void follower_shadow_answer(struct follower *f, const char *name, bool accepted)
{
	send_order(f, (struct order){ .kind = ORDER_SHADOW_ANSWER,
				      .name = mem_str(name),
				      .on = accepted });
}

void follower_shadow_again(struct follower *f, const char *name, int64_t after_ms)
{
	send_order(f, (struct order){ .kind = ORDER_SHADOW_AGAIN,
				      .name = mem_str(name),
				      .at = after_ms });
}

void follower_uses(struct follower *f, const uint32_t counts[USAGES])
{
	size_t size = USAGES * sizeof *counts;
	struct order o = { .kind = ORDER_USES, .uses = mem_new(size) };

	memcpy(o.uses, counts, size);
	send_order(f, o);
}

void follower_latency(struct follower *f, enum side side, int64_t commands, int64_t typical_us)
{
	send_order(f, (struct order){ .kind = ORDER_LATENCY,
				      .side = side,
				      .change = commands,
				      .at = typical_us });
}

void follower_leaving(struct follower *f)
{
	send_order(f, (struct order){ .kind = ORDER_LEAVING });
}

void follower_certificates(struct follower *f, const struct certificate_row *rows, size_t n)
{
	struct certificate_row *mine = mem_array(n, sizeof *mine);

	for (size_t i = 0; i < n; i++)
		mine[i] = (struct certificate_row){ mem_str(rows[i].name), rows[i].not_after };
	send_order(f, (struct order){ .kind = ORDER_CERTIFICATES,
				      .certificates = mine,
				      .certificate_count = n });
}
