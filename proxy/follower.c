/* Hides: a thread, and that the store may be slow, gone, or not the one it was. */
#include "proxy/follower_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "proxy/backend.h"
#include "proxy/life.h"

#define LOOK_MS	   250	 /* without a nudge changes are looked for this often */
#define RESOLVE_MS 60000 /* the backends' names are looked up this often */

void follower_ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
		BUG("eventfd: %s", strerror(errno));
}

void follower_hush(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
		BUG("eventfd: %s", strerror(errno));
}

static void on_news(evutil_socket_t fd, short what UNUSED, void *arg)
{
	follower_hush(fd);
	news_apply_all(arg);
}

/* ---- the lease */

/* The lease counts from before its renewal was sent; the loop hears of it behind all changes
 * before it. */
static int renew(struct follower *f, struct err *e)
{
	int64_t before = clock_mono_ms();
	struct news *n;
	int rc = store_node_renew(f->store, f->proxy->node, f->incarnation, f->last_change, e);

	if (rc < 0 || (rc == 1 && follower_read(f, e) < 0))
		return -1;
	n = news_new(rc ? NEWS_LEASE : NEWS_LOST);
	n->fence_ms = before + STORE_FENCE_MS - OWN_MARGIN_MS;
	f->renewed_ms = before;
	news_post(f, n);
	return 0;
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
	bool first = !f->distrusts;

	f->distrusts = true;
	f->renewed_ms = clock_mono_ms();
	n->fence_ms = f->renewed_ms + STORE_FENCE_MS - OWN_MARGIN_MS;
	news_post(f, n);
	if (first) /* now, when it is so for the sessions too */
		log_error(&f->about, "%s; until then users whom this node knows are served",
			  why);
	orders_drop(f);
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
	if (orders_write(f, e) < 0 || trusted < 0)
		return -1;
	return due ? renew(f, e) : follower_read(f, e);
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
			follower_hush(f->orders_fd);
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
	    store_requests_last(f->store, &f->last_request, e) < 0 || follower_mark(f, false, e) < 0)
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
	    store_traces_each(f->store, 0, follower_take_trace, f, e) < 0)
		return -1;
	resolve(f);
	news_apply_all(f);
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
	follower_ring(f->orders_fd);
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
