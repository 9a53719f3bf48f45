/* Hides: threads. */
#include "sync/lanes.h"

#include <signal.h>

#include "common/log.h"

#define STACK_BYTES (1024 * 1024) /* libetpan's parser recurses, see FRAME_DEPTH_MAX */

void lane_thread(pthread_t *t, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;

	ASSERT(pthread_attr_init(&attr) == 0 &&
	       pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ASSERT(pthread_create(t, &attr, run, arg) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

/* ---- opening both sides at once */

struct opening {
	const struct job *job;
	enum side side;
	struct mailbox *box;
	int rc;
	struct err e;
};

static void *open_side(void *arg)
{
	struct opening *o = arg;

	o->rc = mailbox_open(&o->job->side[o->side], o->job->connect_s * 1000,
			     o->job->io_s * 1000, &o->box, &o->e);
	return NULL;
}

int lane_open(struct lane *l, const struct job *job, struct err *e)
{
	struct opening at[SIDES] = { { .job = job, .side = SIDE_OLD },
				     { .job = job, .side = SIDE_NEW } };
	pthread_t other;

	lane_thread(&other, open_side, &at[SIDE_NEW]);
	open_side(&at[SIDE_OLD]);
	ASSERT(pthread_join(other, NULL) == 0);
	for (int s = 0; s < SIDES; s++)
		l->box[s] = at[s].box;
	l->pool = flag_pool_new();
	for (int s = 0; s < SIDES; s++)
		l->login_refused[s] = at[s].rc < 0 && at[s].e.kind == ERR_AUTH;
	for (int s = 0; s < SIDES; s++)
		if (at[s].rc < 0) {
			*e = at[s].e;
			lane_close(l);
			return err_wrap(e, "%s", side_name((enum side)s));
		}
	return 0;
}

void lane_close(struct lane *l)
{
	for (int s = 0; s < SIDES; s++)
		mailbox_leave(l->box[s]);
	for (int s = 0; s < SIDES; s++)
		mailbox_close(&l->box[s]);
	flag_pool_free(&l->pool);
}

static void *close_apart(void *arg)
{
	lane_close(arg);
	return NULL;
}

void lanes_close(struct lanes *ls)
{
	pthread_t threads[LANES_MAX];
	int n = 0;

	for (int i = 1; i < LANES_MAX; i++)
		if (ls->at[i].pool)
			lane_thread(&threads[n++], close_apart, &ls->at[i]);
	lane_close(&ls->at[0]);
	while (n-- > 0)
		ASSERT(pthread_join(threads[n], NULL) == 0);
}

/* ---- work */

struct crew {
	struct lanes *lanes;
	pthread_mutex_t lock;
	size_t next, count; /* tasks */
	lanes_fn *fn;
	void *arg;
	int rc; /* of the first that failed */
	struct err *e;
};

struct member {
	struct crew *crew;
	struct lane *lane;
	pthread_t thread;
};

bool lane_reserve(struct lane *l, size_t *task)
{
	struct crew *c = l->crew;

	pthread_mutex_lock(&c->lock);
	if (!l->has_reserved && c->next < c->count && !c->lanes->stopping) {
		l->has_reserved = true;
		l->reserved = c->next++;
	}
	pthread_mutex_unlock(&c->lock);
	*task = l->reserved;
	return l->has_reserved;
}

static bool take_task(struct crew *c, struct lane *l, size_t *task)
{
	bool some = lane_reserve(l, task) && !c->lanes->stopping;

	l->has_reserved = false;
	return some;
}

static void note_failure(struct crew *c, const struct err *e)
{
	pthread_mutex_lock(&c->lock);
	if (c->rc == 0) {
		c->rc = -1;
		*c->e = *e;
	}
	c->lanes->stopping = true;
	pthread_mutex_unlock(&c->lock);
}

static void work(struct crew *c, struct lane *l)
{
	struct err e = { 0 };
	size_t task;

	l->crew = c;
	while (take_task(c, l, &task))
		if (c->fn(l, task, c->arg, &e) < 0)
			note_failure(c, &e);
}

static void *work_apart(void *arg)
{
	struct member *m = arg;
	struct err e = { 0 };

	/* A server may allow fewer connections: the others do the work. */
	if (!m->lane->pool && lane_open(m->lane, m->crew->lanes->job, &e) < 0) {
		m->lane->refused = true;
		log_info(NULL, "one connection less: %s", e.text);
	} else {
		work(m->crew, m->lane);
	}
	return NULL;
}

int lanes_run(struct lanes *ls, size_t count, int most, lanes_fn *fn, void *arg, struct err *e)
{
	struct crew c = { .lanes = ls, .count = count, .fn = fn, .arg = arg, .e = e };
	struct member members[LANES_MAX];
	int limit = (int)MIN((size_t)MIN(most, LANES_MAX), count), n = 0;

	ASSERT(ls->at[0].pool);
	pthread_mutex_init(&c.lock, NULL);
	for (int i = 1; i < limit; i++) {
		if (ls->at[i].refused)
			continue;
		members[n] = (struct member){ .crew = &c, .lane = &ls->at[i] };
		lane_thread(&members[n].thread, work_apart, &members[n]);
		n++;
	}
	work(&c, &ls->at[0]);
	for (int i = 0; i < n; i++)
		ASSERT(pthread_join(members[i].thread, NULL) == 0);
	pthread_mutex_destroy(&c.lock);
	return c.rc;
}
