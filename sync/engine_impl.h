/*
 * What the engine's own files share: who is worked on, and what it has seen. Not for others.
 *
 *	engine.c	who is due: the scan of all users; the engine's life
 *	runs.c		those who are worked on: started, watched, counted
 *	run_end.c	what becomes of a user when his probe or pass has ended
 *	lend.c		runs whose worker is on another host
 *	errands.c	the other side of that, while this engine stands by
 *	engine_why.c	what a user waits for, for people
 */
#ifndef SYNC_ENGINE_IMPL_H
#define SYNC_ENGINE_IMPL_H

#include "sync/dns_watch.h"
#include "sync/engine.h"
#include "sync/errands.h"
#include "sync/hosts.h"
#include "sync/lend.h"
#include "sync/names.h"
#include "sync/pulls.h"
#include "sync/speed.h"
#include "sync/tally.h"
#include "sync/tokens.h"
#include "sync/uidl_inbox.h"
#include "sync/waves.h"

struct run {
	struct engine *en;
	struct run *next;
	char *user, *wave;
	struct engine_live live;
	int64_t change; /* the user's, and his state, when it was begun */
	enum user_state state;
	struct worker *worker;	 /* of a pass, probe or trailing pass */
	struct cutover *cutover; /* or this */
	bool lent;		 /* or neither: another host makes the pass … */
	bool lease_seen;	 /* … and it was in the store when that was read last */
	int connections;	 /* to each server that it may open */
	struct uidl_inbox uidl;
	bool back;	/* a cutover: to old */
	bool cancelled; /* we stopped it: it tells nothing about the user */
	bool awaited;	/* engine_awaited(): it is the one */
	bool journaled; /* the journal is to be returned to the depot */
	struct log_about about;
};

struct choice {
	struct plan plan;
	char *user;
};

struct engine {
	struct engine_opts o;
	struct event *timer;
	struct run *runs;
	struct names asked, traced;
	struct names awaited; /* of those asked: by somebody who follows */
	struct tokens tokens; /* of users on new */
	struct choice *choices; /* of the scan under way */
	size_t choice_count, choice_size;
	struct gate_view view;
	struct hosts hosts;
	struct speed *speed;
	struct waves *waves;
	struct dns_watch *mx;
	struct pulls *pulls;
	struct tally *tally;
	struct errand *errands;
	int64_t looked_for;	   /* errands, between two beats; as all here, monotonic */
	int64_t shy_ms, shy_until; /* errands.c: none is taken for so long, until then */
	struct {
		bool read;	   /* what was lent by the one at work before us is known */
		int64_t looked;	   /* monotonic */
		int left; /* rows that are no runs and could not be closed yet */
		struct names home; /* whose pass no other host began … */
		int64_t home_until; /* … who are offered again from then on; monotonic */
	} lend;
	struct {
		int workers; /* that other hosts lend us, at once */
		int hosts;   /* where workers run, this one too */
	} others;
	int queued;
	int not_begun; /* in this scan: for whom no worker could be started */
	struct {
		bool under_way, sliced; /* sliced: in more than one go */
		struct event *more; /* the next slice of it */
		char after[STORE_NAME_MAX + 1];
		int in_slice;
		int64_t took_ms, ended; /* ended: monotonic */
	} scan;
	int64_t until; /* of engine_renewed(); 0: none */
	bool at_work, nudged, stopping;
};

/* ---- engine.c */

/* Asked after what it says was read, and before anything is made of that. */
bool engine_trusts(const struct engine *en);
/* Fills en->view with what the gate looks at besides the user. */
int engine_look_around(struct engine *en, struct err *e) MUST_CHECK;
/* When this user may begin; quiet_too: reads the sessions as well, where that is asked. */
void engine_when(struct engine *en, const struct user *u, bool quiet_too,
		 struct wave_facts *out);
/* Of a user whose cutover is begun and who is about to be held: is the gate still open? */
bool engine_may_freeze(struct engine *en, const struct user *u, char *why, size_t size);
/* May another worker be started for this, here or on another host? */
bool engine_has_room(struct engine *en, enum plan_step step);
/* The same, but here. */
bool engine_has_room_here(struct engine *en, enum plan_step step);

/* ---- runs.c */

struct run *runs_find(const struct engine *en, const char *user);
int runs_count(const struct engine *en, bool cutovers_only);
/* Cutovers of a wave to new. */
int runs_of_wave(const struct engine *en, const char *wave);
/* To each server: open now, and at once by the settings, the time of day and what the servers
 * bear. */
int runs_connections(const struct engine *en);
int runs_connections_max(struct engine *en);
/* To each server, of one more run; at least one. */
int runs_connections_left(struct engine *en, enum job_kind kind);
/* How many may run at once, if each has one connection: here, and on all hosts. */
int runs_max_here(struct engine *en);
int runs_max(struct engine *en);
/* Those whose worker is, or will be, here. */
int runs_here(const struct engine *en);
/* A run without a worker yet; the caller says what it is. */
struct run *run_new(struct engine *en, const struct user *u, enum job_kind kind);
void run_free(struct run *r);
/* Its worker has ended; res NULL: without a result, and why says how. */
void run_worker_ended(struct run *r, const struct job_result *res, const char *why);
/* What a worker is told, wherever it is asked for. */
int run_order(struct engine *en, enum job_kind kind, const struct user *u, struct job *out,
	      struct err *e) MUST_CHECK;
/* Starts what this step needs a worker for. */
void runs_start(struct engine *en, const struct user *u, enum plan_step step);

/* ---- run_end.c */

void run_log_store(const struct run *r, const struct err *e);
/* False: he is not there; somebody moved him, or the store failed, which is logged. */
bool run_move_user(const struct run *r, const struct user *u, enum user_state to,
		   const char *why);
/* What the store knows of the user's passes; res NULL: none ended. error: "" or why. */
void run_write_progress(const struct run *r, const struct user *u, const struct job_result *res,
			const char *error, int64_t ended);
/* A probe or pass has ended; res NULL: its worker died, and why says how. */
void run_ended(struct run *r, const struct job_result *res, const char *why);

#endif
