/*
 * One program under supervision: started, started again when it dies, stopped in time. All in
 * the supervisor's loop.
 */
#ifndef ADMIN_CHILD_H
#define ADMIN_CHILD_H

#include <event2/event.h>
#include <sys/types.h>

#include "admin/listen.h"
#include "common/err.h"

#define CHILD_BACK_OFF_MS     1000 /* the first restart comes at once, the second after this … */
#define CHILD_BACK_OFF_MAX_MS 30000 /* … doubling to this */
#define CHILD_LONG_LIFE_MS    60000 /* who lived this long starts at once again */
#define CHILD_ARGS_MAX	      8
#define CHILD_KEY_FD	      3

/* Whom children become. */
struct child_user {
	char *name; /* NULL: nobody else */
	uid_t uid;
	gid_t gid;
};

/* Finds run.user; name NULL, or not root: nobody else. */
int child_user_find(const char *name, struct child_user *out, struct err *e) MUST_CHECK;
/* For good; u->name is set. -1: errno says why. */
int child_user_become(const struct child_user *u) MUST_CHECK;
void child_user_release(struct child_user *u);

struct child_opts {
	const char *name; /* for logs: "engine", "proxy-1" */
	const char
		*argv[CHILD_ARGS_MAX]; /* argv[0] the program's path; NULL at the end; copied */
	const struct listen_sockets *sockets; /* handed on; NULL: none. Borrowed, as the rest */
	const struct child_user *user;
	const char *inbox; /* path of the socket where it is to speak (common/notify.h) */
	const char *key_file; /* opened before it becomes the user, as CHILD_KEY_FD; NULL: none */
	bool ends_with_us; /* should we be killed; else it goes on without us */
	bool may_leave;	   /* ends with status 0 when others told it to: not started again */
	int stop_ms;	   /* most between TERM and KILL */
};

struct child;
struct child *child_new(struct event_base *base, const struct child_opts *o);
/* It must not run any more. */
void child_free(struct child **c);
void child_start(struct child *c);
/* It runs already: the image of us before this one has started it. */
void child_adopt(struct child *c, pid_t pid);
/* TERM, and started again as soon as it has ended. */
void child_restart(struct child *c);
bool child_restarts(const struct child *c); /* its next death is that */
/* A node: it takes no more connections and ends with its last session; not started again. */
void child_leave(struct child *c);
/* What it said: READY=1, WATCHDOG=1, STATUS=…. */
void child_heard(struct child *c, bool ready, bool alive, const char *status);
bool child_ready(const struct child *c); /* runs, and has said that it is up */
/* Runs, and has not said for this long, or since its start, that its loop goes round. */
bool child_silent(const struct child *c, int64_t for_ms);
/* Ready, but silent for so long that it hangs: killed, to be started again. */
void child_kill_if_hung(struct child *c, int64_t silent_ms);
/* We ourselves have slept: nobody's silence counts. */
void child_excuse(struct child *c);
/* Its own last words, or how it ended, for people. */
const char *child_story(const struct child *c);
/* An argument that only the first start has: taken away now. */
void child_drop_arg(struct child *c, const char *arg);
/* TERM now, KILL when its time is over; not started again. */
void child_stop(struct child *c);
void child_signal(struct child *c, int signal);
/* HUP, once it is ready: before that it may be its death. */
void child_reload(struct child *c);
/* waitpid() said so; starts it again in its time, unless it is being stopped or has left. */
void child_died(struct child *c, int wait_status);
/* Starts a program that nobody waits for; its end is nobody's. */
void child_run_once(const char *const *argv, const struct child_user *u);
/* In a forked process that is to try a program: becomes the user (NULL: nobody else). */
void child_in_trial(const struct child_user *u);
pid_t child_pid(const struct child *c); /* 0: does not run */
const char *child_name(const struct child *c);

#endif
