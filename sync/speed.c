/* Hides: where the limits come from and how often they are looked at. */
#include "sync/speed.h"

#include <stdatomic.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/ease.h"
#include "sync/pace.h"
#include "sync/trouble.h"

#define STALE_MS (3 * STORE_LATENCY_MS) /* a node's older figures tell nothing */

/* For whom a server is in trouble. */
struct ill {
	bool all;
	char user[STORE_NAME_MAX + 1]; /* "": for nobody, or for all */
};

struct speed {
	struct store *store;
	const struct settings *s;
	struct pace_shared shared;
	struct ease ease[SIDES];
	int64_t moved[SIDES], looked; /* at the last look */
	int hosts;		      /* that share the rates; 0: not said, one */
	struct ill ill[SIDES];	      /* as the log knows it */
};

struct speed *speed_new(struct store *st, const struct settings *s)
{
	struct speed *sp = mem_new(sizeof *sp);
	struct err e = { 0 };

	*sp = (struct speed){ .store = st, .s = s, .looked = clock_mono_ms() };
	if (pace_shared_new(&sp->shared, &e) < 0)
		BUG("%s", e.text);
	return sp;
}

void speed_free(struct speed **sp)
{
	pace_shared_free(&(*sp)->shared);
	mem_free(sp);
}

void speed_lease(struct speed *sp, int64_t until)
{
	atomic_store(&sp->shared.word->lease_until, until);
}

void speed_share(struct speed *sp, int hosts)
{
	sp->hosts = hosts;
}

const int *speed_fds(const struct speed *sp)
{
	return sp->shared.fd;
}

/* ---- the settings at this hour */

static int minute_now(void)
{
	time_t now = (time_t)(clock_real_ms() / 1000);
	struct tm tm;

	localtime_r(&now, &tm);
	return tm.tm_hour * 60 + tm.tm_min;
}

static struct rate rate_of(const struct speed *sp, enum side side)
{
	const struct backend_conf *b = &sp->s->backend[side];
	const struct rate plain = { b->rate, b->message_rate, b->connections };

	return rate_at(plain, b->rate_times, minute_now());
}

int speed_connections(const struct speed *sp, enum side side)
{
	return rate_of(sp, side).connections;
}

/* 0 is no limit, so it must not come of one. */
static int64_t part_of(const struct speed *sp, int64_t rate)
{
	return rate ? MAX(1, rate / MAX(1, sp->hosts)) : 0;
}

static int64_t lower(int64_t a, int64_t b)
{
	return a && b ? MIN(a, b) : MAX(a, b);
}

static void set_rates(struct speed *sp)
{
	for (int i = 0; i < SIDES; i++) {
		struct rate r = rate_of(sp, (enum side)i);

		atomic_store(&sp->shared.page->host[i][PACE_BYTES].rate,
			     lower(part_of(sp, r.bytes), sp->ease[i].limit));
		atomic_store(&sp->shared.page->host[i][PACE_MESSAGES].rate,
			     part_of(sp, r.messages));
	}
	atomic_store(&sp->shared.page->user_rate[PACE_BYTES], sp->s->sync.user_rate);
	atomic_store(&sp->shared.page->user_rate[PACE_MESSAGES], sp->s->sync.user_message_rate);
}

/* ---- live users */

struct seen {
	int64_t now, commands[SIDES], us[SIDES];
};

/* Of several nodes, each median counts as often as it has commands. */
static int on_latency(const struct latency_row *l, void *arg)
{
	struct seen *seen = arg;

	if (l->at + STALE_MS < seen->now)
		return 0;
	seen->commands[l->side] += l->commands;
	seen->us[l->side] += l->commands * l->typical_us;
	return 0;
}

/* The workers' clock is the monotonic one. */
static int64_t as_mono(int64_t until, int64_t now)
{
	return until > now ? clock_mono_ms() + until - now : 0;
}

/* For whom, and that it changed, is all that the log is told. */
static void log_trouble(struct speed *sp, enum side side, const struct trouble *t, int64_t now)
{
	const char *last = t->heard[side][0].user;
	struct ill is = { .all = trouble_until(t, side, NULL) > now }, *was = &sp->ill[side];

	if (!is.all && trouble_until(t, side, last) > now)
		snprintf(is.user, sizeof is.user, "%s", last);
	if (is.all && !was->all)
		log_warn(
			NULL,
			"the %s server answers live users (%s, %s) with internal errors: until "
			"it does not, nobody is moved, and what is missing there is not taken "
			"for deleted",
			side_name(side), last, t->heard[side][STORE_ERROR_USERS - 1].user);
	else if (is.user[0] && strcmp(is.user, was->user) != 0)
		log_warn(
			NULL,
			"the %s server answers %s with internal errors: until it does not, this "
			"user is not moved, and what is missing there is not taken for deleted",
			side_name(side), is.user);
	else if (!is.all && !is.user[0] && (was->all || was->user[0]))
		log_info(NULL, "no more internal errors of the %s server", side_name(side));
	*was = is;
}

static void look_for_trouble(struct speed *sp)
{
	int64_t now = store_now_ms(sp->store);
	struct trouble t;
	struct err e = { 0 };

	if (trouble_read(sp->store, sp->s, &t, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return;
	}
	for (int i = 0; i < SIDES; i++) {
		const char *last = t.heard[i][0].user;
		enum side side = (enum side)i;

		log_trouble(sp, side, &t, now);
		atomic_store(&sp->shared.word->trouble_until[i],
			     as_mono(trouble_until(&t, side, NULL), now));
		atomic_store(&sp->shared.word->trouble_user[i], pace_hash(last));
		atomic_store(&sp->shared.word->user_trouble_until[i],
			     as_mono(trouble_until(&t, side, last), now));
	}
}

static void look(struct speed *sp, int64_t took_ms)
{
	struct seen seen = { .now = store_now_ms(sp->store) };
	struct err e = { 0 };

	if (store_latency_each(sp->store, on_latency, &seen, &e) < 0) {
		log_error(NULL, "%s", e.text);
		return;
	}
	for (int i = 0; i < SIDES; i++) {
		int64_t moved = atomic_load(&sp->shared.page->moved[i]), n = seen.commands[i];
		bool slowed = sp->ease[i].limit > 0;

		ease_look(&sp->ease[i], n, n ? seen.us[i] / n : 0,
			  (moved - sp->moved[i]) * 1000 / MAX(took_ms, 1));
		sp->moved[i] = moved;
		if (!slowed && sp->ease[i].limit)
			log_info(NULL,
				 "copier slowed: the %s server answers live users in %lld ms, "
				 "%lld ms when it is quiet",
				 side_name((enum side)i),
				 (long long)sp->ease[i].typical_us / 1000,
				 (long long)sp->ease[i].quiet_us / 1000);
		else if (slowed && !sp->ease[i].limit)
			log_info(NULL, "copier at full speed again on the %s server",
				 side_name((enum side)i));
	}
}

void speed_tick(struct speed *sp)
{
	int64_t now = clock_mono_ms();

	if (now - sp->looked >= EASE_MS) {
		look(sp, now - sp->looked);
		look_for_trouble(sp);
		sp->looked = now;
	}
	set_rates(sp);
}

void speed_answers(const struct speed *sp, enum side side, int64_t *typical_us,
		   int64_t *quiet_us)
{
	*typical_us = sp->ease[side].typical_us;
	*quiet_us = sp->ease[side].quiet_us;
}

void speed_text(const struct speed *sp, enum side side, char *out, size_t size)
{
	const struct ease *x = &sp->ease[side];
	int64_t rate = atomic_load(&sp->shared.page->host[side][PACE_BYTES].rate);

	out[0] = '\0';
	if (x->limit)
		snprintf(
			out, size,
			"the copier gets %lld KiB/s of the %s server: it answers live users in "
			"%lld ms, %lld ms when it is quiet",
			(long long)rate / 1024, side_name(side),
			(long long)x->typical_us / 1000, (long long)x->quiet_us / 1000);
	else if (rate)
		snprintf(out, size,
			 "the copier gets %lld KiB/s of the %s server, by the settings",
			 (long long)rate / 1024, side_name(side));
}
