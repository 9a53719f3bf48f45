/*
 * Waves in the store: when whose cutovers may begin, by the operator's word, and what is known
 * of how a wave goes. Rules about it are sync/wave.h's.
 */
#ifndef COMMON_STORE_WAVE_H
#define COMMON_STORE_WAVE_H

#include "common/store.h"
#include "common/store_gate.h"

/* A user's own counts, where there is one, else his wave's. Zeroed: at once, no limits. */
struct timetable {
	const char *name; /* of the wave or the user */
	bool is_wave;
	int64_t starts;	   /* nobody goes before; ms since 1970; 0: at once */
	int rate;	   /* users a minute; 0: no limit; of waves only, as is the next */
	int first_hour;	   /* most users whose flip was within the last hour; 0: no limit */
	int quiet_s;	   /* who has had no command open for so long goes; 0: not asked */
	int64_t latest;	   /* …or at this time, quiet or not; 0: waits for quiet */
	bool paused;	   /* of waves only: nobody begins */
	const char *why;   /* it is paused; "" if it is not */
	const char *actor; /* who paused or resumed it, or said when */
	int64_t since;	   /* when that was */
};

/*
 * In place of the one before; a pause stays. A wave's takes away those of its users: the last
 * word counts. Of t, paused, why and since do not.
 */
int store_timetable_write(struct store *st, const struct timetable *t,
			  struct err *e) MUST_CHECK;
int store_timetable_drop(struct store *st, const char *name, bool is_wave,
			 struct err *e) MUST_CHECK;
typedef int store_timetable_fn(const struct timetable *t, void *arg);
/* All of them, those of users first. */
int store_timetables_each(struct store *st, store_timetable_fn *fn, void *arg,
			  struct err *e) MUST_CHECK;
/* 1: the wave is paused now (or, on false, goes on); 0: it was so before. */
int store_wave_pause(struct store *st, const char *wave, bool on, const char *actor,
		     const char *why, struct err *e) MUST_CHECK;

typedef int store_wave_fn(const char *wave, void *arg);
/* Of users and of timetables, by name. */
int store_waves_each(struct store *st, store_wave_fn *fn, void *arg, struct err *e) MUST_CHECK;

struct wave_count {
	int64_t users, go; /* go: and not yet begun */
	int64_t held;	   /* between freeze and verdict, on the way to new */
	int64_t on_new;
	int64_t fresh;	  /* of them, flipped since the time asked for */
	int64_t next_end; /* the first flip of these; 0: none */
};
int store_wave_count(struct store *st, const char *wave, int64_t fresh_since,
		     struct wave_count *out, struct err *e) MUST_CHECK;
/* When the last cutover of the wave to new began; 0: none yet. */
int store_wave_last_begun(struct store *st, const char *wave, int64_t *out,
			  struct err *e) MUST_CHECK;

struct wave_logins {
	int64_t total, failed; /* logins to new */
	int64_t users;	       /* whose login failed */
};
/* Of the wave's users, from <= at < until. */
int store_wave_logins(struct store *st, const char *wave, int64_t from, int64_t until,
		      struct wave_logins *out, struct err *e) MUST_CHECK;

struct spread {
	int64_t count, p50, p95, most; /* ms */
};
/* Of times in ascending order. */
struct spread spread_of(const int64_t *ms, size_t n);
/* How long logins of the wave's users (NULL: of all) were held since then. */
int store_wave_holds(struct store *st, const char *wave, int64_t since, struct spread *out,
		     struct err *e) MUST_CHECK;
typedef int store_back_fn(const char *client, int64_t drops, const struct spread *back,
			  void *arg);
/* Clients of the wave's users that lost their session to a flip: how many, and after how long
 * those that came back did. */
int store_wave_backs(struct store *st, const char *wave, store_back_fn *fn, void *arg,
		     struct err *e) MUST_CHECK;
typedef int store_reason_fn(const char *why, int64_t count, void *arg);
/* Cutovers of the wave's users that were undone, by reason, the most frequent first. */
int store_wave_undos(struct store *st, const char *wave, store_reason_fn *fn, void *arg,
		     struct err *e) MUST_CHECK;

struct wave_flips {
	int64_t forward, back; /* of the wave's users; some may have been moved twice */
	int64_t first, last;   /* forward; 0: none */
};
int store_wave_flips(struct store *st, const char *wave, struct wave_flips *out,
		     struct err *e) MUST_CHECK;
/* Those for the wave, and those of its users. */
int store_wave_waivers(struct store *st, const char *wave, store_waiver_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

/* Since when none of the user's clients has had a command open, by the session rows of nodes
 * that are alive: 0: one has; 1: nobody was ever seen. */
int store_user_quiet(struct store *st, const char *name, int64_t *since,
		     struct err *e) MUST_CHECK;

#endif
