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

/* Whom children become. */
struct child_user {
	char *name; /* NULL: nobody else */
	uid_t uid;
	gid_t gid;
};

/* Finds run.user; name NULL, or not root: nobody else. */
int child_user_find(const char *name, struct child_user *out, struct err *e) MUST_CHECK;
void child_user_release(struct child_user *u);

struct child_opts {
	const char *name; /* for logs: "engine", "proxy-1" */
	const char
		*argv[CHILD_ARGS_MAX]; /* argv[0] the program's path; NULL at the end; copied */
	const struct listen_sockets *sockets; /* handed on; NULL: none. Borrowed, as the rest */
	const struct child_user *user;
	int stop_ms; /* most between TERM and KILL */
};

struct child;
struct child *child_new(struct event_base *base, const struct child_opts *o);
/* It must not run any more. */
void child_free(struct child **c);
void child_start(struct child *c);
/* An argument that only the first start has: taken away now. */
void child_drop_arg(struct child *c, const char *arg);
/* TERM now, KILL when its time is over; not started again. */
void child_stop(struct child *c);
void child_signal(struct child *c, int signal);
/* waitpid() said so; starts it again in its time, unless it is being stopped or has ended with
 * status 0. */
void child_died(struct child *c, int wait_status);
pid_t child_pid(const struct child *c); /* 0: does not run */
const char *child_name(const struct child *c);

#endif
