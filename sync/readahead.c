/* Hides: the thread. */
#include "sync/readahead.h"

#include <pthread.h>

#include "sync/lanes.h"

struct readahead {
	struct mailbox *from;
	const uint32_t *uids;
	size_t count;
	struct flow_limits limits;
	pthread_t thread;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct batch ready; /* if is_ready */
	bool is_ready, stopping, done;
	int rc; /* of the end */
	struct err e;
};

/* Waits until the last batch is taken. */
static int hand_over(struct batch *b, void *arg, struct err *e)
{
	struct readahead *r = arg;
	bool wanted;

	pthread_mutex_lock(&r->lock);
	while (r->is_ready && !r->stopping)
		pthread_cond_wait(&r->changed, &r->lock);
	wanted = !r->stopping;
	if (wanted) {
		r->ready = *b;
		r->is_ready = true;
		*b = (struct batch){ 0 };
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	return wanted ? 0 : err_set(e, ERR_TEMP, "nobody reads on");
}

static void *run(void *arg)
{
	struct readahead *r = arg;
	struct err e = { 0 };
	int rc = pipeline_flow(r->from, r->uids, r->count, &r->limits, hand_over, r, &e);

	pthread_mutex_lock(&r->lock);
	r->rc = rc;
	r->e = e;
	r->done = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct readahead *readahead_start(struct mailbox *from, const uint32_t *uids, size_t n,
				  const struct flow_limits *limits)
{
	struct readahead *r = mem_new(sizeof *r);

	*r = (struct readahead){ .from = from, .uids = uids, .count = n, .limits = *limits };
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	lane_thread(&r->thread, run, r);
	return r;
}

int readahead_next(struct readahead *r, struct batch *out, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (!r->is_ready && !r->done)
		pthread_cond_wait(&r->changed, &r->lock);
	if (r->is_ready) {
		*out = r->ready;
		r->is_ready = false;
		pthread_cond_broadcast(&r->changed);
		rc = 1;
	} else if (r->rc < 0) {
		*e = r->e;
		rc = -1;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

void readahead_stop(struct readahead **at)
{
	struct readahead *r = *at;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	ASSERT(pthread_join(r->thread, NULL) == 0);
	if (r->is_ready)
		batch_release(&r->ready);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	mem_free(at);
}
