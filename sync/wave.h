/*
 * The rules of waves: when the next user may begin, and when a wave must stop or go back. Pure:
 * what they look at is handed in, and so is the time.
 */
#ifndef SYNC_WAVE_H
#define SYNC_WAVE_H

#include "common/store_wave.h"
#include "config/settings.h"

#define WAVE_HOUR_MS   3600000
#define WAVE_CREDIT_MS 2000 /* of a rate: what a late look may make up for */
#define WAVE_WHY_MAX   256

/* What is known when a user of the wave might begin. */
struct wave_facts {
	struct timetable t; /* zeroed: nobody said when; its name is the wave's or the user's */
	int64_t next;	    /* by the rate nobody begins before; 0: at once */
	int64_t fresh;	    /* in their first hour on new, or on the way there */
	int64_t fresh_ends; /* when the first of them no longer is; 0: not known yet */
	bool quiet_known;
	int64_t quiet_since; /* common/store_wave.h: store_user_quiet() */
};

/* May this user's cutover begin? why: what holds it up or, if it may, what was asked. */
bool wave_may_start(int64_t now, const struct wave_facts *f, char *why, size_t size);
/* Must store_user_quiet() be asked before that? */
bool wave_wants_quiet(int64_t now, const struct wave_facts *f);
/* After one has begun: when the next may, by the rate. before: what this said last; 0: nothing.
 */
int64_t wave_next(int64_t now, int64_t before, int rate);

/* "from 2026-11-30 22:00:00 CET, 10 users a minute, …", for people. */
void wave_timetable_text(const struct timetable *t, char *out, size_t size);
/*
 * When each of the next n users begins at the earliest. first: of the rate, as next above;
 * fresh: as above, and in the order of their ends.
 */
void wave_schedule(const struct timetable *t, int64_t now, int64_t first, int64_t fresh,
		   int64_t fresh_ends, int64_t *due, size_t n);

/* How a wave's users fare on new. */
struct wave_health {
	struct wave_logins logins; /* within waves.window_s, and since a person's last word */
	struct spread holds;	   /* likewise */
	int64_t on_new;		   /* users */
	int64_t typical_us, quiet_us; /* new's answers to live users; 0: not known */
};
/* Must the wave be paused? why: numbers and the setting. */
bool wave_is_ill(const struct settings *s, const struct wave_health *h, char *why, size_t size);
/*
 * Must the users who were moved lately go back? early, late: the logins of the first and of the
 * last half of waves.rollback_s: what fails in both does not pass by itself.
 */
bool wave_must_return(const struct settings *s, const struct wave_logins *early,
		      const struct wave_logins *late, int64_t on_new, char *why, size_t size);

#endif
